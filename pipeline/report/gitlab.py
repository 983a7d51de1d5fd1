"""GitLab's container scanning report."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from pipeline.report.places import Place
from pipeline.report.report import Report, databases
from pipeline.sbom.document import TOOL, tool_version
from pipeline.sbom.purl import Purl
from pipeline.scan.findings import SUPPRESSED, Finding, Severity

#: Of GitLab's security-report-schemas, the lowest that GitLab takes (its schemas are min15.0.0); it has each field
#: that is written here. A GitLab that does not know a version refuses the report: 17.1 and 17.2 know those up to 15.1.
_SCHEMA = "15.0.0"
#: How long texts may be there.
_NAME, _SOLUTION = 255, 7000


def gitlab(report: Report) -> str:
    """Return GitLab's container scanning report; what is accepted or said not to apply is left out.

    GitLab has no field for a finding that the policy does away with: a finding that is not in the report any more
    counts as resolved there, one that comes back is found again.
    """
    system = next(_distributions(report), "unknown")
    time = report.time.strftime("%Y-%m-%dT%H:%M:%S")
    tool = {
        "id": TOOL,
        "name": f"{TOOL} ({', '.join(dict.fromkeys(run.scanner for run in report.runs))})",
        "version": tool_version(),
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
            _vulnerability(item.finding, report.image, system, report.place(item.finding))
            for item in report.verdict.judged
            if item.status not in SUPPRESSED
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _lines(report: Report) -> tuple[str, ...]:
    known = (f"database of {scanner}: {database.digest}" for scanner, database in databases(report).items())
    return (*report.verdict.lines, *known, *report.notes)


def _distributions(report: Report) -> Iterator[str]:
    """Return the names of the distribution that package URLs give, such as debian-13."""
    for item in report.verdict.judged:
        for purl in map(Purl.parse, item.finding.purls):
            if purl and purl.qualifiers.get("distro"):
                yield purl.qualifiers["distro"]


def _vulnerability(finding: Finding, image: str, system: str, place: Place | None) -> dict[str, Any]:
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
    if place:
        file = {"type": "file-location", "file_name": place.path, "line_start": place.line}
        result["details"] = {"place": {"name": "Comes from", **file}}
    if finding.fixed:
        result["solution"] = f"Upgrade {finding.package} to {' or '.join(finding.fixed)}"[:_SOLUTION]
    return result


def _identifier(name: str) -> dict[str, str]:
    return {"type": name.partition("-")[0].lower(), "name": name, "value": name}
