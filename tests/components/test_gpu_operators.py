"""GpuOperators: charts and images of the home region only, bound to GPU nodes, and Kueue as in the lab."""

from importlib import resources
from pathlib import Path

import pytest
import yaml
from component_samples import NETWORK, OWNERSHIP, REGIME

import falaj.lab
from falaj.components import ConfigError, GpuAgent, GpuOperators, MigStrategy, kueue_configuration
from falaj.components.charts import charts
from falaj.components.mirror_list import main

HOST = "123456789012.dkr.ecr.me-central-1.amazonaws.com"
ARGS = {
    "registry": {"registry": HOST, "prefixes": {"registry.k8s.io": "k8s"}},
    "network": NETWORK,
    "regime": REGIME,
    "ownership": OWNERSHIP,
}
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "gpu-operators" / "__main__.py"
OPERATOR = {
    "charts/gpu-operator": "v26.1.0",
    "gpu-operator": "v26.1.0",
    "k8s-device-plugin": "v0.19.3",
    "k8s-mig-manager": "v0.14.4",
    "node-feature-discovery": "v0.18.3",
}


def releases(engine):
    return {release["name"]: release for release in engine.all("Release")}


def images(values):
    """Yield whatever a chart's values name as an image."""
    if isinstance(values, dict):
        if "repository" in values:
            yield values["repository"]
        for inner in values.values():
            yield from images(inner)


def test_a_cluster_gets_the_device_plugin_metrics_and_kueue_in_pinned_versions(run, engine, providers):
    told = run(lambda: GpuOperators("gpus", ARGS, providers()).releases)
    assert told == {"nvidia-device-plugin": "0.19.3", "dcgm-exporter": "4.8.3", "kueue": "0.19.2"}
    assert {name: release["version"] for name, release in releases(engine).items()} == told
    assert all(release["atomic"] for release in releases(engine).values())


def test_charts_and_images_come_from_the_home_region_s_registry_alone(run, engine, providers):
    wanted = {**ARGS, "efa": True, "agent": GpuAgent.GPU_OPERATOR, "versions": OPERATOR}
    run(lambda: GpuOperators("gpus", wanted, providers()).releases)
    for name, release in releases(engine).items():
        assert release["chart"] == f"oci://{HOST}/charts/{name}"
        found = [*images(release["values"])]
        assert found
        assert all(image.startswith(f"{HOST}/") for image in found), name


def test_an_image_is_in_the_mirror_of_its_upstream_or_under_its_own_name(run, engine, providers):
    run(lambda: GpuOperators("gpus", ARGS, providers()).releases)
    manager = releases(engine)["kueue"]["values"]["controllerManager"]["manager"]
    assert (manager["image"]["repository"], manager["image"]["tag"]) == (f"{HOST}/k8s/kueue/kueue", "v0.19.2")
    plugin = releases(engine)["nvidia-device-plugin"]["values"]
    assert plugin["image"]["repository"] == f"{HOST}/nvidia/k8s-device-plugin"


def test_a_digest_is_added_to_the_tag(run, engine, providers):
    digest = "sha256:" + 64 * "a"
    run(lambda: GpuOperators("gpus", {**ARGS, "digests": {"kueue": digest}}, providers()).releases)
    manager = releases(engine)["kueue"]["values"]["controllerManager"]["manager"]
    assert manager["image"]["tag"] == f"v0.19.2@{digest}"


