"""The cluster's API, as far as a served model needs it: one Argo Rollout, its ReplicaSets and its analyses."""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from falaj.training.errors import RefusedError, TrainingError

_GROUP, _API_VERSION = "argoproj.io", "v1alpha1"
_TIMEOUT = (5, 30)
"""Seconds to connect, and to wait for an answer."""
HASH_LABEL = "rollouts-pod-template-hash"
FOLDER = "FALAJ_CLUSTER_FOLDER"
"""Where a pod has its token (``token``) and its cluster's authority (``ca.crt``), if not at Kubernetes' own place."""
_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
Object = Mapping[str, Any]


def parse_service(text: str) -> tuple[str, str]:
    """Return a service's namespace and name; raise `RefusedError` unless it is written NAMESPACE/NAME."""
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise RefusedError("--service", text, "must be NAMESPACE/NAME of the service's Rollout")
    return namespace, name


class Cluster:
    """One Rollout on one cluster."""

    def __init__(self, service: str, *, kubeconfig: Path | None = None, context: str | None = None) -> None:
        """Find the cluster by ``kubeconfig`` and ``context``, by KUBECONFIG, or from inside of one of its pods."""
        self.service = service
        self.namespace, self.name = parse_service(service)
        api = _api_client(kubeconfig, context)
        from kubernetes import client  # noqa: PLC0415 - an extra, see _api_client

        self._custom: Any = client.CustomObjectsApi(api)
        self._apps: Any = client.AppsV1Api(api)
        self._authentication: Any = client.AuthenticationV1Api(api)
        self._review: Any = client.V1SelfSubjectReview()
        self._plain: Callable[[Any], Any] = api.sanitize_for_serialization

    def rollout(self) -> Object:
        """Return the Rollout; raise `RefusedError` where there is none, or it may not be read."""
        with self._asking("get rollouts"):
            return self._custom.get_namespaced_custom_object(*self._rollout, _request_timeout=_TIMEOUT)

    def patch(self, change: Object) -> Object:
        """Merge a change into the Rollout, and return it."""
        with self._asking("patch rollouts"):
            return self._custom.patch_namespaced_custom_object(*self._rollout, change, _request_timeout=_TIMEOUT)

    def patch_status(self, change: Object) -> Object:
        """Merge a change into the Rollout's status, as Argo's own command line does."""
        with self._asking("patch rollouts/status"):
            return self._custom.patch_namespaced_custom_object_status(*self._rollout, change, _request_timeout=_TIMEOUT)

    def replica_sets(self, hashes: Sequence[str]) -> Sequence[Object]:
        """Return the Rollout's ReplicaSets with these hashes."""
        with self._asking("list replicasets"):
            found = self._apps.list_namespaced_replica_set(
                self.namespace, label_selector=f"{HASH_LABEL} in ({','.join(hashes)})", _request_timeout=_TIMEOUT
            )
            return [each for each in self._plain(found)["items"] if self._owns(each)]

    def analysis_runs(self, pod_hash: str) -> Sequence[Object]:
        """Return the analyses that the Rollout made of the pods with this hash, the oldest first."""
        with self._asking("list analysisruns"):
            found = self._custom.list_namespaced_custom_object(
                _GROUP,
                _API_VERSION,
                self.namespace,
                "analysisruns",
                label_selector=f"{HASH_LABEL}={pod_hash}",
                _request_timeout=_TIMEOUT,
            )
        mine = [each for each in found["items"] if self._owns(each)]
        return sorted(mine, key=lambda each: each["metadata"].get("creationTimestamp") or "")

    def user(self) -> str:
        """Return whom the cluster takes the caller for; where it does not say, that it is unknown."""
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 - an extra, see _api_client
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - what that client raises

        try:
            found = self._authentication.create_self_subject_review(self._review, _request_timeout=_TIMEOUT)
        except ApiException as error:
            return f"unknown: the cluster answered {error.status}"
        except (HTTPError, OSError) as error:
            return f"unknown: {type(error).__name__}"
        return str(self._plain(found)["status"]["userInfo"]["username"])

    @property
    def _rollout(self) -> tuple[str, str, str, str, str]:
        return _GROUP, _API_VERSION, self.namespace, "rollouts", self.name

    def _owns(self, each: Object) -> bool:
        owners = each["metadata"].get("ownerReferences") or []
        return any(owner.get("kind") == "Rollout" and owner.get("name") == self.name for owner in owners)

    @contextmanager
    def _asking(self, verb: str) -> Generator[None]:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 - an extra, see _api_client
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - what that client raises

        try:
            yield
        except ApiException as error:
            if error.status == 404:
                raise RefusedError("--service", self.service, "must be a Rollout that is there") from error
            if error.status in (401, 403):
                remedy = f"must be one that you may {verb} of in {self.namespace}: the cluster answered {error.status}"
                raise RefusedError("--service", self.service, remedy) from error
            raise TrainingError(
                f"the cluster answered {error.status} to {verb} {self.service}: {error.reason}"
            ) from error
        except (HTTPError, OSError) as error:
            raise TrainingError(f"the cluster did not answer: {error}") from error


def _api_client(kubeconfig: Path | None, context: str | None) -> Any:
    try:
        from kubernetes import config  # noqa: PLC0415 - an extra: pods that only fetch do without
        from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415 - the same
    except ImportError as error:
        raise TrainingError("--service needs the package kubernetes: install falaj-training[serve]") from error
    try:
        if kubeconfig is None and context is None and _inside_a_pod():
            from kubernetes import client  # noqa: PLC0415 - the same
            from kubernetes.config.incluster_config import InClusterConfigLoader  # noqa: PLC0415 - the same

            settings: Any = client.Configuration()
            folder = os.environ.get(FOLDER, _FOLDER)
            # It reads the token anew each minute, since a kubelet replaces it before it ends.
            InClusterConfigLoader(f"{folder}/token", f"{folder}/ca.crt").load_and_set(settings)
            return client.ApiClient(settings)
        return config.new_client_from_config(
            config_file=None if kubeconfig is None else str(kubeconfig), context=context, persist_config=False
        )
    except (ConfigException, OSError) as error:
        raise RefusedError(
            "--kubeconfig", None if kubeconfig is None else str(kubeconfig), f"must lead to a cluster: {error}"
        ) from error


def _inside_a_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ
