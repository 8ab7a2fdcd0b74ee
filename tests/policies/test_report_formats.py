"""Every format tells the same story, and none breaks on a hostile name."""

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from policies.report_samples import HOSTILE, RESOURCES, SECRET, UNMAPPED, sample, sound

from falaj.policies.assessment import Source, plain
from falaj.policies.errors import RefusedError
from falaj.policies.report import FORMATS, render
from falaj.policies.report.findings import schema

SCHEMAS = Path(__file__).parent / "schemas"
DOCS = Path(__file__).parents[2] / "docs"
ANYTHING_IN_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def read(name: str) -> Any:
    text = (SCHEMAS / name).read_text(encoding="utf-8")
    # Python's expressions have other words for letters and digits.
    return json.loads(text.replace("\\\\p{L}", "[^\\\\W\\\\d_]").replace("\\\\p{N}", "\\\\d"))


@pytest.fixture(scope="module")
def reports() -> dict[str, str]:
    return {format: render(sample(), format) for format in FORMATS}


def test_each_format_has_a_file_of_its_own() -> None:
    assert len(set(FORMATS.values())) == len(FORMATS) == 7


def test_a_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(RefusedError, match="must be one of table, json"):
        render(sample(), "pdf")


@pytest.mark.parametrize("format", FORMATS)
def test_a_report_can_be_written_and_holds_no_secret_and_no_command(reports: dict[str, str], format: str) -> None:
    text = reports[format]
    text.encode("utf-8")
    assert SECRET not in text
    assert not ANYTHING_IN_CONTROL.search(text)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_assessment_gives_the_same_report(reports: dict[str, str], format: str) -> None:
    assert render(sample(), format) == reports[format]


def test_the_json_fits_the_published_schema_and_names_every_resource(reports: dict[str, str]) -> None:
    found = json.loads(reports["json"])
    Draft202012Validator.check_schema(schema())
    Draft202012Validator(schema()).validate(found)
    assert {finding["urn"] for finding in found["findings"]} == {
        resource.urn for resource in RESOURCES if resource.type != UNMAPPED
    }
    assert found["summary"]["verdicts"] == {"pass": 4, "fail": 5, "undetermined": 1, "waived": 1}


def test_the_schema_is_published_in_the_docs() -> None:
    assert json.loads((DOCS / "policy-findings.schema.json").read_text(encoding="utf-8")) == schema()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("findings", 0, "verdict"), "unknown"),
        (("findings", 0, "controls"), []),
        (("findings", 0, "more"), 1),
        (("source", "sha256"), "short"),
        (("summary", "verdicts", "pass"), -1),
        (("schemaVersion",), "2.0"),
        (("waivers", "expired", 0, "expires"), "tomorrow"),
    ],
)
def test_the_schema_refuses_what_is_no_finding(path: tuple[Any, ...], value: Any) -> None:
    found = plain(sample())
    inner: Any = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert not Draft202012Validator(schema()).is_valid(found)


def test_the_table_has_failures_first_by_severity_and_then_all_else(reports: dict[str, str]) -> None:
    text = reports["table"]
    order = ["Failed", "T-KEY-002", "T-KEY-001", "T-SQS-001", "T-SQS-002", "Undetermined", "Waived", "Expired"]
    places = [text.index(word) for word in [*order, "Unused", "Unmapped"]]
    assert places == sorted(places)
    assert "aws:kms/key:Key::broken\n      multiRegion: the key may be copied to other regions" in text
    assert "To do: Set multiRegion to false." in text
    assert "Serves: ISO/IEC 27001:2022 A.8.24; NIST SP 800-207 ZT-2" in text
    assert "(advisory)" in text
    assert f"  {UNMAPPED}: 2 resources" in text
    assert "5 failed (3 violations, 1 waived), 1 undetermined, 4 passed; 1 unmapped type" in text.splitlines()[-1]


def test_the_table_of_a_sound_stack_is_only_a_summary() -> None:
    assert render(sound(), "table").splitlines() == [
        "prod (state out/state of prod.json): 1 resource, 4 rules of zero-trust, iso27001, residency, cost-energy",
        "0 failed (0 violations, 0 waived), 0 undetermined, 2 passed; 0 unmapped types",
    ]


