"""The proofs of residency and the data-flow picture."""

import dataclasses
import json
from typing import Any
from xml.etree import ElementTree

from policies.making import AWS_PROVIDER, BUCKET, DEPLOYMENT, HOME, KEY, SSE, container, make, pod, urn

from falaj.policies.model import Resource, Verdict
from falaj.policies.residency.flow import flow, headline, mermaid
from falaj.policies.residency.flow_svg import svg
from falaj.policies.residency.places import REGIONS
from falaj.policies.residency.proofs import KINDS, STATE, Proof, proofs, summary
from falaj.policies.values import UNKNOWN

LOGS = "aws:cloudwatch/logGroup:LogGroup"
CDN = "aws:cloudfront/distribution:Distribution"
FIREHOSE = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
IMAGE = "123456789012.dkr.ecr.me-central-1.amazonaws.com/app@sha256:" + "0" * 64
STATED: dict[str, Any] = {"stateBackend": "s3://states?region=me-central-1"}
SECRET = "Pl4ntedS3cret"


def sound() -> list[Resource]:
    env = [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4317"}]
    return [
        make(AWS_PROVIDER, HOME, name="aws"),
        make(KEY, {"arn": "arn:aws:kms:me-central-1:123456789012:key/1", "multiRegion": False}, name="data"),
        make(BUCKET, {"bucket": "sets", "id": "sets"}, name="sets"),
        make(
            SSE,
            {
                "bucket": "sets",
                "rules": [
                    {
                        "applyServerSideEncryptionByDefault": {
                            "kmsMasterKeyId": "arn:aws:kms:me-central-1:123456789012:key/1"
                        }
                    }
                ],
            },
            name="sse",
        ),
        make(LOGS, {"kmsKeyId": UNKNOWN}, name="audit", kmsKeyId=urn(KEY, "data")),
        make(DEPLOYMENT, pod(container(image=IMAGE, env=env)), name="app", provider=None),
    ]


def leaky() -> list[Resource]:
    url = {"httpEndpointConfiguration": {"url": f"https://{SECRET}.example.com/{SECRET}"}}
    return [*sound(), make(CDN, {}, name="site"), make(FIREHOSE, url, name="vendor")]


def of(given: list[Proof], kind: str) -> list[Proof]:
    return [proof for proof in given if proof.kind == kind]


def test_there_is_a_proof_for_each_store_key_image_sink_endpoint_and_state() -> None:
    given = proofs(sound(), STATED)
    assert {proof.verdict for proof in given} == {Verdict.PASS}
    for kind in ("store", "key", "image", "log sink", "telemetry", "state"):
        assert of(given, kind), kind
    (image,) = of(given, "image")
    assert image.subject == urn(DEPLOYMENT, "app")
    assert image.regions == ("me-central-1",)
    assert image.source == "spec.template.spec.containers[0].image"
    (endpoint,) = of(given, "telemetry")
    assert endpoint.regions == ("here",)
    assert {proof.source for proof in of(given, "key") if proof.subject == urn(KEY, "data")} == {
        "provider.region",
        "multiRegion",
    }


def test_a_state_of_which_nobody_speaks_is_undetermined() -> None:
    (state,) = of(proofs(sound()), "state")
    assert (state.subject, state.verdict) == (STATE, Verdict.UNDETERMINED)
    (told,) = of(proofs(sound(), {"stateBackend": "https://api.pulumi.com"}), "state")
    assert (told.subject, told.verdict) == (STATE, Verdict.FAIL)


def test_a_key_that_can_be_copied_is_not_proven() -> None:
    given = proofs([make(KEY, {"multiRegion": True})], STATED)
    assert {proof.source: proof.verdict for proof in of(given, "key")} == {
        "provider.region": Verdict.PASS,
        "multiRegion": Verdict.FAIL,
    }


def test_an_unknown_value_is_undetermined_and_counted() -> None:
    given = proofs([make(BUCKET, {"region": UNKNOWN})], STATED)
    assert summary(given)["store"][Verdict.UNDETERMINED] == 1


def test_what_leaves_is_shown_without_what_may_be_secret() -> None:
    given = proofs(leaky(), STATED)
    failed = {(proof.kind, proof.regions) for proof in given if proof.verdict is Verdict.FAIL}
    assert failed == {("edge", ("global",)), ("telemetry", ("elsewhere",))}
    shown = flow(leaky(), STATED)
    for text in (json.dumps([dataclasses.asdict(proof) for proof in given]), mermaid(shown), svg(shown)):
        assert SECRET not in text


def test_a_registered_transfer_passes_by_the_register_and_is_shown_so() -> None:
    entry = {
        "id": "T-1",
        "resource": urn(CDN, "site"),
        "rules": ["FJ-RES-040"],
        "destinations": ["global"],
        "basis": "approval",
        "article": "Letter 12",
        "owner": "dpo@example.ae",
        "classification": "public",
        "expires": "2027-01-31",
    }
    settings = STATED | {"transfers": [entry], "today": "2026-12-01"}
    (edge,) = of(proofs(leaky(), settings), "edge")
    assert edge.verdict is Verdict.PASS
    assert "by transfer T-1" in edge.why
    shown = flow(leaky(), settings)
    assert [(each.names, each.registered) for each in shown.leaving] == [(("site",), True), (("vendor",), False)]
    assert shown.failing == 1
    assert "Registered transfer to global" in svg(shown)
    assert ":::registered" in mermaid(shown)


def test_the_picture_groups_what_there_is_and_counts_who_refers_to_whom() -> None:
    shown = flow(sound(), STATED)
    assert {group.kind: group.size for group in shown.groups if group.size} == {
        "compute": 1,
        "image": 1,
        "state": 1,
        "store": 1,
        "log sink": 1,
        "telemetry": 1,
        "key": 1,
    }
    assert shown.flows == (("log sink", "key", 1), ("store", "key", 1))
    assert headline(shown) == "Data flow: nothing leaves the home region"


def test_what_is_undetermined_is_never_said_to_stay() -> None:
    shown = flow(sound())
    assert headline(shown) == "Data flow: nothing is known to leave the home region; 1 undetermined"
    assert "? 1 undetermined" in mermaid(shown)
    assert "? 1 undetermined" in svg(shown)


def test_the_picture_is_the_same_each_time_whatever_the_order() -> None:
    one, other = flow(leaky(), STATED), flow(list(reversed(leaky())), STATED)
    assert svg(one) == svg(other)
    assert mermaid(one) == mermaid(other)


def elements(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314 - our own picture


def test_the_svg_stands_alone_and_is_told_in_words() -> None:
    picture = svg(flow(leaky(), STATED))
    root = elements(picture)
    names = [child.tag.rpartition("}")[2] for child in root]
    assert names[:2] == ["title", "desc"]
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "flow-title flow-description"
    assert "vendor (events and telemetry): leaves to elsewhere" in (root[1].text or "")
    assert "✗ Leaves to elsewhere" in picture
    for foreign in ("http://www.w3.org/1999", "<script", "href", "@import", "url(http"):
        assert foreign not in picture


def test_names_are_taken_literally() -> None:
    odd = [make(BUCKET, {"region": "eu-west-1"}, name='a"<b>&')]
    shown = flow(odd, STATED)
    assert 'a"<b>&' in "".join(elements(svg(shown)).itertext())
    assert 'a"<b>' not in mermaid(shown)


def test_many_ways_out_stay_readable() -> None:
    regions = sorted(set(REGIONS) - {"me-central-1"})
    shown = flow([make(BUCKET, {"region": region}, name=region) for region in regions], STATED)
    assert len(shown.leaving) == len(regions)
    picture = svg(shown)
    assert f"and {len(regions) - 12} more, see below" in picture
    told = "".join(elements(picture)[1].itertext())
    assert all(f"leaves to {region}," in told for region in regions)


def test_every_kind_has_its_place_in_the_order() -> None:
    assert {proof.kind for proof in proofs(leaky())} <= set(KINDS)
