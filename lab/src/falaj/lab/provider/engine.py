"""A generic emulated Pulumi provider: a table of kinds and functions, served to the engine.

A `Kind` says how one resource type is made, read, changed and removed over plain dictionaries; what Pulumi expects
beyond that (checks, previews, drift, imports, generated names, secrets, adoption after a crash) is here, once.
There is nothing of AWS or Vault in this file.

It works on the protocol's own messages. `pulumi.provider.experimental` leaves out what this needs: it hands on neither
the old inputs (without which a removed input looks like a computed output) nor the naming options, appends a stack
trace to every error, has no partial failures, cannot send an unknown value or a whole number, and neither tells the
provider the engine's address nor ends when the engine goes away. Plain threads also suit blocking clients better.
"""

import contextlib
import hashlib
import json
import os
import secrets
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic

import grpc
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2

from falaj.lab.errors import LabError
from falaj.lab.provider.declared import Declared, sdk_version
from falaj.lab.provider.declared import declared as declared_type
from falaj.lab.provider.journal import Entry, Journal, digest
from falaj.lab.provider.kind import DEFAULTS, Autoname, Change, GoneError, Kind, ProviderError, S
from falaj.lab.provider.values import UNKNOWN, Props, covers, decode, encode, has_unknown, is_empty

Function = Callable[[S, Props], Props]
"""A provider function (an invoke): a session and the arguments give the result."""


class PartialError(Exception):
    """The thing exists, but not all of what was wanted of it could be brought about."""

    def __init__(self, identifier: str, properties: Struct, reason: str) -> None:
        super().__init__(reason)
        self.identifier = identifier
        self.properties = properties