def test_the_table_lists_every_failure_and_cuts_only_what_other_formats_have() -> None:
    keys = [_named(1, f"broken-{number}") for number in range(30)]
    undecided = [_named(2, f"undecided-{number}") for number in range(30)]
    text = render(sample((*keys, *undecided)), "table")
    assert all(f"::broken-{number}\n" in text for number in range(30))
    assert "and 10 more resources" in text


def _named(index: int, name: str) -> Any:
    from policies.making import make

    resource = RESOURCES[index]
    return make(resource.type, resource.properties.value, name=name)


def test_the_csv_has_a_row_for_each_finding_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(render(sample(), "csv"))))
    assert len(rows) == 10
    assert Counter(row["verdict"] for row in rows) == {"pass": 4, "fail": 5, "undetermined": 1}
    assert [row["waiver"] for row in rows if row["urn"].endswith("legacy") and row["verdict"] == "fail"] == [
        "waived until 2027-01-31 by Keys & Co: It is <b>replaced</b> in January"
    ]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_junit_tells_apart_what_fails_what_is_undetermined_and_what_is_waived(reports: dict[str, str]) -> None:
    root = ElementTree.fromstring(reports["junit"])  # noqa: S314 - our own
    assert {name: root.get(name) for name in ("tests", "failures", "skipped", "errors")} == {
        "tests": "10",
        "failures": "4",
        "skipped": "2",
        "errors": "0",
    }
    said = {
        (case.get("classname"), (case.get("name") or "").rpartition("::")[2]): case.find("skipped").get("message")  # pyright: ignore[reportOptionalMemberAccess]
        for case in root.iter("testcase")
        if case.find("skipped") is not None
    }
    assert (said["T-KEY-001", "undecided"] or "").startswith("undetermined: enableKeyRotation is not known")
    assert (said["T-KEY-001", "legacy"] or "").startswith("fails, waived until 2027-01-31 by Keys & Co")
    failed = next(each for each in root.iter("failure") if each.get("type") == "critical")
    assert "To do: Set multiRegion to false." in (failed.text or "")
    assert [each.get("type") for each in root.iter("failure")].count("low, advisory") == 1


@pytest.mark.parametrize("assessment", [sample(), sound(), sample(())], ids=["all", "sound", "empty"])
def test_sarif_fits_the_official_schema(assessment: Any) -> None:
    validator = Draft7Validator(read("sarif-schema-2.1.0.json"))
    assert [error.message for error in validator.iter_errors(json.loads(render(assessment, "sarif")))] == []


def test_sarif_has_what_a_code_host_shows(reports: dict[str, str]) -> None:
    run = json.loads(reports["sarif"])["runs"][0]
    results = run["results"]
    assert Counter(result["kind"] for result in results) == {"fail": 5, "open": 1}
    worst = results[0]
    assert (worst["ruleId"], worst["level"]) == ("T-KEY-002", "error")
    place = worst["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "out/state%20of%20prod.json"
    assert place["logicalLocations"][0]["fullyQualifiedName"].endswith("aws:kms/key:Key::broken")
    assert run["tool"]["driver"]["rules"][worst["ruleIndex"]]["properties"]["tags"] == ["security", "RES-1"]
    assert [result["level"] for result in results if result["kind"] == "open"] == ["none"]
    assert [result["level"] for result in results if result["ruleId"] == "T-SQS-002"] == ["note"]
    waived = [result for result in results if "suppressions" in result]
    assert [result["suppressions"][0]["justification"] for result in waived] == [
        "waived until 2027-01-31 by Keys & Co: It is <b>replaced</b> in January"
    ]
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]
    assert len(set(prints)) == len(results)
    told = [each["message"]["text"] for each in run["invocations"][0]["toolExecutionNotifications"]]
    assert [text.split(":")[0] for text in told] == ["expired waiver", "unused waiver", "no rule judges aws"]


