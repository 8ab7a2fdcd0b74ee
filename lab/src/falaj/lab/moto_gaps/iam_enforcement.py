"""IAM enforced: moto finds out who calls and checks the signature; an authorizer decides what the caller may do.

By itself moto looks at identity policies only, takes every condition as met, and knows no key policy. So it gathers
what a decision needs, and leaves the decision to a program (`falaj.lab.authorizer`).
"""

from collections.abc import Mapping
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.credentials import Credentials
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError, JsonRESTError
from moto.iam import access_control
from moto.iam.access_control import IAMRequest, IAMRequestBase, S3IAMRequest
from moto.s3.exceptions import S3AccessDeniedError

from falaj.lab.authorizer import Authorizer
from falaj.lab.moto_gaps.iam_callers import RootAccessKey
from falaj.lab.moto_gaps.iam_questions import questions
from falaj.lab.moto_gaps.s3_policies import leave_to_authorizer


def enforce(authorizer: Authorizer, root: Credentials) -> None:
    """Refuse from now on whom the authorizer refuses; ``root`` are the credentials of every account's root user."""
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    _know_root(root)
    _refuse_unsigned()
    _sign_s3_control_as_s3()
    _answer_strangers_in_json()
    leave_to_authorizer()

    def check(self: IAMRequestBase, resource: str) -> None:
        for question in questions(self, resource):
            verdict = authorizer.ask(question)
            if not verdict.allowed:
                raise _refusal(self, question, verdict.because)

    IAMRequestBase.check_action_permitted = check


def _know_root(root: Credentials) -> None:
    find = access_control.create_access_key

    def create_access_key(account_id: str, partition: str, access_key_id: str, headers: dict[str, str]) -> Any:
        if access_key_id == root.access_key:
            return RootAccessKey(account_id, root)
        return find(account_id, partition, access_key_id, headers)

    access_control.create_access_key = create_access_key


def _refuse_unsigned() -> None:
    """Refuse who does not sign; moto would trip over them. Presigned URLs are among them: moto cannot check those."""
    authorize = ActionAuthenticatorMixin._authenticate_and_authorize_action  # pyright: ignore[reportPrivateUsage]  # moto has no public place for it

    def signed(self: Any, iam_request_cls: type, resource: str = "*") -> None:
        if "Authorization" in self.headers:
            authorize(self, iam_request_cls, resource)
        elif iam_request_cls is S3IAMRequest:
            raise S3AccessDeniedError
        else:
            raise AccessDeniedError("anonymous", "this")

    ActionAuthenticatorMixin._authenticate_and_authorize_action = signed  # pyright: ignore[reportPrivateUsage]


def _sign_s3_control_as_s3() -> None:
    """Check signatures for S3 Control as S3's own: the path is encoded once. moto encodes it twice."""
    create = IAMRequest._create_auth  # pyright: ignore[reportPrivateUsage]

    def create_auth(self: IAMRequest, credentials: Any) -> Any:
        if self._service == "s3":  # pyright: ignore[reportPrivateUsage]
            return S3SigV4Auth(credentials, "s3", self._region)  # pyright: ignore[reportPrivateUsage]
        return create(self, credentials)

    IAMRequest._create_auth = create_auth  # pyright: ignore[reportPrivateUsage]


def _answer_strangers_in_json() -> None:
    """Refuse unknown keys and wrong signatures as services that speak JSON do; moto answers all in XML."""

    def answer(name: str, code: str, message: str) -> None:
        moto_s = getattr(IAMRequest, name)

        def refuse(self: IAMRequest, *arguments: str) -> None:
            if _speaks_json(self):
                raise JsonRESTError(code, message)
            moto_s(self, *arguments)

        setattr(IAMRequest, name, refuse)

    unknown = "The security token included in the request is invalid."
    answer("_raise_invalid_access_key", "UnrecognizedClientException", unknown)
    wrong = "The request signature we calculated does not match the signature you provided."
    answer("_raise_signature_does_not_match", "InvalidSignatureException", wrong)


def _speaks_json(request: IAMRequestBase) -> bool:
    return "X-Amz-Target" in request._headers  # pyright: ignore[reportPrivateUsage]


def _refusal(request: IAMRequestBase, question: Mapping[str, Any], because: str) -> Exception:
    """Return the error as the called service gives it, with the reason that AWS mostly keeps to itself."""
    message = (
        f"User: {question['principal']} is not authorized to perform: {question['action']} on resource: "
        f"{question['resource']} ({because})"
    )
    if isinstance(request, S3IAMRequest):
        refusal = S3AccessDeniedError()
        refusal.message = message
        return refusal
    if _speaks_json(request):
        return JsonRESTError("AccessDeniedException", message)
    return AccessDeniedError(question["principal"], question["action"])
