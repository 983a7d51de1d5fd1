"""Build, scan and judge an image; verdict, reports and publication are made from the result."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import BuildError
from pipeline.image.size import measured
from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.report import compliance
from pipeline.report.compliance import Check
from pipeline.report.documents import documents
from pipeline.report.findings import findings_json
from pipeline.report.html import html
from pipeline.report.places import Places
from pipeline.report.report import Report, reported
from pipeline.sbom.containers import Subject, describe, of_platforms, platform_documents, subject_of
from pipeline.sbom.containers import documents as sbom_documents
from pipeline.sbom.purl import architecture_of
from pipeline.sbom.sbom import Image
from pipeline.scan.baseline import Baseline
from pipeline.scan.calls import callers
from pipeline.scan.policy import Given, Rules
from pipeline.scan.scanners import Results, Scanners, scan, scan_document


@dataclasses.dataclass(frozen=True, slots=True)
class Assessed:
    """An image, what the scanners found in it, and the verdict."""

    subject: Subject
    results: Results
    report: Report

    def documents(self) -> dict[str, str]:
        """Return every report of the scan as a file."""
        return documents(self.report, self.results)

    async def sboms(self) -> dict[str, dict[str, str]]:
        """Return by digest the SBOM of each image of an index, as files; none if one image alone is published."""
        found = await of_platforms(self.subject)
        return {self.subject.variants[name].digest: sbom_documents(sbom) for name, sbom in found.items()}

    async def checks(self) -> list[Check]:
        """Run all checks on the image if the policy requires any; otherwise none."""
        if not self.report.rules.require:
            return []
        return await compliance.checks(self.subject, self.results)

    def unmet(self, checks: Sequence[Check]) -> list[str]:
        """Return the required checks that did not pass, a line each."""
        return [
            f"{check.key}: {check.name}: {check.detail or 'no'}{' (it did not run)' if check.passed is None else ''}"
            for check in checks
            if check.key in self.report.rules.require and not check.passed
        ]

    async def reports(self) -> dict[str, str]:
        """Return every report as a file, with that of the image's own checks."""
        checks = await compliance.checks(self.subject, self.results)
        layers = await measured(self.subject.container)
        sboms = await of_platforms(self.subject)
        remark, sbom = self.subject.image.remark, self.results.sbom
        text = compliance.compliance(self.report.image, self.report.digest, checks, remark, sbom)
        page = html(self.report, self.results, checks, layers)
        return {**self.documents(), **platform_documents(sboms), "compliance.md": text, "report.html": page}


async def assess(
    project: Project,
    application: Application,
    scanners: Scanners,
    rules: Rules,
    time: dt.datetime,
    *,
    places: Places | None = None,
    baseline: Baseline | None = None,
) -> Assessed:
    """Build the image of a project, scan it and judge it.

    Parameters
    ----------
    project
        What the user gave.
    application
        What was read of it.
    scanners
        With what it is scanned.
    rules
        What is asked of the image.
    time
        Of the verdict, with a zone.
    places
        What brought the packages in.
    baseline
        An earlier image: what it has too only warns.
    """
    subject = await subject_of(project, application)
    own = tuple(app.name for app in application.apps)
    results = await scan(scanners, lambda: describe(subject), subject.layout, own=own, hex_config=application.hex)
    # The image that was not scanned, of another architecture, may have what this one has not.
    alone = results.sbom if len(set(project.platforms)) <= 1 else None
    architecture = architecture_of(part.purl for part in alone.components) if alone else ""
    report = await reported(results, rules, subject.image, time, architecture=architecture, baseline=baseline)
    report = await _with_callers(dataclasses.replace(report, places=places, own=own), subject)
    return Assessed(subject, results, report)


async def _with_callers(report: Report, subject: Subject) -> Report:
    """Add who in the release calls vulnerable functions; a failure of this does not change the verdict."""
    wanted = {
        f"{item.finding.package} {function}" for item in report.verdict.judged for function in item.finding.functions
    }
    try:
        return dataclasses.replace(report, callers=await callers(subject.release, subject.application.name, wanted))
    except BuildError as error:
        return dataclasses.replace(report, notes=(*report.notes, str(error)))


async def assess_document(
    scanners: Scanners, given: Given, image: Image, cyclonedx: str, attested: Mapping[str, Any], *, time: dt.datetime
) -> str:
    """Judge a published image again from what was published with it; return the verdict as `findings.json`.

    Parameters
    ----------
    scanners
        With what it is scanned.
    given
        What is asked of the image now, in place of what was asked when it was published.
    image
        The image, where it is now.
    cyclonedx
        The SBOM.
    attested
        The verdict with which it was published, as `findings.json`.
    time
        Of the verdict, with a zone.
    """
    rules = given.over(Rules.from_attested(attested.get("policy", {})))
    results = await scan_document(scanners, cyclonedx)
    return findings_json(await reported(results, rules, image, time, attested=attested))
