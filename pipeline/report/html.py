"""`report.html`: everything for the reader in one file that needs no network.

What others wrote (names, titles, addresses) is in the page as JSON alone, and its script puts it in as text.
"""

import base64
import collections
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pipeline.handover import script_text
from pipeline.image.layout import Layer
from pipeline.image.size import LIMIT, parts_of
from pipeline.report.compliance import Check
from pipeline.report.findings import finding_json
from pipeline.report.graph import COLUMNS, graph
from pipeline.report.remedies import next_steps, remedies, unmended
from pipeline.report.report import Report, remarks, rfc3339, scanners
from pipeline.report.treemap import treemap
from pipeline.sbom.component import Component
from pipeline.sbom.licence import expression
from pipeline.sbom.purl import Purl
from pipeline.sbom.sbom import Sbom
from pipeline.sbom.syft import owners
from pipeline.scan.acceptance import Acceptance, acceptance_json
from pipeline.scan.findings import Finding
from pipeline.scan.scanners import Results
from pipeline.scan.verdict import Judged


def html(report: Report, results: Results, checks: Sequence[Check], layers: list[Layer]) -> str:
    """Return the page.

    Parameters
    ----------
    report
        The verdict.
    results
        Of the scanners, with the SBOM.
    checks
        Of the image.
    layers
        Of the image, lowest first.
    """
    style, code = script_text("report/resources/report.css"), script_text("report/resources/report.js")
    page = script_text("report/resources/report.html")
    for key, value in {
        "STYLE_HASH": _hash(style),
        "SCRIPT_HASH": _hash(code),
        "STYLE": style,
        "SCRIPT": code,
        # Last: nothing is looked for in what others wrote.
        "DATA": _json(_data(report, results, checks, layers)),
    }.items():
        page = page.replace(f"@{key}@", value)
    return page


def _hash(text: str) -> str:
    """Return what a Content-Security-Policy calls an inline text by (www.w3.org/TR/CSP3, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(data: object) -> str:
    """Return JSON that cannot end or begin an HTML element, whatever it contains."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")


def _data(report: Report, results: Results, checks: Sequence[Check], layers: list[Layer]) -> dict[str, Any]:
    verdict = report.verdict
    header, rows = scanners(report)
    steps = next_steps(report)
    return {
        "image": report.image,
        "digest": report.digest,
        "time": rfc3339(report.time),
        "erlang": report.erlang,
        "verdict": {"passed": verdict.passed, "decided": verdict.decided, "lines": verdict.lines},
        "changes": [[each.change, each.mends] for each in remedies(report)],
        "unmended": unmended(report),
        "findings": [_finding(item, step, report) for item, step in zip(verdict.judged, steps, strict=True)],
        "acceptances": [_acceptance(entry, report) for entry in report.rules.acceptances],
        "scanners": {"header": header, "rows": rows},
        "remarks": list(remarks(report)),
        "checks": [[check.name, check.passed, check.detail] for check in checks],
        "size": {
            "limit": LIMIT,
            "layers": [[part.name, part.compressed, part.uncompressed] for part in parts_of(layers)],
            "tree": treemap(layers, _packages(results)).json(),
        },
        "sbom": _sbom(results.sbom, [item.finding for item in verdict.judged]) if results.sbom else None,
    }


def _finding(item: Judged, step: str, report: Report) -> dict[str, Any]:
    until = item.acceptance.until.isoformat() if item.acceptance else None
    return {**finding_json(item, report), "until": until, "next": step}


def _acceptance(entry: Acceptance, report: Report) -> dict[str, str]:
    verdict = report.verdict
    state = "expired" if entry in verdict.expired else "matches nothing" if entry in verdict.unmatched else "counts"
    return {**acceptance_json(entry), "state": state}


def _packages(results: Results) -> dict[str, str]:
    """Return by path the name of the package of the system that has the file."""
    found = owners(json.loads(results.syft)) if results.syft else {}
    return {path: purl.name for path, text in found.items() if (purl := Purl.parse(text))}


def _sbom(sbom: Sbom, findings: Sequence[Finding]) -> dict[str, Any]:
    drawn = graph(sbom)
    shipped = sbom.shipped().components
    number = {part.purl: at for at, part in enumerate(shipped)}
    # A component of several licences counts for each.
    licences = collections.Counter(
        name for part in shipped for name in {entry.text for entry in part.licenses or part.concluded} or {""}
    )
    return {
        "system": sbom.system.pretty,
        "counts": sbom.counts_by_kind(),
        "licences": sorted(licences.items(), key=lambda item: (-item[1], item[0])),
        "components": [
            {
                "name": part.name,
                "version": part.version,
                "kind": part.kind.value,
                "purl": part.purl,
                "licence": expression(part.licenses or part.concluded),
                "findings": [at for at, finding in enumerate(findings) if _is_of(finding, part)],
                # The others have no place in the graph.
                **({"needs": [number[need] for need in drawn.needs[part.purl]]} if part.purl in drawn.needs else {}),
            }
            for part in shipped
        ],
        "columns": [
            [heading, [number[part.purl] for part in column]]
            for heading, column in zip(COLUMNS, drawn.columns, strict=True)
        ],
    }


def _is_of(finding: Finding, part: Component) -> bool:
    """Tell whether a finding is of a component: a scanner may write its package URL in another way."""
    same = (finding.kind, finding.package, finding.version) == (part.kind, part.name, part.version)
    return same or part.purl in finding.purls
