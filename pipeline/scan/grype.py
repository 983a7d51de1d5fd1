"""Grype: its container and its report."""

import dataclasses
import json
import re
from collections.abc import Collection, Sequence
from typing import Any

import dagger

from pipeline.project.images import Images
from pipeline.sbom.containers import OUT, scanner
from pipeline.scan.containers import mounted, target_of
from pipeline.scan.coverage import packages_of, purls_of
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
from pipeline.scan.findings import (
    ScannerRun,
    Severity,
    Sighting,
    aliases_of,
    known,
    locate,
    rated,
    severity_of,
    short,
)

_ENDED = re.compile(r"package from EOL distro .*?\beol_date=(\d{4}-\d\d-\d\d)")


async def grype(
    images: Images, databases: Databases, content: dagger.Directory | dagger.File, own: tuple[str, ...]
) -> ScannerRun:
    """Run Grype over an image or an SBOM."""
    target, path = target_of(content)
    database = await fetched(grype_database(images, databases))
    # Only its SBOM has every package that it saw.
    out, parts = f"{OUT}/grype.json", f"{OUT}/grype.cdx.json"
    scanned = _with_database(images, database, path, content).with_exec(
        [
            f"{'oci-dir' if target == 'image' else 'sbom'}:{path}",
            *("-o", f"json={out}", "-o", f"cyclonedx-json={parts}"),
        ],
        use_entrypoint=True,
    )
    raw = await scanned.file(out).contents()
    found = dataclasses.replace(read_grype(raw, target, own, seen=await scanned.file(parts).contents()), raw=raw)
    if not found.database:
        return found
    source = "--grype-db" if databases.grype else databases.grype_url or GRYPE_SOURCE
    described = dataclasses.replace(found.database, source=source, digest=await digest_of(database, GRYPE_FILE))
    return dataclasses.replace(found, database=described)


def _with_database(
    images: Images, database: dagger.Directory, path: str, content: dagger.Directory | dagger.File
) -> dagger.Container:
    return (
        mounted(grype_settings(scanner(images["grype"])), path, content)
        .with_mounted_directory(GRYPE_CACHE, database)
        .with_env_variable("GRYPE_DB_AUTO_UPDATE", "false")
        # Its age is judged with Trivy's, by one rule; a refusal here would be a scanner's failure.
        .with_env_variable("GRYPE_DB_VALIDATE_AGE", "false")
    )


async def ended_on(images: Images, databases: Databases, document: dagger.File, system: str) -> str:
    """Return the day since which a system gets no security fixes, as Grype's database has it; nothing if it has none.

    Grype's report says no day, but its log does, at the level `debug`.
    """
    name, _, version = system.partition(" ")
    _, path = target_of(document)
    release = version.split(".", 1)[0] if name == "debian" else ".".join(version.split(".")[:2])
    for asked in dict.fromkeys((version, release)):
        log = (
            await _with_database(images, grype_database(images, databases), path, document)
            .with_env_variable("GRYPE_LOG_LEVEL", "debug")
            .with_exec(
                [f"sbom:{path}", "--distro", f"{name}:{asked}", "-o", f"json={OUT}/grype.json"], use_entrypoint=True
            )
            .stderr()
        )
        if day := _ENDED.search(log):
            return day[1]
    return ""


def read_grype(text: str, target: str, own: Collection[str] = (), *, seen: str = "{}") -> ScannerRun:
    """Read Grype's JSON, and out of its CycloneDX what it saw; the rest is as with `read_trivy`."""
    try:
        report = json.loads(text)
        status = report["descriptor"]["db"]["status"]
        system = report.get("distro") or {}
        alerts = [alert for part in report.get("alertsByPackage") or () for alert in part["alerts"]]
        if status.get("error"):
            return ScannerRun("grype", target, failure=f"its database: {status['error']}")
        return ScannerRun(
            "grype",
            target,
            report["descriptor"].get("version", ""),
            tuple(_from_grype(raw, own) for raw in report["matches"]),
            database=Database("grype", time_of(status["built"]), status.get("from", "")),
            packages=packages_of(purls_of(seen)),
            system=f"{system['name']} {system.get('version', '')}".strip() if system.get("name") else "",
            ended=any(alert["type"] == "distro-eol" for alert in alerts),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return ScannerRun("grype", target, failure=f"its report cannot be read ({reason_of(error)})")


def _severity(sources: Sequence[dict[str, Any]]) -> Severity:
    """Return the severity that the first source gives, else the highest CVSS score of any."""
    scores = [
        float(cvss["metrics"]["baseScore"])
        for source in sources
        for cvss in source.get("cvss") or ()
        if not str(cvss.get("version", "")).startswith("2")
    ]
    return known(*(severity_of(source.get("severity", "")) for source in sources), rated(max(scores, default=0.0)))


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
        severity=_severity((flaw, *related)),
        fixed=tuple(sorted(suggested) or flaw.get("fix", {}).get("versions") or ()),
        url=flaw.get("dataSource", ""),
        title=short(next(filter(None, descriptions), "")),
        cpes=tuple(sorted({cpe for detail in details for cpe in detail["found"]["cpes"]})) if only_by_cpe else (),
    )
