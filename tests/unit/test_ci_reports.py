"""What GitLab and Jenkins read, from recorded scans."""

import dataclasses
import json
import xml.etree.ElementTree as ET
from collections import Counter
from typing import Any

import jsonschema
import pytest
from test_reports import ACCEPTED, EMPTY, GRYPE, NOW, STATEMENT, TRIVY, crowd, full, report

from pipeline.report.gitlab import gitlab
from pipeline.report.junit import junit
from pipeline.report.report import Report
from pipeline.sbom.component import Kind
from pipeline.scan.databases import Database
from pipeline.scan.findings import ScannerRun, Severity, Sighting, Status

REPORTS = [report(), full(), EMPTY, crowd(300)]
IDS = ["recorded", "full", "empty", "crowd"]
SUPPRESSED = (Status.ACCEPTED, Status.NOT_AFFECTED, Status.FIXED)


def suite_of(made: Report) -> ET.Element:
    (suite,) = ET.fromstring(junit(made))  # noqa: S314 # our own
    return suite


def _object(required: str = "", **properties: Any) -> dict[str, Any]:  # noqa: ANN401 # JSON
    return {"type": "object", "required": required.split(), "properties": properties}


def _text(**limits: Any) -> dict[str, Any]:  # noqa: ANN401 # JSON
    return {"type": "string", **limits}


_NAMED = _text(minLength=1)
_TIME = _text(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$")
_TOOL = _object("id name version vendor", id=_NAMED, name=_NAMED, version=_NAMED, vendor=_object("name", name=_NAMED))
#: What GitLab's schema demands of the fields that we write, by container-scanning-report-format.json of gitlabhq in
#: lib/gitlab/ci/parsers/security/validators/schemas/15.0.0, at 6ed4ec3e0b; another field would mean nothing there.
_SCHEMA = _object(
    "scan version vulnerabilities",
    version={"const": "15.0.0"},
    scan=_object(
        "analyzer end_time scanner start_time status type",
        type={"const": "container_scanning"},
        status={"enum": ["success", "failure"]},
        start_time=_TIME,
        end_time=_TIME,
        analyzer=_TOOL,
        scanner=_TOOL,
        messages={"items": _object("level value", level={"enum": ["info", "warn", "fatal"]}, value=_NAMED)},
    ),
    vulnerabilities={
        "items": _object(
            "id identifiers location",
            id=_NAMED,
            name=_text(maxLength=255),
            description=_text(maxLength=1048576),
            severity={"enum": ["Info", "Unknown", "Low", "Medium", "High", "Critical"]},
            solution=_text(maxLength=7000),
            identifiers={"minItems": 1, "items": _object("type name value", type=_NAMED, name=_NAMED, value=_NAMED)},
            links={"items": _object("url", url=_text(pattern="^https?://.+"))},
            details=_object(
                place=_object(
                    "name type file_name line_start",
                    name=_NAMED,
                    type={"const": "file-location"},
                    file_name=_NAMED,
                    line_start={"type": "integer"},
                )
            ),
            location=_object(
                "dependency operating_system image",
                dependency=_object("package version", package=_object("name", name=_text()), version=_text()),
                operating_system=_NAMED,
                image=_text(pattern=r"^[^:]+(:\d+[^:]*)?:[^:]+(:[^:]+)?$"),
            ),
        )
    },
)


def _closed(schema: Any) -> Any:  # noqa: ANN401 # JSON
    """Return the schema with no other fields than it names."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(value) for key, value in schema.items()}
    return {**made, "additionalProperties": False} if made.get("type") == "object" else made


@pytest.mark.parametrize("made", REPORTS, ids=IDS)
def test_the_report_for_gitlab_is_of_the_oldest_schema_that_gitlab_takes(made: Report) -> None:
    jsonschema.Draft7Validator(_closed(_SCHEMA)).validate(json.loads(gitlab(made)))


def test_a_solution_for_gitlab_is_not_too_long() -> None:
    many = dataclasses.replace(TRIVY.sightings[0], fixed=tuple(f"{number}.0.0" for number in range(2000)))
    document = json.loads(gitlab(report(dataclasses.replace(TRIVY, sightings=(many,)))))
    jsonschema.Draft7Validator(_closed(_SCHEMA)).validate(document)


def test_gitlab_gets_every_finding_that_nothing_does_away_with() -> None:
    made = full()
    names = [item["identifiers"][0]["name"] for item in json.loads(gitlab(made))["vulnerabilities"]]
    assert names == [item.finding.id for item in made.verdict.judged if item.status not in SUPPRESSED]
    assert ACCEPTED.id not in names
    assert not STATEMENT.names & set(names)
    assert len(names) >= 3


def test_gitlab_names_the_distribution_and_the_fix() -> None:
    found = {item["identifiers"][0]["name"]: item for item in json.loads(gitlab(report()))["vulnerabilities"]}
    ssh = found["CVE-2025-32433"]
    assert ssh["severity"] == "Critical"
    assert ssh["location"]["operating_system"].startswith("debian")
    assert ssh["solution"] == "Upgrade ssh to 5.2.10"
    assert "details" not in ssh
    (item, *_) = json.loads(gitlab(full()))["vulnerabilities"]
    assert (item["details"]["place"]["file_name"], item["details"]["place"]["line_start"]) == ("ci/images.toml", 8)


def test_gitlab_keeps_the_id_of_a_finding_from_run_to_run_and_no_two_share_one() -> None:
    first, second = (json.loads(gitlab(made))["vulnerabilities"] for made in (crowd(3), crowd(4)))
    assert [item["id"] for item in first] == [item["id"] for item in second][:3]
    assert len({item["id"] for item in second}) == 4


def test_gitlab_is_told_that_a_scanner_failed() -> None:
    scan = json.loads(gitlab(full()))["scan"]
    assert scan["status"] == "failure"
    assert any("scout (image): exit code 1: login needed" in message["value"] for message in scan["messages"])
    assert json.loads(gitlab(report()))["scan"]["status"] == "success"


@pytest.mark.parametrize("made", REPORTS, ids=IDS)
def test_the_counts_of_the_junit_suite_are_those_of_its_cases(made: Report) -> None:
    suite = suite_of(made)
    cases = suite.findall("testcase")
    outcomes = Counter(child.tag for case in cases for child in case)
    assert {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": len(made.runs) + len(made.verdict.outdated) + len(made.verdict.judged),
        "failures": len(made.verdict.breaking),
        "errors": len(made.verdict.failures) + len(made.verdict.outdated),
        "skipped": len(made.verdict.accepted) + len(made.verdict.suppressed),
    }
    assert outcomes["failure"] == len(made.verdict.breaking)
    assert all(case.attrib["classname"] and case.attrib["name"] for case in cases)


def test_junit_errors_are_scanners_that_failed_and_databases_too_old() -> None:
    old = dataclasses.replace(TRIVY, database=Database("trivy", NOW.replace(month=1)))
    suite = suite_of(report(old, GRYPE, ScannerRun("scout", "image", failure="login needed")))
    messages = [error.attrib["message"] for error in suite.iter("error")]
    assert "login needed" in messages
    assert any("built on 2026-01-25" in message for message in messages)


def test_junit_is_xml_whatever_an_advisory_says() -> None:
    nasty = Sighting(
        "trivy", "CVE-2026-1", (), "a&b", "1", "", Kind.OTHER, Severity.HIGH, title='\x1b[31m<script>"\x00\ud800]]>'
    )
    suite = suite_of(report(dataclasses.replace(TRIVY, sightings=(nasty,))))
    (failure,) = suite.iter("failure")
    assert '<script>"' in failure.attrib["message"]
