"""KMS keys: in which state one is decides what it is good for, and how often its material is renewed.

moto keeps states but lets every key encrypt and decrypt, and drops the rotation period.
"""

import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time
from moto.kms.exceptions import ValidationException
from moto.kms.models import Key, KmsBackend
from moto.kms.responses import KmsResponse

_REASONS = {"PendingDeletion": "pending deletion", "PendingImport": "pending import"}


class Keys(KmsResponse):
    """The operations on a key whose answer depends on its state."""

    @property
    def named(self) -> Key:
        """The key that the request names by identifier, ARN or alias."""
        identifier: str = self._get_param("KeyId")
        self._validate_key_id(identifier)
        return settled(self.kms_backend.describe_key(identifier))

    def create_key(self) -> str:
        """A key that waits for material cannot be used."""
        made: dict[str, Any] = json.loads(super().create_key())
        key = self.kms_backend.keys[made["KeyMetadata"]["KeyId"]]
        if key.origin == "EXTERNAL":
            await_material(key)
        return json.dumps(key.to_dict())

    def enable_key(self) -> str:
        """A key that awaits deletion or material cannot be enabled."""
        self.kms_backend.enable_key(_not(self.named, "PendingDeletion", "PendingImport").id)
        return json.dumps(None)

    def disable_key(self) -> str:
        """The same holds of disabling it."""
        self.kms_backend.disable_key(_not(self.named, "PendingDeletion", "PendingImport").id)
        return json.dumps(None)

    def schedule_key_deletion(self) -> str:
        """A key that awaits deletion already keeps its date."""
        key, days = _not(self.named, "PendingDeletion"), self._get_param("PendingWindowInDays", 30)
        if not 7 <= days <= 30:
            raise ValidationException(f"Value '{days}' at 'pendingWindowInDays' must be between 7 and 30")
        date = self.kms_backend.schedule_key_deletion(key.id, days)
        answer = {"KeyId": key.arn, "DeletionDate": date, "KeyState": key.key_state, "PendingWindowInDays": days}
        return json.dumps(answer)

    def cancel_key_deletion(self) -> str:
        """A key comes back disabled, or without material as it was."""
        key = self.named
        if key.key_state != "PendingDeletion":
            raise invalid_state(f"{key.arn} is not pending deletion.")
        self.kms_backend.cancel_key_deletion(key.id)
        if key.origin == "EXTERNAL" and "material" not in kept(key):
            await_material(key)
        return json.dumps({"KeyId": key.arn})

    def enable_key_rotation(self) -> str:
        """Keep the period, and refuse a key that AWS cannot rotate."""
        key, days = self._rotatable(), self._get_param("RotationPeriodInDays")
        if days is not None and not 90 <= days <= 2560:
            raise ValidationException(f"Value '{days}' at 'rotationPeriodInDays' must be between 90 and 2560")
        kept(key)["rotation_days"] = days or kept(key).get("rotation_days", 365)
        self.kms_backend.enable_key_rotation(key.id)
        return json.dumps(None)

    def disable_key_rotation(self) -> str:
        """Forget the period with the rotation."""
        key = self._rotatable()
        kept(key).pop("rotation_days", None)
        self.kms_backend.disable_key_rotation(key.id)
        return json.dumps(None)

    def get_key_rotation_status(self) -> str:
        """Tell the period of a key that is rotated."""
        key = self.named
        answer: dict[str, Any] = {"KeyId": key.arn, "KeyRotationEnabled": key.key_rotation_status}
        if key.key_rotation_status:
            answer["RotationPeriodInDays"] = kept(key).get("rotation_days", 365)
        return json.dumps(answer)

    def _rotatable(self) -> Key:
        key = self.named
        if key.origin != "AWS_KMS" or key.key_spec != "SYMMETRIC_DEFAULT":
            raise JsonRESTError("UnsupportedOperationException", f"{key.arn} cannot be rotated automatically.")
        refuse_use(key)
        return key


def judge_use() -> None:
    """Let KMS refuse what is asked of a key in the wrong state, and describe all that is kept of it."""
    encrypt, decrypt, described = KmsBackend.encrypt, KmsBackend.decrypt, Key.to_dict

    def encrypt_if_usable(self: KmsBackend, key_id: str, *rest: Any, **more: Any) -> Any:
        identifier = self.any_id_to_key_id(key_id)
        if identifier in self.keys:
            refuse_use(self.keys[identifier])
        return encrypt(self, key_id, *rest, **more)

    def decrypt_if_usable(self: KmsBackend, *rest: Any, **more: Any) -> Any:
        plaintext, arn = decrypt(self, *rest, **more)
        refuse_use(self.describe_key(arn))
        return plaintext, arn

    def described_whole(self: Key) -> dict[str, Any]:
        answer = described(settled(self))
        answer["KeyMetadata"] |= kept(self).get("described", {})
        return answer

    KmsBackend.encrypt = encrypt_if_usable
    KmsBackend.decrypt = decrypt_if_usable
    Key.to_dict = described_whole


def kept(key: Key) -> dict[str, Any]:
    """Return what moto does not keep of a key, as an attribute of its object: it is written down with it."""
    return vars(key).setdefault("kept", {})


def settled(key: Key) -> Key:
    """Return the key after what time has done to it: imported material may have expired."""
    until = kept(key).get("described", {}).get("ValidTo")
    if until is not None and until <= unix_time() and key.key_state in ("Enabled", "Disabled"):
        await_material(key)
    return key


def await_material(key: Key) -> None:
    """Leave the key without material."""
    key.enabled, key.key_state = False, "PendingImport"
    kept(key)["described"] = {}
    kept(key).pop("material", None)


def refuse_use(key: Key) -> None:
    """Refuse the use of a key that is not enabled, as KMS says it."""
    _not(settled(key), "PendingDeletion", "PendingImport")
    if key.key_state == "Disabled":
        raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")


def invalid_state(message: str) -> JsonRESTError:
    """Return the refusal of what a key's state does not allow."""
    return JsonRESTError("KMSInvalidStateException", message)


def _not(key: Key, *states: str) -> Key:
    if key.key_state in states:
        raise invalid_state(f"{key.arn} is {_REASONS[key.key_state]}.")
    return key
