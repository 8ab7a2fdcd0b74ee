"""TritonService with a published model: each pod fetches, opens and verifies it before Triton starts."""

import pulumi
import pytest

from falaj.components import ConfigError, TritonService

DIGEST = "sha256:" + "0123456789abcdef" * 4
TENANT = {"namespace": "vision", "labels": {"owner": "vision-team"}}
STORE = {
    "bucket": "artifacts",
    "arn": "arn:aws:s3:::artifacts",
    "classification": "restricted",
    "kind": "model-artifacts",
}
KEY = "arn:aws:kms:me-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
PUBLIC = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
ARGS = {
    "tenant": TENANT,
    "image": f"registry.example/nvidia/tritonserver@{DIGEST}",
    "model": "detector",
    "version": 3,
    "store": STORE,
    "signing_key": PUBLIC,
    "sealing_key": KEY,
    "fetcher_image": f"registry.example/falaj/serving@{DIGEST}",
}


@pytest.fixture
def made(run, engine, providers):
    def make(without=(), **change):
        args = {key: value for key, value in {**ARGS, **change}.items() if key not in without}
        run(lambda: TritonService("detector", args, providers()).url)
        return engine

    return make


def template(engine):
    return engine.one("Deployment")["spec"]["template"]


def words(container):
    """Return the command's options with their values."""
    command, *args = container["args"]
    assert command == "fetch"
    return dict(zip(args[::2], args[1::2], strict=True))


def test_the_pod_fetches_opens_and_verifies_the_model_before_triton_starts(made):
    engine = made()
    (fetch,) = template(engine)["spec"]["initContainers"]
    assert fetch["command"] == ["falaj-serve"]
    assert fetch["image"] == ARGS["fetcher_image"]
    assert words(fetch) == {
        "--store": "s3://artifacts/vision",
        "--model": "detector",
        "--version": "$(FALAJ_MODEL_VERSION)",
        "--tenant": "vision",
        "--key": f"aws-kms:{KEY}",
        "--public-key": "/etc/falaj/publisher/publisher.pem",
        "--into": "/models",
    }
    assert fetch["securityContext"]["readOnlyRootFilesystem"] is True
    assert "nvidia.com/gpu" not in fetch["resources"]["limits"]


