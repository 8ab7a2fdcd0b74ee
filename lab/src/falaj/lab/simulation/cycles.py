"""How many scheduling cycles Kueue has gone through and how long one takes, by its own metrics."""

import contextlib
import http.client
import re
import ssl

from falaj.lab.errors import LabError
from falaj.lab.simulation.api import Api
from falaj.lab.state import Lab

_NAME, _NAMESPACE, _RBAC = "simulation-metrics", "kube-system", "rbac.authorization.k8s.io"
_TIMES = re.compile(r"^kueue_admission_attempt_duration_seconds_(sum|count)\{[^}]*\} (\S+)$", re.MULTILINE)


def cycles(lab: Lab, api: Api) -> dict[str, float] | None:
    """Return how many cycles there were since Kueue began and their mean seconds; nothing where Kueue does not answer.

    A cycle tries one work of each queue, and writes down why those wait that were not let in.
    """
    try:
        told = _TIMES.findall(_metrics(lab, api))
    except (OSError, http.client.HTTPException, LabError):
        return None
    count, seconds = (sum(float(value) for what, value in told if what == name) for name in ("count", "sum"))
    return {"count": count, "mean_seconds": round(seconds / count, 3)} if count else None


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
