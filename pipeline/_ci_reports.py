"""The verdict in the formats that GitLab and Jenkins show by themselves."""

import importlib.metadata
import json
import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

from pipeline._reports import Report
from pipeline.sbom.purl import Purl
from pipeline.scan.findings import Finding, Severity
from pipeline.scan.verdict import Judged, Status

#: Of GitLab's security-report-schemas: what the report is written for.
_SCHEMA = "15.2.4"
_TOOL = "erlmcp-pipeline"
_NAME = 255
_SUPPRESSED = (Status.ACCEPTED, Status.NOT_AFFECTED, Status.FIXED)
# XML 1.0 has no way to write these, and the title of an advisory may hold anything.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def gitlab(report: Report) -> str:
    """Return GitLab's container scanning report; what is accepted or said not to apply is left out.

    GitLab has no field for a finding that the policy does away with: a finding that is not in the report any more
    counts as resolved there, one that comes back is found again.
    """
    system = next(_distributions(report), "unknown")
    time = report.time.strftime("%Y-%m-%dT%H:%M:%S")
    tool = {
        "id": _TOOL,
        "name": f"{_TOOL} ({', '.join(dict.fromkeys(run.scanner for run in report.scans))})",
        "version": importlib.metadata.version(_TOOL),
        "vendor": {"name": "erlmcp"},
    }
    document = {
        "version": _SCHEMA,
        "scan": {
            "type": "container_scanning",
            "status": "failure" if report.verdict.failures else "success",
            "start_time": time,
            "end_time": time,
            "analyzer": tool,
            "scanner": tool,
            "messages": [
                {"level": "info" if report.verdict.passed else "warn", "value": line} for line in _lines(report)
            ],
        },
        "vulnerabilities": [
            _vulnerability(item.finding, report.image, system)
            for item in report.verdict.judged
            if item.status not in _SUPPRESSED
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def junit(report: Report) -> str:
    """Return the verdict as a JUnit test suite: a case for each scanner's run and for each finding.

    What breaks the policy is a failure; a scanner that failed, or a database that is too old, an error; what is
    accepted or said not to apply is skipped; what the policy tolerates passes.
    """
    cases = [*_runs(report), *(_case(item) for item in report.verdict.judged)]
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites, "testsuite", name=_text(report.image), timestamp=report.time.strftime("%Y-%m-%dT%H:%M:%S")
    )
    suite.set("tests", str(len(cases)))
    for plural, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(plural, str(sum(case.find(outcome) is not None for case in cases)))
    suite.extend(cases)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _lines(report: Report) -> tuple[str, ...]:
    return (*report.verdict.lines, *report.notes)


def _distributions(report: Report) -> Iterator[str]:
    """Return the names of the distribution that package URLs give, such as debian-13."""
    for item in report.verdict.judged:
        for purl in map(Purl.parse, item.finding.purls):
            if purl and purl.qualifiers.get("distro"):
                yield purl.qualifiers["distro"]


def _vulnerability(finding: Finding, image: str, system: str) -> dict[str, Any]:
    key = f"{finding.kind.value}/{finding.package}/{finding.version}/{finding.id}"
    result: dict[str, Any] = {
        # The same flaw has the same id in every run.
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)),
        "name": (finding.title or finding.id)[:_NAME],
        "description": f"{finding.title or finding.id} (seen by {', '.join(finding.severities)})",
        "severity": "Info" if finding.severity is Severity.NEGLIGIBLE else finding.severity.name.capitalize(),
        "identifiers": [_identifier(name) for name in (finding.id, *finding.aliases)],
        "links": [{"url": finding.url}] if finding.url.startswith(("https://", "http://")) else [],
        "location": {
            "dependency": {"package": {"name": finding.package}, "version": finding.version},
            "operating_system": system,
            "image": image,
        },
    }
    if finding.fixed:
        result["solution"] = f"Upgrade {finding.package} to {' or '.join(finding.fixed)}"
    return result


def _identifier(name: str) -> dict[str, str]:
    return {"type": name.partition("-")[0].lower(), "name": name, "value": name}


def _runs(report: Report) -> Iterator[ET.Element]:
    for run in report.scans:
        case = ET.Element("testcase", classname="scanners", name=f"{run.scanner} scans the {run.target}")
        if run.failure:
            ET.SubElement(case, "error", message=_text(run.failure))
        yield case
    for message in report.verdict.outdated:
        case = ET.Element("testcase", classname="databases", name=_text(message.partition(" ")[0]))
        ET.SubElement(case, "error", message=_text(message))
        yield case


def _case(item: Judged) -> ET.Element:
    finding = item.finding
    case = ET.Element(
        "testcase",
        classname=_text(f"{finding.kind.value}.{finding.package}"),
        name=_text(f"{finding.id} in {finding.package} {finding.version}"),
    )
    if item.status is Status.BREAKING:
        fixed = f"fixed in {', '.join(finding.fixed)}" if finding.fixed else "no fixed version is known"
        message = f"{finding.severity.name}: {finding.title or finding.id}; {fixed}"
        failure = ET.SubElement(case, "failure", type=finding.severity.name, message=_text(message))
        failure.text = _text("\n".join(filter(None, (item.reason, *finding.purls, finding.url))))
    elif item.status in _SUPPRESSED:
        ET.SubElement(case, "skipped", message=_text(f"{item.status.value}: {item.reason}"))
    return case


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