def test_agents_run_on_gpu_nodes_and_tolerate_their_taint(run, engine, providers):
    run(lambda: GpuOperators("gpus", {**ARGS, "efa": True}, providers()).releases)
    for name in ("nvidia-device-plugin", "dcgm-exporter", "aws-efa-k8s-device-plugin"):
        release = releases(engine)[name]
        assert release["namespace"] == "kube-system"
        assert release["values"]["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
        (toleration,) = release["values"]["tolerations"]
        assert (toleration["key"], toleration["effect"]) == ("nvidia.com/gpu", "NoSchedule")


def test_the_plugin_has_a_configuration_for_each_number_of_slices(run, engine, providers):
    wanted = {**ARGS, "time_slices": [4, 2, 4], "mig_strategy": MigStrategy.SINGLE}
    run(lambda: GpuOperators("gpus", wanted, providers()).releases)
    config = releases(engine)["nvidia-device-plugin"]["values"]["config"]
    assert config["default"] == "default"
    found = {name: yaml.safe_load(text) for name, text in config["map"].items()}
    assert set(found) == {"default", "time-slices-2", "time-slices-4"}
    assert all(each["flags"]["migStrategy"] == "single" for each in found.values())
    sharing = found["time-slices-4"]["sharing"]["timeSlicing"]
    assert sharing["resources"] == [{"name": "nvidia.com/gpu", "replicas": 4}]
    assert sharing["renameByDefault"]
    assert "sharing" not in found["default"]


def test_the_operator_s_plugin_is_configured_alike_and_leaves_the_driver_to_the_machine_image(run, engine, providers):
    wanted = {**ARGS, "agent": GpuAgent.GPU_OPERATOR, "versions": OPERATOR, "time_slices": [2]}
    run(lambda: GpuOperators("gpus", wanted, providers()).releases)
    values = releases(engine)["gpu-operator"]["values"]
    assert set(values["devicePlugin"]["config"]["data"]) == {"default", "time-slices-2"}
    assert not values["driver"]["enabled"]
    assert not values["toolkit"]["enabled"]
    assert values["migManager"]["version"] == "v0.14.4"
    assert "nvidia-device-plugin" not in releases(engine)


def test_kueue_shares_by_the_same_configuration_as_in_the_lab(run, engine, providers):
    lab = resources.files(falaj.lab).joinpath("kubernetes", "kueue.yaml").read_text()
    assert kueue_configuration() == yaml.safe_load(lab)
    run(lambda: GpuOperators("gpus", ARGS, providers()).releases)
    given = releases(engine)["kueue"]["values"]["managerConfig"]["controllerManagerConfigYaml"]
    assert yaml.safe_load(given).items() >= kueue_configuration().items()


def test_kueue_s_namespace_is_restricted_and_denies_what_is_not_kueue_s(run, engine, providers):
    run(lambda: GpuOperators("gpus", ARGS, providers()).releases)
    namespace = engine.one("Namespace")["metadata"]
    for mode in ("enforce", "audit", "warn"):
        assert namespace["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in engine.all("NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies["kueue"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "kueue"}}


def test_kueue_talks_to_the_api_server_in_its_network_and_is_scraped_from_one_namespace(run, engine, providers):
    run(lambda: GpuOperators("gpus", {**ARGS, "metrics_namespace": "observers"}, providers()).releases)
    (kueue,) = [each["spec"] for each in engine.all("NetworkPolicy") if each["metadata"]["name"] == "kueue"]
    server = [{"ipBlock": {"cidr": NETWORK["cidr"]}}]
    called, scraped = kueue["ingress"]
    assert (called["from"], [each["port"] for each in called["ports"]]) == (server, [8082, 9443])
    observers = {"matchLabels": {"kubernetes.io/metadata.name": "observers"}}
    assert (scraped["from"], [each["port"] for each in scraped["ports"]]) == (
        [{"namespaceSelector": observers}],
        [8443],
    )
    assert kueue["egress"] == [{"to": server, "ports": [{"port": 443, "protocol": "TCP"}]}]


def test_what_is_not_wanted_is_not_there(run, engine, providers):
    run(lambda: GpuOperators("gpus", {**ARGS, "kueue": False, "metrics": False}, providers()).releases)
    assert set(releases(engine)) == {"nvidia-device-plugin"}
    assert engine.all("Namespace") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"registry": {"registry": "nvcr.io", "prefixes": {}}},
            f"gpus.registry must be the registry of the home region and account, {HOST} (got 'nvcr.io')",
        ),
        (
            {"registry": {"registry": HOST.replace("me-central-1", "us-east-1"), "prefixes": {}}},
            f"gpus.registry must be the registry of the home region and account, {HOST}",
        ),
        ({"metrics_namespace": "Mon"}, "gpus.metrics_namespace must be"),
        ({"time_slices": [1]}, "gpus.time_slices must be a whole number from 2 to 16 (got 1)"),
        (
            {"agent": "gpu-operator"},
            "gpus.versions.gpu-operator must be named: charts.toml pins no version that a source fits (got None)",
        ),
        (
            {"versions": {"kueue": "latest"}},
            "gpus.versions.kueue must be one version, such as 0.17.1 or v0.19.3 (got 'latest')",
        ),
        (
            {"versions": {"kueue": "v0.18.3"}},
            "gpus.versions.kueue must be v0.19.2 or later, which has its feature gates (got 'v0.18.3')",
        ),
        (
            {"versions": {"nginx": "1.0.0"}},
            "gpus.versions.nginx must be left out; versions may be named for charts/dcgm-exporter, charts/kueue,"
            " charts/nvidia-device-plugin, dcgm-exporter, k8s-device-plugin, kueue (got '1.0.0')",
        ),
        (
            {"digests": {"kueue": "sha256:abc"}},
            "gpus.digests.kueue must be sha256: and 64 hexadecimal digits (got 'sha256:abc')",
        ),
        (
            {"digests": {"aws-efa-k8s-device-plugin": "sha256:" + 64 * "a"}},
            "gpus.digests.aws-efa-k8s-device-plugin must be left out; there are the images dcgm-exporter,"
            " k8s-device-plugin, kueue",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, engine, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: GpuOperators("gpus", {**ARGS, **change}, providers()))
    assert str(refused.value).startswith(message)
    assert releases(engine) == {}


