"""An image scanned and judged: what its verdict, its reports and its publication are made of."""

import dataclasses
import datetime as dt

from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.report import compliance
from pipeline.report.documents import documents
from pipeline.report.findings import findings_json
from pipeline.report.places import Places
from pipeline.report.report import Report, reported
from pipeline.sbom.containers import Subject, describe, subject_of
from pipeline.sbom.purl import architecture_of
from pipeline.sbom.sbom import Image
from pipeline.scan.policy import Rules
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

    async def reports(self) -> dict[str, str]:
        """Return every report as a file, with that of the image's own checks."""
        checks = await compliance.checks(self.subject, self.results)
        text = compliance.compliance(self.report.image, self.report.digest, checks)
        return {**self.documents(), "compliance.md": text}


async def assess(
    project: Project,
    application: Application,
    scanners: Scanners,
    rules: Rules,
    time: dt.datetime,
    *,
    places: Places | None = None,
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
    """
    subject = await subject_of(project, application)
    own = tuple(app.name for app in application.apps)
    results = await scan(scanners, lambda: describe(subject), subject.layout, own=own)
    # The image that was not scanned, of another architecture, may have what this one has not.
    alone = results.sbom if len(set(project.platforms)) <= 1 else None
    architecture = architecture_of(part.purl for part in alone.components) if alone else ""
    report = await reported(results, rules, subject.image, time, architecture)
    return Assessed(subject, results, dataclasses.replace(report, places=places))


async def assess_document(scanners: Scanners, rules: Rules, image: Image, time: dt.datetime, cyclonedx: str) -> str:
    """Judge an image anew by the SBOM that was published with it; return the verdict as `findings.json`.

    Parameters
    ----------
    scanners
        With what it is scanned.
    rules
        What is asked of the image.
    image
        The image.
    time
        Of the verdict, with a zone.
    cyclonedx
        The SBOM.
    """
    return findings_json(await reported(await scan_document(scanners, cyclonedx), rules, image, time))
