"""Runs checkov's runners in one warm process: reads requests as lines of JSON, answers each with one line of JSON.

It runs in checkov's own environment, so it imports nothing of falaj. What it is given stays in memory: nothing is
written to disk, and an answer holds ids, addresses and paths of properties, never a value.

For each finding it says what the check read, so that the asker can tell whether a value that is not known decides.
"""

# checkov is not in the environment where types are checked.
# pyright: reportMissingImports=false, reportUnknownParameterType=false, reportUnknownLambdaType=false

import functools
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.update(LOG_LEVEL="ERROR", CHECKOV_CREATE_COMPLEX_VERTICES="True", CHECKOV_CREATE_EDGES="True")

from checkov.common.checks.base_check import BaseCheck
from checkov.common.graph.checks_infra.base_check import BaseGraphCheck
from checkov.common.models.enums import CheckResult
from checkov.common.output.report import Report
from checkov.kubernetes import runner as kubernetes
from checkov.kubernetes.checks.resource.registry import registry as kubernetes_registry
from checkov.runner_filter import RunnerFilter
from checkov.terraform import plan_parser, plan_runner
from checkov.terraform.checks.resource.base_resource_negative_value_check import BaseResourceNegativeValueCheck
from checkov.terraform.checks.resource.base_resource_value_check import BaseResourceValueCheck
from checkov.terraform.checks.resource.registry import resource_registry
from checkov.version import version

_EVERYTHING = "**"
"""Stands in a path of what was read for all that is below."""
_FOLDER = "/stack"
_Path = tuple[str, ...]


