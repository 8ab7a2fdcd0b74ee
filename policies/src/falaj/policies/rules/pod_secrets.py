"""Identities and secrets of pods: named accounts, tokens that end, nothing secret on a command line."""

from collections.abc import Iterator

from falaj.policies.clear_text import tells_secret
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.pods import POD_TYPES, containers, pod_rule, pod_specs
from falaj.policies.values import View, any_of

_LONGEST_TOKEN = Setting(
    {"type": "integer", "minimum": 600, "description": "Longest life of a projected token, in seconds"},
    86400,
)
_HANDLERS = (("lifecycle", "postStart"), ("lifecycle", "preStop"))
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


@pod_rule(
    "FJ-POD-018",
    "Pods have an identity of their own",
    Severity.MEDIUM,
    ("A.5.16", "A.5.15", "ZT-6"),
    "Name a service account of the workload's own in serviceAccountName.",
)
def account(pod: View) -> Checks:
    """What is granted to the account default is granted to whatever else runs in the namespace."""
    name = pod["serviceAccountName"]
    if name.value is None:
        name = pod["serviceAccount"]
    yield must(name.is_set() & ~name.equals("default"), "the pod shares the namespace's identity")


@pod_rule(
    "FJ-POD-019",
    "There are no secrets on command lines",
    Severity.CRITICAL,
    ("A.5.17", "A.8.3"),
    "Let the program read the secret from a mounted file.",
)
def command_lines(pod: View) -> Checks:
    """A command line is read by whoever reads the pod, or lists the processes of its node."""
    for container in containers(pod):
        for words in _commands(container):
            yield never(tells_secret(words), "holds a secret in the clear")
        for probe in _PROBES:
            for header in container[probe]["httpGet"]["httpHeaders"].each():
                names = header["name"].test(lambda name: str(name).lower() in ("authorization", "cookie", "x-api-key"))
                yield never(names & header["value"].is_set(), "holds a credential in the clear")


def _commands(container: View) -> Iterator[View]:
    yield container["command"]
    yield container["args"]
    for parent, handler in _HANDLERS:
        yield container[parent][handler]["exec"]["command"]
    for probe in _PROBES:
        yield container[probe]["exec"]["command"]


@pod_rule(
    "FJ-POD-020",
    "Mounted secrets follow their rotation",
    Severity.MEDIUM,
    ("A.5.17", "ZT-3"),
    "Mount the whole volume of the secret, without subPath.",
)
def sub_paths(pod: View) -> Checks:
    """A file that is mounted by subPath keeps the old secret until the pod is made anew."""
    secrets = [volume for volume in pod["volumes"].each() if volume["secret"].value is not None]
    for container in containers(pod):
        for mount in container["volumeMounts"].each():
            from_secret = any_of(mount["name"].equals(volume["name"].value) for volume in secrets)
            by_path = mount["subPath"].is_set() | mount["subPathExpr"].is_set()
            yield never(from_secret & by_path, "keeps the old secret after a rotation")


@rule(
    "FJ-POD-021",
    "Projected tokens end",
    Severity.MEDIUM,
    ("A.5.17", "A.8.5", "ZT-3"),
    POD_TYPES,
    "Set expirationSeconds of the serviceAccountToken to an hour, or leave it out.",
    settings={"longestTokenSeconds": _LONGEST_TOKEN},
)
def tokens(resource: Resource, context: Context) -> Checks:
    """The kubelet renews a token before it ends: an hour, the default, is enough."""
    longest = context.settings["longestTokenSeconds"]
    for pod in pod_specs(resource):
        for volume in pod["volumes"].each():
            for source in volume["projected"]["sources"].each():
                life = source["serviceAccountToken"]["expirationSeconds"]
                yield never(life.test(lambda seconds: seconds > longest), "the token lives too long")


RULES: tuple[Rule, ...] = (account, command_lines, sub_paths, tokens)