def test_every_chart_says_where_its_version_was_seen():
    for chart in charts().values():
        assert chart.source and chart.images, chart.name


def test_the_mirror_list_names_every_pinned_chart_and_image_with_its_version(capsys):
    assert main(["--registry", HOST]) == 0
    told = capsys.readouterr()
    listed = {tuple(line.split("\t")) for line in told.out.splitlines()}
    for chart in charts().values():
        if chart.version:
            where = f"oci://{HOST}/charts/{chart.name}:{chart.version}"
            assert ("chart", f"{chart.upstream}/{chart.name}:{chart.version}", where) in listed
            assert all(
                ("image", f"{image.upstream}:{image.version}") in {each[:2] for each in listed}
                for image in chart.images
            )
    assert "gpu-operator is left out where no --version names" in told.err


def test_the_mirror_list_leaves_out_what_a_mirror_brings_in_and_takes_other_versions(capsys):
    assert main(["--registry", HOST, "--mirror", "registry.k8s.io=k8s", "--version", "k8s-device-plugin=v0.20.0"]) == 0
    told = capsys.readouterr().out
    assert "kueue/kueue:" not in told
    assert f"{HOST}/nvidia/k8s-device-plugin:v0.20.0" in told


def test_the_example_has_a_repository_for_every_chart_and_image_that_it_takes(run, engine):
    names = {}

    def program():
        exec(compile(EXAMPLE.read_text(), str(EXAMPLE), "exec"), names)  # noqa: S102 - the example is ours
        return names["operators"].releases

    assert "kueue" in run(program)
    mirrored = (f"{HOST}/k8s/",)
    repositories = {f"{HOST}/{made['name']}" for made in engine.all("Repository")}
    for release in releases(engine).values():
        assert release["chart"].removeprefix("oci://") in repositories
        taken = [image for image in images(release["values"]) if not image.startswith(mirrored)]
        assert set(taken) <= repositories
