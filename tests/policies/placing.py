"""Makes cases of properties that lead somewhere."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from policies.making import HOME, Case, make

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

ELSEWHERE = {"region": "eu-west-1", "allowedAccountIds": ["123456789012"]}
BUCKET = "aws:s3/bucket:Bucket"


def nested(path: str, value: Any) -> dict[str, Any]:
    """Return an object that holds a value at a dotted path."""
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {key: merged(one[key], other[key]) for key in one.keys() & other.keys() if isinstance(one[key], dict)}
    return one | other | both


def arn(service: str, region: str, rest: str = "thing/one") -> str:
    return f"arn:aws:{service}:{region}:123456789012:{rest}"


def placed(
    rule: str,
    type_: str,
    path: str,
    good: Any,
    bad: Any,
    *others: Resource,
    settings: Mapping[str, Any] = MappingProxyType({}),
    unknown: Any = UNKNOWN,
    **more: Any,
) -> Case:
    """Make a case of one property at a dotted path; the others are in every stack."""

    def stack(value: Any) -> list[Resource]:
        return [make(type_, merged(more, nested(path, value))), *others]

    return Case(rule, stack(good), stack(bad), stack(unknown), settings)


def regional(rule: str, type_: str, path: str, *, is_list: bool = False, **more: Any) -> Case:
    """Make a case of a property that names a region, or several."""
    values: list[Any] = ["me-central-1", "eu-west-1", UNKNOWN]
    good, bad, unknown = ([value] for value in values) if is_list else values
    return placed(rule, type_, path, good, bad, unknown=unknown, **more)


def named_by_arn(rule: str, type_: str, path: str, service: str, **more: Any) -> Case:
    """Make a case of a property that holds an ARN."""
    return placed(rule, type_, path, arn(service, "me-central-1"), arn(service, "eu-west-1"), **more)


def buckets() -> tuple[Resource, Resource]:
    """Return a bucket at home and one elsewhere."""
    home = make(BUCKET, {"bucket": "at-home"}, name="home", provider=HOME)
    return home, make(BUCKET, {"bucket": "elsewhere"}, name="elsewhere", provider=ELSEWHERE)


def in_bucket(rule: str, type_: str, path: str, *, form: str = "{}", **more: Any) -> Case:
    """Make a case of a property that names a bucket, of which only the stack knows where it is."""
    named = [form.format(name) for name in ("at-home", "elsewhere", "of-another-stack")]
    return placed(rule, type_, path, named[0], named[1], *buckets(), unknown=named[2], **more)
