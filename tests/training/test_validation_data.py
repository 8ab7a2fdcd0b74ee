"""The data of a job as a whole: its tag, its files, its report, and the profile that only accepted data replaces."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pytest
from moto import mock_aws

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.validation.check import check_data, require_accepted, write_report
from falaj.training.validation.dataset import open_place
from falaj.training.validation.report import DataRefusedError, Report
from falaj.training.validation.section import DataChecks

COLUMNS = {"age": {"type": "integer", "minimum": 0}, "town": {"type": "string"}}
HOME = "me-central-1"


@dataclass(frozen=True)
class Table:
    location: str | None = "data"
    classification: str | None = "confidential"
    region: str | None = HOME


def people(rows: int = 400, seed: int = 0, older: float = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ages = rng.normal(40 + older, 5, rows).round().astype(int)
    return pd.DataFrame({"age": ages, "town": rng.choice(["Muscat", "Sur", "Nizwa"], rows)})


def write(base: Path, frame: pd.DataFrame, **tag: Any) -> str:
    """Write data and its tag, and return the digest."""
    (base / "data").mkdir(exist_ok=True)
    frame.to_csv(base / "data" / "people.csv", index=False)
    digest = open_place("data", base).digest()
    content = {"version": 1, "classification": "confidential", "region": HOME, "owner": "census", "digest": digest}
    kept = {name: value for name, value in (content | tag).items() if value is not None}
    (base / "data" / "dataset.json").write_text(json.dumps(kept))
    return digest


def look(base: Path, where: Table = Table(), data: Any = None, **asked: Any) -> Report:
    checks = DataChecks.model_validate({"columns": COLUMNS, "table": "people.csv"} | asked)
    return check_data(where, checks, data, job="people", base=base)


def refusals(report: Report) -> dict[tuple[str, str], str]:
    return {(each.check, each.subject): each.outcome for each in report.refusals()}


def test_good_data_with_its_tag_is_accepted(tmp_path: Path) -> None:
    digest = write(tmp_path, people())
    report = look(tmp_path)

    assert report.accepted
    require_accepted(report)
    assert (report.data_digest, report.rows) == (digest, 400)
    assert (report.classification, report.region, report.owner) == ("confidential", HOME, "census")


@pytest.mark.parametrize(
    ("tag", "table", "asked", "found"),
    [
        ({"classification": "restricted"}, Table(), {}, {("tag", "classification"): "fail"}),
        ({"classification": "public"}, Table(), {"classifications": ["internal"]}, {("tag", "classification"): "fail"}),
        ({"classification": "secret"}, Table(), {}, {("tag", ""): "fail"}),
        ({"classification": None}, Table(), {}, {("tag", ""): "fail"}),
        ({}, Table(classification=None), {}, {("tag", "classification"): "undetermined"}),
        ({"region": "eu-west-1"}, Table(), {}, {("tag", "region"): "fail"}),
        ({}, Table(region="eu-west-1"), {"home_region": HOME}, {("tag", "region"): "fail"}),
        ({}, Table(region=None), {}, {("tag", "region"): "undetermined"}),
        ({}, Table(region=None), {"home_region": HOME}, {("tag", "region"): "undetermined"}),
        ({"owner": None}, Table(), {}, {("tag", ""): "fail"}),
        ({"digest": None}, Table(), {}, {("tag", ""): "fail"}),
        ({"digest": "sha256:" + "0" * 64}, Table(), {}, {("tag", "digest"): "fail"}),
        ({"version": 2}, Table(), {}, {("tag", ""): "fail"}),
    ],
)
def test_a_tag_that_does_not_allow_the_job_is_refused(
    tmp_path: Path, tag: Any, table: Table, asked: Any, found: Any
) -> None:
    write(tmp_path, people(), **tag)

    assert refusals(look(tmp_path, table, **asked)) == found


def test_a_missing_tag_is_refused_and_not_passed(tmp_path: Path) -> None:
    digest = write(tmp_path, people())
    (tmp_path / "data" / "dataset.json").unlink()
    report = look(tmp_path)

    assert refusals(report) == {("tag", ""): "undetermined"}
    with pytest.raises(DataRefusedError, match=f"the data has no tag.*{digest}") as refusal:
        require_accepted(report)
    assert refusal.value.exit_code == 4


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version": 1}', "[" * 100_000])
def test_a_damaged_tag_is_refused(tmp_path: Path, content: str) -> None:
    write(tmp_path, people())
    (tmp_path / "data" / "dataset.json").write_text(content)

    assert refusals(look(tmp_path)) == {("tag", ""): "fail"}


def test_data_that_changed_after_it_was_tagged_is_refused(tmp_path: Path) -> None:
    write(tmp_path, people())
    with (tmp_path / "data" / "people.csv").open("a") as file:
        file.write("41,Sur\n")

    assert refusals(look(tmp_path)) == {("tag", "digest"): "fail"}


def test_a_file_that_came_or_was_renamed_changes_the_digest(tmp_path: Path) -> None:
    before = write(tmp_path, people())
    (tmp_path / "data" / "empty.csv").touch()
    with_another = open_place("data", tmp_path).digest()
    (tmp_path / "data" / "empty.csv").rename(tmp_path / "data" / "none.csv")

    assert len({before, with_another, open_place("data", tmp_path).digest()}) == 3


def test_a_single_file_and_a_tag_elsewhere_will_do(tmp_path: Path) -> None:
    write(tmp_path, people())
    table = Table(location="data/people.csv")
    assert look(tmp_path, table).accepted

    (tmp_path / "data" / "dataset.json").rename(tmp_path / "tag.json")
    assert refusals(look(tmp_path, table)) == {("tag", ""): "undetermined"}
    assert look(tmp_path, table, tag="tag.json").accepted


def test_data_that_the_users_code_makes_is_tagged_by_the_digest_of_its_examples(tmp_path: Path) -> None:
    table = Table(location=None)
    asked = {"table": None, "tag": "tag.json"}
    rows = people(50).to_dict(orient="records")
    digest = look(tmp_path, table, rows, **asked).data_digest
    tag = {"classification": "internal", "region": HOME, "owner": "me", "digest": digest}
    (tmp_path / "tag.json").write_text(json.dumps(tag))

    assert look(tmp_path, table, rows, **asked).accepted
    assert look(tmp_path, table, iter(rows), **asked).accepted
    assert refusals(look(tmp_path, table, people(50, seed=1), **asked)) == {("tag", "digest"): "fail"}


def test_a_data_set_shows_its_table_as_frame(tmp_path: Path) -> None:
    class Held:
        frame = people(50)

    write(tmp_path, people(50))
    assert look(tmp_path, data=Held(), table=None).accepted
    with pytest.raises(RefusedError, match="the checks name columns"):
        look(tmp_path, data=[1, 2], table=None)


def test_tables_are_read_as_lines_of_json_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [1, 2], "town": ["007", "x"], "seen": ["2024-01-01", "2024-01-02"]})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.jsonl").write_text(frame.to_json(orient="records", lines=True))
    columns = COLUMNS | {"seen": {"type": "datetime"}}
    report = look(tmp_path, table="people.jsonl", columns=columns)
    assert refusals(report) == {("tag", ""): "undetermined"}

    frame.to_csv(tmp_path / "data" / "people.csv", index=False)
    assert refusals(look(tmp_path, columns=columns)) == {("tag", ""): "undetermined"}, "text stays text"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("people.csv", b""),
        ("people.csv", b'age,town\n1,"Muscat 784-1990\n'),
        ("people.csv", b"age,town\n1,\xff\xfe784-1990\n"),
        ("people.jsonl", b'{"age": 1, "town": 784-1990\n'),
        ("people.xlsx", b"784-1990"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_without_quoting_it(tmp_path: Path, name: str, content: bytes) -> None:
    write(tmp_path, people())
    (tmp_path / "data" / name).write_bytes(content)
    report = look(tmp_path, table=name)

    assert not report.accepted
    assert ("table", name) in refusals(report)
    assert "784-1990" not in report.json() + report.html()


def test_no_files_too_few_rows_and_no_location_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert ("files", "") in refusals(look(tmp_path))

    write(tmp_path, people(9))
    assert refusals(look(tmp_path, least_rows=10)) == {("rows", ""): "fail"}
    write(tmp_path, people(0))
    assert ("rows", "") in refusals(look(tmp_path))
    with pytest.raises(RefusedError, match=r"data\.location must say where people\.csv lies"):
        look(tmp_path, Table(location=None))


def test_a_store_that_fails_is_no_verdict_about_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, people())

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("falaj.training.stores.local.LocalStore.read", broken)
    with pytest.raises(TrainingError, match=r"cannot be read: .*Input/output error"):
        look(tmp_path)


def drifting(first: str | None = None, **more: Any) -> dict[str, Any]:
    return {"drift": {"accepted": "profiles", **({"accept_first": first} if first else {}), **more}}


def test_the_reference_is_replaced_by_accepted_data_alone(tmp_path: Path) -> None:
    kept = tmp_path / "profiles" / "people.profile.json"
    digest = write(tmp_path, people())

    assert refusals(look(tmp_path, **drifting())) == {
        ("drift", "age"): "undetermined",
        ("drift", "town"): "undetermined",
    }
    assert not kept.exists()
    assert look(tmp_path, **drifting(first=digest)).accepted
    assert json.loads(kept.read_text())["data_digest"] == digest
    assert kept.stat().st_mode & 0o077 == 0
    assert look(tmp_path, **drifting()).accepted, "the same data again"

    write(tmp_path, people(seed=1, older=9))
    before = kept.read_bytes()
    assert refusals(look(tmp_path, **drifting(first=digest))) == {("drift", "age"): "fail"}
    write(tmp_path, people(seed=1), classification="restricted")
    assert refusals(look(tmp_path, **drifting())) == {("tag", "classification"): "fail"}
    assert kept.read_bytes() == before, "drifting data and refused data leave it as it was"

    later = write(tmp_path, people(seed=1))
    assert look(tmp_path, **drifting()).accepted
    assert json.loads(kept.read_text())["data_digest"] == later


def test_a_reference_that_stays_sees_slow_drift_and_one_that_follows_does_not(tmp_path: Path) -> None:
    outcomes: dict[bool, list[bool]] = {}
    for follow in (True, False):
        folder = {"accepted": f"profiles-{follow}", "follow": follow}
        outcomes[follow] = []
        for step in range(5):
            digest = write(tmp_path, people(2000, seed=step, older=step * 1.5))
            first = digest if step == 0 else None
            outcomes[follow].append(look(tmp_path, **drifting(first=first, **folder)).accepted)
    assert outcomes[True] == [True] * 5
    assert outcomes[False][:2] == [True, True]
    assert outcomes[False][-1] is False


def test_a_damaged_reference_refuses_the_data(tmp_path: Path) -> None:
    digest = write(tmp_path, people())
    assert look(tmp_path, **drifting(first=digest)).accepted
    kept = tmp_path / "profiles" / "people.profile.json"
    kept.write_bytes(kept.read_bytes().replace(b'"rows": 400', b'"rows": 401'))

    assert refusals(look(tmp_path, **drifting(first=digest))) == {("drift", ""): "fail"}


def test_only_named_columns_are_watched_and_dates_and_unique_ones_never_by_themselves(tmp_path: Path) -> None:
    frame = people().assign(id=range(400), seen=pd.date_range("2024-01-01", periods=400))
    digest = write(tmp_path, frame)
    columns = COLUMNS | {"id": {"type": "integer", "unique": True}, "seen": {"type": "datetime"}}

    def watched(**more: Any) -> set[str]:
        report = look(tmp_path, columns=columns, **drifting(first=digest, **more))
        return {each.subject for each in report.findings if each.check == "drift"}

    assert watched(accepted="one") == {"age", "town"}
    assert watched(accepted="two", columns=["id"]) == {"id"}


def test_tensors_are_watched_for_drift_too(tmp_path: Path) -> None:
    table = Table(location=None)
    asked: dict[str, Any] = {"columns": {}, "table": None, "tag": "tag.json", "tensors": {"0": {"shape": [3]}, "1": {}}}

    def examples(seed: int, rare: float) -> list[tuple[np.ndarray, int]]:
        rng = np.random.default_rng(seed)
        return [(rng.normal(size=3), int(rng.random() < rare)) for _ in range(500)]

    def judged(data: Any, **more: Any) -> Report:
        digest = look(tmp_path, table, data, **asked).data_digest
        tag = {"classification": "internal", "region": HOME, "owner": "me", "digest": digest}
        (tmp_path / "tag.json").write_text(json.dumps(tag))
        return look(tmp_path, table, data, **asked, **drifting(first=digest if more else None))

    assert judged(examples(0, 0.5), first=True).accepted
    assert judged(examples(1, 0.5)).accepted
    assert refusals(judged(examples(2, 0.9))) == {("drift", "1"): "fail"}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_report_is_written_as_json_and_as_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    frame = people()
    frame.loc[3, "age"] = -1
    write(tmp_path, frame, owner="<script>alert(1)</script>")
    report = look(tmp_path)
    page = write_report(report, tmp_path / "reports" / "now")

    told = json.loads((tmp_path / "reports" / "now" / "data-report.json").read_text())
    assert told["outcome"] == "fail"
    wrong = [each for each in told["findings"] if each["outcome"] == "fail"]
    assert [(each["check"], each["subject"], each["count"], each["rows"]) for each in wrong] == [
        ("minimum", "age", 1, [3])
    ]
    parser = _Tags()
    parser.feed(page.read_text())
    assert "script" not in {tag for tag, _ in parser.tags}
    assert not any(name in ("src", "href") for _, attributes in parser.tags for name in attributes)
    rows = [attributes["class"] for tag, attributes in parser.tags if tag == "tr" and "class" in attributes]
    assert (rows[0], set(rows[1:])) == ("fail", {"pass"})


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", HOME)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="people", CreateBucketConfiguration={"LocationConstraint": HOME})
        yield client


def test_a_buckets_tags_and_its_real_region_will_do_for_data_in_s3(tmp_path: Path, s3: Any) -> None:
    table = Table(location="s3://people/2026")
    s3.put_object(Bucket="people", Key="2026/people.csv", Body=people().to_csv(index=False).encode())
    assert refusals(look(tmp_path, table, tag="bucket")) == {("tag", ""): "undetermined"}

    s3.put_bucket_tagging(
        Bucket="people",
        Tagging={"TagSet": [{"Key": "owner", "Value": "census"}, {"Key": "classification", "Value": "internal"}]},
    )
    report = look(tmp_path, table, tag="bucket")
    assert report.accepted
    assert (report.owner, report.region, report.classification) == ("census", HOME, "internal")

    elsewhere = Table(location="s3://people/2026", region="eu-west-1")
    assert refusals(look(tmp_path, elsewhere, tag="bucket")) == {("tag", "region"): "fail"}
    s3.put_bucket_tagging(Bucket="people", Tagging={"TagSet": [{"Key": "owner", "Value": "census"}]})
    assert refusals(look(tmp_path, table, tag="bucket")) == {("tag", ""): "fail"}


def test_a_tag_beside_the_data_in_s3_is_read_there_and_so_is_the_profile(tmp_path: Path, s3: Any) -> None:
    table = Table(location="s3://people/2026")
    s3.put_object(Bucket="people", Key="2026/people.csv", Body=people().to_csv(index=False).encode())
    digest = open_place("s3://people/2026", tmp_path).digest()
    tag = {"classification": "internal", "region": HOME, "owner": "census", "digest": digest}
    s3.put_object(Bucket="people", Key="2026/dataset.json", Body=json.dumps(tag).encode())

    assert look(tmp_path, table, **drifting(first=digest, accepted="s3://people/profiles")).accepted
    assert (
        s3.list_objects_v2(Bucket="people", Prefix="profiles/")["Contents"][0]["Key"] == "profiles/people.profile.json"
    )


def test_a_bucket_tag_for_data_that_is_in_no_bucket_is_refused(tmp_path: Path) -> None:
    write(tmp_path, people())

    assert refusals(look(tmp_path, tag="bucket")) == {("tag", ""): "fail"}
