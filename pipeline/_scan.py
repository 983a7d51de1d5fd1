"""The report of the scanners."""

import dataclasses
import datetime as dt

import dagger

from pipeline import _ci_reports
from pipeline._reports import Report, findings_json, markdown, sarif, terminal
from pipeline.errors import PolicyError, ScannerError
from pipeline.sbom.cyclonedx import cyclonedx
from pipeline.sbom.sbom import Image
from pipeline.sbom.spdx import spdx
from pipeline.scan.databases import MAX_AGE
from pipeline.scan.policy import Criteria, acceptances, statements
from pipeline.scan.scanners import Results
from pipeline.scan.verdict import judge


async def report(results: Results, criteria: Criteria, image: Image, source: dagger.Directory | None = None) -> Report:
    """Judge what the scanners found.

    Parameters
    ----------
    results
        Of the scanners.
    criteria
        The policy, as given.
    image
        What was scanned.
    source
        The project, whose acceptance file counts if none is given.
    """
    now = dt.datetime.now(dt.UTC)
    tagged = f"{image.name}:{image.version}"
    verdict = judge(
        results.scans,
        criteria.policy,
        now=now,
        statements=await statements(criteria, results.sbom),
        acceptances=await acceptances(criteria, source),
        image=(tagged, f"{image.name}@{image.digest}", image.purl),
        max_age=None if criteria.accept_old_db else MAX_AGE,
    )
    notes = (
        ("Docker Scout ran: see scout.sarif; it does not count in the verdict",)
        if results.scout
        else ("Docker Scout did not run: it needs a login (--scout-user, --scout-token)",)
    )
    counts = results.sbom.counts_by_kind() if results.sbom else {}
    return Report(tagged, image.digest, now, results.scans, verdict, notes, counts)


def conclude(report: Report) -> str:
    """Return the verdict for people.

    Raises
    ------
    ScannerError
        If a scanner failed or a database is too old: nothing is decided then.
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


def documents(report: Report, results: Results) -> dict[str, str]:
    """Return every report as a file; of a scanner that failed there is no report of its own."""
    raw = {
        f"{run.scan.scanner}{'.sbom' if run.scan.target == 'SBOM' else ''}.json": run.raw
        for run in results.runs
        if run.raw
    }
    files = {
        **raw,
        **{f"{scanner}.sarif": sarif(_only(report, scanner)) for scanner in ("trivy", "grype")},
        "findings.sarif": sarif(report),
        "findings.json": findings_json(report),
        "report.md": markdown(report),
        "gl-container-scanning-report.json": _ci_reports.gitlab(report),
        "junit.xml": _ci_reports.junit(report),
    }
    if results.scout:
        files["scout.sarif"] = results.scout
    if results.sbom:
        files |= {
            "syft.json": results.syft,
            "sbom.spdx.json": spdx(results.sbom),
            "sbom.cdx.json": cyclonedx(results.sbom),
        }
    return files


def _only(report: Report, scanner: str) -> Report:
    """Return what one scanner alone has to say."""
    judged = tuple(item for item in report.verdict.judged if scanner in item.finding.severities)
    return dataclasses.replace(
        report,
        scans=tuple(scan for scan in report.scans if scan.scanner == scanner),
        verdict=dataclasses.replace(report.verdict, judged=judged),
    )
