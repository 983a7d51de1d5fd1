"""Judge a published image again, from its attested SBOM."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pipeline.errors import PolicyError
from pipeline.registry.reference import Reference
from pipeline.registry.signing import CYCLONEDX
from pipeline.registry.tools import Tools
from pipeline.registry.verify import Proof, Signer, verify
from pipeline.scan.acceptance import acceptance_of
from pipeline.scan.findings import RETIRED, SUPPRESSING, Status, is_same_flaw
from pipeline.table import count, table, wrapped

#: Scans a CycloneDX document against today's databases, judges by what the verdict says with which the image was
#: published, and returns the verdict of now, as `findings.json`.
SbomScan = Callable[[str, Mapping[str, Any]], Awaitable[str]]
#: Article 14 of Regulation (EU) 2024/2847 (eur-lex.europa.eu/eli/reg/2024/2847), in force since 11 September 2026.
_EXPLOITED = (
    "The Cyber Resilience Act of the EU (article 14) requires the manufacturer of a\n"
    "product to give an early warning of an actively exploited vulnerability in it\n"
    "within 24 hours of becoming aware of it."
)


def shipped_sbom(proof: Proof) -> str:
    """Return the SBOM of what is in the image as CycloneDX, without components that are locked but not shipped."""
    document = proof.newest(CYCLONEDX)
    parts = [part for part in document.get("components", []) if part.get("scope") != "excluded"]
    return json.dumps({**document, "components": parts})


async def rescan(tools: Tools, reference: Reference, signer: Signer, scan: SbomScan) -> str:
    """Judge a published image again, from its attested SBOM; report what is new since its attested verdict.

    Raises
    ------
    PolicyError
        If something new breaks the policy.
    """
    proof = await verify(tools, reference, signer)
    text, alarming = compare(proof.verdict, json.loads(await scan(shipped_sbom(proof), proof.verdict)))
    text = f"{proof.repository.at(proof.digest)}\n{text}"
    if alarming:
        raise PolicyError(text)
    return text


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, bool]:
    """Compare two verdicts (`findings.json`); return what is new for people, and whether it must not stay so.

    New is what was not there, and what has come to break the policy. What has come to be exploited must not stay so
    either, unless a VEX document says that it does not apply, or it was accepted since. A finding of a package in one
    version is known by any of its names: which of them is the first can change with the databases. Two CVEs are never
    one.
    """
    breaking, other = [], []
    for finding in now["findings"]:
        then = {known["status"] for known in before["findings"] if _same(known, finding)}
        if finding["status"] == Status.BREAKING and Status.BREAKING not in then:
            breaking.append(finding)
        elif not then:
            other.append(finding)
    changes = now.get("remedies", ()) if breaking else ()
    news = [*breaking, *other]
    header = ("severity", "advisory", "package", "fixed in", "status")
    rows = [
        (
            f["severity"],
            f["id"],
            f"{f['package']['name']} {f['package']['version']}",
            ", ".join(f["fixed"]),
            f["status"],
        )
        for f in news
    ]
    exploited = [finding for finding in now["findings"] if _newly_exploited(finding, before, now)]
    lines = [
        *(f"{f['id']} of {f['package']['name']}: known to be exploited since {f['exploited']}" for f in exploited),
        *([_EXPLOITED] if exploited else []),
        *(
            ["what to change", *(f"  {each['change']} (fixes {count(each['mends'], 'finding')})" for each in changes)]
            if changes
            else []
        ),
        f"{len(rows)} new since {before['time']}, {len(breaking)} of them break the policy",
        *([table(header, rows).rstrip()] if rows else []),
        *(wrapped(f"{row[2]} is {f['title']}") for row, f in zip(rows, news, strict=True) if f["id"] == RETIRED),
        *told(now),
        *now["verdict"]["lines"],
    ]
    return "\n".join(lines) + "\n", bool(breaking or exploited) or not now["verdict"]["decided"]


def _newly_exploited(finding: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether a finding became known as exploited and was not accepted since."""
    if not finding.get("exploited") or finding["status"] in SUPPRESSING:
        return False
    # An acceptance from before the publication was given without that knowledge.
    answers = [entry for entry in now["policy"]["accept"] if entry not in before.get("policy", {}).get("accept", ())]
    names, package = {finding["id"], *finding["aliases"]}, finding["package"]
    purls = [package["purl"]] if package["purl"] else []
    if finding["status"] == Status.ACCEPTED and any(
        acceptance_of(entry).covers(names, package["name"], purls) for entry in answers
    ):
        return False
    return not any(known.get("exploited") for known in before["findings"] if _same(known, finding))


def told(verdict: Mapping[str, Any]) -> list[str]:
    """Return what of the acceptances and VEX documents of a verdict matches nothing, and what is not known, by line."""
    unmatched = [acceptance_of(raw).lost for raw in verdict["acceptances"]["unmatched"]]
    unknown = [line for scanner in verdict["scanners"] for line in scanner.get("unknown", ())]
    return [*unmatched, *verdict["vex"]["unmatched"], *unknown]


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two findings are of the same flaw in the same version of a package."""
    if any(one["package"][key] != other["package"][key] for key in ("name", "version", "kind")):
        return False
    return is_same_flaw(*((each["id"], {each["id"], *each["aliases"]}) for each in (one, other)))
