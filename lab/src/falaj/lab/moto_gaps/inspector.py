"""Inspector: an account that never had it is told to be off; moto tells nothing of it.

Weaker than AWS: nothing is scanned.
"""

from typing import Any

from moto.inspector2.models import AccountStatus, Inspector2Backend


def tell_accounts_that_are_off() -> None:
    """Let BatchGetAccountStatus tell of every account that it is asked about, and of repositories of code."""
    told = AccountStatus.to_batch_json

    def batch_get_account_status(self: Inspector2Backend, account_ids: list[str]) -> list[dict[str, Any]]:
        wanted = account_ids or [self.account_id]
        known: dict[str, Any] = self.account_status
        found: list[Any] = [known.get(each, AccountStatus(each)) for each in wanted]
        return [each.to_batch_json() for each in found]

    def to_batch_json(self: AccountStatus) -> dict[str, Any]:
        answer = told(self)
        answer["resourceState"]["codeRepository"] = {"status": "DISABLED"}
        return answer

    Inspector2Backend.batch_get_account_status = batch_get_account_status
    AccountStatus.to_batch_json = to_batch_json
