"""The AWS resource types and functions that are enacted in moto, as tables, one file per service."""
