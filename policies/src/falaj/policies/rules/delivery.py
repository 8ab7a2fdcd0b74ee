"""What is delivered into a cluster by Helm and Argo CD: pinned, from named places, and no further than meant."""

import re
from typing import Any

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import View

_RELEASE = "kubernetes:helm.sh/v3:Release"
_CHARTS = (_RELEASE, "kubernetes:helm.sh/v4:Chart")
_ARGO = "kubernetes:argoproj.io/v1alpha1"
_APPLICATIONS = (f"{_ARGO}:Application", f"{_ARGO}:ApplicationSet")
_PROJECT = f"{_ARGO}:AppProject"
_EXACT = re.compile(r"v?\d+\.\d+\.\d+(-[\w.-]+)?(\+[\w.-]+)?")
_REPOSITORIES = Setting(
    {
        "type": "array",
        "items": {"type": "string"},
        "description": "Repositories, or folders in them, that charts may come from, for example "
        "oci://registry.example/charts; none given means any that is reached over TLS",
    },
    (),
)


def _is_local(chart: Any) -> bool:
    return str(chart).startswith((".", "/"))


@rule(
    "FJ-HLM-001",
    "Charts are pinned to a version",
    Severity.HIGH,
    ("A.8.9", "A.8.32", "A.5.21", "ZT-5"),
    _CHARTS,
    "Set version to one version, not a range; or name the chart by digest.",
)
def pinned(release: Resource, _: Context) -> Checks:
    """Without a version each run installs whatever is newest."""
    chart = release["chart"]
    fixed = chart.test(lambda text: _is_local(text) or "@sha256:" in str(text))
    exact = release["version"].test(lambda text: bool(_EXACT.fullmatch(str(text))))
    yield must(exact | fixed, "is not one version")


@rule(
    "FJ-HLM-002",
    "Charts come from a repository that is named, over TLS",
    Severity.HIGH,
    ("A.5.21", "A.8.19", "A.8.24", "ZT-5"),
    _CHARTS,
    "Take the chart from an allowed repository, by https:// or oci://.",
    settings={"chartRepositories": _REPOSITORIES},
)
def repositories(release: Resource, context: Context) -> Checks:
    """A chart runs with the rights of whoever installs it."""
    allowed = tuple(f"{str(each).rstrip('/')}/" for each in context.settings["chartRepositories"]) or (
        "https://",
        "oci://",
    )
    chart, place = release["chart"], release["repositoryOpts"]["repo"]
    from_place = place.test(lambda url: f"{str(url).rstrip('/')}/".startswith(allowed))
    whole = chart.test(lambda text: str(text).startswith(allowed) or _is_local(text))
    yield must(from_place | whole, "is from no allowed repository")


@rule(
    "FJ-HLM-003",
    "Releases that fail are taken back",
    Severity.LOW,
    ("A.8.32",),
    (_RELEASE,),
    "Set atomic to true.",
    fix={"atomic": True},
)
def atomic(release: Resource, _: Context) -> Checks:
    """Halfway is worse than not at all."""
    yield must(release["atomic"].is_true(), "stays halfway when it fails")


def _template(application: Resource) -> View:
    spec = application["spec"]
    return spec["template"]["spec"] if application.type.endswith("Set") else spec


@rule(
    "FJ-ARG-001",
    "Applications belong to a project of their own",
    Severity.HIGH,
    ("A.5.15", "A.8.3", "A.8.31", "ZT-6"),
    _APPLICATIONS,
    "Name an AppProject that says where the application may come from and go to.",
)
def project(application: Resource, _: Context) -> Checks:
    """The project default lets everything come from and go anywhere."""
    name = _template(application)["project"]
    yield must(name.is_set() & ~name.equals("default"), "may come from and go anywhere")


@rule(
    "FJ-ARG-002",
    "Applications are pinned to a revision",
    Severity.MEDIUM,
    ("A.8.32", "A.8.9", "ZT-5"),
    _APPLICATIONS,
    "Set targetRevision to a tag, a commit or one version of a chart.",
)
def revision(application: Resource, _: Context) -> Checks:
    """HEAD, the default, delivers whatever was pushed last."""
    spec = _template(application)
    for source in (*spec["source"].each(), *spec["sources"].each()):
        target = source["targetRevision"]
        moves = target.test(lambda text: text == "HEAD" or any(mark in str(text) for mark in "*^~<>|"))
        yield must(target.is_set() & ~moves, "moves by itself")


@rule(
    "FJ-ARG-003",
    "Automatic delivery mends drift, and never empties",
    Severity.MEDIUM,
    ("A.8.9", "A.8.14", "A.8.32"),
    _APPLICATIONS,
    "Set syncPolicy.automated.selfHeal to true, and leave allowEmpty false.",
)
def automation(application: Resource, _: Context) -> Checks:
    """A mistake that leaves no manifests must not delete everything; a change by hand must not stay."""
    automated = _template(application)["syncPolicy"]["automated"]
    is_on = automated.test(lambda _: True) & ~automated["enabled"].equals(False)
    if is_on.truth is False:
        return
    yield never(is_on & automated["allowEmpty"].is_true(), "may delete everything")
    yield must(~is_on | automated["selfHeal"].is_true(), "leaves changes by hand")


@rule(
    "FJ-ARG-004",
    "Projects name what may come in, and where it may go",
    Severity.HIGH,
    ("A.5.15", "A.8.3", "A.5.21", "ZT-6"),
    (_PROJECT,),
    "List repositories, clusters, namespaces and kinds, without a bare wildcard.",
)
def boundaries(project: Resource, _: Context) -> Checks:
    """Argo CD itself may do everything: the project is the only bound."""
    spec = project["spec"]
    for repository in spec["sourceRepos"].each():
        yield never(repository.among(("*", "**")), "may come from anywhere")
    for destination in spec["destinations"].each():
        yield never(destination["namespace"].equals("*"), "may go to any namespace")
        anywhere = destination["server"].equals("*") | destination["name"].equals("*")
        yield never(anywhere, "may go to any cluster")
    for kind in spec["clusterResourceWhitelist"].each():
        yield never(kind["kind"].equals("*"), "any kind of the cluster may be made")


RULES: tuple[Rule, ...] = (
    pinned,
    repositories,
    atomic,
    project,
    revision,
    automation,
    boundaries,
)
