"""Syft, Trivy, Grype and Docker Scout as sibling containers, at the same time, over one image."""

import dataclasses
from collections.abc import Awaitable, Callable

import dagger

from pipeline import handover
from pipeline.errors import PipelineError, gathered, last_words
from pipeline.project.images import Images
from pipeline.sbom.cyclonedx import cyclonedx
from pipeline.sbom.sbom import Sbom
from pipeline.scan.containers import target_of
from pipeline.scan.databases import Databases, checked
from pipeline.scan.findings import ScannerRun
from pipeline.scan.grype import grype
from pipeline.scan.scout import Scout
from pipeline.scan.scout import scout as ask_scout
from pipeline.scan.trivy import trivy


@dataclasses.dataclass(frozen=True, slots=True)
class Scanners:
    """With what is scanned."""

    images: Images
    databases: Databases
    #: Ask Docker Scout too.
    scout: Scout | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Results:
    """What the scanners gave; a run that failed is among them."""

    runs: tuple[ScannerRun, ...]
    #: Syft's own JSON; empty if it failed.
    syft: str = ""
    sbom: Sbom | None = None
    #: Docker Scout's SARIF; empty if it was not asked, or failed.
    scout: str = ""


async def prepared(scanners: Scanners) -> Scanners:
    """Return them, or raise `InputError` if a directory that was given holds not one database: before anything is built."""
    return dataclasses.replace(scanners, databases=await checked(scanners.databases))


async def scan(
    scanners: Scanners,
    describe: Callable[[], Awaitable[tuple[str, Sbom]]],
    layout: dagger.Directory,
    *,
    own: tuple[str, ...] = (),
) -> Results:
    """Run all scanners at the same time; one that fails does not stop the others.

    Parameters
    ----------
    scanners
        With what.
    describe
        Makes Syft's JSON and the SBOM; the scans of the SBOM wait for it, those of the image do not.
    layout
        The image as an OCI layout.
    own
        Names of the project's own applications.
    """
    runs: list[ScannerRun] = []
    scouted: list[str] = []
    documents: list[tuple[str, Sbom]] = []

    async def look(content: dagger.Directory | dagger.File) -> None:
        runs.extend(await _vulnerabilities(scanners, content, own))

    async def document() -> None:
        try:
            documents.append(await describe())
        except PipelineError as error:
            runs.append(ScannerRun("syft", "image", failure=str(error)))
        else:
            await look(_document(cyclonedx(documents[0][1].shipped())))

    async def ask(report: dagger.File) -> None:
        try:
            scouted.append(await report.contents())
        except dagger.QueryError as error:
            runs.append(ScannerRun("scout", "image", failure=last_words(error)))

    scouts = [ask_scout(scanners.images, layout, scanners.scout)] if scanners.scout else []
    await gathered(*map(ask, scouts), document(), look(layout))
    text, sbom = documents[0] if documents else ("", None)
    order = [(scanner, target) for target in ("image", "SBOM") for scanner in ("syft", "trivy", "grype", "scout")]
    runs.sort(key=lambda each: order.index((each.scanner, each.target)))
    return Results(tuple(runs), text, sbom, "".join(scouted))


async def scan_document(scanners: Scanners, cyclonedx: str) -> Results:
    """Run Trivy and Grype over an SBOM that was published with an image; the image itself is not needed."""
    return Results(tuple(await _vulnerabilities(scanners, _document(cyclonedx))))


def _document(cyclonedx: str) -> dagger.File:
    return handover.file("sbom.cdx.json", cyclonedx)


async def _vulnerabilities(
    scanners: Scanners, content: dagger.Directory | dagger.File, own: tuple[str, ...] = ()
) -> list[ScannerRun]:
    """Run Trivy and Grype at the same time; the failure of one is a result, so that the other finishes."""
    target, _ = target_of(content)

    async def one(scanner: str, step: Awaitable[ScannerRun]) -> ScannerRun:
        try:
            return await step
        except dagger.QueryError as error:
            return ScannerRun(scanner, target, failure=last_words(error))
        except PipelineError as error:
            return ScannerRun(scanner, target, failure=str(error))

    return await gathered(
        one("trivy", trivy(scanners.images, scanners.databases, content, own)),
        one("grype", grype(scanners.images, scanners.databases, content, own)),
    )
