"""Trivy: its container and its report."""

import dataclasses
import json
from collections.abc import Collection
from typing import Any

import dagger

from pipeline.errors import InputError, last_words
from pipeline.project.images import Images
from pipeline.sbom.containers import OUT, scanner
from pipeline.scan.containers import mounted, target_of
from pipeline.scan.coverage import packages_of
from pipeline.scan.databases import (
    TRIVY_CACHE,
    TRIVY_FILE,
    TRIVY_SOURCE,
    Database,
    Databases,
    digest_of,
    fetched,
    reason_of,
    trivy_database,
)
from pipeline.scan.findings import (
    ScannerRun,
    Secret,
    Severity,
    Sighting,
    Urgency,
    aliases_of,
    known,
    locate,
    rated,
    severity_of,
    short,
)

#: A CVSS score of version 2 is on another scale.
_SCORES = ("V3Score", "V40Score")
_SECRETS = "/scan/trivy-secret.yaml"
#: Trivy passes over whole folders, by the words in their names (pkg/fanal/secret/builtin-allow-rules.go), as if it
#: looked at sources: in an image everything counts. That a value says that it is an example stays its own rule.
_SECRETS_EVERYWHERE = """disable-allow-rules: [tests, examples, vendor, markdown]
allow-rules:
  - id: example-values
    description: values that are marked as examples
    regex: (?i)example
"""


async def trivy(
    images: Images, databases: Databases, content: dagger.Directory | dagger.File, own: tuple[str, ...]
) -> ScannerRun:
    """Run Trivy over an image or an SBOM."""
    target, path = target_of(content)
    database = await fetched(trivy_database(images, databases))
    source = "--trivy-db" if databases.trivy else databases.trivy_repository or TRIVY_SOURCE
    described = dataclasses.replace(
        Database.from_trivy(await _metadata(database, source), source), digest=await digest_of(database, TRIVY_FILE)
    )
    command = {
        # Secrets are looked for in the image alone; its configuration is read for them too.
        "image": [
            *("image", "--scanners=vuln,secret", "--image-config-scanners=secret"),
            *("--secret-config", _SECRETS, "--input", path),
        ],
        "SBOM": ["sbom", "--scanners=vuln", path],
    }[target]
    flags = ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check", "--no-progress"]
    out = f"{OUT}/trivy.json"
    container = (
        mounted(scanner(images["trivy"]), path, content)
        .with_mounted_directory(f"{TRIVY_CACHE}/db", database)
        .with_new_file(_SECRETS, _SECRETS_EVERYWHERE)
    )
    raw = (
        await container.with_exec(
            [*command, *flags, "--cache-dir", TRIVY_CACHE, "--format=json", "--output", out], use_entrypoint=True
        )
        .file(out)
        .contents()
    )
    found = read_trivy(raw, target, own)
    return dataclasses.replace(found, database=described, raw=raw)


async def _metadata(database: dagger.Directory, source: str) -> str:
    try:
        return await database.file("metadata.json").contents()
    except dagger.QueryError as error:
        raise InputError(
            f"{source}: metadata.json, which has the build date of {TRIVY_FILE}, cannot be read "
            f"({last_words(error)}); give the whole cache directory of `trivy image --download-db-only`"
        ) from None


def read_trivy(text: str, target: str, own: Collection[str] = ()) -> ScannerRun:
    """Read Trivy's JSON of an image or of an SBOM; a report that cannot be read is a scan that failed.

    Parameters
    ----------
    text
        The report.
    target
        What was scanned: `image` or `SBOM`.
    own
        Names of the project's own applications.
    """
    try:
        report = json.loads(text)
        results = report.get("Results") or []
        if report["SchemaVersion"] != 2:  # noqa: PLR2004 # the only one there has been since 2021
            return ScannerRun("trivy", target, failure=f"its report has version {report['SchemaVersion']}; expected 2")
        # There is none for a system that it does not recognise.
        system = (report.get("Metadata") or {}).get("OS") or {}
        return ScannerRun(
            "trivy",
            target,
            report.get("Trivy", {}).get("Version", ""),
            tuple(_from_trivy(raw, result, own) for result in results for raw in result.get("Vulnerabilities") or ()),
            tuple(
                Secret(
                    raw["RuleID"],
                    result["Target"],
                    raw.get("StartLine", 0),
                    severity_of(raw.get("Severity", "")),
                    short(raw.get("Title", "")),
                )
                for result in results
                for raw in result.get("Secrets") or ()
            ),
            packages=packages_of(
                package.get("Identifier", {}).get("PURL", "")
                for result in results
                for package in result.get("Packages") or ()
            ),
            system=f"{system['Family']} {system['Name']}" if system else "",
            ended=bool(system.get("EOSL")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return ScannerRun("trivy", target, failure=f"its report cannot be read ({reason_of(error)})")


def _by_others(raw: dict[str, Any]) -> Severity:
    """Return the severity that the National Vulnerability Database gives, else the highest of anybody, else by CVSS."""
    names = list(Severity)[1:]
    # Trivy has no name for what is negligible: 1 is low.
    vendors = {name: names[number] for name, number in (raw.get("VendorSeverity") or {}).items() if number}
    scores = {name: rated(score) for name, score in _scores(raw).items()}
    return known(
        *(known(by.get("nvd", Severity.UNKNOWN), *sorted(by.values(), reverse=True)) for by in (vendors, scores))
    )


def _scores(raw: dict[str, Any]) -> dict[str, float]:
    """Return the highest CVSS score that each source gives."""
    found = {
        name: [float(value) for key, value in scored.items() if key in _SCORES]
        for name, scored in (raw.get("CVSS") or {}).items()
    }
    return {name: max(scores) for name, scores in found.items() if scores}


def _from_trivy(raw: dict[str, Any], result: dict[str, Any], own: Collection[str]) -> Sighting:
    purl = raw.get("PkgIdentifier", {}).get("PURL", "")
    scanner_type = result["Class"] if result.get("Class") == "os-pkgs" else result.get("Type", "")
    package, version, kind = locate(raw["PkgName"], raw.get("InstalledVersion", ""), purl, scanner_type, own)
    name = raw["VulnerabilityID"]
    return Sighting(
        scanner="trivy",
        id=name,
        aliases=aliases_of(name, raw.get("VendorIDs") or ()),
        package=package,
        version=version,
        purl=purl,
        kind=kind,
        severity=known(severity_of(raw.get("Severity", "")), _by_others(raw)),
        fixed=tuple(part.strip() for part in raw.get("FixedVersion", "").split(",") if part.strip()),
        url=raw.get("PrimaryURL", ""),
        title=short(raw.get("Title") or raw.get("Description", "")),
        urgency=Urgency(score=max(_scores(raw).values(), default=None)),
    )
