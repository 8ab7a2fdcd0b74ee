"""Addresses of pods: each has one of this machine's loopback addresses to itself, for as long as it lives."""

import hashlib
import ipaddress
import json
import socket
from collections.abc import Iterable
from pathlib import Path

from falaj.lab.errors import LabError
from falaj.lab.state import write_private

NETWORK = ipaddress.IPv4Network("127.1.0.0/16")
"""What the first node's pods have their addresses from; Linux answers on all of 127.0.0.0/8."""


def network(number: int) -> ipaddress.IPv4Network:
    """Return the network of a node, the first of which has the number 0."""
    return ipaddress.IPv4Network((int(NETWORK.network_address) + number * NETWORK.num_addresses, NETWORK.prefixlen))


class Addresses:
    """Which pod of a node has which address, kept in a file; each node has a network to itself."""

    def __init__(self, path: Path, own: ipaddress.IPv4Network = NETWORK):
        self._path = path
        self._network = own
        self._known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def draw(self, uid: str, ports: Iterable[int]) -> str:
        """Return the pod's address: the one that it has, or one that is no pod's and where its ports are free.

        Where the search begins depends on the pod's uid, so that two labs of one machine seldom meet.
        """
        if uid in self._known:
            return self._known[uid]
        first, wanted, taken = int(hashlib.sha256(uid.encode()).hexdigest(), 16), list(ports), {*self._known.values()}
        for step in range(self._network.num_addresses):
            address = str(self._network[(first + step) % self._network.num_addresses])
            if address.endswith((".0", ".255")) or address in taken:
                continue
            if all(is_free(address, port) for port in wanted):
                self._known[uid] = address
                self._save()
                return address
        raise LabError(f"no address in {self._network} is free for another pod; delete some")

    def release(self, uid: str) -> None:
        """Forget the address of a pod that is gone."""
        if self._known.pop(uid, None):
            self._save()

    def keep_only(self, uids: Iterable[str]) -> None:
        """Forget the addresses of all other pods."""
        for uid in {*self._known} - {*uids}:
            self.release(uid)

    def _save(self) -> None:
        write_private(self._path, json.dumps(self._known, indent=2))


def is_free(address: str, port: int) -> bool:
    """Say whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
