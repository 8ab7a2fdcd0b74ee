"""What keeps a container in its sandbox: system calls, file system, kernel settings and users."""

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.pods import POD_TYPES, containers, decides, pod_rule, pod_specs
from falaj.policies.values import View

# What the Pod Security Standards call safe: these are of the pod, not of its node.
_SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)
_SAFE_SELINUX = ("container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_LOWEST_USER = Setting(
    {"type": "integer", "minimum": 1, "description": "Lowest user id that containers may have"},
    10000,
)


@pod_rule(
    "FJ-POD-010",
    "Containers make no system calls that programs do not need",
    Severity.HIGH,
    ("A.8.18", "A.8.9", "ZT-5"),
    "Set securityContext.seccompProfile.type to RuntimeDefault, on the pod or on each container.",
)
def seccomp(pod: View) -> Checks:
    """Without a profile every call of the kernel is open, those with known holes too."""
    for container in containers(pod):
        profile = decides(pod, container, "seccompProfile")["type"]
        yield must(profile.among(("RuntimeDefault", "Localhost")), "the container may make any system call")


@pod_rule(
    "FJ-POD-011",
    "Containers cannot change their own programs",
    Severity.MEDIUM,
    ("A.8.7", "A.8.19", "ZT-5"),
    "Set securityContext.readOnlyRootFilesystem to true; mount an emptyDir where the program writes.",
)
def read_only_root(pod: View) -> Checks:
    """Who breaks in leaves no tools behind, and what runs is what the digest names."""
    for container in containers(pod):
        yield must(
            container["securityContext"]["readOnlyRootFilesystem"].is_true(), "the container's own files can be written"
        )


@pod_rule(
    "FJ-POD-012",
    "Pods set none but safe kernel parameters",
    Severity.HIGH,
    ("A.8.18", "A.8.9"),
    "Leave out the sysctl, or set it for the node.",
)
def sysctls(pod: View) -> Checks:
    """Others are of the whole node, or let one pod disturb the rest."""
    for sysctl in pod["securityContext"]["sysctls"].each():
        yield must(sysctl["name"].among(_SAFE_SYSCTLS), "is not among the safe ones")


@pod_rule(
    "FJ-POD-013",
    "The kernel's guards stay on",
    Severity.HIGH,
    ("A.8.18", "A.8.2"),
    "Remove procMount, hostProcess, and options of AppArmor and SELinux that switch them off.",
)
def guards(pod: View) -> Checks:
    """An unmasked /proc, no AppArmor, or a type of SELinux's own gives back what the sandbox took."""
    for container in containers(pod):
        mount = container["securityContext"]["procMount"]
        yield never(mount.is_set() & ~mount.equals("Default"), "/proc is not masked")
    for holder in (pod, *containers(pod)):
        context = holder["securityContext"]
        yield never(context["windowsOptions"]["hostProcess"].is_true(), "runs on its node itself")
        yield never(context["appArmorProfile"]["type"].equals("Unconfined"), "AppArmor is off")
        options = context["seLinuxOptions"]
        own = options["type"].is_set() & ~options["type"].among(_SAFE_SELINUX)
        yield never(own | options["user"].is_set() | options["role"].is_set(), "SELinux lets it do more")


@rule(
    "FJ-POD-014",
    "Containers run as a user that no node knows",
    Severity.MEDIUM,
    ("A.8.18", "A.8.2"),
    POD_TYPES,
    "Set securityContext.runAsUser to 10000 or above, on the pod or on each container.",
    settings={"lowestUser": _LOWEST_USER},
)
def high_user(resource: Resource, context: Context) -> Checks:
    """A low number is somebody on the node: who breaks out is that user there."""
    lowest = context.settings["lowestUser"]
    for pod in pod_specs(resource):
        separate = pod["hostUsers"].equals(False)
        for container in containers(pod):
            user = decides(pod, container, "runAsUser")
            # With user ids of its own, the pod's users are nobody on the node whatever their number.
            yield must(user.test(lambda number: number >= lowest) | separate, "may be a user of the node")


@pod_rule(
    "FJ-POD-015",
    "Containers of a pod do not see each other's processes",
    Severity.MEDIUM,
    ("A.8.22", "A.8.3"),
    "Remove shareProcessNamespace.",
)
def shared_processes(pod: View) -> Checks:
    """Whoever sees a process reads its environment, secrets included, and its files."""
    yield never(pod["shareProcessNamespace"].is_true(), "processes are shared")


_AGENTS = ("kubernetes:apps/v1:DaemonSet",)
# The scheduler writes its choice into a pod itself, where it cannot be told from the author's.
_PLACED = ("kubernetes:core/v1:Pod",)


@rule(
    "FJ-POD-016",
    "Pods tolerate the taints that they name",
    Severity.MEDIUM,
    ("A.8.22", "CE-4"),
    tuple(type_ for type_ in POD_TYPES if type_ not in _AGENTS),
    "Give each toleration a key.",
)
def tolerations(resource: Resource, _: Context) -> Checks:
    """A toleration without a key goes onto every node, those that are kept for others too; agents belong on each."""
    for pod in pod_specs(resource):
        for toleration in pod["tolerations"].each():
            yield must(toleration["key"].is_set(), "tolerates every taint")


@rule(
    "FJ-POD-017",
    "The scheduler alone places pods",
    Severity.MEDIUM,
    ("A.8.22", "A.8.6", "CE-4"),
    tuple(type_ for type_ in POD_TYPES if type_ not in _PLACED),
    "Remove nodeName; choose nodes by label.",
)
def placed(resource: Resource, _: Context) -> Checks:
    """A node that is named is taken past taints, queues and quotas."""
    for pod in pod_specs(resource):
        yield never(pod["nodeName"].is_set(), "the pod goes to its node past the scheduler")


RULES: tuple[Rule, ...] = (
    seccomp,
    read_only_root,
    sysctls,
    guards,
    high_user,
    shared_processes,
    tolerations,
    placed,
)
