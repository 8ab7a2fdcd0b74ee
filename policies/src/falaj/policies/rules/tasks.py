"""Tasks of ECS: programs that cannot be changed, no secrets in the clear, and no way to the machine."""

from collections.abc import Iterator
from typing import Any

from falaj.policies.clear_text import is_literal, looks_secret, names_secret, tells_secret
from falaj.policies.documents import parse
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import View

TASK = "aws:ecs/taskDefinition:TaskDefinition"
DAEMON = "aws:ecs/daemonTaskDefinition:DaemonTaskDefinition"
EXPRESS = "aws:ecs/expressGatewayService:ExpressGatewayService"


@rule(
    "FJ-ECS-001",
    "Containers of tasks cannot change their own programs",
    Severity.MEDIUM,
    ("A.8.7", "A.8.19", "ZT-5"),
    (TASK, DAEMON),
    "Set readonlyRootFilesystem to true on every container; mount a volume where the program writes.",
)
def read_only_root(task: Resource, _: Context) -> Checks:
    """Who breaks in leaves no tools behind; Windows knows no such switch."""
    windows = task["runtimePlatform"]["operatingSystemFamily"].test(lambda name: str(name).startswith("WINDOWS"))
    for container in _containers(task):
        fixed = container["readonlyRootFilesystem"].is_true()
        yield must(windows | fixed, "the container's own files can be written")


@rule(
    "FJ-ECS-002",
    "There are no secrets in environment variables of tasks",
    Severity.CRITICAL,
    ("A.5.17", "A.8.3"),
    (TASK, DAEMON, EXPRESS),
    "Name the secret's ARN under secrets, by valueFrom, instead of its value under environment.",
)
def literal_secrets(task: Resource, _: Context) -> Checks:
    """Whoever may describe a task reads its definition, options of log drivers included, and old revisions stay."""
    for container in _containers(task):
        for key in ("environment", "environments"):
            for variable in container[key].each():
                value = variable["value"]
                named = value.test(is_literal) & variable["name"].test(names_secret)
                yield never(named | value.test(looks_secret), "holds a secret in the clear")
        for name, option in container["logConfiguration"]["options"].entries():
            at = View(option.value, f"{container.path}.logConfiguration.options")
            if not name or names_secret(name):
                yield never(at.test(is_literal), "holds a secret in the clear")


@rule(
    "FJ-ECS-003",
    "There are no secrets on command lines of tasks",
    Severity.CRITICAL,
    ("A.5.17", "A.8.3"),
    (TASK, DAEMON, EXPRESS),
    "Let the program read the secret from a variable that secrets fills, or fetch it by the task's role.",
)
def command_lines(task: Resource, _: Context) -> Checks:
    """A command line stands in the definition, and in the list of processes."""
    for container in _containers(task):
        for key in ("command", "commands", "entryPoint", "entryPoints"):
            yield never(tells_secret(container[key]), "holds a secret in the clear")
        for key in ("command", "commands"):
            yield never(tells_secret(container["healthCheck"][key]), "holds a secret in the clear")


@rule(
    "FJ-ECS-004",
    "Tasks stay apart from their machine",
    Severity.CRITICAL,
    ("A.8.18", "A.8.22", "A.8.2"),
    (TASK, DAEMON),
    "Remove privileged, hostPath volumes, and the value host from networkMode, pidMode and ipcMode.",
)
def machine(task: Resource, _: Context) -> Checks:
    """What belongs to the machine belongs to every task on it."""
    for key in ("networkMode", "pidMode", "ipcMode"):
        yield never(task[key].equals("host"), "the task shares the machine's own")
    for volume in task["volumes"].each():
        for path in (volume["hostPath"], *(host["sourcePath"] for host in volume["hosts"].each())):
            yield never(path.is_set(), "the task reads the machine's files")
    for container in _containers(task):
        yield never(container["privileged"].is_true(), "the container is root on its machine")


def _containers(task: Resource) -> Iterator[View]:
    """Yield the containers of a task; those in a text of JSON with keys as the documentation writes them."""
    if task.type == EXPRESS:
        yield from task["primaryContainer"].each()
        return
    for container in parse(task["containerDefinitions"]).each():
        yield container.replaced(_uncapitalized(container.value)) if task.type == TASK else container


def _uncapitalized(value: Any) -> Any:
    """Return the value with keys that begin with a small letter: the provider takes ``Environment`` too."""
    if isinstance(value, list):
        return [_uncapitalized(child) for child in value]
    if isinstance(value, dict):
        return {f"{key[:1].lower()}{key[1:]}": _uncapitalized(child) for key, child in value.items()}
    return value


RULES: tuple[Rule, ...] = (read_only_root, literal_secrets, command_lines, machine)
