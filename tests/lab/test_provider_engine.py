"""The engine of the emulated providers, with things that live in a dictionary."""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from falaj.lab.provider.declared import Declared, Property, Shape
from falaj.lab.provider.engine import EmulatedProvider, PartialError
from falaj.lab.provider.journal import Entry, Journal
from falaj.lab.provider.kind import Autoname, Change, GoneError, Kind, ProviderError
from falaj.lab.provider.server import InFlight, servicer
from falaj.lab.provider.testing import CheckError, Driver, Resource
from falaj.lab.provider.values import (
    SECRET,
    SIGNATURE,
    UNKNOWN,
    UNKNOWN_STRING,
    Asset,
    Secret,
    covers,
    decode,
    encode,
    leaf_changes,
    project,
)

TOKEN = "fake:index/thing:Thing"
TEXT, NUMBER, FLAG = Shape("string"), Shape("number"), Shape("boolean")
SHAPES = {
    "name": TEXT,
    "namePrefix": TEXT,
    "size": NUMBER,
    "zone": TEXT,
    "document": TEXT,
    "labels": Shape("map", item=TEXT),
    "members": Shape("list", item=TEXT),
    "password": TEXT,
    "chosen": TEXT,
    "protected": FLAG,
}


@dataclass
class Service:
    """The service that things live in."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    token: str = ""
    fail_after_creation: bool = False
    lose_the_answer: bool = False
    guard: threading.Lock = field(default_factory=threading.Lock)


def create(service: Service, inputs: dict[str, Any]) -> str:
    with service.guard:  # several are made at once
        service.calls.append("create")
        identifier = f"t-{len(service.calls)}"
        if any(thing["name"] == inputs["name"] for thing in service.things.values()):
            raise ProviderError(f"there is a thing named {inputs['name']} already", certain=True)
        # As with many services, creation takes some properties only; the rest is for an update.
        service.things[identifier] = {"name": inputs["name"], "zone": inputs.get("zone"), "mark": service.token}
        service.things[identifier] |= {"labels": {}, "size": 1, "chosen": inputs.get("chosen") or "by the service"}
    if service.lose_the_answer:
        raise ProviderError("no answer came")
    return identifier


def read(service: Service, identifier: str, known: dict[str, Any]) -> dict[str, Any] | None:
    del known
    service.calls.append("read")
    thing = service.things.get(identifier)
    return None if thing is None else {**{k: v for k, v in thing.items() if k != "mark"}, "arn": f"arn:{identifier}"}


def update(service: Service, identifier: str, change: Change) -> None:
    service.calls.append("update " + " ".join(sorted(change.keys)))
    if service.fail_after_creation:
        raise ProviderError("the size is too large")
    for name in change.keys:
        service.things[identifier][name] = change.wanted.get(name)


def delete(service: Service, identifier: str, state: dict[str, Any]) -> None:
    del state
    service.calls.append("delete")
    if identifier not in service.things:
        raise GoneError
    del service.things[identifier]


def find(service: Service, token: str) -> str | None:
    return next((i for i, thing in service.things.items() if thing["mark"] == token), None)


KIND: Kind[Service] = Kind(
    TOKEN,
    create=create,
    read=read,
    update=update,
    delete=delete,
    find=find,
    replace_on=frozenset({"name", "zone"}),
    defaults={"size": 1},
    computed=frozenset({"chosen"}),
    volatile=frozenset({"revision"}),
    autoname=Autoname(prefix="namePrefix", longest=20),
    normalise={"document": json.loads, "members": sorted},
    secret_outputs=frozenset({"token"}),
)


class Fake(EmulatedProvider[Service]):
    name = "fake"
    sdk = "pulumi"

    def __init__(self, journal: Journal | None = None, kind: Kind[Service] = KIND) -> None:
        super().__init__(journal or Journal(None))
        self.functions = {"fake:index/shout:shout": lambda _, args: {"text": args["text"].upper(), "key": Secret("k")}}
        self.service = Service()
        self.the_kind = kind
        self.said: list[str] = []

    def kind(self, token: str) -> Kind[Service]:
        del token
        return self.the_kind

    def configure(self, config: dict[str, Any]) -> None:
        self.config = config

    def session(self, inputs: dict[str, Any], timeout: float = 0, token: str = "") -> Service:
        del inputs, timeout
        self.service.token = token
        return self.service

    def declared(self, token: str) -> Declared:
        del token
        inputs = {name: Property(name, shape) for name, shape in SHAPES.items()}
        return Declared(Path(), inputs, frozenset({*SHAPES, "arn", "token", "revision"}))

    def log(self, severity: Any, message: str, urn: str = "") -> None:
        del severity, urn
        self.said.append(message)


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def driver(fake: Fake) -> Driver:
    return Driver(fake)


class TestCheck:
    def test_an_unknown_input_names_the_closest(self, driver: Driver):
        with pytest.raises(CheckError) as caught:
            driver.check(TOKEN, "it", {"lables": {}})
        assert caught.value.failures == {"lables": "unknown property; did you mean 'labels'?"}

    def test_defaults_and_names_are_filled_in_and_marked(self, driver: Driver):
        checked = driver.check(TOKEN, "it", {"zone": "a"})
        assert checked["size"] == 1
        assert checked["name"].startswith("it-")
        assert len(checked["name"]) == len("it-") + 7
        assert checked["__defaults"] == ["name", "size"]

    def test_a_generated_name_stays(self, driver: Driver):
        first = driver.check(TOKEN, "it", {})
        assert driver.check(TOKEN, "it", {"zone": "b"}, first)["name"] == first["name"]

    def test_a_replacement_gets_another_name(self, driver: Driver):
        assert driver.check(TOKEN, "it", {})["name"] != driver.check(TOKEN, "it", {})["name"]

    def test_a_given_prefix_starts_the_name(self, driver: Driver):
        name = driver.check(TOKEN, "it", {"namePrefix": "gpu-"})["name"]
        assert name.startswith("gpu-")
        assert len(name) == 20

    def test_a_generated_name_keeps_to_the_longest(self, driver: Driver):
        assert len(driver.check(TOKEN, "a" * 40, {})["name"]) == 20

    def test_names_may_be_switched_off(self, fake: Fake):
        options = provider_pb2.CheckRequest.AutonamingOptions
        request = provider_pb2.CheckRequest(
            urn=f"urn:pulumi:s::p::{TOKEN}::it", news=encode({}), autonaming=options(mode=options.DISABLE)
        )
        assert [failure.property for failure in fake.check(request).failures] == ["name"]

    def test_a_proposed_name_is_taken(self, fake: Fake):
        options = provider_pb2.CheckRequest.AutonamingOptions
        request = provider_pb2.CheckRequest(
            urn=f"urn:pulumi:s::p::{TOKEN}::it", news=encode({}), autonaming=options(proposed_name="ours")
        )
        assert decode(fake.check(request).inputs)[0]["name"] == "ours"

    def test_secrets_stay_secret(self, fake: Fake):
        news = encode({"password": Secret("hush"), "zone": "a"})
        response = fake.check(provider_pb2.CheckRequest(urn=f"urn:pulumi:s::p::{TOKEN}::it", news=news))
        assert decode(response.inputs)[1] == {"password"}


class TestLife:
    def test_what_creation_does_not_take_is_brought_about_at_once(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {"size": 3, "labels": {"a": "b"}})
        assert fake.service.things[made.id]["size"] == 3
        assert made.outputs["arn"] == f"arn:{made.id}"
        assert made.outputs["labels"] == {"a": "b"}

    def test_every_declared_output_is_there(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {})
        assert fake.declared(TOKEN).outputs <= made.outputs.keys()
        assert made.outputs["id"] == made.id

    def test_a_preview_makes_nothing_and_leaves_the_rest_unknown(self, fake: Fake, driver: Driver):
        outputs = driver.preview(TOKEN, "it", {"zone": "a"})
        assert fake.service.calls == []
        assert outputs["zone"] == "a"
        assert outputs["arn"] is UNKNOWN
        assert outputs["chosen"] is UNKNOWN
        assert outputs["document"] is None

    def test_a_preview_of_an_update_leaves_only_what_it_changes_unknown(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {})
        request = provider_pb2.UpdateRequest(
            urn=made.urn,
            id=made.id,
            olds=encode(made.outputs),
            news=encode({**made.inputs, "size": 2}),
            old_inputs=encode(made.inputs),
            preview=True,
        )
        outputs = decode(fake.update(request).properties)[0]
        assert outputs["revision"] is UNKNOWN
        assert outputs["arn"] == made.outputs["arn"]
        assert outputs["size"] == 2
        assert fake.service.things[made.id]["size"] == 1

    def test_an_update_changes_what_differs_and_nothing_else(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {"labels": {"a": "b"}})
        fake.service.calls.clear()
        driver.update(made, {"labels": {"a": "c"}})
        assert [call for call in fake.service.calls if call.startswith("update")] == ["update labels"]

    def test_an_input_that_is_left_out_is_reset(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {"labels": {"a": "b"}})
        driver.update(made, {})
        assert not fake.service.things[made.id]["labels"]

    def test_deleting_what_is_gone_succeeds(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {})
        fake.service.things.clear()
        driver.delete(made)
        assert fake.service.calls[-1] == "delete"

    def test_updating_what_is_gone_says_what_to_do(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {})
        fake.service.things.clear()
        with pytest.raises(ProviderError, match="pulumi refresh"):
            driver.update(made, {"size": 2})

    def test_a_failure_after_the_creation_still_records_the_thing(self, fake: Fake, driver: Driver):
        fake.service.fail_after_creation = True
        with pytest.raises(PartialError) as caught:
            driver.create(TOKEN, "it", {"size": 9})
        assert caught.value.identifier in fake.service.things
        assert "too large" in str(caught.value)

    def test_a_secret_input_and_a_secret_output_come_back_as_secrets(self, fake: Fake):
        inputs = encode({"name": "x", "password": Secret("hush")})
        response = fake.create(provider_pb2.CreateRequest(urn=f"urn:pulumi:s::p::{TOKEN}::it", properties=inputs))
        assert response.properties.fields["password"].struct_value.fields[SIGNATURE].string_value == SECRET
        secrets = decode(response.properties)[1]
        assert "password" in secrets
        assert "token" not in secrets  # null is nothing to hide


class TestDiff:
    def made(self, driver: Driver) -> Resource:
        return driver.create(TOKEN, "it", {"name": "fixed", "zone": "a", "labels": {"a": "b", "c.d": "e"}})

    def test_nothing_changed(self, driver: Driver):
        response = driver.diff(self.made(driver), {"name": "fixed", "zone": "a", "labels": {"a": "b", "c.d": "e"}})
        assert response.changes == provider_pb2.DiffResponse.DIFF_NONE

    def test_each_leaf_is_told_with_its_kind(self, driver: Driver):
        kinds = provider_pb2.PropertyDiff
        response = driver.diff(self.made(driver), {"name": "fixed", "zone": "a", "labels": {"a": "x", "n": "1"}})
        found = {path: change.kind for path, change in response.detailedDiff.items()}
        assert found == {"labels.a": kinds.UPDATE, "labels.n": kinds.ADD, 'labels["c.d"]': kinds.DELETE}

    def test_a_replacement_of_a_fixed_name_deletes_first(self, driver: Driver):
        response = driver.diff(self.made(driver), {"name": "fixed", "zone": "b", "labels": {"a": "b", "c.d": "e"}})
        assert list(response.replaces) == ["zone"]
        assert response.deleteBeforeReplace
        assert response.detailedDiff["zone"].kind == provider_pb2.PropertyDiff.UPDATE_REPLACE

    def test_a_replacement_of_a_generated_name_does_not(self, driver: Driver):
        made = driver.create(TOKEN, "it", {"zone": "a"})
        response = driver.diff(made, {"zone": "b"})
        assert list(response.replaces) == ["zone"]
        assert not response.deleteBeforeReplace

    def test_an_unknown_value_is_a_change(self, driver: Driver):
        made = self.made(driver)
        response = driver.diff(made, {**made.inputs, "zone": UNKNOWN})
        assert list(response.replaces) == ["zone"]

    def test_two_spellings_are_no_change(self, driver: Driver):
        made = driver.create(TOKEN, "it", {"document": '{"a": 1}', "members": ["x", "y"]})
        response = driver.diff(made, {"document": '{ "a":1 }', "members": ["y", "x"]})
        assert response.changes == provider_pb2.DiffResponse.DIFF_NONE

    def test_leaving_out_what_the_service_chose_is_no_change(self, driver: Driver):
        made = driver.create(TOKEN, "it", {"chosen": "mine"})
        assert driver.diff(made, {}).changes == provider_pb2.DiffResponse.DIFF_NONE

    def test_ignored_paths_are_left_out(self, fake: Fake, driver: Driver):
        made = self.made(driver)
        request = provider_pb2.DiffRequest(
            urn=made.urn,
            id=made.id,
            old_inputs=encode(made.inputs),
            news=encode({**made.inputs, "labels": {"a": "x", "c.d": "e"}, "size": 5}),
            ignoreChanges=["labels"],
        )
        assert list(fake.diff(request).diffs) == ["size"]

    def test_a_part_of_an_input_may_force_replacement(self):
        kind: Kind[Service] = Kind(TOKEN, create=create, read=read, replace_on=frozenset({"template.id"}))
        old = {"template": {"id": "a", "version": "1"}}
        assert not kind.difference(old, {"template": {"id": "a", "version": "2"}}).replaces
        assert kind.difference(old, {"template": {"id": "b", "version": "1"}}).replaces == {"template"}
        assert kind.difference(old, {}).replaces == {"template"}


class TestRefresh:
    def test_no_drift_shows_none(self, driver: Driver):
        made = driver.create(TOKEN, "it", {"labels": {"a": "b"}, "members": ["y", "x"]})
        seen = driver.refresh(made)
        assert seen == made

    def test_drift_shows_in_the_inputs_and_as_a_difference(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {"labels": {"a": "b"}, "size": 2})
        fake.service.things[made.id]["labels"] = {"a": "changed", "extra": "1"}
        seen = driver.refresh(made)
        assert seen is not None
        assert seen.inputs == {**made.inputs, "labels": {"a": "changed", "extra": "1"}}
        assert list(driver.diff(seen, {"labels": {"a": "b"}, "size": 2}).diffs) == ["labels"]

    def test_drift_of_what_the_program_does_not_give_shows_too(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {})
        fake.service.things[made.id]["labels"] = {"added": "1"}
        seen = driver.refresh(made)
        assert seen is not None
        assert list(driver.diff(seen, {}).diffs) == ["labels"]

    def test_what_the_service_chose_is_no_drift(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {})
        fake.service.things[made.id]["chosen"] = "otherwise"
        seen = driver.refresh(made)
        assert seen is not None
        assert seen.inputs == made.inputs
        assert seen.outputs["chosen"] == "otherwise"

    def test_what_is_gone_reads_as_nothing(self, fake: Fake, driver: Driver):
        made = driver.create(TOKEN, "it", {})
        fake.service.things.clear()
        assert driver.refresh(made) is None

    def test_an_import_gives_inputs_that_fit_the_thing(self, driver: Driver):
        made = driver.create(TOKEN, "it", {"name": "old", "zone": "a", "labels": {"a": "b"}})
        imported = driver.import_(TOKEN, "other", made.id)
        assert imported is not None
        assert not driver.diff(imported, {"name": "old", "zone": "a", "labels": {"a": "b"}}).diffs
        assert driver.import_(TOKEN, "other", "t-none") is None


class TestJournal:
    """The CLI may die between a creation and its recording; the next run must neither lose nor double the thing."""

    def crash(self, folder: Path) -> tuple[Service, Resource]:
        """Create something whose recording the engine does not live to see."""
        fake = Fake(Journal(folder))
        return fake.service, Driver(fake).create(TOKEN, "it", {"size": 2})

    def next_run(self, folder: Path, service: Service) -> tuple[Fake, Driver]:
        fake = Fake(Journal(folder))
        fake.service = service
        return fake, Driver(fake, seed=77)

    def test_the_next_run_adopts_what_was_made(self, tmp_path: Path):
        service, lost = self.crash(tmp_path)
        fake, driver = self.next_run(tmp_path, service)
        again = driver.create(TOKEN, "it", {"size": 5})
        assert again.id == lost.id
        assert list(service.things) == [lost.id]
        assert service.things[lost.id]["size"] == 5
        assert any("adopted" in message for message in fake.said)

    def test_it_keeps_the_generated_name(self, tmp_path: Path):
        service, lost = self.crash(tmp_path)
        _, driver = self.next_run(tmp_path, service)
        assert driver.create(TOKEN, "it", {}).outputs["name"] == lost.outputs["name"]

    def test_once_the_engine_names_it_a_second_creation_makes_a_second_thing(self, tmp_path: Path):
        service, made = self.crash(tmp_path)
        _, driver = self.next_run(tmp_path, service)
        driver.diff(made, {"size": 2})
        assert list(tmp_path.iterdir()) == []
        replacement = driver.create(TOKEN, "it", {"size": 2, "zone": "b"})
        assert replacement.id != made.id

    def test_another_identifier_confirms_nothing(self, tmp_path: Path):
        service, lost = self.crash(tmp_path)
        _, driver = self.next_run(tmp_path, service)
        old = Resource(lost.urn, "t-older", {**lost.inputs, "zone": "a"}, lost.outputs)
        driver.diff(old, {"size": 2, "zone": "b"})
        assert driver.create(TOKEN, "it", {"size": 2}).id == lost.id

    def test_a_replacement_that_a_person_asks_for_makes_a_new_thing(self, tmp_path: Path):
        # With `--replace` the engine checks against the recorded inputs and creates; nothing names the old identifier.
        service, made = self.crash(tmp_path)
        _, driver = self.next_run(tmp_path, service)
        driver.check(TOKEN, "it", {"size": 2}, made.inputs)
        assert driver.create(TOKEN, "it", {"size": 2}).id != made.id

    def test_what_another_process_noted_is_seen(self, tmp_path: Path):
        waiting = Fake(Journal(tmp_path))
        service, lost = self.crash(tmp_path)
        waiting.service = service
        assert Driver(waiting).create(TOKEN, "it", {"size": 2}).id == lost.id

    def test_what_does_not_fit_any_more_is_removed_and_made_anew(self, tmp_path: Path):
        service, lost = self.crash(tmp_path)
        _, driver = self.next_run(tmp_path, service)
        again = driver.create(TOKEN, "it", {"zone": "elsewhere"})
        assert list(service.things) == [again.id]
        assert again.id != lost.id

    def test_what_is_gone_is_made_anew(self, tmp_path: Path):
        service, _ = self.crash(tmp_path)
        service.things.clear()
        _, driver = self.next_run(tmp_path, service)
        again = driver.create(TOKEN, "it", {})
        assert list(service.things) == [again.id]

    def test_a_creation_whose_answer_was_lost_is_found_again(self, tmp_path: Path):
        fake = Fake(Journal(tmp_path))
        fake.service.lose_the_answer = True
        with pytest.raises(ProviderError, match="no answer"):
            Driver(fake).create(TOKEN, "it", {})
        fake.service.lose_the_answer = False
        _, driver = self.next_run(tmp_path, fake.service)
        made = driver.create(TOKEN, "it", {})
        assert list(fake.service.things) == [made.id]

    def test_a_refusal_leaves_no_trace(self, tmp_path: Path):
        fake = Fake(Journal(tmp_path))
        driver = Driver(fake)
        driver.create(TOKEN, "one", {"name": "same"})
        kept = len(list(tmp_path.iterdir()))
        with pytest.raises(ProviderError, match="already"):
            driver.create(TOKEN, "two", {"name": "same"})
        assert len(list(tmp_path.iterdir())) == kept

    def test_without_a_lab_nothing_is_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("FALAJ_LAB", raising=False)
        fake = Fake()
        EmulatedProvider.__init__(fake)
        Driver(fake).create(TOKEN, "it", {})
        assert list(tmp_path.iterdir()) == []

    def test_a_damaged_entry_is_dropped(self, tmp_path: Path):
        urn = "urn:pulumi:test::tests::fake:index/thing:Thing::it"
        journal = Journal(tmp_path)
        journal.write(Entry(urn))
        (entry,) = tmp_path.iterdir()
        entry.write_text('{"urn":')
        assert journal.pending(urn) is None
        assert list(tmp_path.iterdir()) == []

    def test_entries_are_readable_by_the_owner_alone(self, tmp_path: Path):
        Journal(tmp_path / "new").write(Entry("urn"))
        (entry,) = (tmp_path / "new").iterdir()
        assert entry.stat().st_mode & 0o077 == 0


class TestRecorded:
    def test_a_recorded_type_is_said_once(self):
        kind: Kind[Service] = Kind(
            TOKEN, create=lambda _, inputs: "x", read=lambda *_: {}, enacted=False, autoname=Autoname()
        )
        fake = Fake(kind=kind)
        driver = Driver(fake)
        driver.create(TOKEN, "one", {})
        driver.create(TOKEN, "two", {})
        assert fake.said == [f"{TOKEN} is recorded, not enacted: it exists in Pulumi's state only"]

    def test_an_input_without_effect_is_said_once(self):
        kind: Kind[Service] = Kind(
            TOKEN, create=create, read=read, update=update, autoname=Autoname(), enacts=frozenset({"name", "size"})
        )
        fake = Fake(kind=kind)
        driver = Driver(fake)
        driver.create(TOKEN, "one", {"zone": "a"})
        driver.create(TOKEN, "two", {"zone": "a"})
        assert fake.said == [f"{TOKEN}: zone is recorded, not enacted: it exists in Pulumi's state only"]


class TestServed:
    """The provider behind gRPC: what the engine sees of errors and secrets."""

    @pytest.fixture
    def stub(self, fake: Fake):
        from concurrent import futures

        server = grpc.server(futures.ThreadPoolExecutor(4))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer(fake, InFlight()), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield provider_pb2_grpc.ResourceProviderStub(channel)
        server.stop(grace=None)

    def test_an_error_is_one_line(self, stub: Any):
        with pytest.raises(grpc.RpcError) as caught:
            stub.Invoke(provider_pb2.InvokeRequest(tok="fake:index/none:none"))
        assert caught.value.details() == "the emulated fake provider has no function fake:index/none:none; it has shout"

    def test_an_error_that_nobody_foresaw_is_one_line_too(self, stub: Any):
        with pytest.raises(grpc.RpcError) as caught:
            stub.Invoke(provider_pb2.InvokeRequest(tok="fake:index/shout:shout"))
        assert caught.value.details() == "the emulated fake provider failed: KeyError: 'text'"

    def test_a_partial_failure_carries_the_thing(self, fake: Fake, stub: Any):
        fake.service.fail_after_creation = True
        request = provider_pb2.CreateRequest(
            urn=f"urn:pulumi:s::p::{TOKEN}::it", properties=encode({"name": "x", "size": 9, "password": Secret("hush")})
        )
        with pytest.raises(grpc.RpcError) as caught:
            stub.Create(request)
        status = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
        assert b"t-1" in status
        assert b"ErrorResourceInitFailed" in status
        assert caught.value.details() == "the size is too large"

    def test_functions_answer_and_may_hold_secrets(self, stub: Any):
        response = stub.Invoke(provider_pb2.InvokeRequest(tok="fake:index/shout:shout", args=encode({"text": "a"})))
        assert decode(getattr(response, "return")) == ({"text": "A", "key": "k"}, frozenset({"key"}))

    def test_the_schema_is_minimal_and_says_so(self, stub: Any):
        schema = json.loads(stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)
        assert schema["name"] == "fake"
        assert "does not carry their schema" in schema["description"]

    def test_what_is_not_emulated_is_unimplemented(self, stub: Any):
        with pytest.raises(grpc.RpcError) as caught:
            stub.Construct(provider_pb2.ConstructRequest())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED

    def test_many_creations_at_once_are_all_made(self, fake: Fake, stub: Any):
        def make(number: int) -> None:
            inputs = encode({"name": f"n{number}"})
            stub.Create(provider_pb2.CreateRequest(urn=f"urn:pulumi:s::p::{TOKEN}::n{number}", properties=inputs))

        threads = [threading.Thread(target=make, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert sorted(thing["name"] for thing in fake.service.things.values()) == sorted(f"n{n}" for n in range(12))


def test_an_ending_provider_finishes_what_is_in_flight_and_takes_no_more():
    in_flight = InFlight()
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with in_flight:
            entered.set()
            leave.wait(30)
            left.set()

    worker = threading.Thread(target=work)
    worker.start()
    assert entered.wait(30)
    threading.Timer(0.1, leave.set).start()
    in_flight.close(30)
    assert left.is_set()
    with pytest.raises(ConnectionError), in_flight:
        pass
    worker.join(timeout=30)


class TestValues:
    def test_what_is_encoded_decodes_to_the_same(self):
        props = {"text": "a", "whole": 3, "part": 1.5, "flag": False, "none": None, "list": [1, {"a": []}], "map": {}}
        assert decode(encode(props)) == (props, frozenset())

    def test_unknowns_and_secrets_pass(self):
        struct = encode({"unknown": UNKNOWN, "nested": {"secret": Secret("x")}}, secrets=[])
        assert struct.fields["unknown"].string_value == UNKNOWN_STRING
        assert decode(struct) == ({"unknown": UNKNOWN, "nested": {"secret": "x"}}, frozenset({"nested"}))

    def test_an_asset_passes_as_it_came(self):
        fields = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "hello"}
        decoded = decode(encode({"source": fields}))[0]["source"]
        assert decoded == Asset(fields)
        assert decode(encode({"source": decoded}))[0]["source"] == decoded

    def test_what_a_service_adds_to_an_object_is_covered(self):
        assert covers({"a": 1, "b": None}, {"a": 1, "c": 2})
        assert not covers({"a": 1}, {"a": 2})
        assert covers([], None)
        assert not covers([1, 2], [2, 1])

    def test_text_and_flag_of_the_same_meaning_are_equal(self):
        assert covers("true", True)
        assert covers("1", 1)
        assert not covers("false", True)

    def test_drift_is_projected_onto_what_is_known(self):
        assert project({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == {"a": 1, "b": 3}
        assert project(["x"], ["x", "y"]) == ["x", "y"]

    def test_lists_differ_by_position(self):
        assert list(leaf_changes("l", ["a", "b"], ["a", "c", "d"])) == [("l[1]", "b", "c"), ("l[2]", None, "d")]
        assert list(leaf_changes("l", [], ["a", "b"])) == [("l", [], ["a", "b"])]
        assert list(leaf_changes("l", ["a"], [])) == [("l", ["a"], [])]
