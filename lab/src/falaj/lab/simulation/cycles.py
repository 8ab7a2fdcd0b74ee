"""How many scheduling cycles Kueue has gone through and how long one takes, by its own metrics."""

import contextlib
import http.client
import re
import ssl
from collections import defaultdict

from falaj.lab.errors import LabError
from falaj.lab.simulation.api import Api
from falaj.lab.state import Lab

_NAME, _NAMESPACE, _RBAC = "simulation-metrics", "kube-system", "rbac.authorization.k8s.io"
_METRIC = r"^kueue_admission_attempt_duration_seconds_"
_TIMES = re.compile(_METRIC + r"(sum|count)\{[^}]*\} (\S+)$", re.MULTILINE)
_WITHIN = re.compile(_METRIC + r'bucket\{[^}]*le="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)


def cycles(lab: Lab, api: Api) -> dict[str, float] | None:
    """Return how many cycles there were since Kueue began, and how long; nothing where Kueue does not answer.

    Of the longest it is known between which bounds it is; told is the lower, in seconds.
    A cycle tries one work of each queue, and writes down why those wait that were not let in.
    """
    try:
        told = _metrics(lab, api)
    except (OSError, http.client.HTTPException, LabError):
        return None
    return read(told)


def read(told: str) -> dict[str, float] | None:
    """Return the same from what Kueue's metrics say."""
    times = _TIMES.findall(told)
    count, seconds = (sum(float(value) for what, value in times if what == name) for name in ("count", "sum"))
    if not count:
        return None
    within: defaultdict[float, float] = defaultdict(float)
    for bound, value in _WITHIN.findall(told):
        within[float(bound)] += float(value)
    longest = max((bound for bound, ended in within.items() if ended < count), default=0.0)
    return {"count": count, "mean_seconds": round(seconds / count, 3), "longest_at_least": longest}


def _metrics(lab: Lab, api: Api) -> str:
    path, rbac = f"/api/v1/namespaces/{_NAMESPACE}/serviceaccounts", f"/apis/{_RBAC}/v1"
    named = {"metadata": {"name": _NAME}}
    api.create(path, named)
    api.create(f"{rbac}/clusterroles", {**named, "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]})
    api.create(
        f"{rbac}/clusterrolebindings",
        {
            **named,
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": _NAME},
            "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": _NAMESPACE}],
        },
    )
    token = api.call("POST", f"{path}/{_NAME}/token", {"spec": {}})["status"]["token"]
    # Kueue signs the certificate of its metrics itself, anew at each start; this is its port on loopback.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", lab.ports()["kueue-metrics"], timeout=30, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().read().decode()