class Read(dict[str, Any]):
    """A dict that remembers which of its keys were asked for."""

    def __init__(self, values: Mapping[str, Any], at: _Path, log: set[_Path]) -> None:
        super().__init__(values)
        self._at, self._log = at, log

    def _seen(self, key: Any, value: Any) -> Any:
        self._log.add((*self._at, str(key)))
        return _remembering(value, (*self._at, str(key)), self._log)

    def __getitem__(self, key: str) -> Any:
        self._log.add((*self._at, str(key)))
        return self._seen(key, super().__getitem__(key))

    def get(self, key: str, default: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Remember the key."""
        return self._seen(key, super().get(key, default))

    def __contains__(self, key: object) -> bool:
        self._log.add((*self._at, str(key)))
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self._log.add((*self._at, "*"))
        return super().__iter__()

    def keys(self) -> Any:
        """Remember that all keys were asked for."""
        self._log.add((*self._at, "*"))
        return super().keys()

    def items(self) -> Any:
        """Remember that all keys were asked for."""
        return [(key, self._seen(key, value)) for key, value in self._all()]

    def values(self) -> Any:
        """Remember that all keys were asked for."""
        return [self._seen(key, value) for key, value in self._all()]

    def _all(self) -> list[tuple[str, Any]]:
        self._log.add((*self._at, "*"))
        return list(super().items())

    def __eq__(self, other: object) -> bool:
        self._log.add((*self._at, _EVERYTHING))
        return super().__eq__(other)

    def __repr__(self) -> str:
        self._log.add((*self._at, _EVERYTHING))
        return super().__repr__()

    def __reduce__(self) -> Any:
        self._log.add((*self._at, _EVERYTHING))
        return dict, (list(super().items()),)

    __hash__ = None  # pyright: ignore[reportAssignmentType]


class ReadList(list[Any]):
    """A list whose elements remember what was asked of them; positions are no part of a path."""

    def __init__(self, values: Sequence[Any], at: _Path, log: set[_Path]) -> None:
        super().__init__(_remembering(value, at, log) for value in values)


def _remembering(value: Any, at: _Path, log: set[_Path]) -> Any:
    if type(value) is list:
        return ReadList(value, at, log)
    return Read(value, at, log) if isinstance(value, dict) and type(value) is not Read else value


def _watch(check: Any, method: str) -> None:
    """Let a check keep, with its latest verdict, what it read."""
    original = getattr(check, method)

    @functools.wraps(original)
    def watched(conf: dict[str, Any], *rest: Any) -> Any:
        check.read = set[_Path]()
        return original(Read(conf, (), check.read), *rest)

    setattr(check, method, watched)


def _watch_all() -> None:
    registries = (resource_registry, kubernetes_registry)
    listed = (checks for each in registries for by in (each.checks, each.wildcard_checks) for checks in by.values())
    for check in {id(check): check for checks in listed for check in checks}.values():
        if isinstance(check, BaseResourceValueCheck | BaseResourceNegativeValueCheck):
            continue  # these read the one property that they name, and search the rest only for other spellings of it
        for method in ("scan_resource_conf", "scan_spec_conf"):
            if hasattr(check, method):
                _watch(check, method)
    original = BaseCheck.run

    def run(self: Any, *given: Any, **named: Any) -> Any:
        self.read = None
        try:
            result = original(self, *given, **named)
        except Exception:  # a check that cannot read a resource says nothing of it, and the others go on
            return {"result": CheckResult.UNKNOWN, "evaluated_keys": []}
        if self.read is not None:
            result["read"] = sorted(self.read)
        if isinstance(self, BaseResourceNegativeValueCheck) and (excluded := self.get_excluded_key()):
            result["excluded"] = [excluded]
        return result

    BaseCheck.run = run


def _read(result: Mapping[str, Any]) -> list[_Path]:
    """Return which paths a check of one resource read; everything where that cannot be told."""
    if "read" in result:
        return result["read"]
    keys = [str(key) for key in (*(result.get("evaluated_keys") or ()), *result.get("excluded", ()))]
    named = [tuple(part for part in key.split("/") if part.strip("[]").isalpha() or "_" in part) for key in keys]
    return [(*path, _EVERYTHING) for path in named if path] or [(_EVERYTHING,)]


def _graph_reads(check: BaseGraphCheck) -> tuple[set[str], set[str]]:
    """Return the types and the attributes that a check over the graph looks at."""
    types, attributes = {str(type_) for type_ in (*check.resource_types, *check.connected_resources_types)}, set[str]()
    if check.attribute:
        attributes.add(str(check.attribute))
    for inner in check.sub_checks:
        more_types, more = _graph_reads(inner)
        types |= more_types
        attributes |= more
    return types, attributes


def _plan(plan: dict[str, Any]) -> dict[str, Any]:
    for resource in plan["planned_values"]["root_module"]["resources"]:
        resource["values"] |= {"start_line": 0, "end_line": 0}
    runner = plan_runner.Runner()
    path = f"{_FOLDER}/plan.json"
    plan_parser.parse = lambda *_: (plan, [(0, "")])
    definitions, lines = plan_parser.parse_tf_plan(path, {})
    plan_runner.create_definitions = lambda *_: ({path: definitions}, {path: lines})
    report = runner.run(root_folder=_FOLDER, runner_filter=_filter())
    assert isinstance(report, Report)
    return {**_told(report, runner), "resources": sum(len(each) for each in (definitions or {})["resource"])}


def _manifests(manifests: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Judge manifests, each as a file of its own, by which its findings are told apart."""
    runner = kubernetes.Runner()
    definitions = {f"{_FOLDER}/{name}": [_with_lines(manifest)] for name, manifest in manifests.items()}
    raw = {path: [(1, "{}")] for path in definitions}
    kubernetes.create_definitions = lambda *_: (definitions, raw)
    report = runner.run(root_folder=_FOLDER, runner_filter=_filter())
    assert isinstance(report, Report)
    return {**_told(report, runner), "resources": len(definitions)}


def _with_lines(value: Any) -> Any:
    """Return a manifest as checkov's parser makes it: each object says at which line of its file it is."""
    if isinstance(value, dict):
        lines = {"__startline__": 1, "__endline__": 1}
        return {**{key: _with_lines(each) for key, each in value.items()}, **lines}
    return [_with_lines(each) for each in value] if isinstance(value, list) else value


def _filter() -> RunnerFilter:
    return RunnerFilter(show_progress_bar=False, framework=["terraform_plan", "kubernetes"])


def _told(report: Report, runner: Any) -> dict[str, Any]:
    graph = {check.id: _graph_reads(check) for check in runner.graph_registry.checks}
    found: list[dict[str, Any]] = []
    for record in (*report.passed_checks, *report.failed_checks):
        told = {
            "check": record.check_id,
            "name": record.check_name,
            "at": getattr(record, "resource_address", None) or Path(record.file_path).name,
            "passed": record.check_result["result"].value == "PASSED",
        }
        if record.check_id in graph:
            types, attributes = graph[record.check_id]
            told |= {"types": sorted(types), "attributes": sorted(attributes)}
        else:
            told["read"] = _read(record.check_result)
        found.append(told)
    return {"findings": found}


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Judge a plan, manifests, or both; or say which checks there are, and of which types."""
    if request.get("checks"):
        return {"checks": _checks()}
    return {
        part: judge(request[part]) for part, judge in (("plan", _plan), ("manifests", _manifests)) if request.get(part)
    }


def _checks() -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for registry in (resource_registry, kubernetes_registry):
        for entity, checks in (*registry.checks.items(), *registry.wildcard_checks.items()):
            for check in checks:
                found.setdefault(check.id, set()).add(str(entity))
    for runner in (plan_runner.Runner(), kubernetes.Runner()):
        runner.graph_registry.load_checks()
        for check in runner.graph_registry.checks:
            found.setdefault(check.id, set()).update(str(type_) for type_ in check.resource_types)
    return {check: sorted(types) for check, types in sorted(found.items())}


def main() -> None:
    """Answer until there is no more to read; what else would be printed must not get between the answers."""
    answers, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.CRITICAL)  # messages may quote values
    _watch_all()
    answers.write(json.dumps({"version": version}) + "\n")
    answers.flush()
    for line in sys.stdin:
        try:
            told = answer(json.loads(line))
        except Exception as error:  # the process stays warm, and the text may quote a value
            told = {"error": type(error).__name__}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