class EmulatedProvider(ABC, Generic[S]):
    """Serves kinds and functions to the engine; a concrete provider says which, and how the service is reached."""

    name: str
    """The package's name, for example ``aws``."""
    sdk: str
    """The Python SDK whose declarations and version hold, for example ``pulumi_aws``."""
    functions: Mapping[str, Function[S]]

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal or Journal(_journal_folder(self.name))
        self.engine_address: str | None = None
        self._engine: engine_pb2_grpc.EngineStub | None = None
        self._told: set[str] = set()
        self._lock = threading.Lock()

    @abstractmethod
    def kind(self, token: str) -> Kind[S]:
        """Return the kind of a token that the SDK declares."""

    @abstractmethod
    def configure(self, config: Props) -> None:
        """Take the provider's configuration; raise `ProviderError` when it cannot work."""

    @abstractmethod
    def session(self, inputs: Props, timeout: float = 0, token: str = "") -> S:
        """Return what operations on a resource with these inputs work with.

        ``timeout`` is in seconds, 0 when none was given. A creation carries ``token`` where the service can take one,
        so that `Kind.find` knows it again after a crash."""

    def prepare(self, known: Declared, inputs: Props) -> Props:
        """Return inputs with what the provider's configuration adds to them, for example default tags."""
        del known
        return inputs

    def inward(self, known: Declared, inputs: Props) -> Props:
        """Return inputs as the kinds take them."""
        del known
        return inputs

    def outward(self, known: Declared, inputs: Props, observed: Props) -> Props:
        """Return what a kind observed as the properties of the resource with these inputs."""
        del known, inputs
        return observed

    def explain(self, error: Exception) -> ProviderError | None:
        """Return an error of the service's client as one line; None when it is not one."""
        del error
        return None

    def one_line(self, error: Exception) -> str:
        """Tell an error in one line; the traceback of one that nobody foresaw goes to the engine's debug log."""
        known = error if isinstance(error, ProviderError | LabError) else self.explain(error)
        if known:
            return str(known)
        self.log(engine_pb2.DEBUG, traceback.format_exc())
        return f"the emulated {self.name} provider failed: {type(error).__name__}: {' '.join(str(error).split())}"

    def log(self, severity: engine_pb2.LogSeverity.ValueType, message: str, urn: str = "") -> None:
        """Say something through the engine's diagnostics."""
        if self.engine_address is None:
            return
        with self._lock:
            if self._engine is None:
                self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self.engine_address))
        try:
            self._engine.Log(engine_pb2.LogRequest(severity=severity, message=message, urn=urn), timeout=10)
        except grpc.RpcError:
            print(message, file=sys.stderr)  # noqa: T201 (the engine is gone; its terminal may still be there)

    # From here on one method per request of the protocol, in messages of the protocol.

    def plugin_info(self, request: Any) -> plugin_pb2.PluginInfo:
        """Report the version of the SDK whose declarations are served."""
        return plugin_pb2.PluginInfo(version=sdk_version(self.sdk))

    def schema(self, request: Any) -> provider_pb2.GetSchemaResponse:
        """Answer name and version only: the schema of the types is not part of the installed SDK."""
        schema = {
            "name": self.name,
            "version": sdk_version(self.sdk),
            "description": f"An emulated provider: it serves the types of {self.sdk} but does not carry their schema.",
        }
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def cancel(self, request: Any) -> empty_pb2.Empty:
        """Let what is in flight end: stopping halfway would leave things that nobody knows of."""
        return empty_pb2.Empty()

    def check_config(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:
        """Refuse configuration that the SDK does not declare."""
        config, _ = decode(request.news)
        known = self.declared(f"pulumi:providers:{self.name}")
        own = {"version", "pluginDownloadURL"}  # the engine's, not the provider's
        problems = list(known.problems(_from_json(known, {n: v for n, v in config.items() if n not in own})))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(problems))

    def diff_config(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        """Report changed configuration; resources stay: what changes is how they are reached."""
        old, _ = decode(request.old_inputs if request.old_inputs.fields else request.olds)
        new, _ = decode(request.news)
        changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        response = provider_pb2.DiffResponse
        return response(changes=response.DIFF_SOME if changed else response.DIFF_NONE, diffs=changed)

    def configure_from(self, request: provider_pb2.ConfigureRequest) -> provider_pb2.ConfigureResponse:
        """Take the configuration; nested values arrive as JSON text."""
        config, _ = decode(request.args)
        known = self.declared(f"pulumi:providers:{self.name}")
        self.configure(_from_json(known, {name: value for name, value in config.items() if not has_unknown(value)}))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, supports_autonaming_configuration=True
        )

    def invoke(self, request: provider_pb2.InvokeRequest) -> provider_pb2.InvokeResponse:
        """Run a function."""
        function = self.functions.get(request.tok)
        if function is None:
            known = ", ".join(sorted(token.rpartition(":")[2] for token in self.functions))
            raise ProviderError(f"the emulated {self.name} provider has no function {request.tok}; it has {known}")
        args, _ = decode(request.args)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(encode(function(self.session(args), args)))  # a keyword in Python
        return response

    def check(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:
        """Check inputs against what the SDK declares, and fill in names, defaults and the provider's own."""
        token = _token(request.urn)
        known, kind = self.declared(token), self.kind(token)
        old, _ = decode(request.olds)
        given, secrets = decode(request.news)
        given = {name: value for name, value in given.items() if value is not None and not name.startswith("__")}
        if old:
            self.journal.confirm_inputs(request.urn, old)
        problems = list(known.problems(given))
        inputs = self.prepare(known, given)
        try:
            inputs = {**inputs, **self._generated_name(kind, request, old, inputs)}
        except ProviderError as error:
            problems.append((kind.autoname.property if kind.autoname else "", str(error)))
        inputs = {**inputs, **kind.default_inputs(known, inputs)}
        if not problems:
            problems += kind.check(inputs)
        inputs[DEFAULTS] = sorted(inputs.keys() - given.keys())
        return provider_pb2.CheckResponse(inputs=encode(inputs, secrets), failures=_failures(problems))

    def diff(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        """Compare old and new inputs; `Read` has folded drift into the old ones."""
        self.journal.confirm(request.urn, request.id)
        kind = self.kind(_token(request.urn))
        old, _ = decode(request.old_inputs)
        new, _ = decode(request.news)
        found = kind.difference(old, new, request.ignoreChanges)
        response = provider_pb2.DiffResponse
        return response(
            changes=response.DIFF_SOME if found.keys else response.DIFF_NONE,
            diffs=sorted(found.keys),
            replaces=sorted(found.replaces),
            deleteBeforeReplace=found.delete_first,
            hasDetailedDiff=True,
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=_diff_kind(*values, _root(path) in found.replaces), inputDiff=True)
                for path, values in found.leaves.items()
            },
        )

    def create(self, request: provider_pb2.CreateRequest) -> provider_pb2.CreateResponse:
        """Make a thing, or adopt what an interrupted run made for the same resource."""
        token = _token(request.urn)
        known, kind = self.declared(token), self.kind(token)
        inputs, secrets = decode(request.properties)
        self._tell_recorded(kind, self.inward(known, inputs), request.urn)
        if request.preview:
            outputs = self._foreseen(kind, known, inputs, {})
            return provider_pb2.CreateResponse(id="", properties=self._sent(kind, known, outputs, secrets))
        entry = self.journal.pending(request.urn) or Entry(request.urn)
        session = self.session(inputs, request.timeout, entry.token if self.journal.folder else "")
        wanted = self.inward(known, inputs)
        identifier = self._adopt(kind, known, session, wanted, entry) or self._make(kind, session, wanted, entry)
        try:
            outputs = self._converge(kind, known, session, identifier, wanted=inputs, old={})
        except Exception as error:
            outputs = {**_public(inputs), "id": identifier}
            raise PartialError(identifier, self._sent(kind, known, outputs, secrets), self.one_line(error)) from error
        return provider_pb2.CreateResponse(id=identifier, properties=self._sent(kind, known, outputs, secrets))

    def read(self, request: provider_pb2.ReadRequest) -> provider_pb2.ReadResponse:
        """Read a thing as it is: for a refresh its inputs show the drift, for an import what it was made of."""
        self.journal.confirm(request.urn, request.id)
        token = _token(request.urn)
        known, kind = self.declared(token), self.kind(token)
        state, hidden = decode(request.properties)
        inputs, secrets = decode(request.inputs)
        session = self.session(inputs or state)
        importing = not inputs
        identifier = kind.import_id(session, request.id) if importing else request.id
        observed = self._read(kind, session, identifier, {} if importing and kind.enacted else {**state, **inputs})
        if observed is None:
            return provider_pb2.ReadResponse()
        observed = self.outward(known, inputs, observed)
        inputs = kind.imported(known, observed) if importing else kind.drift(known, inputs, observed)
        outputs = self._outputs(kind, known, identifier, inputs, observed)
        return provider_pb2.ReadResponse(
            id=identifier,
            properties=self._sent(kind, known, outputs, secrets | hidden),
            inputs=encode(inputs, secrets | (hidden & inputs.keys())),
        )

    def update(self, request: provider_pb2.UpdateRequest) -> provider_pb2.UpdateResponse:
        """Bring a thing to its new inputs."""
        self.journal.confirm(request.urn, request.id)
        token = _token(request.urn)
        known, kind = self.declared(token), self.kind(token)
        state, hidden = decode(request.olds)
        old, _ = decode(request.old_inputs)
        inputs, secrets = decode(request.news)
        self._tell_recorded(kind, self.inward(known, inputs), request.urn)
        if request.preview:
            outputs = self._foreseen(kind, known, inputs, state)
        else:
            session = self.session(inputs, request.timeout)
            outputs = self._converge(kind, known, session, request.id, wanted=inputs, old={**state, **old})
        return provider_pb2.UpdateResponse(properties=self._sent(kind, known, outputs, secrets | hidden))

    def delete(self, request: provider_pb2.DeleteRequest) -> empty_pb2.Empty:
        """Remove a thing; one that is gone already is as good as removed."""
        kind = self.kind(_token(request.urn))
        state, _ = decode(request.properties)
        with contextlib.suppress(GoneError):
            kind.delete(self.session(state, request.timeout), request.id, state)
        self.journal.confirm(request.urn, request.id)
        return empty_pb2.Empty()

    def _make(self, kind: Kind[S], session: S, inputs: Props, entry: Entry) -> str:
        """Create, with a note before the call and one after it for a run that never hears the answer."""
        name = kind.autoname.property if kind.autoname else ""
        names = {name: inputs[name]} if name in inputs.get(DEFAULTS, []) else {}
        noted = Entry(entry.urn, entry.token, names, kind.key(inputs), digest(inputs))
        self.journal.write(noted)
        try:
            noted.id = kind.create(session, inputs)
        except Exception as error:
            known = error if isinstance(error, ProviderError) else self.explain(error)
            if known and known.certain:
                self.journal.forget(entry.urn)
            raise
        self.journal.write(noted)
        return noted.id

    def _adopt(self, kind: Kind[S], known: Declared, session: S, inputs: Props, entry: Entry) -> str | None:
        """Return the identifier of what an interrupted run made for this resource, if it is still there and fits."""
        if not kind.enacted or not self.journal.pending(entry.urn):
            return None
        identifier = entry.id or kind.find(session, entry.token) or entry.key
        observed = self._read(kind, session, identifier, inputs) if identifier else None
        if identifier is None or observed is None:
            return None
        if kind.unfulfilled(known, inputs, {**inputs, **observed}) & kind.replace_on:
            # The program has changed since, and what is there cannot be brought to it.
            kind.delete(session, identifier, {**inputs, **observed})
            return None
        entry.id, entry.inputs = identifier, digest(inputs)
        self.journal.write(entry)
        self.log(engine_pb2.INFO, f"adopted {identifier}, which an interrupted run had made", entry.urn)
        return identifier

    def _converge(
        self, kind: Kind[S], known: Declared, session: S, identifier: str, *, wanted: Props, old: Props
    ) -> Props:
        """Bring what is observed to what is wanted, and return the outputs; ``old`` stands for what is not observed."""
        inputs, wanted = wanted, self.inward(known, wanted)
        removed = known.inputs.keys() - wanted.keys() - kind.computed
        seen = {**{name: value for name, value in old.items() if name not in removed}, **wanted}
        observed = self._read(kind, session, identifier, seen)
        if observed is None:
            raise ProviderError(f"{identifier} does not exist any more; run `pulumi refresh` to take note of that")
        keys = kind.unfulfilled(known, wanted, {**old, **observed})
        keys |= {name for name in kind.write_only if old and wanted.get(name) != old.get(name)}
        if keys:
            kind.update(session, identifier, Change(wanted, observed, keys))
            observed = self._read(kind, session, identifier, seen) or observed
        return self._outputs(kind, known, identifier, inputs, self.outward(known, inputs, observed))

    def _read(self, kind: Kind[S], session: S, identifier: str, known: Props) -> Props | None:
        try:
            return kind.read(session, identifier, known)
        except GoneError:
            return None

    def _outputs(self, kind: Kind[S], known: Declared, identifier: str, inputs: Props, observed: Props) -> Props:
        """Return every declared output: as observed, else as given, else its default, else null."""
        given = {**kind.defaults, **_public(inputs)}
        outputs: Props = {}
        for name in known.outputs | given.keys():
            wanted: Any = given.get(name)
            value = observed.get(name, wanted)
            # Of two spellings of the same, the program's own is kept.
            if name in kind.normalise and name in given and kind.same(known, name, wanted, value):
                value = _spelled_as(wanted, value)
            outputs[name] = known.spelled(name, value)
        return {**outputs, "id": identifier}

    def _foreseen(self, kind: Kind[S], known: Declared, inputs: Props, state: Props) -> Props:
        """Return the outputs as far as a preview can know them."""
        chosen = known.outputs - (known.inputs.keys() - kind.computed)
        unknown = dict.fromkeys(chosen & kind.volatile if state else chosen, UNKNOWN)
        absent = {name: None for name in known.outputs & known.inputs.keys() if name not in kind.computed}
        kept = {name: value for name, value in state.items() if name in chosen or name == "id"}
        return {**absent, **kept, **unknown, **kind.defaults, **_public(inputs)}

    def _sent(self, kind: Kind[S], known: Declared, outputs: Props, secrets: frozenset[str]) -> Any:
        hidden = secrets | known.secret_outputs | kind.secret_outputs
        # Tags with the provider's defaults repeat the tags: a secret among those is one here.
        return encode(outputs, hidden | ({"tagsAll"} if "tags" in hidden else set()))

    def _generated_name(self, kind: Kind[S], request: provider_pb2.CheckRequest, old: Props, inputs: Props) -> Props:
        """Return the name that a resource without one gets: its old one, that of an interrupted run, or a new one."""
        rule = kind.autoname
        if rule is None or not is_empty(inputs.get(rule.property)):
            return {}
        prefix = inputs.get(rule.prefix) if rule.prefix else None
        if rule.property in old.get(DEFAULTS, []) and (not rule.prefix or old.get(rule.prefix) == prefix):
            return {rule.property: old[rule.property]}
        pending = self.journal.pending(request.urn)
        if pending and not old and rule.property in pending.names:
            return pending.names
        return {rule.property: UNKNOWN if has_unknown(prefix) else _new_name(rule, request, prefix)}

    def _tell_recorded(self, kind: Kind[S], inputs: Props, urn: str) -> None:
        """Say what is kept in the state only: once per type, and once per property of an enacted type."""
        ineffective = sorted(_public(inputs).keys() - kind.enacts) if kind.enacts is not None else []
        subjects = [f"{kind.token}: {name}" for name in ineffective] if kind.enacted else [kind.token]
        with self._lock:
            fresh = [subject for subject in subjects if subject not in self._told]
            self._told.update(fresh)
        for subject in fresh:
            self.log(engine_pb2.INFO, f"{subject} is recorded, not enacted: it exists in Pulumi's state only", urn)

    def declared(self, token: str) -> Declared:
        """Return what the SDK declares of a type."""
        found = declared_type(self.sdk, token)
        if found is None:
            raise ProviderError(f"{self.sdk} {sdk_version(self.sdk)} declares no type {token}")
        return found


