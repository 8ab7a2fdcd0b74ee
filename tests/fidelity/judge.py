"""What is done on both sides, one phase after the other, and what of it is compared."""

import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from changes import Change, Disturbance
from compare import Difference, inventories, plan, plans, refusals, states
from inventory import RECORDED, Held, comparable, flat, unlisted, unshown
from normalize import Names, plain
from recorded import enacted, is_recorded
from sides import Side, SideError, both

from falaj.lab.plugins import Aws

Sides = tuple[Side, Side]
Pair = tuple[Held, Held]


class Judge:
    """Compares one stack on two sides, and keeps what differs and how long it took."""

    def __init__(
        self,
        stack: str,
        changes: Sequence[Change] = (),
        disturbances: Sequence[Disturbance] = (),
        progress: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        self.stack = stack
        self.differences: list[Difference] = []
        self.seconds: dict[str, float] = {}
        self._changes, self._disturbances, self._progress = changes, disturbances, progress

    def whole(self, sides: Sides) -> None:
        """Bring the stack up, compare, change, disturb, mend, and take it down again.

        What fails on one side is a difference as well, and the rest is still compared.
        """
        bare = both(sides, _nameless)
        self.same("deploy", inventories(*map(flat, bare)))
        with self._phase("deploy"):
            both(sides, Side.up)
        self.made(sides, bare)
        self.quiet(sides)
        self.changed(sides)
        if self._disturbances:
            self.disturbed(sides)
        self.gone(sides, bare)

    def made(self, sides: Sides, bare: Pair) -> None:
        """Compare what exists now, and what Pulumi knows of it."""
        with self._phase("inventory"):
            resources = both(sides, Side.resources)
            for name in unlisted(
                each["type"] for side in resources for each in side if each["type"].startswith("aws:")
            ):
                self._add("inventory", name, "", "nothing lists it", "nothing lists it")
            named = Names(resources[0]), Names(resources[1])
            found = both(sides, lambda side: side.aws.inventory())
            held = comparable(found[0], named[0]), comparable(found[1], named[1])
            self.same("inventory", inventories(*map(_compared, held)))
            self._exist(resources, bare, held)
        with self._phase("state"):
            # Everything in the inventory has its name by now, what no resource made as well.
            self.same("state", states(*resources, named))

    def _exist(self, resources: Sequence[Sequence[Mapping[str, Any]]], bare: Pair, held: Pair) -> None:
        """See that each type has come to exist in AWS: on the emulated side what it enacts, on the judge's every one.

        It cannot be told otherwise of what only one side has, and what neither has would count as the same.
        """
        ours, theirs = ({each["type"] for each in side} for side in resources)
        missing = unshown(enacted(ours), bare[0], held[0]), unshown(theirs, bare[1], held[1])
        for token in sorted({*missing[0], *missing[1]}):
            self._add(
                "inventory", token, "(exists)", *("nothing shows it" if token in side else "" for side in missing)
            )

    def quiet(self, sides: Sides) -> None:
        """See that neither side has anything to do after a deployment."""
        for phase, options in (("preview", ()), ("preview --refresh", ("--refresh",))):
            with self._phase(phase):
                emulated, bridged = both(sides, lambda side, options=options: side.preview(*options))
                nothing: dict[str, Any] = {}
                self.same(phase, plans(emulated, nothing))
                self.same(phase, plans(nothing, bridged))

    def changed(self, sides: Sides) -> None:
        """Compare what both sides would do for the same changes."""
        for change in self._changes:
            with self._phase(f"change: {change.title}"):
                previews = both(sides, lambda side, change=change: side.preview(arguments=change.arguments))
                self.same(f"change: {change.title}", plans(*previews))
                for component, why in pointless(change, previews).items():
                    self._add(f"change: {change.title}", component, "(test)", why, why)

    def disturbed(self, sides: Sides) -> None:
        """Change things behind Pulumi's back, compare what is seen of it, and mend it.

        What differed between the sides before is not told again.
        """
        with self._phase("drift"):
            before = both(sides, _named)
            known = list(inventories(*map(_compared, before)))
            both(sides, lambda side: disturb(side, self._disturbances))
            drifted = both(sides, _named)
            self.same("drift", (each for each in inventories(*map(_compared, drifted)) if each not in known))
            previews = both(sides, lambda side: side.preview("--refresh"))
            self.same("drift", plans(*previews))
            for title, why in unseen(self._disturbances, previews).items():
                self._add("drift", title, "(test)", why, why)
        with self._phase("mended"):
            both(sides, lambda side: side.pulumi("up", "--yes", "--refresh", "--skip-preview", "--suppress-outputs"))
            mended = both(sides, _named)
            self.same("mended", (each for each in inventories(*map(_compared, mended)) if each not in known))
            self._unchanged("mended", sides, before, mended)

    def gone(self, sides: Sides, bare: Pair) -> None:
        """Destroy the stack, and compare what is left: as much as there was."""
        with self._phase("destroy"):
            both(sides, Side.down)
            left = both(sides, _nameless)
            self.same("destroy", inventories(*map(_compared, left)))
            self._unchanged("destroy", sides, bare, left)

    def _unchanged(self, phase: str, sides: Sides, before: Pair, after: Pair) -> None:
        """See that each side is as it was, whatever it holds."""
        for side, one, other in zip(sides, before, after, strict=True):
            for thing, path, was, now in inventories(flat(one), flat(other)):
                self._add(phase, thing, f"{path} ({side.provider} before and after)", was, now)

    def same(self, phase: str, found: Iterable[tuple[str, str, Any, Any]]) -> None:
        """Keep what differs in a phase."""
        for difference in found:
            self._add(phase, *difference)

    def _add(self, phase: str, resource: str, path: str, emulated: Any, bridged: Any) -> None:
        self.differences.append(Difference(self.stack, phase, resource, path, emulated, bridged))

    @contextmanager
    def _phase(self, name: str) -> Generator[None]:
        started, before = time.monotonic(), len(self.differences)
        try:
            yield
        except SideError as error:
            values = ("failed", "") if error.provider == Aws.EMULATED else ("", "failed")
            self._add(name, error.command, error.said, *values)
        self.seconds[name] = time.monotonic() - started
        found = len(self.differences) - before
        self._progress(f"{self.stack}: {name}: {self.seconds[name]:.1f} s, {found} differences before gaps")


def _named(side: Side) -> Held:
    """Return what a side holds, by the names of its resources."""
    return comparable(side.aws.inventory(), side.names())


def _nameless(side: Side) -> Held:
    """Return what a side holds where no resource is there to name it."""
    return comparable(side.aws.inventory(), Names())


def _compared(held: Held) -> dict[str, list[Any]]:
    """Return what both sides can have."""
    return flat(held, left_out=RECORDED)


def disturb(side: Side, disturbances: Sequence[Disturbance]) -> None:
    """Do the same calls on one side, each to what its resource made."""
    outputs = {each["urn"].rpartition("::")[2]: each for each in side.resources() if each["type"].startswith("aws:")}
    for disturbance in disturbances:
        resource = outputs.get(disturbance.resource)
        if resource is None:
            raise SideError(side.provider, disturbance.title, f"the stack has no AWS resource {disturbance.resource}")
        if is_recorded(resource["type"]):
            raise SideError(side.provider, disturbance.title, f"{resource['type']} is recorded: nothing to disturb")
        known = {name: plain(value) for name, value in resource["outputs"].items()}
        disturbance.do(side.aws, {**known, "id": resource["id"]})


def pointless(change: Change, previews: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the components for which a change tests nothing, each with the reason."""
    if all(map(refusals, previews)):
        return {} if change.refused else {"(program)": "both refuse it"}
    if any(map(refusals, previews)):
        return {}  # That is a difference already.
    touched = [step["urn"] for preview in previews for step in preview["steps"] if step["op"] not in ("same", "read")]
    return {
        f"{name} {component}": "changes nothing"
        for component, by_name in change.arguments.items()
        for name in by_name
        if not any(f":{component}" in urn and _of(urn, name) for urn in touched)
    }


def unseen(disturbances: Sequence[Disturbance], previews: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the disturbances that neither preview shows where they ought to show, each with the reason."""
    if all(map(refusals, previews)):
        return {"(program)": "both previews fail"}
    shown = {title.partition(" ")[0] for preview in previews for title in plan(preview)}
    return {each.title: "shows nowhere" for each in disturbances if each.seen is not None and each.seen not in shown}


def _of(urn: str, component: str) -> bool:
    name = urn.rpartition("::")[2]
    return name == component or name.startswith(f"{component}-")
