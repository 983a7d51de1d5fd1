"""Grype: its container and its report."""

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import dagger

from pipeline.errors import last_words
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
    Urgency,
    aliases_of,
    known,
    locate,
    rated,
    severity_of,
    short,
)

#: The day on which CISA began its catalogue.
_ALWAYS = "2021-11-03"
_ENDED = re.compile(r"package from EOL distro .*?\beol_date=(\d{4}-\d\d-\d\d)")


async def grype(
    images: Images, databases: Databases, content: dagger.Directory | dagger.File, own: tuple[str, ...]
) -> ScannerRun:
    """Run Grype over an image or an SBOM."""
    target, path = target_of(content)
    database = await fetched(grype_database(images, databases))
    # Only its SBOM has every package that it saw.
    out, parts = f"{OUT}/grype.json", f"{OUT}/grype.cdx.json"
    scanned = mounted(_with_settings(images, databases), path, content).with_exec(
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


def _with_settings(images: Images, databases: Databases) -> dagger.Container:
    return (
        grype_settings(scanner(images["grype"]))
        .with_mounted_directory(GRYPE_CACHE, grype_database(images, databases))
        .with_env_variable("GRYPE_DB_AUTO_UPDATE", "false")
        # Its age is judged with Trivy's, by one rule; a refusal here would be a scanner's failure.
        .with_env_variable("GRYPE_DB_VALIDATE_AGE", "false")
    )


async def with_threats(images: Images, databases: Databases, runs: Sequence[ScannerRun]) -> tuple[ScannerRun, ...]:
    """Add to all runs what Grype's database knows of CVEs that Grype itself did not report.

    Whether a flaw is exploited it tells of those that it sees; its command `db search` tells it of any.
    """
    ours = [run for run in runs if run.scanner == "grype"]
    if not ours or any(run.failure for run in ours):
        return tuple(runs)
    seen = {name for run in ours for each in run.sightings for name in each.names}
    named = {name for run in runs for each in run.sightings for name in each.names}
    asked = sorted(name for name in named - seen if name.startswith("CVE-"))
    if not asked:
        return tuple(runs)
    try:
        text = await (
            _with_settings(images, databases)
            .with_exec(["db", "search", "vuln", *asked, "--limit=0", "-o=json"], use_entrypoint=True)
            .stdout()
        )
        answer = json.loads(text)
        if not isinstance(answer, list):
            raise TypeError(f"not a list: {text[:40]!r}")  # noqa: TRY301 # as what else it may hold
        threats = _threats(answer, "known_exploited", "date_added")
    except dagger.QueryError as error:
        failed = f"the query for exploited vulnerabilities failed: {last_words(error)}"
        return (*runs, ScannerRun("grype", "SBOM", failure=failed))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        failed = f"its answer about exploited vulnerabilities cannot be read ({reason_of(error)})"
        return (*runs, ScannerRun("grype", "SBOM", failure=failed))
    return tuple(
        dataclasses.replace(run, threats={**threats, **run.threats}) if run is ours[0] else run for run in runs
    )


async def ended_on(images: Images, databases: Databases, document: dagger.File, system: str) -> str:
    """Return the day since which a distribution gets no security fixes, from Grype's database, or an empty text.

    Grype's report says no day, but its log does, at the level `debug`.
    """
    name, _, version = system.partition(" ")
    _, path = target_of(document)
    release = version.split(".", 1)[0] if name == "debian" else ".".join(version.split(".")[:2])
    for asked in dict.fromkeys((version, release)):
        log = (
            await mounted(_with_settings(images, databases), path, document)
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
            threats=_threats(_flaws(report), "knownExploited", "dateAdded"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return ScannerRun("grype", target, failure=f"its report cannot be read ({reason_of(error)})")


def _flaws(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for raw in report["matches"]:
        yield raw["vulnerability"]
        yield from raw.get("relatedVulnerabilities") or ()


def _severity(sources: Sequence[dict[str, Any]]) -> Severity:
    """Return the severity that the first source gives, else that of the highest CVSS score of any."""
    return known(*(severity_of(source.get("severity", "")) for source in sources), rated(_score(sources)))


def _score(sources: Sequence[dict[str, Any]]) -> float | None:
    scores = [
        float(cvss["metrics"]["baseScore"])
        for source in sources
        for cvss in source.get("cvss") or ()
        if not str(cvss.get("version", "")).startswith("2")
    ]
    return max(scores, default=None)


def _threats(sources: Iterable[dict[str, Any]], exploited: str, added: str) -> dict[str, Urgency]:
    """Return by CVE whether it is known to be exploited, since when, and how likely it is."""
    found: dict[str, Urgency] = {}
    for source in sources:
        # An entry without a day is one all the same.
        for each in source.get(exploited) or ():
            told = Urgency(exploited=_day(each.get(added) or _ALWAYS))
            found[each["cve"]] = found.get(each["cve"], Urgency()).joined(told)
        for each in source.get("epss") or ():
            found[each["cve"]] = found.get(each["cve"], Urgency()).joined(Urgency(epss=float(each["epss"])))
    return found


def _fixed_on(flaw: dict[str, Any], fixed: Collection[str]) -> dt.date | None:
    """Return the day of the fix for the version in the image."""
    available = flaw.get("fix", {}).get("available") or ()
    return min((_day(each["date"]) for each in available if each["version"] in fixed), default=None)


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text[:10])


def _from_grype(raw: dict[str, Any], own: Collection[str]) -> Sighting:
    artifact, flaw, details = raw["artifact"], raw["vulnerability"], raw.get("matchDetails") or []
    purl = artifact.get("purl", "")
    package, version, kind = locate(artifact["name"], artifact["version"], purl, artifact.get("type", ""), own)
    related = raw.get("relatedVulnerabilities") or []
    descriptions = [source.get("description", "") for source in (flaw, *related)]
    suggested = {detail["fix"]["suggestedVersion"] for detail in details if detail.get("fix")}
    fixed = tuple(sorted(suggested) or flaw.get("fix", {}).get("versions") or ())
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
        fixed=fixed,
        url=flaw.get("dataSource", ""),
        title=short(next(filter(None, descriptions), "")),
        cpes=tuple(sorted({cpe for detail in details for cpe in detail["found"]["cpes"]})) if only_by_cpe else (),
        urgency=Urgency(score=_score((flaw, *related)), fixed_on=_fixed_on(flaw, fixed)),
    )