def _journal_folder(name: str) -> Path | None:
    state = os.environ.get("FALAJ_LAB")
    return Path(state) / "data" / "providers" / name if state else None


def _token(urn: str) -> str:
    """Return the type of a URN; a child's carries those of its parents before it."""
    return urn.split("::")[2].rpartition("$")[2]


def _root(path: str) -> str:
    return path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]


def _public(inputs: Props) -> Props:
    return {name: value for name, value in inputs.items() if not name.startswith("__")}


def _from_json(known: Declared, config: Props) -> Props:
    """Read configuration values that are not text and were sent as JSON text, as SDKs do.

    The CLI makes numbers of what looks like one inside a list, an account for example: those are text again.
    """
    found: Props = {}
    for name, value in config.items():
        is_text = name not in known.inputs or known.inputs[name].shape.kind in ("string", "any")
        try:
            read = json.loads(value) if isinstance(value, str) and not is_text else value
        except ValueError:
            read = value
        found[name] = known.spelled(name, read)
    return found


def _failures(problems: Iterable[tuple[str, str]]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=path, reason=reason) for path, reason in problems]


def _spelled_as(wanted: Any, observed: Any) -> Any:
    """Return what was observed in the program's spelling, with what the service adds to an object."""
    if isinstance(wanted, Mapping) and isinstance(observed, Mapping):
        return {**observed, **wanted}
    if isinstance(wanted, list) and isinstance(observed, list):
        objects = [item for item in observed if isinstance(item, Mapping)]
        return [
            {**next((each for each in objects if covers(item, each)), {}), **item}
            if isinstance(item, Mapping)
            else item
            for item in wanted
        ]
    return wanted


