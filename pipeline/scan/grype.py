"""Grype: its container and its report."""

import dataclasses
import json
from collections.abc import Collection
from typing import Any

import dagger

from pipeline.project.images import Images
from pipeline.sbom.containers import OUT, scanner
from pipeline.scan.containers import mounted, target_of
from pipeline.scan.databases import (
    GRYPE_CACHE,
    GRYPE_FILE,
    GRYPE_SOURCE,
    Database,
    Databases,
    digest_of,
    fetched,
    grype_database,
    grype_settings,
    reason_of,
    time_of,
)
from pipeline.scan.findings import ScannerRun, Sighting, aliases_of, locate, severity_of, short


async def grype(
    images: Images, databases: Databases, content: dagger.Directory | dagger.File, own: tuple[str, ...]
) -> ScannerRun:
    """Run Grype over an image or an SBOM."""
    target, path = target_of(content)
    database = await fetched(grype_database(images, databases))
    out = f"{OUT}/grype.json"
    raw = (
        await mounted(grype_settings(scanner(images["grype"])), path, content)
        .with_mounted_directory(GRYPE_CACHE, database)
        .with_env_variable("GRYPE_DB_AUTO_UPDATE", "false")
        # Its age is judged with Trivy's, by one rule; a refusal here would be a scanner's failure.
        .with_env_variable("GRYPE_DB_VALIDATE_AGE", "false")
        .with_exec(
            [f"{'oci-dir' if target == 'image' else 'sbom'}:{path}", "-o", "json", "--file", out], use_entrypoint=True
        )
        .file(out)
        .contents()
    )
    found = dataclasses.replace(read_grype(raw, target, own), raw=raw)
    if not found.database:
        return found
    source = "--grype-db" if databases.grype else databases.grype_url or GRYPE_SOURCE
    described = dataclasses.replace(found.database, source=source, digest=await digest_of(database, GRYPE_FILE))
    return dataclasses.replace(found, database=described)


def read_grype(text: str, target: str, own: Collection[str] = ()) -> ScannerRun:
    """Read Grype's JSON; arguments and failures are those of `read_trivy`."""
    try:
        report = json.loads(text)
        status = report["descriptor"]["db"]["status"]
        if status.get("error"):
            return ScannerRun("grype", target, failure=f"its database: {status['error']}")
        return ScannerRun(
            "grype",
            target,
            report["descriptor"].get("version", ""),
            tuple(_from_grype(raw, own) for raw in report["matches"]),
            database=Database("grype", time_of(status["built"]), status.get("from", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return ScannerRun("grype", target, failure=f"its report cannot be read ({reason_of(error)})")


def _from_grype(raw: dict[str, Any], own: Collection[str]) -> Sighting:
    artifact, flaw, details = raw["artifact"], raw["vulnerability"], raw.get("matchDetails") or []
    purl = artifact.get("purl", "")
    package, version, kind = locate(artifact["name"], artifact["version"], purl, artifact.get("type", ""), own)
    related = raw.get("relatedVulnerabilities") or []
    descriptions = [source.get("description", "") for source in (flaw, *related)]
    suggested = {detail["fix"]["suggestedVersion"] for detail in details if detail.get("fix")}
    only_by_cpe = bool(details) and all(detail["type"] == "cpe-match" for detail in details)
    return Sighting(
        scanner="grype",
        id=flaw["id"],
        aliases=aliases_of(flaw["id"], (other["id"] for other in related)),
        package=package,
        version=version,
        purl=purl,
        kind=kind,
        severity=severity_of(flaw.get("severity", "")),
        fixed=tuple(sorted(suggested) or flaw.get("fix", {}).get("versions") or ()),
        url=flaw.get("dataSource", ""),
        title=short(next(filter(None, descriptions), "")),
        cpes=tuple(sorted({cpe for detail in details for cpe in detail["found"]["cpes"]})) if only_by_cpe else (),
    )
