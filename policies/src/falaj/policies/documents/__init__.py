"""AWS policy documents: statements, conditions, principals and patterns, as IAM reads them."""

from falaj.policies.documents.document import BOUNDING_KEYS, Document, Statement, parse, statements

__all__ = ["BOUNDING_KEYS", "Document", "Statement", "parse", "statements"]
