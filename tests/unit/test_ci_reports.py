"""What GitLab and Jenkins read, from recorded scans."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
from test_reports import ACCEPTED, EMPTY, GRYPE, NOW, STATEMENT, TRIVY, crowd, full, report

from pipeline.report.gitlab import gitlab
from pipeline.report.junit import junit
from pipeline.report.report import Report
from pipeline.sbom.component import Kind
from pipeline.scan.databases import Database
from pipeline.scan.findings import ScannerRun, Severity, Sighting
from pipeline.scan.verdict import Status

REPORTS = [report(), full(), EMPTY, crowd(300)]
IDS = ["recorded", "full", "empty", "crowd"]
SUPPRESSED = (Status.ACCEPTED, Status.NOT_AFFECTED, Status.FIXED)


def suite_of(made: Report) -> ET.Element:
    (suite,) = ET.fromstring(junit(made))  # noqa: S314 # our own
    return suite


# What GitLab's schema (security-report-schemas 15.2.4, container scanning) demands of the fields that we write.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")
_SEVERITIES = {"Info", "Unknown", "Low", "Medium", "High", "Critical"}


@pytest.mark.parametrize("made", REPORTS, ids=IDS)
def test_the_report_for_gitlab_has_what_its_schema_demands(made: Report) -> None:
    document = json.loads(gitlab(made))
    assert re.fullmatch(r"\d+\.\d+\.\d+", document["version"])
    scan = document["scan"]
    assert scan["type"] == "container_scanning"
    assert _TIME.fullmatch(scan["start_time"])
    assert _TIME.fullmatch(scan["end_time"])
    for tool in (scan["analyzer"], scan["scanner"]):
        assert all((tool["id"], tool["name"], tool["version"], tool["vendor"]["name"]))
    assert all(message["level"] in ("info", "warn", "fatal") and message["value"] for message in scan["messages"])
    for item in document["vulnerabilities"]:
        assert item["severity"] in _SEVERITIES
        assert len(item["name"]) <= 255
        assert all(all((one["type"], one["name"], one["value"])) for one in item["identifiers"])
        assert item["identifiers"]
        assert all(re.match("https?://.", link["url"]) for link in item["links"])
        location = item["location"]
        assert location["dependency"]["package"]["name"]
        assert location["dependency"]["version"]
        assert location["operating_system"]
        assert location["image"] == made.image


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