def test_the_version_is_an_annotation_that_the_pod_reads_of_itself(made):
    found = template(made(digest=DIGEST))
    assert found["metadata"]["annotations"] == {"falaj.dev/model-version": "3", "falaj.dev/model-digest": DIGEST}
    variables = {each["name"]: each for each in found["spec"]["initContainers"][0]["env"]}
    for name, annotation in (("VERSION", "model-version"), ("DIGEST", "model-digest")):
        path = variables[f"FALAJ_MODEL_{name}"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert path == f"metadata.annotations['falaj.dev/{annotation}']"
    assert variables["AWS_REGION"]["value"] == "me-central-1"


def test_what_was_opened_is_in_memory_alone_and_triton_only_reads_it(made):
    spec = template(made(model_size="4Gi"))["spec"]
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert volumes["models"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "4Gi"}
    assert all(each["emptyDir"]["medium"] == "Memory" for each in volumes.values() if "emptyDir" in each)
    (triton,) = spec["containers"]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in triton["volumeMounts"]


def test_triton_loads_the_verified_model_and_no_other(made):
    (triton,) = template(made())["spec"]["containers"]
    assert triton["args"][:4] == [
        "tritonserver",
        "--model-repository=/models",
        "--model-control-mode=explicit",
        "--load-model=detector",
    ]


def test_the_publishers_key_is_a_map_that_nobody_changes_and_another_key_is_another_map(made, engine):
    made()
    first = engine.one("ConfigMap")
    assert first["immutable"] is True
    assert first["data"] == {"publisher.pem": PUBLIC}
    (mounted,) = (each for each in template(engine)["spec"]["volumes"] if each["name"] == "publisher")
    assert mounted["configMap"]["name"] == first["metadata"]["name"]
    engine.made.clear()
    made(signing_key=PUBLIC.replace("QgAE", "QgAF"))
    assert engine.one("ConfigMap")["metadata"]["name"] != first["metadata"]["name"]


def test_a_version_that_falaj_serve_set_is_left_as_it_is(made, monkeypatch):
    seen = {}
    merge = pulumi.ResourceOptions.merge

    def merged(first, second):
        found = merge(first, second)
        if found.ignore_changes:
            seen["ignored"] = found.ignore_changes
        return found

    monkeypatch.setattr(pulumi.ResourceOptions, "merge", staticmethod(merged))
    made()
    # Nothing else is an annotation of the template, so that nothing else is ignored.
    assert seen["ignored"] == ["spec.template.metadata.annotations"]


def test_keys_that_are_known_later_are_taken_as_outputs(made):
    engine = made(sealing_key=pulumi.Output.from_input(KEY), signing_key=pulumi.Output.from_input(PUBLIC))
    (fetch,) = template(engine)["spec"]["initContainers"]
    assert words(fetch)["--key"] == f"aws-kms:{KEY}"


def test_a_key_of_vault_needs_vaults_address_and_no_region(made):
    address = {"VAULT_ADDR": "https://vault.vault.svc:8200"}
    (fetch,) = template(made(sealing_key="vault:transit/vision", environment=address))["spec"]["initContainers"]
    assert words(fetch)["--key"] == "vault:transit/vision"
    variables = {each["name"]: each.get("value") for each in fetch["env"]}
    assert variables["VAULT_ADDR"] == address["VAULT_ADDR"]
    assert "AWS_REGION" not in variables


def test_a_store_by_its_url_and_another_folder_of_a_store_are_found(made, engine):
    (fetch,) = template(made(without=("store",), model_repository="s3://elsewhere/models"))["spec"]["initContainers"]
    assert words(fetch)["--store"] == "s3://elsewhere/models"
    engine.made.clear()
    (fetch,) = template(made(store_prefix="vision/models"))["spec"]["initContainers"]
    assert words(fetch)["--store"] == "s3://artifacts/vision/models"


@pytest.mark.parametrize(
    ("without", "change", "message"),
    [
        *(
            (
                (missing,),
                {},
                f"detector.{missing} must be given for a published model: it is verified before load (got None)",
            )
            for missing in ("version", "signing_key", "sealing_key", "fetcher_image")
        ),
        (
            ("model",),
            {},
            "detector.version must be left out unless model names what is fetched (got 3)",
        ),
        (
            (),
            {"model_repository": "s3://other/models"},
            "detector.model_repository must be there where store is not, and only there: models come from one place"
            " (got 's3://other/models')",
        ),
        ((), {"version": 0}, "detector.version must be a whole number from 1 to 1000000000 (got 0)"),
        (
            (),
            {"store": {**STORE, "kind": "scratch"}},
            "detector.store must be of the kind model-artifacts, whose versions are locked (got 'scratch')",
        ),
        (
            (),
            {"signing_key": "-----BEGIN PRIVATE KEY-----\nMFkw\n-----END PRIVATE KEY-----\n"},
            "detector.signing_key must be a public key in PEM, -----BEGIN PUBLIC KEY----- (got 'a private key')",
        ),
        (
            (),
            {"sealing_key": "alias/models"},
            "detector.sealing_key must be the ARN of a KMS key, or vault:MOUNT/KEY (got 'alias/models')",
        ),
        (
            (),
            {"sealing_key": "vault:transit/vision"},
            "detector.environment must have VAULT_ADDR, an https address, for a key of Vault (got {})",
        ),
        (
            (),
            {"environment": {"FALAJ_MODEL_VERSION": "9"}},
            "detector.environment must leave out what the component sets itself (got 'FALAJ_MODEL_VERSION')",
        ),
        (
            (),
            {"fetcher_image": "registry.example/falaj/serving:1"},
            "detector.fetcher_image must be an image by digest, registry/repository@sha256:<64 hex digits>"
            " (got 'registry.example/falaj/serving:1')",
        ),
        ((), {"digest": "abc"}, "detector.digest must be sha256: and 64 hexadecimal digits (got 'abc')"),
        (
            (),
            {"model_size": "16Gi"},
            "detector.memory must be more than what models, cache, /tmp and shared memory take of it, 19Gi"
            " (got '16Gi')",
        ),
    ],
)
def test_what_could_not_be_verified_is_refused_before_anything_is_made(made, engine, without, change, message):
    with pytest.raises(ConfigError) as refused:
        made(without, **change)
    assert str(refused.value) == message
    assert not [each for each in engine.made if each.typ == "falaj:index:TritonService"]
