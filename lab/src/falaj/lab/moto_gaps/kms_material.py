"""KMS: keys whose material is imported. moto makes them, but cannot be given the material.

The material is really unwrapped and really used: what one import encrypted, the same material imported again decrypts.
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time
from moto.kms.exceptions import InvalidCiphertextException, ValidationException
from moto.kms.models import Key
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.kms_keys import Keys, await_material, invalid_state, kept

_DAY = 24 * 3600
_HASHES: dict[str, type[HashAlgorithm]] = {"RSAES_OAEP_SHA_1": SHA1, "RSAES_OAEP_SHA_256": SHA256}
_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_BYTES = 32


class Material(Keys):
    """The operations on imported material."""

    def get_parameters_for_import(self) -> str:
        """Give a public key that wraps the material, and a token that goes with it for a day."""
        key, algorithm, spec = (
            self._imported(),
            self._get_param("WrappingAlgorithm"),
            self._get_param("WrappingKeySpec"),
        )
        if algorithm not in _HASHES or spec not in _BITS:
            raise ValidationException(f"the lab unwraps {', '.join(_HASHES)} with {', '.join(_BITS)}")
        private = generate_private_key(public_exponent=65537, key_size=_BITS[spec])
        token, until = str(mock_random.uuid4()), unix_time() + _DAY
        kept(key)["import"] = {"private": private, "algorithm": algorithm, "token": token, "until": until}
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        answer = {"KeyId": key.arn, "PublicKey": _text(public), "ImportToken": _text(token.encode())}
        return json.dumps({**answer, "ParametersValidTo": until})

    def import_key_material(self) -> str:
        """Take the material, the same as ever where there was some, and let the key work until it expires."""
        key, model = self._imported(), self._get_param("ExpirationModel", "KEY_MATERIAL_EXPIRES")
        until = self._get_param("ValidTo")
        if (until is not None) is not (model == "KEY_MATERIAL_EXPIRES"):
            raise ValidationException("ValidTo goes with the expiration model KEY_MATERIAL_EXPIRES, and with no other")
        if until is not None and until <= unix_time():
            raise ValidationException("ValidTo must be in the future")
        material = self._unwrapped(kept(key).pop("import", {}))
        digest = hashlib.sha256(material).hexdigest()
        if kept(key).setdefault("digest", digest) != digest:
            raise JsonRESTError("IncorrectKeyMaterialException", "The key material is not the one imported before.")
        key.key_material, key.enabled, key.key_state = material, True, "Enabled"
        kept(key).update(material=True, described={"ExpirationModel": model} | ({"ValidTo": until} if until else {}))
        return json.dumps({"KeyId": key.arn})

    def delete_imported_key_material(self) -> str:
        """Make the key useless at once, until the same material is imported again."""
        await_material(self._imported())
        return json.dumps({})

    def _imported(self) -> Key:
        key = self.named
        if key.origin != "EXTERNAL":
            raise JsonRESTError("UnsupportedOperationException", f"{key.arn} origin is {key.origin}, not EXTERNAL.")
        if key.key_state == "PendingDeletion":
            raise invalid_state(f"{key.arn} is pending deletion.")
        return key

    def _unwrapped(self, parameters: dict[str, Any]) -> bytes:
        token = base64.b64decode(self._get_param("ImportToken")).decode(errors="replace")
        if token != parameters.get("token"):
            raise JsonRESTError("InvalidImportTokenException", "The import token belongs to other parameters.")
        if parameters["until"] <= unix_time():
            raise JsonRESTError("ExpiredImportTokenException", "The import token is older than a day.")
        private, algorithm = parameters["private"], _HASHES[parameters["algorithm"]]
        assert isinstance(private, RSAPrivateKey)
        try:
            wrapped = base64.b64decode(self._get_param("EncryptedKeyMaterial"))
            material = private.decrypt(wrapped, OAEP(MGF1(algorithm()), algorithm(), None))
        except ValueError:
            raise InvalidCiphertextException from None
        if len(material) != _BYTES:
            raise JsonRESTError("IncorrectKeyMaterialException", "A symmetric key has 256 bits.")
        return material


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
