"""The policy pack ``falaj``: every rule, mandatory. Running this file serves it."""

from falaj.policies import RULES
from falaj.policies.analyzer import serve_pack

if __name__ == "__main__":
    serve_pack("falaj", RULES)
