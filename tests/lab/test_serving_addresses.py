"""Loopback addresses of pods."""

import socket
from pathlib import Path

from falaj.lab.serving.addresses import NETWORK, Addresses
from falaj.lab.state import free_port


def test_each_pod_has_an_address_of_its_own_and_keeps_it_over_a_restart(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path / "addresses.json")
    drawn = {uid: addresses.draw(uid, [8000]) for uid in ("a", "b", "c")}
    assert len(set(drawn.values())) == 3
    again = Addresses(tmp_path / "addresses.json")
    assert {uid: again.draw(uid, [8000]) for uid in drawn} == drawn


def test_an_address_whose_port_is_taken_is_passed_over(tmp_path: Path) -> None:
    port = free_port()
    first = Addresses(tmp_path / "first.json").draw("a", [port])
    with socket.create_server((first, port)):
        second = Addresses(tmp_path / "second.json").draw("a", [port])
    assert second != first
    assert second in {str(address) for address in NETWORK}


def test_the_address_of_a_pod_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path / "addresses.json")
    drawn = addresses.draw("a", [])
    addresses.draw("b", [])
    addresses.keep_only({"b"})
    assert drawn not in (tmp_path / "addresses.json").read_text()
    addresses.release("b")
    assert (tmp_path / "addresses.json").read_text() == "{}"
