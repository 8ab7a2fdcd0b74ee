"""The rules, by subject: every module of this package has its own as ``RULES``."""

import importlib
import pkgutil

from falaj.policies.model import Rule

RULES: tuple[Rule, ...] = tuple(
    rule
    for module in pkgutil.iter_modules(__path__)
    for rule in importlib.import_module(f"{__name__}.{module.name}").RULES
)
"""Every rule of falaj, in the order of the modules' names."""
