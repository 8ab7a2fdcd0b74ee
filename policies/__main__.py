"""The policy pack ``falaj``: every rule, mandatory. Importing this file serves it."""

from pulumi_policy import EnforcementLevel, PolicyPack

from falaj.policies import RULES, policies

PolicyPack("falaj", policies(RULES), EnforcementLevel.MANDATORY)
