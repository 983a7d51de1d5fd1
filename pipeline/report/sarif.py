"""SARIF 2.1.0 for code scanning services."""

import dataclasses
import json
import urllib.parse
from typing import Any

from pipeline.report.places import Places
from pipeline.report.report import Report, databases, rfc3339
from pipeline.scan.findings import SUPPRESSED, Finding, Severity
from pipeline.scan.verdict import Judged

#: How many results of a run GitHub keeps; of more than 25,000 it takes none.
KEPT = 5_000
# What GitHub makes of `security-severity`: over 9.0 critical, over 7.0 high, over 4.0 medium.
_SARIF = {
    Severity.CRITICAL: ("error", "9.5"),
    Severity.HIGH: ("error", "8.0"),
    Severity.MEDIUM: ("warning", "5.5"),
    Severity.LOW: ("note", "2.0"),
    Severity.NEGLIGIBLE: ("note", "0.5"),
    Severity.UNKNOWN: ("warning", "0.0"),
}


def code_scanning(report: Report) -> str:
    """Return the SARIF log for GitHub's code scanning, which ignores `suppressions` and limits the number of results.

    What is accepted or said not to apply is left out: a result that is gone closes its alert. Of more than GitHub
    keeps, the worst are in it, and how many are not.
    """
    judged = tuple(item for item in report.verdict.judged if item.status not in SUPPRESSED)
    kept = dataclasses.replace(report.verdict, judged=judged[:KEPT])
    return sarif(dataclasses.replace(report, verdict=kept), left_out=len(judged) - len(kept.judged))


def sarif(report: Report, left_out: int = 0) -> str:
    """Return one SARIF 2.1.0 log of the joined findings, the worst first.

    What is accepted or said not to apply is suppressed in it; how many findings are not in it at all is told.
    """
    judged = report.verdict.judged
    warnings = [remark for run in report.runs for remark in run.told]
    if left_out:
        warnings.append(f"the {left_out} least severe findings are only in findings.sarif")
    rules = {item.finding.id: item.finding for item in reversed(judged)}
    order = {name: index for index, name in enumerate(sorted(rules))}
    document = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "erlmcp-pipeline",
                        "rules": [_rule(rules[name]) for name in order],
                    },
                    "extensions": [
                        {"name": run.scanner, **({"version": run.version} if run.version else {})}
                        for run in {run.scanner: run for run in report.runs}.values()
                    ],
                },
                "invocations": [
                    {
                        "executionSuccessful": not any(run.failure for run in report.runs),
                        "endTimeUtc": rfc3339(report.time),
                        "toolExecutionNotifications": [
                            *(
                                {
                                    "level": "error",
                                    "message": {"text": f"{run.scanner} ({run.target}): {run.failure}"},
                                }
                                for run in report.runs
                                if run.failure
                            ),
                            *({"level": "warning", "message": {"text": text}} for text in warnings),
                        ],
                    }
                ],
                "results": [_result(item, order[item.finding.id], report) for item in judged],
                "columnKind": "utf16CodeUnits",
                "properties": {
                    "image": report.image,
                    "digest": report.digest,
                    "databases": {scanner: database.digest for scanner, database in databases(report).items()},
                },
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": finding.id,
        "shortDescription": {"text": finding.title or finding.id},
        "defaultConfiguration": {"level": _SARIF[finding.severity][0]},
        "properties": {"security-severity": _SARIF[finding.severity][1], "tags": ["security", "vulnerability"]},
    }
    if finding.url.startswith(("https://", "http://")):
        rule["helpUri"] = finding.url
    return rule


def _result(item: Judged, rule: int, report: Report) -> dict[str, Any]:
    finding = item.finding
    # A service shows a finding beside a line of the repository.
    place = report.place(finding) or Places().of(finding)
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": _SARIF[finding.severity][0],
        "message": {
            "text": f"{finding.package} {finding.version} ({finding.kind.value}): "
            f"{finding.title or finding.id}; {finding.remedy}; "
            f"{f'{finding.urgency}; ' if str(finding.urgency) else ''}"
            f"{f'{evidence}; ' if (evidence := report.evidence(finding)) else ''}"
            f"seen by {', '.join(finding.severities)}"
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(place.path)},
                    "region": {"startLine": place.line},
                },
                "logicalLocations": [{"fullyQualifiedName": f"{finding.package}@{finding.version}", "kind": "package"}],
            }
        ],
        "partialFingerprints": {"package/advisory/v1": f"{finding.kind.value}/{finding.package}/{finding.id}"},
        "properties": {
            "status": item.status.value,
            "severity": finding.severity.name,
            "exploited": bool(finding.urgency.exploited),
            **({} if finding.urgency.epss is None else {"epss": finding.urgency.epss}),
        },
    }
    if item.status in SUPPRESSED:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": f"{item.status.value}: {item.reason}"}
        ]
    return result


def _uri(path: str) -> str:
    # In a relative reference a colon in the first segment would be the end of a scheme.
    return urllib.parse.quote(path)
