"""The verdict for a comment on a pull request or the summary of a step."""

import urllib.parse
from collections.abc import Iterable, Iterator, Sequence

from pipeline.report.remedies import changes
from pipeline.report.report import Report, counts, remarks, scanners
from pipeline.scan.findings import Status
from pipeline.scan.verdict import Judged

#: A comment on GitHub has at most 65536 characters; the wrapping job may add some.
_COMMENT = 60_000
#: How many changes are named.
_SHOWN = 20
#: What stays as it is in the address of a link: of RFC 3986's characters, those that end neither it nor a table's cell.
_URL = "%:/?#@!$&'*+,;=~"


def markdown(report: Report) -> str:
    """Return the verdict for a comment on a pull request or the summary of a step."""
    verdict = report.verdict
    head = [
        f"## {'Passed' if verdict.passed else 'Not passed'}: `{report.image}`",
        "",
        *(f"- **{cell(line)}**" for line in verdict.lines),
        "",
        *_changes(report),
        f"`{report.digest}`, {report.time:%Y-%m-%d %H:%M} UTC",
        "",
    ]
    foot = [
        *markdown_table(*scanners(report)),
        "",
        *(f"- {cell(line)}" for line in remarks(report)),
    ]
    header, rows = counts(report)
    overview = markdown_table([cell(name) for name in header], rows)
    sections = [
        ("New, breaks the policy" if verdict.compared else "Breaks the policy", verdict.breaking),
        ("Only warns", verdict.warnings),
        ("Accepted, or not applicable by VEX", (*verdict.accepted, *verdict.suppressed)),
        ("Tolerated by the policy", verdict.having(Status.TOLERATED)),
    ]
    room = _COMMENT - sum(len(line) + 1 for line in (*head, *overview, *foot))
    middle: list[str] = []
    for title, items in sections:
        lines = list(_section(report, title, items, room))
        room -= sum(len(line) + 1 for line in lines)
        middle += lines
    return "\n".join((*head, *overview, "", *middle, *foot)).rstrip() + "\n"


def _exploited(item: Judged) -> str:
    """Say that a finding is known to be exploited, unless the reason says so; how likely it is has a column."""
    urgency = item.finding.urgency
    return str(urgency) if urgency.exploited and str(urgency) not in item.reason else ""


def _changes(report: Report) -> Iterator[str]:
    lines = changes(report)
    if lines:
        yield from ("### What to change", "", *(f"- {cell(line)}" for line in lines[:_SHOWN]))
        if len(lines) > _SHOWN:
            yield f"- and {len(lines) - _SHOWN} more: see `findings.json`"
        yield ""


def _section(report: Report, title: str, items: Sequence[Judged], room: int) -> Iterator[str]:
    if not items:
        return
    left = room - 200
    rows = []
    for item in items:
        finding = item.finding
        row = (
            finding.severity.name,
            link(finding.id, finding.url),
            cell(f"{finding.package} {finding.version}"),
            finding.kind.value,
            cell(", ".join(finding.fixed) or "-"),
            finding.urgency.percent or "-",
            cell(", ".join(finding.severities)),
            cell("; ".join(filter(None, (_exploited(item), item.reason, report.evidence(finding), finding.title)))),
        )
        left -= sum(map(len, row)) + 3 * len(row)
        if left < 0:
            break
        rows.append(row)
    yield "<details open>" if items[0].status is Status.BREAKING else "<details>"
    yield from (f"<summary>{title}: {len(items)}</summary>", "")
    header = ("severity", "advisory", "package", "where", "fixed in", "EPSS", "seen by", "remark")
    yield from markdown_table(header, rows)
    if len(rows) < len(items):
        yield from ("", f"... and {len(items) - len(rows)} more: see `findings.json`.")
    yield from ("", "</details>", "")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table; its cells are Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def link(text: str, url: str) -> str:
    """Return a link, or the text alone if there is no address that can be trusted to be one."""
    if not url.startswith("https://") or any(char.isspace() for char in url):
        return cell(text)
    # What would end the address, or the cell that it is in.
    return f"[{cell(text)}]({urllib.parse.quote(url, safe=_URL)})"


def cell(text: str) -> str:
    """Make text of others harmless in Markdown: an advisory's title may hold anything."""
    for char, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("@", "&#64;")):
        text = text.replace(char, safe)
    return " ".join(text.replace("[", "\\[").replace("`", "\\`").split())
