"""Samples that are kept: without headers and names, sealed before any disk, no more than were allowed."""

import base64
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.watch_world import MODEL, Answers, asked, drawn, received, reference

from falaj.training.sealing import DamagedError, KeySource, open_keys
from falaj.training.stores.local import LocalStore
from falaj.training.watch.pseudonyms import caller_name, open_pseudonyms
from falaj.training.watch.samples import MOST_HELD, SECONDS, Samples, stored
from falaj.training.watch.tensors import Message, parsed
from falaj.training.watch.watcher import Watcher

SALMA = 'Hash=ab12;Subject="CN=salma,O=vision";URI=spiffe://vision/salma;DNS=web.vision.svc'


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def keys(tmp_path: Path) -> KeySource:
    path = tmp_path / "seal.key"
    path.touch(0o600)
    path.write_bytes(base64.b64encode(os.urandom(32)))
    return open_keys(f"file:{path}")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def samples(store: LocalStore, keys: KeySource, *, most: int = 100, identifying: str = "", clock=None) -> Samples:
    pseudonyms = open_pseudonyms(store, keys, tenant="vision", model=MODEL)
    named = frozenset(filter(None, [identifying]))
    return Samples(store, keys, pseudonyms, "vision", MODEL, most, named, clock=clock or Clock())


def read(store: LocalStore, keys: KeySource):
    return list(stored(store, keys, tenant="vision", model=MODEL))


def request(**more: object) -> Message:
    return parsed(asked(drawn(1, 2), **more), None, "inputs")


def test_a_sample_holds_what_was_asked_and_answered_and_not_who_asked(store, keys) -> None:
    kept = samples(store, keys)
    watcher = Watcher(lambda _: reference(), Answers(), None, keeps=kept)
    for caller in (SALMA, SALMA.replace("Hash=ab12", "Hash=cd34"), "URI=spiffe://vision/other", None):
        watcher.look_at(received(drawn(1, 2), caller))
    kept.flush()
    first, renewed, other, nobody = read(store, keys)
    assert first["inputs"]["features"]["data"] == pytest.approx(drawn(1, 2).reshape(-1))
    assert first["outputs"]["scores"]["shape"] == [2, 2]
    assert first["version"] == 3
    assert first.keys() == {"time", "version", "caller", "inputs", "outputs"}
    assert first["time"].endswith(":00+00:00")
    assert first["caller"] == renewed["caller"] != other["caller"]
    assert nobody["caller"] is None


def test_nothing_is_on_the_disk_in_clear(store, keys) -> None:
    kept = samples(store, keys)
    kept.keep("3", SALMA, parsed(asked(np.zeros((1, 2), dtype=np.float32)), None, "inputs"), None)
    kept.flush()
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        content = path.read_bytes()
        for clear in (b"salma", b"features", b"caller", b"of-somebody", base64.b64encode(bytes(8))):
            assert clear not in content
        assert path.stat().st_mode & 0o077 == 0


def test_pseudonyms_stay_the_same_after_a_restart_and_differ_without_their_key(store, keys, tmp_path) -> None:
    def name(where: LocalStore) -> str | None:
        return open_pseudonyms(where, keys, tenant="vision", model=MODEL).of_caller(SALMA)

    first = name(store)
    assert first == name(store)
    assert first != name(LocalStore(tmp_path / "another"))
    (store.root / MODEL / "samples" / "pseudonyms.sealed").unlink()
    assert first != name(store), "with the key gone, nobody finds the caller again"


def test_inputs_that_tell_who_somebody_is_are_kept_under_pseudonyms(store, keys) -> None:
    kept = samples(store, keys, identifying="name")
    for names in (["Salma", "Said"], ["Said", "Salma"]):
        told = {"name": "name", "datatype": "BYTES", "shape": [2, 1], "data": names}
        kept.keep("3", None, request(inputs=[told]), None)
    kept.flush()
    first, second = (each["inputs"]["name"]["data"] for each in read(store, keys))
    assert first == second[::-1]
    assert "Salma" not in str(first)


def test_no_more_is_kept_in_an_hour_than_was_allowed(store, keys) -> None:
    clock = Clock()
    kept = samples(store, keys, most=3, clock=clock)
    for _ in range(10):
        kept.keep("3", None, request(), None)
    clock.now += 3600
    kept.keep("3", None, request(), None)
    kept.flush()
    assert (len(read(store, keys)), kept.kept) == (4, 4)


def test_what_is_held_is_written_when_it_is_old_or_much(store, keys) -> None:
    clock = Clock()
    kept = samples(store, keys, most=10_000, clock=clock)
    kept.keep("3", None, request(), None)
    assert read(store, keys) == []
    clock.now += SECONDS
    kept.flush(only_old=True)
    assert len(read(store, keys)) == 1
    for _ in range(MOST_HELD):
        kept.keep("3", None, request(), None)
    assert len(read(store, keys)) == 1 + MOST_HELD


def test_a_store_that_fails_loses_samples_and_not_the_watch(store, keys) -> None:
    kept = samples(store, keys)
    kept.keep("3", None, request(), None)

    def fails(*_: object) -> None:
        raise OSError("full")

    store.create = fails  # type: ignore[method-assign]
    kept.flush()
    assert (kept.kept, kept.lost) == (0, 1)


def test_samples_that_were_moved_or_are_another_tenant_s_do_not_open(store, keys) -> None:
    kept = samples(store, keys)
    kept.keep("3", None, request(), None)
    kept.flush()
    with pytest.raises(DamagedError):
        list(stored(store, keys, tenant="census", model=MODEL))
    (path,) = [each for each in store.root.rglob("*.sealed") if each.name != "pseudonyms.sealed"]
    path.rename(path.with_name("3-000000-aa.sealed"))
    with pytest.raises(DamagedError):
        read(store, keys)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (SALMA, "uri:spiffe://vision/salma"),
        (f"URI=spiffe://forged;Hash=1,{SALMA}", "uri:spiffe://vision/salma"),
        ("Hash=1;DNS=b.vision.svc;DNS=a.vision.svc", "dns:a.vision.svc,b.vision.svc"),
        ('Hash=1;Subject="CN=a, O=b"', 'subject:"CN=a, O=b"'),
        ("Hash=1", "Hash=1"),
    ],
)
def test_a_caller_is_known_by_what_stays_when_its_certificate_is_renewed(header: str, name: str) -> None:
    assert caller_name(header) == name


@given(st.text(max_size=60))
def test_no_header_makes_the_name_of_a_caller_fail(header: str) -> None:
    assert isinstance(caller_name(header), str)
