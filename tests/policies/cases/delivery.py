"""What is delivered by Helm and Argo CD: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, make, simple

from falaj.policies.values import UNKNOWN

RELEASE = "kubernetes:helm.sh/v3:Release"
CHART = "kubernetes:helm.sh/v4:Chart"
ARGO = "kubernetes:argoproj.io/v1alpha1"
OCI = "oci://registry.example/charts/it"


def release(chart: Any = OCI, version: Any = "1.2.3", **more: Any) -> dict[str, Any]:
    """Return a release of a chart."""
    return {"chart": chart, "version": version} | more


def repository(url: Any) -> dict[str, Any]:
    """Return a release of a chart from a repository."""
    return release("it", repositoryOpts={"repo": url})


def application(kind: str, **spec: Any) -> dict[str, Any]:
    """Return an application, or what makes applications."""
    sound = {"project": "team", "source": {"repoURL": "https://git.example/it", "targetRevision": "v1.2.3"}} | spec
    return {"spec": {"template": {"spec": sound}} if kind.endswith("Set") else sound}


def source(revision: Any) -> dict[str, Any]:
    """Return where an application comes from."""
    return {"repoURL": "https://git.example/it", "targetRevision": revision}


def project(**changes: Any) -> dict[str, Any]:
    """Return a sound project with changes."""
    sound = {
        "sourceRepos": ["https://git.example/*"],
        "destinations": [{"server": "https://kubernetes.default.svc", "namespace": "team-*"}],
        "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
    }
    return {"spec": sound | changes}


KINDS = [f"{ARGO}:Application", f"{ARGO}:ApplicationSet"]
HEALS = {"automated": {"selfHeal": True, "prune": True}}
CASES: list[Case] = [
    *(
        simple("FJ-HLM-001", type_, good, bad, release(version=UNKNOWN))
        for type_ in (RELEASE, CHART)
        for good, bad in (
            (release(), release(version=None)),
            (release("./charts/it", None), release(version="^1.2.0")),
            (release(f"{OCI}@sha256:{'0' * 64}", None), release(version="1.x")),
        )
    ),
    *(
        simple("FJ-HLM-002", type_, good, bad, unknown)
        for type_ in (RELEASE, CHART)
        for good, bad, unknown in (
            (release(), release("it"), release(UNKNOWN)),
            (repository("https://charts.example"), repository("http://charts.example"), repository(UNKNOWN)),
        )
    ),
    Case(
        "FJ-HLM-002",
        [make(RELEASE, release())],
        [make(RELEASE, release("oci://registry.example.org/it"))],
        [make(RELEASE, release(UNKNOWN))],
        {"chartRepositories": ["oci://registry.example"]},
    ),
    simple("FJ-HLM-003", RELEASE, release(atomic=True), release(), release(atomic=UNKNOWN)),
    *(
        case
        for kind in KINDS
        for case in (
            simple(
                "FJ-ARG-001",
                kind,
                application(kind),
                application(kind, project="default"),
                application(kind, project=UNKNOWN),
            ),
            simple(
                "FJ-ARG-002",
                kind,
                application(kind),
                application(kind, source=source("HEAD")),
                application(kind, source=source(UNKNOWN)),
            ),
            simple(
                "FJ-ARG-002",
                kind,
                application(kind, sources=[source("1.2.3")]),
                application(kind, sources=[source("1.2.3"), source("1.*")]),
                application(kind, sources=UNKNOWN),
            ),
            simple(
                "FJ-ARG-003",
                kind,
                application(kind, syncPolicy=HEALS),
                application(kind, syncPolicy={"automated": {"selfHeal": True, "allowEmpty": True}}),
                application(kind, syncPolicy={"automated": UNKNOWN}),
            ),
            simple(
                "FJ-ARG-003",
                kind,
                application(kind),
                application(kind, syncPolicy={"automated": {}}),
                application(kind, syncPolicy={"automated": {"selfHeal": UNKNOWN}}),
            ),
        )
    ),
    *(
        simple("FJ-ARG-004", f"{ARGO}:AppProject", project(), project(**bad), project(sourceRepos=[UNKNOWN]))
        for bad in (
            {"sourceRepos": ["*"]},
            {"destinations": [{"server": "*", "namespace": "team"}]},
            {"destinations": [{"name": "prod", "namespace": "*"}]},
            {"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]},
        )
    ),
]