@pytest.mark.parametrize(
    ("kind", "name", "uri"),
    [
        ("stack", "prod", "Pulumi.yaml"),
        ("preview", str(Path.cwd() / "out" / "preview.json"), "out/preview.json"),
        ("preview", "/elsewhere/preview.json", "preview.json"),
    ],
)
def test_sarif_places_are_below_the_folder_of_the_run(kind: str, name: str, uri: str) -> None:
    run = json.loads(render(sample(source=Source(kind, name, "ab" * 32)), "sarif"))["runs"][0]
    assert run["artifacts"][0]["location"]["uri"] == uri
    assert ("hashes" in run["artifacts"][0]) == (kind != "stack")


@pytest.mark.parametrize("assessment", [sample(), sound(), sample(())], ids=["all", "sound", "empty"])
def test_oscal_fits_the_official_schema(assessment: Any) -> None:
    validator = Draft7Validator(read("oscal_assessment-results_schema-1.1.3.json"))
    assert [error.message for error in validator.iter_errors(json.loads(render(assessment, "oscal")))] == []


def test_the_official_schema_refuses_other_documents() -> None:
    document = json.loads(render(sample(), "oscal"))
    validator = Draft7Validator(read("oscal_assessment-results_schema-1.1.3.json"))
    document["assessment-results"]["results"][0]["findings"][0]["target"]["status"]["state"] = "waived"
    assert not validator.is_valid(document)


def test_oscal_satisfies_a_control_only_where_all_passes() -> None:
    result = json.loads(render(sample(), "oscal"))["assessment-results"]["results"][0]
    states = {each["target"]["target-id"]: each["target"]["status"] for each in result["findings"]}
    assert {control: (each["state"], each["reason"]) for control, each in states.items()} == {
        "A.8.24": ("not-satisfied", "fail"),
        "ZT-2": ("not-satisfied", "fail"),
        "RES-1": ("not-satisfied", "fail"),
        "CE-1": ("not-satisfied", "fail"),
    }
    [undecided] = json.loads(render(sample((RESOURCES[2],)), "oscal"))["assessment-results"]["results"]
    states = {each["target"]["target-id"]: each["target"]["status"] for each in undecided["findings"]}
    assert (states["A.8.24"]["state"], states["A.8.24"]["reason"]) == ("not-satisfied", "other")
    assert (states["RES-1"]["state"], states["RES-1"]["reason"]) == ("satisfied", "pass")


def test_oscal_has_a_risk_for_each_failure_and_a_deadline_for_each_waived_one() -> None:
    result = json.loads(render(sample(), "oscal"))["assessment-results"]["results"][0]
    risks = result["risks"]
    assert Counter(risk["status"] for risk in risks) == {"open": 4, "deviation-approved": 1}
    assert [risk["deadline"] for risk in risks if "deadline" in risk] == ["2027-01-31T23:59:59Z"]
    assert all(risk["remediations"][0]["description"] for risk in risks)
    assert "No rule judges aws:iot/thing:Thing: 2 resources." in result["remarks"]


def test_oscal_refers_only_to_what_it_holds() -> None:
    document = json.loads(render(sample(), "oscal"))["assessment-results"]
    result = document["results"][0]
    defined = [each["uuid"] for kind in ("observations", "risks", "findings") for each in result[kind]]
    defined += [each["uuid"] for each in result["local-definitions"]["inventory-items"]]
    defined += [each["uuid"] for each in result["local-definitions"]["assessment-assets"]["components"]]
    defined += [each["uuid"] for each in document["back-matter"]["resources"]]
    assert len(defined) == len(set(defined))
    text = json.dumps(document)
    referred = re.findall(r'"(?:observation|risk|subject|actor|component)-uuid": "([^"]+)"', text)
    assert set(referred) <= set(defined)
    assert document["import-ap"]["href"].removeprefix("#") in defined


def test_a_finding_has_the_same_identifier_in_another_run() -> None:
    def identifiers(assessment: Any) -> list[set[str]]:
        [result] = json.loads(render(assessment, "oscal"))["assessment-results"]["results"]
        return [{result["uuid"]}, {each["uuid"] for each in result["observations"]}]

    first, second = identifiers(sample()), identifiers(sample(source=Source("state", "later.json", "cd" * 32)))
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_the_hostile_name_is_in_each_report_in_a_form_that_can_do_nothing(reports: dict[str, str]) -> None:
    assert HOSTILE not in "".join(reports.values())
    assert "\\x1b[31m\\u202e\\ud800\\n=cmd" in reports["table"]
