"""The verdict for programs: `findings.json`, with the schema `findings.schema.json`."""

import collections
import datetime as dt
import json
from typing import Any

from pipeline.report.remedies import remedies
from pipeline.report.report import Report, rfc3339
from pipeline.scan.acceptance import acceptance_json
from pipeline.scan.findings import ScannerRun, Severity
from pipeline.scan.verdict import Judged


def findings_json(report: Report) -> str:
    """Return the verdict for programs, as described by `findings.schema.json`."""
    verdict = report.verdict
    document = {
        "version": 1,
        "image": {"name": report.image, "digest": report.digest, "names": list(report.names)},
        "time": rfc3339(report.time),
        "scanners": [
            {
                "name": run.scanner,
                "target": run.target,
                "version": run.version,
                "failure": run.failure or None,
                "unknown": list(run.unknown),
                "database": {
                    "built": rfc3339(run.database.built),
                    "source": run.database.source,
                    "digest": run.database.digest,
                }
                if run.database
                else None,
                "sightings": _by_severity(run),
            }
            for run in report.runs
        ],
        "packages": list(report.packages),
        "policy": report.rules.attested(),
        "verdict": {"passed": verdict.passed, "decided": verdict.decided, "lines": list(verdict.lines)},
        "remedies": [{"change": each.change, "mends": each.mends} for each in remedies(report)],
        "findings": [finding_json(item, report) for item in verdict.judged],
        "dropped": sorted(
            (
                {
                    "id": item.sighting.id,
                    "scanner": item.sighting.scanner,
                    "package": item.sighting.package,
                    "version": item.sighting.version,
                    "cpes": list(item.sighting.cpes),
                    "reason": item.reason,
                }
                for item in verdict.dropped
            ),
            key=lambda item: (item["package"], item["id"], item["scanner"]),
        ),
        "acceptances": {
            "expired": [acceptance_json(entry) for entry in verdict.expired],
            "unmatched": [acceptance_json(entry) for entry in verdict.unmatched],
        },
        "vex": {"unmatched": list(verdict.unmatched_vex)},
        "notes": list(report.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _by_severity(run: ScannerRun) -> dict[str, int]:
    counts = collections.Counter(run.severities)
    return {severity.name: counts[severity] for severity in reversed(Severity) if counts[severity]}


def _day(day: dt.date | None) -> str | None:
    return day.isoformat() if day else None


def finding_json(item: Judged, report: Report) -> dict[str, Any]:
    """Return a finding and what became of it, as JSON has it."""
    finding = item.finding
    place = report.place(finding)
    return {
        "id": finding.id,
        "aliases": list(finding.aliases),
        "package": {
            "name": finding.package,
            "version": finding.version,
            "purl": finding.purls[0] if finding.purls else None,
            "kind": finding.kind.value,
        },
        "severity": finding.severity.name,
        "exploited": _day(finding.urgency.exploited),
        "epss": finding.urgency.epss,
        "score": finding.urgency.score,
        "severities": {scanner: severity.name for scanner, severity in finding.severities.items()},
        "fixed": list(finding.fixed),
        "fixed_on": _day(finding.urgency.fixed_on),
        "url": finding.url,
        "title": finding.title,
        "evidence": report.evidence(finding),
        "place": {"path": place.path, "line": place.line} if place else None,
        "status": item.status.value,
        "reason": item.reason,
    }
