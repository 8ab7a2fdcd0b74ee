"""An assessment made by hand: every verdict, waivers of each kind, unmapped types, and hostile names."""

import datetime
from dataclasses import replace

from policies.making import make

from falaj.policies.assessment import Assessment, Source, assess
from falaj.policies.config import Config, Level
from falaj.policies.engine import Engine, Stack
from falaj.policies.model import Checks, Context, Resource, Severity, must, never, rule
from falaj.policies.values import UNKNOWN
from falaj.policies.waivers import Waiver, Waivers

AT = datetime.datetime(2026, 11, 26, 8, 30, tzinfo=datetime.UTC)
KEY = "aws:kms/key:Key"
QUEUE = "aws:sqs/queue:Queue"
UNMAPPED = "aws:iot/thing:Thing"
SECRET = "S3CR3T-4f1b-never-to-be-seen"
HOSTILE = '</script><script>stolen=1</script><img src=x onerror="stolen=1">\'"&\x1b[31m\u202e\ud800\n=cmd'
"""A name that tries to break out of HTML, XML, a terminal, a line and an encoding."""


@rule("T-KEY-001", "Keys rotate", Severity.HIGH, ("A.8.24", "ZT-2"), (KEY,), "Set enableKeyRotation to true.")
def rotation(key: Resource, _: Context) -> Checks:
    """An old key protects too much."""
    yield must(key["enableKeyRotation"].is_true(), "the key is not rotated")


@rule("T-KEY-002", "Keys stay in one region", Severity.CRITICAL, ("RES-1",), (KEY,), "Set multiRegion to false.")
def region(key: Resource, _: Context) -> Checks:
    """A copy elsewhere is a transfer."""
    yield never(key["multiRegion"].is_true(), "the key may be copied to other regions")


@rule("T-SQS-001", "Queues are encrypted", Severity.MEDIUM, ("A.8.24",), (QUEUE,), "Set kmsMasterKeyId.")
def encrypted(queue: Resource, _: Context) -> Checks:
    """A queue holds data too."""
    yield must(queue["kmsMasterKeyId"].is_set(), "the queue is not encrypted with a customer key")


@rule("T-SQS-002", "Queues keep messages for an hour", Severity.LOW, ("CE-1",), (QUEUE,), "Set it to 3600.")
def kept(queue: Resource, _: Context) -> Checks:
    """What nobody reads costs."""
    yield must(queue["messageRetentionSeconds"].equals(3600), "messages are kept for longer")


RULES = (rotation, region, encrypted, kept)
RESOURCES = (
    make(KEY, {"enableKeyRotation": True, "multiRegion": False, "description": SECRET}, name="sound"),
    make(KEY, {"enableKeyRotation": False, "multiRegion": True, "description": SECRET}, name="broken"),
    make(KEY, {"enableKeyRotation": UNKNOWN, "multiRegion": False, "description": SECRET}, name="undecided"),
    make(KEY, {"enableKeyRotation": False, "multiRegion": False, "description": SECRET}, name="legacy"),
    make(QUEUE, {"tags": {"a": SECRET}}, name=HOSTILE),
    make(UNMAPPED, {"name": SECRET}, name="one"),
    make(UNMAPPED, {"name": SECRET}, name="two"),
)


def waiver(rule: str, name: str, day: datetime.date = datetime.date(2027, 1, 31)) -> Waiver:
    return Waiver(rule, f"*::{name}", "It is <b>replaced</b> in January", "Keys & Co", day)


WAIVERS = (
    waiver("T-KEY-001", "legacy"),
    waiver("T-KEY-002", "broken", datetime.date(2026, 11, 25)),
    waiver("T-SQS-001", "gone"),
)


def sample(resources: tuple[Resource, ...] = RESOURCES, source: Source | None = None) -> Assessment:
    """Judge the resources by the rules above, on a day on which one waiver has expired."""
    config = Config(levels={"T-SQS-002": Level.ADVISORY})
    engine = Engine(RULES, config, Waivers(WAIVERS, AT.date()))
    return assess(
        engine,
        Stack("prod", resources, resources),
        source or Source("state", "out/state of prod.json", "ab" * 32),
        config.packs,
        AT,
    )


def sound() -> Assessment:
    """Return an assessment in which nothing is wrong."""
    return replace(sample(RESOURCES[:1]), expired=(), unused=())
