"""The resources in what `pulumi preview --json` printed, in one piece or, streamed, as one event a line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from falaj.policies.errors import RefusedError

_GONE = ("delete", "delete-replaced", "discard", "discard-replaced", "remove-pending-replace", "read-discard")
_FAILED = "preview failed"
"""What the CLI says of a preview that the policies refused; of any other failure it says more."""
_DEFAULT = re.compile(r"urn:pulumi:.*::(?P<type>pulumi:providers:(?P<package>[^:]+))::default(_.*)?")
Object = Mapping[str, Any]


def is_preview(given: Any) -> bool:
    """Return whether it is what a preview prints, as far as its shape tells."""
    if isinstance(given, Mapping):
        return isinstance(given.get("steps"), list)
    return isinstance(given, list) and all(isinstance(event, Mapping) for event in given)


def records_of_preview(name: str, given: Any) -> Iterator[Object]:
    """Yield the records of all resources that there will be, in the shape that a state has.

    Raises ``RefusedError`` for a preview that does not tell of every resource: what is left out would pass.
    """
    streamed = isinstance(given, list)
    steps = _streamed_steps(name, given) if streamed else given["steps"]
    config = _last(given, "preludeEvent").get("config") if streamed else given.get("config")
    changes = _last(given, "summaryEvent").get("resourceChanges") if streamed else given.get("changeSummary")
    _check_whole(name, given, [step for step in steps if isinstance(step, Mapping)], changes)
    latest: dict[str, Object] = {}
    for number, step in enumerate(steps):
        if not isinstance(step, Mapping):
            raise RefusedError(f"{name}: step {number}", type(step).__name__, "must be an object")
        state = step.get("newState")
        if step.get("op") not in _GONE and state is not None:
            if not isinstance(state, Mapping):
                raise RefusedError(f"{name}: step {number}", type(state).__name__, "must have an object as newState")
            urn = state.get("urn")
            latest[urn if isinstance(urn, str) else f"step {number}"] = _with_outputs(step, state)
    yield from latest.values()
    yield from _default_providers(latest, config if isinstance(config, Mapping) else {})


def _streamed_steps(name: str, events: Sequence[Object]) -> list[Any]:
    """Return the events of resources as steps; those that come later know outputs."""
    if not any("summaryEvent" in event for event in events):
        raise RefusedError(name, f"{len(events)} events", "must end with the event of the summary; it was cut off")
    told = [event[key] for event in events for key in ("resourcePreEvent", "resOutputsEvent") if key in event]
    found: list[Any] = []
    for each in told:
        step = each.get("metadata") if isinstance(each, Mapping) else None
        if isinstance(step, Mapping):
            found.append({"op": step.get("op"), "newState": step.get("new"), "oldState": step.get("old")})
        else:
            found.append(step)
    return found


def _check_whole(name: str, given: Any, steps: Sequence[Object], changes: Any) -> None:
    for message in _errors(given):
        if message.removeprefix("error: ").strip() != _FAILED:
            raise RefusedError(name, "errors of the program or a provider", "must be of a preview that came to its end")
    same = changes.get("same") if isinstance(changes, Mapping) else None
    told = {
        str(step["newState"].get("urn")) for step in steps if step.get("op") == "same" and _is_object(step, "newState")
    }
    if isinstance(same, int) and same > len(told):
        raise RefusedError(
            name,
            f"{len(told)} of {same} resources that stay the same",
            "must tell of every resource: run `pulumi preview --json --show-sames`",
        )


def _errors(given: Any) -> Iterator[str]:
    """Yield the messages of errors."""
    told = [each.get("diagnosticEvent") for each in given] if isinstance(given, list) else given.get("diagnostics")
    for each in told if isinstance(told, list) else ():
        if isinstance(each, Mapping) and each.get("severity") == "error":
            yield str(each.get("message"))


def _last(events: Sequence[Object], key: str) -> Object:
    """Return what the last event of a kind holds."""
    found = [event[key] for event in events if isinstance(event.get(key), Mapping)]
    return found[-1] if found else {}


def _with_outputs(step: Object, state: Object) -> Object:
    """Return a resource's record; of one that stays the same, only the old state has what is known of it."""
    if step.get("op") != "same" or state.get("outputs") or not _is_object(step, "oldState"):
        return state
    return {**state, "outputs": step["oldState"].get("outputs")}


def _is_object(step: Object, key: str) -> bool:
    return isinstance(step.get(key), Mapping)


def _default_providers(records: Mapping[str, Object], config: Object) -> Iterator[Object]:
    """Yield the default providers, of which a preview does not tell.

    Their inputs are the stack's configuration of their package, and what they find in the environment: ``partly`` says
    so.
    """
    used = {
        reference.rpartition("::")[0]
        for record in records.values()
        if isinstance(reference := record.get("provider"), str)
    }
    for urn in sorted(used - set(records)):
        if found := _DEFAULT.fullmatch(urn):
            package = f"{found['package']}:"
            inputs = {key.removeprefix(package): value for key, value in config.items() if key.startswith(package)}
            yield {"urn": urn, "type": found["type"], "inputs": inputs, "partly": True}
