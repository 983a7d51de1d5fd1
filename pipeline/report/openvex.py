"""The verdict as an OpenVEX document (github.com/openvex/spec, 0.2) for the `--vex` of other scanners."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pipeline.report.report import Report, rfc3339
from pipeline.sbom import purl
from pipeline.sbom.document import TOOL, kept, tool_version, written
from pipeline.scan.findings import RETIRED, SUPPRESSING, Finding, Status, rank
from pipeline.scan.vex import Statement, named

_CONTEXT = "https://openvex.dev/ns/v0.2.0"
#: What has no address of its own gets one here (OpenVEX: Public IRI Namespaces).
_ID = "https://openvex.dev/docs/public/vex-{}"


def openvex(report: Report) -> str:
    """Return what was accepted, and what is said or known not to apply, as OpenVEX; nothing if there is nothing.

    OpenVEX has no document without a statement. Of several statements on one thing Trivy takes the last and Grype the
    first, so no two of them differ here in whether they do away with a finding.
    """
    statements = [*_of_findings(report), *_of_dropped(report)]
    if not statements:
        return ""
    owner, _, name = report.image.rpartition("/")
    document = {
        "author": owner or name,
        "role": "publisher of the image",
        "timestamp": rfc3339(report.time),
        "version": 1,
        "tooling": f"{TOOL} {tool_version()}",
        "statements": sorted(statements, key=json.dumps),
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return written({"@context": _CONTEXT, "@id": _ID.format(digest), **document})


def _of_findings(report: Report) -> Iterator[dict[str, Any]]:
    for item in report.verdict.judged:
        finding, said = item.finding, item.statement
        if finding.id == RETIRED:
            # No flaw: no scanner could match it.
            continue
        names, purls = (finding.id, *finding.aliases), finding.purls
        if said:
            yield from _statement(report, names, purls, _given(said, finding), named(said, purls))
        if item.status is Status.ACCEPTED:
            why = {"status": "affected", "action_statement": f"accepted: {item.reason}"}
            yield from _statement(report, names, purls, why)


def _given(said: Statement, finding: Finding) -> dict[str, Any]:
    """Return what a VEX document says of a finding; of each status OpenVEX wants other fields."""
    more = {
        "not_affected": kept(justification=said.justification, impact_statement=said.impact),
        "affected": {"action_statement": said.action or finding.remedy},
    }
    time, source = rfc3339(said.time), f"as {said.source} says"
    return {"status": said.status, **more.get(said.status, {}), "status_notes": source, "timestamp": time}


def _of_dropped(report: Report) -> Iterator[dict[str, Any]]:
    # A scanner that looks at the image and at the SBOM has a package URL for each.
    purls: dict[tuple[bool, tuple[str, ...], str, str], list[str]] = {}
    for item in report.verdict.dropped:
        seen = item.sighting
        key = (item.anywhere, (seen.id, *seen.aliases), item.absence.value, item.reason)
        purls.setdefault(key, []).append(seen.purl)
    for (anywhere, names, absence, reason), about in purls.items():
        why = {"status": "not_affected", "justification": absence, "impact_statement": reason}
        yield from _statement(report, names, about, why, about if anywhere else ())


def _statement(
    report: Report,
    names: Sequence[str],
    purls: Collection[str],
    why: dict[str, Any],
    anywhere: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """Return a statement; none on what has no package URL, such as a secret, which no scanner could match.

    Parameters
    ----------
    report
        Of the image.
    names
        Of the flaw, the one that it is shown by first.
    purls
        Of the package, as the scanners write them.
    why
        The rest of the statement.
    anywhere
        Those of them of which it is true in whatever image: scanners know by these what they cannot tell the image of.
    """
    shown, about = set(names), set(filter(None, purls))
    if why["status"] in SUPPRESSING:
        # An advisory may name two flaws, and Erlang/OTP as a whole be seen for two applications: what another finding
        # still stands for is left to it.
        for other in (item.finding for item in report.verdict.judged if item.status not in SUPPRESSING):
            if shown.isdisjoint(other.names) or about.isdisjoint(other.purls):
                continue
            if names[0] in other.names:
                about -= set(other.purls)
            else:
                shown -= other.names
    if about:
        aliases = sorted(shown - {names[0]}, key=rank)
        image = {**_image(report), "subcomponents": [{"@id": each} for each in sorted(about)]}
        yield {
            "vulnerability": {"name": names[0], **kept(aliases=aliases)},
            "products": [image, *({"@id": each} for each in sorted(about.intersection(anywhere)))],
            **why,
        }


def _image(report: Report) -> dict[str, Any]:
    """Return the image as Trivy and Grype know it, in whichever repository: its digest says what it is."""
    name = report.image.rpartition("/")[2].partition(":")[0]
    sha256 = report.digest.removeprefix("sha256:")
    return {"@id": purl.of_image(f"{name}@{report.digest}"), "hashes": {"sha-256": sha256}}
