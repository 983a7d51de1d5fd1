"""The verdict for a terminal, and as the end of a command."""

from collections.abc import Iterable

from pipeline.errors import PolicyError, ScannerError
from pipeline.report.remedies import changes
from pipeline.report.report import Report, counts, remarks, scanners
from pipeline.scan.verdict import Judged
from pipeline.table import table, wrapped


def terminal(report: Report) -> str:
    """Return the verdict as text, 76 columns wide, without colours."""
    verdict = report.verdict
    parts = [f"{report.image}\n{report.digest}\n"]
    if lines := changes(report):
        parts.append("what to change\n" + "".join(wrapped(f"  {line}") + "\n" for line in lines))
    parts.append(table(*counts(report)))
    new = "new " if verdict.compared else ""
    breaks = f"{new}findings that break the policy ({verdict.policy})"
    for title, items in ((breaks, verdict.breaking), ("findings that only warn", verdict.warnings)):
        if items:
            parts.append(f"{title}\n{_findings_table(items)}")
            # What is said of several findings is said once.
            about: dict[str, list[str]] = {}
            for item in items:
                about.setdefault(_told(item, report), []).append(item.finding.id)
            about.pop("", None)
            parts.append(
                "".join(wrapped(f"{', '.join(dict.fromkeys(ids))}: {words}") + "\n" for words, ids in about.items())
            )
    parts.append(table(*scanners(report)))
    parts.append("".join(f"{line}\n" for line in remarks(report)))
    parts.append("".join(f"{line}\n" for line in verdict.lines))
    return "\n".join(part for part in parts if part)


def _told(item: Judged, report: Report) -> str:
    urgency = str(item.finding.urgency)
    said = "" if urgency in item.reason else urgency
    return "; ".join(filter(None, (said, item.reason, report.evidence(item.finding))))


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
    return table(("severity", "advisory", "package", "fixed in", "seen by"), rows)


def conclude(report: Report) -> str:
    """Return the verdict as text.

    Raises
    ------
    ScannerError
        If a scanner failed or a database is too old, so that there is no verdict.
    PolicyError
        If the image breaks the policy.
    """
    text = terminal(report)
    verdict = report.verdict
    if verdict.passed:
        return text
    # What went wrong stands at both ends: the first line is what a summary shows, the last what a terminal does.
    message = f"{verdict.lines[0]}\n\n{text}"
    raise PolicyError(message) if verdict.decided else ScannerError(message)