def _diff_kind(old: Any, new: Any, replaces: bool) -> provider_pb2.PropertyDiff.Kind.ValueType:
    kinds = provider_pb2.PropertyDiff
    if is_empty(old):
        return kinds.ADD_REPLACE if replaces else kinds.ADD
    if is_empty(new):
        return kinds.DELETE_REPLACE if replaces else kinds.DELETE
    return kinds.UPDATE_REPLACE if replaces else kinds.UPDATE


def _new_name(rule: Autoname, request: provider_pb2.CheckRequest, prefix: str | None) -> str:
    """Return a new name: what the engine proposes, else prefix or resource name and digits of the request's seed."""
    options, modes = request.autonaming, provider_pb2.CheckRequest.AutonamingOptions
    if request.HasField("autonaming") and not prefix:
        if options.mode == modes.DISABLE:
            raise ProviderError("generated names are switched off (pulumi:autonaming): give a name")
        if options.proposed_name:
            return options.proposed_name
    digest = hashlib.sha256(request.randomSeed or secrets.token_bytes(16)).hexdigest()
    if prefix:
        return f"{prefix}{digest[:26]}"[: rule.longest]
    name = request.urn.rpartition("::")[2]
    name = name.lower() if rule.lower else name
    return f"{rule.before}{name[: rule.longest - len(rule.before) - 8]}-{digest[:7]}"
