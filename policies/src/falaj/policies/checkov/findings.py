"""What checkov says, told of Pulumi's resources: where a value that it read is not known, it has not said anything."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.policies.checkov.handover import Handed, Handover
from falaj.policies.checkov.naming import Path_
from falaj.policies.checkov.table import Mapped, table
from falaj.policies.errors import PolicyError
from falaj.policies.model import Verdict

_EVERYTHING = "**"
_JOINING = frozenset({"metadata", "labels", "selector", "podSelector", "namespace", "subjects", "roleRef"})
"""Parts of manifests by which checkov joins them."""
_WORST = (Verdict.FAIL, Verdict.UNDETERMINED, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class CheckovFinding:
    """What one of checkov's checks says about one resource."""

    check: str
    """Its id, for example ``CKV_AWS_7``."""
    name: str
    """What it demands, in checkov's own words."""
    urn: str
    type: str
    """The resource's type in Pulumi."""
    verdict: Verdict
    controls: tuple[str, ...]
    """Controls that it serves by the reviewed table; none where nobody has reviewed the check yet."""
    rules: tuple[str, ...]
    """Our rules that look at the same thing."""
    contradicts: str = ""
    """Why following it would break residency: such a finding counts for nothing."""


def findings(handover: Handover, answer: Mapping[str, Any]) -> list[CheckovFinding]:
    """Return checkov's findings on our resources, one for each check and resource: the worst of what it says.

    Raises ``PolicyError`` when it has not read every resource: silence would look like agreement.
    """
    worst: dict[tuple[str, str], CheckovFinding] = {}
    for part, handed in (("plan", handover.plan), ("manifests", handover.manifests)):
        read = answer.get(part, {"resources": 0, "findings": ()})
        if read["resources"] != len(handed):
            raise PolicyError(
                f"checkov read {read['resources']} of {len(handed)} resources of the {part}; its findings are not whole"
            )
        for finding in _of(handed, read["findings"]):
            key = (finding.check, finding.urn)
            if key not in worst or _WORST.index(finding.verdict) < _WORST.index(worst[key].verdict):
                worst[key] = finding
    return sorted(worst.values(), key=lambda finding: (finding.urn, finding.check))


def _of(handed: Mapping[str, Handed], told: Iterable[Mapping[str, Any]]) -> Iterator[CheckovFinding]:
    mapped = table()
    doubtful = [each for each in handed.values() if each.unknown]
    by_type: dict[str, list[Handed]] = {}
    for each in doubtful:
        by_type.setdefault(each.type, []).append(each)
    urns: dict[str, set[str]] = {}
    for each in handed.values():
        urns.setdefault(each.type, set()).add(each.resource.urn)
    for row in told:
        about = handed[row["at"]]
        if "read" in row:
            open_ = any(_decides(path, unknown) for path in row["read"] for unknown in about.unknown)
        else:
            open_ = _joined_unknown(about, row, by_type, urns[about.type])
        verdict = Verdict.UNDETERMINED if open_ else Verdict.PASS if row["passed"] else Verdict.FAIL
        said = mapped.get(row["check"], Mapped())
        resource = about.resource
        yield CheckovFinding(
            row["check"], row["name"], resource.urn, resource.type, verdict, said.controls, said.rules, said.contradicts
        )


def _decides(read: Sequence[str], unknown: Path_) -> bool:
    """Return whether a value that is not known is part of what was read; a path that was read is whole but for "**"."""
    for asked, there in zip(read, unknown, strict=False):
        if asked == _EVERYTHING:
            return True
        if asked not in ("*", there):
            return False
    return len(read) >= len(unknown)


def _joined_unknown(
    about: Handed, row: Mapping[str, Any], doubtful: Mapping[str, Sequence[Handed]], alike: set[str]
) -> bool:
    """Return whether a check over the graph could have come out otherwise, were everything known."""
    attributes = [(*str(attribute).split("."), _EVERYTHING) for attribute in row["attributes"]]
    joins = len(row["types"]) > 1
    if _matters(about, attributes, joins=joins):
        return True
    for type_ in row["types"]:
        for other in doubtful.get(type_, ()) if type_ != about.type else ():
            leads = {urn for urns in other.resource.links.values() for urn in urns} & alike
            if (not leads or about.resource.urn in leads) and _matters(other, attributes, joins=joins):
                return True
    return False


def _matters(handed: Handed, attributes: Sequence[Path_], *, joins: bool) -> bool:
    for unknown in handed.unknown:
        if any(_decides(attribute, unknown) for attribute in attributes):
            return True
        if joins and handed.resource.type.startswith("kubernetes:"):
            if len(unknown) == 1 or not _JOINING.isdisjoint(unknown):
                return True
        elif joins and unknown[0] not in handed.linked:
            return True
    return False
