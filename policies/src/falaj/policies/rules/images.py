"""Images and software: each comes from a registry of the home region."""

from collections.abc import Iterator, Mapping

from falaj.policies.documents import parse
from falaj.policies.model import Context, Resource, Rule, Setting, Severity
from falaj.policies.pods import POD_TYPES, containers, pod_specs
from falaj.policies.residency.crossings import ARN, IMAGE, URL, Crossing, Way, below, crossing, follow, residency_rule
from falaj.policies.values import UNKNOWN

_MESSAGE = "comes from a registry that is not in the home region"
_TASK = "aws:ecs/taskDefinition:TaskDefinition"
_IMAGES: Mapping[str, tuple[str, ...]] = {
    "aws:lambda/function:Function": ("imageUri",),
    "aws:sagemaker/model:Model": ("primaryContainer.image", "containers.image"),
    "aws:apprunner/service:Service": ("sourceConfiguration.imageRepository.imageIdentifier",),
}
# Text of JSON that holds images, and where in it they are.
_DOCUMENTS: Mapping[str, tuple[str, str]] = {
    _TASK: ("containerDefinitions", "image"),
    "aws:batch/jobDefinition:JobDefinition": ("containerProperties", "image"),
}
_UPSTREAMS = Setting(
    {
        "type": "array",
        "items": {"type": "string"},
        "description": "Registries that images may be mirrored from: software comes in by them, no data goes out",
    },
    ("public.ecr.aws", "ghcr.io", "quay.io", "registry.k8s.io"),
)


@residency_rule(
    "FJ-RES-050",
    "Pods run images of the home region",
    Severity.HIGH,
    ("RES-6", "A.5.21", "A.8.19"),
    POD_TYPES,
    "Mirror the image into a registry of the home region; name other registries that are at home in homeDomains.",
    kind="image",
)
def pod_images(resource: Resource, context: Context) -> Iterator[Crossing]:
    """Where images come from tells others what runs, and decides whether anything runs when the border is closed."""
    for spec in pod_specs(resource):
        images = [container["image"] for container in containers(spec)]
        images += [volume["image"]["reference"] for volume in spec["volumes"].each() if isinstance(volume.value, dict)]
        for view in images:
            if view.value is not None:
                yield crossing(resource, view, Way("spec", IMAGE), context, _MESSAGE)


@residency_rule(
    "FJ-RES-051",
    "Services of AWS run images of the home region",
    Severity.HIGH,
    ("RES-6", "A.5.21", "A.8.19"),
    (*_IMAGES, *_DOCUMENTS),
    "Mirror the image into a registry of the home region.",
    kind="image",
)
def service_images(resource: Resource, context: Context) -> Iterator[Crossing]:
    """Tasks and jobs keep their containers in a text of JSON."""
    ways = [Way(path, IMAGE) for path in _IMAGES.get(resource.type, ())]
    yield from follow(resource, ways, context, _MESSAGE)
    if resource.type in _DOCUMENTS:
        name, key = _DOCUMENTS[resource.type]
        for container in parse(resource[name]).each():
            for view in below(container, key) if container.value is not UNKNOWN else [container]:
                yield crossing(resource, view, Way(name, IMAGE), context, _MESSAGE)


@residency_rule(
    "FJ-RES-052",
    "Images are mirrored from reviewed registries only",
    Severity.MEDIUM,
    ("RES-6", "A.5.21", "A.8.19"),
    ("aws:ecr/pullThroughCacheRule:PullThroughCacheRule",),
    "Mirror from a registry of the home region, or name the upstream in upstreamRegistries once it has been reviewed.",
    kind="image",
    settings={"upstreamRegistries": _UPSTREAMS},
)
def upstreams(rule: Resource, context: Context) -> Iterator[Crossing]:
    """A pull-through rule asks its upstream each time that somebody asks for an image that is not there yet."""
    upstream = rule["upstreamRegistryUrl"]
    allowed = upstream.among(context.settings["upstreamRegistries"])
    found = crossing(rule, upstream, Way("upstreamRegistryUrl", URL), context, "is not a registry that was reviewed")
    yield Crossing(~allowed & found.leaves, found.message, found.place, "is named in upstreamRegistries")


@residency_rule(
    "FJ-RES-053",
    "Charts and layers come from the home region",
    Severity.HIGH,
    ("RES-6", "A.5.21", "A.8.19"),
    ("kubernetes:helm.sh/v3:Release", "aws:lambda/function:Function"),
    "Mirror the chart, or the layer, into the home region.",
    kind="image",
)
def packages(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A chart is fetched at each deployment; a chart that is a path is in the program's own folder."""
    ways = [Way("repositoryOpts.repo", URL), Way("layers", ARN, ("aws:lambda/layerVersion:LayerVersion",))]
    if str(resource["chart"].value).startswith(("oci:", "http")) or resource["chart"].value is UNKNOWN:
        ways.append(Way("chart", URL))
    yield from follow(resource, ways, context, "comes from outside the home region")


RULES: tuple[Rule, ...] = (pod_images, service_images, upstreams, packages)
