"""KMS: external key stores, and keys in them. moto has neither.

No proxy is asked: a key in a store is moto's own key. What KMS itself checks is checked.
"""

import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time
from moto.kms.exceptions import ValidationException
from moto.kms.models import Key
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.kept import kept as kept_of
from falaj.lab.moto_gaps.kms_keys import Keys, kept

Store = dict[str, Any]
"""A key store by KMS's own names."""
_PROXY = {
    "XksProxyConnectivity": "Connectivity",
    "XksProxyUriEndpoint": "UriEndpoint",
    "XksProxyUriPath": "UriPath",
    "XksProxyVpcEndpointServiceName": "VpcEndpointServiceName",
}
_PLACE = ("XksProxyConnectivity", "XksProxyUriEndpoint", "XksProxyVpcEndpointServiceName")


class KeyStores(Keys):
    """The operations on external key stores, and the making of keys in them."""

    def create_custom_key_store(self) -> str:
        """Keep a store; it is not connected yet."""
        name: str = self._get_param("CustomKeyStoreName")
        if self._get_param("CustomKeyStoreType") != "EXTERNAL_KEY_STORE":
            raise ValidationException("the lab has external key stores only, no CloudHSM")
        if any(store["CustomKeyStoreName"] == name for store in self._stores.values()):
            raise JsonRESTError("CustomKeyStoreNameInUseException", f"The name {name} is in use.")
        self._complete(self._proxy({}))
        identifier = f"cks-{mock_random.get_random_hex(17)}"
        self._stores[identifier] = {
            "CustomKeyStoreId": identifier,
            "CustomKeyStoreName": name,
            "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
            "ConnectionState": "DISCONNECTED",
            "CreationDate": unix_time(),
            "XksProxyConfiguration": self._proxy({}),
        }
        return json.dumps({"CustomKeyStoreId": identifier})

    def describe_custom_key_stores(self) -> str:
        """Tell of all stores, or of one by identifier or name; the proxy's secret is never told."""
        identifier, name = self._get_param("CustomKeyStoreId"), self._get_param("CustomKeyStoreName")
        found = [
            store
            for store in self._stores.values()
            if identifier in (None, store["CustomKeyStoreId"]) and name in (None, store["CustomKeyStoreName"])
        ]
        if not found and (identifier or name):
            raise _unknown(str(identifier or name))
        return json.dumps({"CustomKeyStores": found, "Truncated": False})

    def update_custom_key_store(self) -> str:
        """Change a store; where its proxy is only while it is not connected."""
        place = any(self._get_param(parameter) for parameter in _PLACE)
        store = self._named_store("DISCONNECTED") if place else self._named_store("CONNECTED", "DISCONNECTED")
        store["XksProxyConfiguration"] = self._complete(self._proxy(store["XksProxyConfiguration"]))
        store["CustomKeyStoreName"] = self._get_param("NewCustomKeyStoreName", store["CustomKeyStoreName"])
        return json.dumps({})

    def connect_custom_key_store(self) -> str:
        """Connect a store, at once."""
        self._named_store("DISCONNECTED")["ConnectionState"] = "CONNECTED"
        return json.dumps({})

    def disconnect_custom_key_store(self) -> str:
        """Disconnect a store, at once."""
        self._named_store("CONNECTED")["ConnectionState"] = "DISCONNECTED"
        return json.dumps({})

    def delete_custom_key_store(self) -> str:
        """Delete a store that is disconnected and holds no keys."""
        store = self._named_store("DISCONNECTED")
        if self._keys_of(store):
            raise JsonRESTError("CustomKeyStoreHasCMKsException", "The custom key store holds KMS keys.")
        del self._stores[store["CustomKeyStoreId"]]
        return json.dumps({})

    def create_key(self) -> str:
        """Make a key in a store that is connected, each external key once."""
        identifier, external = self._get_param("CustomKeyStoreId"), self._get_param("XksKeyId")
        if self._get_param("Origin") != "EXTERNAL_KEY_STORE":
            if identifier or external:
                raise ValidationException("a key in an external key store has the origin EXTERNAL_KEY_STORE")
            return super().create_key()
        if not (identifier and external):
            raise ValidationException("an external key needs CustomKeyStoreId and XksKeyId")
        store = self._named_store("CONNECTED")
        if any(kept(key)["described"]["XksKeyConfiguration"]["Id"] == external for key in self._keys_of(store)):
            raise JsonRESTError("XksKeyAlreadyInUseException", f"The external key {external} is in use.")
        made: dict[str, Any] = json.loads(super().create_key())
        key = self.kms_backend.keys[made["KeyMetadata"]["KeyId"]]
        kept(key)["described"] = {"CustomKeyStoreId": identifier, "XksKeyConfiguration": {"Id": external}}
        return json.dumps(key.to_dict())

    @property
    def _stores(self) -> dict[str, Store]:
        """The stores, by id."""
        return kept_of(self.kms_backend, "key_stores")

    def _named_store(self, *states: str) -> Store:
        identifier: str = self._get_param("CustomKeyStoreId")
        if identifier not in self._stores:
            raise _unknown(identifier)
        store = self._stores[identifier]
        if store["ConnectionState"] not in states:
            message = f"{identifier} is {store['ConnectionState']}, and has to be {' or '.join(states)}."
            raise JsonRESTError("CustomKeyStoreInvalidStateException", message)
        return store

    def _keys_of(self, store: Store) -> list[Key]:
        identifier = store["CustomKeyStoreId"]
        keys = self.kms_backend.keys.values()
        return [key for key in keys if kept(key).get("described", {}).get("CustomKeyStoreId") == identifier]

    def _proxy(self, before: dict[str, str]) -> dict[str, str]:
        given = {name: self._get_param(parameter) for parameter, name in _PROXY.items()}
        credential: dict[str, str] = self._get_param("XksProxyAuthenticationCredential") or {}
        given["AccessKeyId"] = credential.get("AccessKeyId")
        return before | {name: value for name, value in given.items() if value is not None}

    @staticmethod
    def _complete(proxy: dict[str, str]) -> dict[str, str]:
        wanted = {"Connectivity", "UriEndpoint", "UriPath", "AccessKeyId"}
        if proxy.get("Connectivity") == "VPC_ENDPOINT_SERVICE":
            wanted.add("VpcEndpointServiceName")
        if missing := sorted(wanted - set(proxy)):
            raise ValidationException(f"an external key store needs {', '.join(missing)}")
        return proxy


def _unknown(name: str) -> JsonRESTError:
    return JsonRESTError("CustomKeyStoreNotFoundException", f"There is no custom key store {name}.")
