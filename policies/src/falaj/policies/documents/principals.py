"""Who is named in a policy document: accounts, identities, services and identity providers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from falaj.policies.values import Fact, View

_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class Principal:
    """One principal; ``kind`` is AWS, Service, Federated or CanonicalUser, or nothing where that is not known yet."""

    kind: str
    view: View

    def is_service(self) -> Fact:
        """Return whether it is a service of AWS."""
        return self._is("Service")

    def is_federated(self) -> Fact:
        """Return whether it is a provider of identities."""
        return self._is("Federated")

    def account(self) -> str | None:
        """Return the account that a principal of AWS belongs to, if it names one."""
        text = self.view.value
        if self.kind != "AWS" or not isinstance(text, str):
            return None
        fields = text.split(":", 5)
        found = fields[4] if len(fields) == 6 else text
        return found if _ACCOUNT.fullmatch(found) else None

    def is_whole_account(self) -> Fact:
        """Return whether it stands for every identity of its account."""
        return self.view.test(lambda text: bool(_ACCOUNT.fullmatch(str(text))) or str(text).endswith(":root"))

    def includes(self, arn: str) -> Fact:
        """Return whether a caller is meant by it: by name, by account or as everyone."""
        fields = arn.split(":", 5)
        account = fields[4] if len(fields) == 6 else None
        whole = self.is_whole_account() & Fact(account is not None and self.account() == account, self.view.path)
        return self.view.equals("*") | self.view.equals(arn) | whole

    def _is(self, kind: str) -> Fact:
        return Fact(self.kind == kind if self.kind else None, self.view.path)


def principals(view: View) -> Iterator[Principal]:
    """Yield the principals of an element ``Principal`` or ``NotPrincipal``."""
    if view.value == "*":
        yield Principal("AWS", view)
        return
    for kind, names in view.entries():
        for name in names.each():
            yield Principal(kind, name)
