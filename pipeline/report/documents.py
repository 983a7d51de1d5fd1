"""Every report as a file."""

import dataclasses

from pipeline.report.findings import findings_json
from pipeline.report.github import dependency_snapshot
from pipeline.report.gitlab import gitlab
from pipeline.report.junit import junit
from pipeline.report.markdown import markdown
from pipeline.report.openvex import openvex
from pipeline.report.report import Report
from pipeline.report.sarif import code_scanning, sarif
from pipeline.sbom.containers import documents as sbom_documents
from pipeline.scan.scanners import Results


def documents(report: Report, results: Results) -> dict[str, str]:
    """Return every report as a file, without the own reports of scanners that failed.

    OpenVEX has no document without a statement: where nothing is accepted or does not apply, there is none.
    """
    raw = {f"{run.scanner}{'.sbom' if run.target == 'SBOM' else ''}.json": run.raw for run in results.runs if run.raw}
    files = {
        **raw,
        **{f"{scanner}.sarif": sarif(_of_one(report, scanner)) for scanner in ("trivy", "grype")},
        "findings.sarif": sarif(report),
        "code-scanning.sarif": code_scanning(report),
        "findings.json": findings_json(report),
        "report.md": markdown(report),
        "gl-container-scanning-report.json": gitlab(report),
        "junit.xml": junit(report),
    }
    if vex := openvex(report):
        files["vex.openvex.json"] = vex
    if results.scout:
        files["scout.sarif"] = results.scout
    if results.sbom:
        files |= {"syft.json": results.syft, **sbom_documents(results.sbom)}
        files["github-dependencies.json"] = dependency_snapshot(results.sbom, report.time)
    return files


def _of_one(report: Report, scanner: str) -> Report:
    """Return the own report of one scanner."""
    judged = tuple(item for item in report.verdict.judged if scanner in item.finding.severities)
    return dataclasses.replace(
        report,
        runs=tuple(scan for scan in report.runs if scan.scanner == scanner),
        verdict=dataclasses.replace(report.verdict, judged=judged),
    )
