"""What every pod of the platform is bound to: nobody's user, no privileges, no way to write into its own image.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

import pulumi_kubernetes as k8s

_NOBODY = 65532

POD: k8s.core.v1.PodSecurityContextArgsDict = {
    "run_as_non_root": True,
    "run_as_user": _NOBODY,
    "run_as_group": _NOBODY,
    "fs_group": _NOBODY,
    "seccomp_profile": {"type": "RuntimeDefault"},
}
"""The security context of a pod."""
CONTAINER: k8s.core.v1.SecurityContextArgsDict = {
    "allow_privilege_escalation": False,
    "read_only_root_filesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""The security context of each of its containers."""
