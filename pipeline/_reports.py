"""The verdict as files and as text: for a terminal, a pull request, a code scanning service, a program."""

import collections
import dataclasses
import datetime as dt
import json
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline.sbom.component import Kind
from pipeline.scan.acceptance import Acceptance
from pipeline.scan.findings import Finding, Scan, Severity
from pipeline.scan.verdict import Judged, Status, Verdict
from pipeline.table import count, table

_WIDTH = 80
#: A comment on GitHub has at most 65536 characters; the wrapping job may add some.
_COMMENT = 60_000
# What GitHub makes of `security-severity`: over 9.0 critical, over 7.0 high, over 4.0 medium.
_SARIF = {
    Severity.CRITICAL: ("error", "9.5"),
    Severity.HIGH: ("error", "8.0"),
    Severity.MEDIUM: ("warning", "5.5"),
    Severity.LOW: ("note", "2.0"),
    Severity.NEGLIGIBLE: ("note", "0.5"),
    Severity.UNKNOWN: ("warning", "0.0"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What the reports are made of."""

    #: Name and tag, as the user knows it.
    image: str
    #: `sha256:...`
    digest: str
    #: Of the verdict.
    time: dt.datetime
    scans: tuple[Scan, ...]
    verdict: Verdict
    #: What else a reader should know, such as a scanner that was not asked and why.
    notes: tuple[str, ...] = ()
    #: Components of the SBOM by kind, if one was made.
    components: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """A check of the image."""

    name: str
    #: Nothing if it did not run.
    passed: bool | None
    detail: str = ""


def terminal(report: Report) -> str:
    """Return the verdict for people, 80 columns wide, without colours."""
    verdict = report.verdict
    parts = [f"{report.image}\n{report.digest}\n", table(*_counts(report), _WIDTH)]
    if verdict.breaking:
        parts.append(f"what breaks the policy ({verdict.policy})\n" + _findings_table(verdict.breaking))
        parts.append("".join(f"{item.finding.id}: {item.reason}\n" for item in verdict.breaking if item.reason))
    parts.append(table(*_scanners(report), _WIDTH))
    parts.append("".join(f"{line}\n" for line in _remarks(report)))
    parts.append("".join(f"{line}\n" for line in verdict.lines))
    return "\n".join(part for part in parts if part)


def markdown(report: Report) -> str:
    """Return the verdict for a comment on a pull request or the summary of a step."""
    verdict = report.verdict
    head = [
        f"## {'Passed' if verdict.passed else 'Not passed'}: `{report.image}`",
        "",
        *(f"- **{_cell(line)}**" for line in verdict.lines),
        "",
        f"`{report.digest}`, {report.time:%Y-%m-%d %H:%M} UTC",
        "",
    ]
    foot = [
        *_markdown_table(*_scanners(report)),
        "",
        *(f"- {_cell(line)}" for line in _remarks(report)),
    ]
    counts = _markdown_table(*_counts(report))
    sections = [
        ("What breaks the policy", verdict.breaking),
        ("Accepted, and said not to apply", (*verdict.accepted, *verdict.suppressed)),
        ("Tolerated", verdict.having(Status.TOLERATED)),
    ]
    room = _COMMENT - sum(len(line) + 1 for line in (*head, *counts, *foot))
    middle: list[str] = []
    for title, items in sections:
        lines = list(_section(title, items, room))
        room -= sum(len(line) + 1 for line in lines)
        middle += lines
    return "\n".join((*head, *counts, "", *middle, *foot)).rstrip() + "\n"


def findings_json(report: Report) -> str:
    """Return everything for a program; `findings.schema.json` says what it is."""
    verdict = report.verdict
    document = {
        "version": 1,
        "image": {"name": report.image, "digest": report.digest},
        "time": _rfc3339(report.time),
        "scanners": [
            {
                "name": run.scanner,
                "target": run.target,
                "version": run.version,
                "failure": run.failure or None,
                "database": {"built": _rfc3339(run.database.built), "source": run.database.source}
                if run.database
                else None,
                "sightings": _by_severity(run),
            }
            for run in report.scans
        ],
        "policy": {"fail_on": verdict.policy.fail_on.name, "only_fixed": verdict.policy.only_fixed},
        "verdict": {"passed": verdict.passed, "decided": verdict.decided, "lines": list(verdict.lines)},
        "findings": [_finding_json(item) for item in verdict.judged],
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
            "expired": [_acceptance_json(entry) for entry in verdict.expired],
            "unmatched": [_acceptance_json(entry) for entry in verdict.unmatched],
        },
        "notes": list(report.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def sarif(report: Report) -> str:
    """Return one SARIF 2.1.0 log of the joined findings; what is accepted or said not to apply is suppressed in it."""
    judged = report.verdict.judged
    rules = {item.finding.id: item.finding for item in reversed(judged)}
    order = sorted(rules)
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
                        for run in {run.scanner: run for run in report.scans}.values()
                    ],
                },
                "invocations": [
                    {
                        "executionSuccessful": not any(run.failure for run in report.scans),
                        "endTimeUtc": _rfc3339(report.time),
                        "toolExecutionNotifications": [
                            {
                                "level": "error",
                                "message": {"text": f"{run.scanner} ({run.target}): {run.failure}"},
                            }
                            for run in report.scans
                            if run.failure
                        ],
                    }
                ],
                "results": [_result(item, order.index(item.finding.id), report) for item in judged],
                "columnKind": "utf16CodeUnits",
                "properties": {"image": report.image, "digest": report.digest},
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def compliance(image: str, digest: str, checks: Sequence[Check]) -> str:
    """Return the checks of the image; one that did not run has no tick."""
    words = {True: "passed", False: "**FAILED**", None: "*did not run*"}
    counts = collections.Counter(check.passed for check in checks)
    return (
        "\n".join(
            (
                f"# Compliance of `{image}`",
                "",
                f"`{digest}`",
                "",
                f"{counts[True]} passed, {counts[False]} failed, {counts[None]} did not run.",
                "",
                *_markdown_table(
                    ("check", "result", "what was seen"),
                    [(_cell(check.name), words[check.passed], _cell(check.detail)) for check in checks],
                ),
            )
        )
        + "\n"
    )


# Parts of the texts ---------------------------------------------------------------------------------------------------


def _counts(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the table of sightings by severity and run, and of the findings that they come to."""
    joined = collections.Counter(item.finding.severity for item in report.verdict.judged)
    breaking = collections.Counter(item.finding.severity for item in report.verdict.breaking)
    seen = [collections.Counter(sighting.severity for sighting in run.sightings) for run in report.scans]
    header = ("severity", *(f"{run.scanner}, {run.target}" for run in report.scans), "joined", "breaking")
    rows = [
        (
            severity.name,
            *("?" if run.failure else str(counts[severity]) for run, counts in zip(report.scans, seen, strict=True)),
            str(joined[severity]),
            str(breaking[severity]),
        )
        for severity in reversed(Severity)
    ]
    return header, rows


def _findings_table(items: Iterable[Judged]) -> str:
    rows = [
        (
            item.finding.severity.name,
            item.finding.id,
            f"{item.finding.package} {item.finding.version}",
            ", ".join(item.finding.fixed) or "-",
            ", ".join(item.finding.severities),
        )
        for item in items
    ]
    return table(("severity", "advisory", "package", "fixed in", "seen by"), rows, _WIDTH)


def _scanners(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the table of the scanners' runs and their databases."""
    header = ("scanner", "looked at", "version", "result", "database built", "age")
    return header, [_scanner_row(run, report.time) for run in report.scans]


def _scanner_row(run: Scan, time: dt.datetime) -> tuple[str, ...]:
    days = (time - run.database.built).days if run.database else 0
    return (
        run.scanner,
        run.target,
        run.version or "-",
        "FAILED" if run.failure else "ran",
        f"{run.database.built:%Y-%m-%d}" if run.database else "-",
        count(days, "day") if run.database else "-",
    )


def _remarks(report: Report) -> Iterator[str]:
    verdict = report.verdict
    if report.components:
        yield "components: " + ", ".join(f"{number} {kind}" for kind, number in report.components.items())
    for word, items in (
        ("accepted", verdict.accepted),
        ("not affected or fixed by VEX", verdict.suppressed),
        ("tolerated", verdict.having(Status.TOLERATED)),
    ):
        if items:
            yield f"{word}: {len(items)}"
    for reason, times in sorted(collections.Counter(item.reason for item in verdict.dropped).items()):
        yield f"dropped as false: {times} ({reason})"
    for entry in verdict.expired:
        yield f"acceptance expired on {entry.until}: {entry.id} of {entry.package}"
    for entry in verdict.unmatched:
        yield f"acceptance matches no finding: {entry.id} of {entry.package}; remove it"
    yield from report.notes


def _section(title: str, items: Sequence[Judged], room: int) -> Iterator[str]:
    if not items:
        return
    left = room - 200
    rows = []
    for item in items:
        finding = item.finding
        link = f"[{finding.id}]({finding.url})" if finding.url.startswith("https://") else finding.id
        row = (
            finding.severity.name,
            link,
            _cell(f"{finding.package} {finding.version}"),
            finding.kind.value,
            _cell(", ".join(finding.fixed) or "-"),
            ", ".join(finding.severities),
            _cell("; ".join(filter(None, (item.reason, finding.title)))),
        )
        left -= sum(map(len, row)) + 3 * len(row)
        if left < 0:
            break
        rows.append(row)
    yield "<details open>" if items[0].status is Status.BREAKING else "<details>"
    yield from (f"<summary>{title}: {len(items)}</summary>", "")
    header = ("severity", "advisory", "package", "where", "fixed in", "seen by", "remark")
    yield from _markdown_table(header, rows)
    if len(rows) < len(items):
        yield from ("", f"... and {len(items) - len(rows)} more: see `findings.json`.")
    yield from ("", "</details>", "")


def _markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table; its cells are Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cell(text: str) -> str:
    """Make text of others harmless in Markdown: an advisory's title may hold anything."""
    for char, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("@", "&#64;")):
        text = text.replace(char, safe)
    return " ".join(text.replace("[", "\\[").replace("`", "\\`").split())


# Parts of the JSON ----------------------------------------------------------------------------------------------------


def _by_severity(run: Scan) -> dict[str, int]:
    counts = collections.Counter(sighting.severity for sighting in run.sightings)
    return {severity.name: counts[severity] for severity in reversed(Severity) if counts[severity]}


def _finding_json(item: Judged) -> dict[str, Any]:
    finding = item.finding
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
        "severities": {scanner: severity.name for scanner, severity in finding.severities.items()},
        "fixed": list(finding.fixed),
        "url": finding.url,
        "title": finding.title,
        "status": item.status.value,
        "reason": item.reason,
    }


def _acceptance_json(entry: Acceptance) -> dict[str, str]:
    return {"id": entry.id, "package": entry.package, "reason": entry.reason, "until": entry.until.isoformat()}


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
    fixed = f"; fixed in {', '.join(finding.fixed)}" if finding.fixed else "; no fixed version is known"
    # A service shows a finding beside a file of the repository: the lock names dependencies, the image has no file.
    path = "rebar.lock" if finding.kind in (Kind.HEX, Kind.GIT) else report.image
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": _SARIF[finding.severity][0],
        "message": {
            "text": f"{finding.package} {finding.version} ({finding.kind.value}): "
            f"{finding.title or finding.id}{fixed}; seen by {', '.join(finding.severities)}"
        },
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _uri(path)}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": f"{finding.package}@{finding.version}", "kind": "package"}],
            }
        ],
        "partialFingerprints": {"package/advisory/v1": f"{finding.kind.value}/{finding.package}/{finding.id}"},
        "properties": {"status": item.status.value, "severity": finding.severity.name},
    }
    if item.status in (Status.ACCEPTED, Status.NOT_AFFECTED, Status.FIXED):
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": f"{item.status.value}: {item.reason}"}
        ]
    return result


def _uri(path: str) -> str:
    # In a relative reference a colon in the first segment would be the end of a scheme.
    return urllib.parse.quote(path)


def _rfc3339(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
