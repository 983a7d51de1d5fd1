"""Syft, Trivy, Grype and Docker Scout as sibling containers, at the same time, over one image; the records of `eef`."""

import dataclasses
import json
from collections.abc import Awaitable, Callable, Sequence

import dagger

from pipeline import handover
from pipeline.errors import PipelineError, gathered, last_words
from pipeline.project.images import Images
from pipeline.project.project import Project
from pipeline.sbom.component import Kind
from pipeline.sbom.cyclonedx import KIND, cyclonedx
from pipeline.sbom.purl import parsed
from pipeline.sbom.sbom import Sbom
from pipeline.scan.backports import tracked, with_mended
from pipeline.scan.containers import target_of
from pipeline.scan.coverage import covered, packages_of, purls_of
from pipeline.scan.databases import Databases, checked
from pipeline.scan.eef import EEF, Records, known, look
from pipeline.scan.findings import ScannerRun
from pipeline.scan.grype import ended_on, grype, with_threats
from pipeline.scan.hex import HEX, ask
from pipeline.scan.scout import Scout
from pipeline.scan.scout import scout as ask_scout
from pipeline.scan.trivy import trivy
from pipeline.steps import named


@dataclasses.dataclass(frozen=True, slots=True)
class Scanners:
    """What the scans need."""

    images: Images
    databases: Databases
    #: Ask Docker Scout too.
    scout: Scout | None = None
    #: How the registries of Hex are reached, to ask them too.
    project: Project | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Results:
    """The results of the scanners, including failed runs."""

    runs: tuple[ScannerRun, ...]
    #: Syft's own JSON; empty if it failed.
    syft: str = ""
    sbom: Sbom | None = None
    #: Docker Scout's SARIF; empty if it was not asked, or failed.
    scout: str = ""
    #: Package URLs of what is in the image.
    packages: tuple[str, ...] = ()
    #: The version of Erlang/OTP; empty if it is not known.
    erlang: str = ""
    #: Since when the system gets no security fixes, if it gets none and the day is known.
    ended_on: str = ""


async def prepared(scanners: Scanners) -> Scanners:
    """Return them, before anything is built; raise `InputError` if a directory does not hold one database."""
    return dataclasses.replace(scanners, databases=await checked(scanners.databases))


async def scan(
    scanners: Scanners,
    describe: Callable[[], Awaitable[tuple[str, Sbom]]],
    layout: dagger.Directory,
    *,
    own: tuple[str, ...] = (),
    hex_config: str = "",
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
    hex_config
        What rebar.config says of the repositories of Hex.
    """
    runs: list[ScannerRun] = []
    scouted: list[str] = []
    documents: list[tuple[str, Sbom]] = []
    shipped: list[str] = []
    published: list[Records | ScannerRun] = []

    async def scanned() -> None:
        runs.extend(await _vulnerabilities(scanners, layout, own))

    async def records() -> None:
        published.append(await _records(scanners))

    async def document() -> None:
        try:
            documents.append(await describe())
        except PipelineError as error:
            runs.append(ScannerRun("syft", "image", failure=str(error)))
        else:
            shipped.append(cyclonedx(documents[0][1].shipped()))
            steps = (_of_sbom(scanners, shipped[0], own), _registries(scanners, hex_config, shipped[0], own))
            runs.extend(run for found in await gathered(*steps) for run in found)

    async def look_at(report: dagger.File) -> None:
        try:
            scouted.append(await report.contents())
        except dagger.QueryError as error:
            runs.append(ScannerRun("scout", "image", failure=last_words(error)))

    scouts = [ask_scout(scanners.images, layout, scanners.scout)] if scanners.scout else []
    await gathered(*map(look_at, scouts), records(), document(), scanned())
    text, sbom = documents[0] if documents else ("", None)
    if shipped:
        runs.append(_matched(published[0], shipped[0], own))
    order = [
        (scanner, target) for target in ("image", "SBOM") for scanner in ("syft", "trivy", "grype", EEF, HEX, "scout")
    ]
    runs.sort(key=lambda each: order.index((each.scanner, each.target)))
    found = await _seen(scanners, runs, "".join(shipped))
    return dataclasses.replace(found, syft=text, sbom=sbom, scout="".join(scouted))


async def scan_document(scanners: Scanners, cyclonedx: str) -> Results:
    """Scan an SBOM that was published with an image; the image itself is not needed."""
    parts = json.loads(cyclonedx).get("components") or ()
    kinds = {
        part["name"]: own["value"] for part in parts for own in part.get("properties") or () if own["name"] == KIND
    }
    own = tuple(name for name, kind in kinds.items() if kind == Kind.OWN)

    async def matched() -> list[ScannerRun]:
        return [_matched(await _records(scanners), cyclonedx, own)]

    registries = _registries(scanners, "", cyclonedx, own)
    runs = await gathered(_of_sbom(scanners, cyclonedx, own), matched(), registries)
    return await _seen(scanners, [run for found in runs for run in found], cyclonedx)


async def _of_sbom(scanners: Scanners, cyclonedx: str, own: tuple[str, ...] = ()) -> list[ScannerRun]:
    """Run Trivy and Grype over an SBOM, and ask them what the distribution fixed in its own Erlang/OTP."""
    question = tracked(cyclonedx)
    if not question:
        return await _vulnerabilities(scanners, _document(cyclonedx), own)
    runs, answers = await gathered(
        _vulnerabilities(scanners, _document(cyclonedx), own), _vulnerabilities(scanners, _document(question))
    )
    return [with_mended(run, answer, cyclonedx) for run, answer in zip(runs, answers, strict=True)]


async def _registries(scanners: Scanners, hex_config: str, cyclonedx: str, own: tuple[str, ...]) -> list[ScannerRun]:
    """Ask the Hex registries about the packages, if it is known how to reach them."""
    if not scanners.project:
        return []
    return [*await ask(scanners.project, hex_config, scanners.databases.date, cyclonedx, own)]


async def _records(scanners: Scanners) -> Records | ScannerRun:
    """Return every record that is published, or a run that failed."""
    try:
        return await known(scanners.databases)
    except dagger.QueryError as error:
        return ScannerRun(EEF, "SBOM", failure=last_words(error))
    except PipelineError as error:
        return ScannerRun(EEF, "SBOM", failure=str(error))


def _matched(published: Records | ScannerRun, cyclonedx: str, own: tuple[str, ...]) -> ScannerRun:
    return look(published, cyclonedx, own) if isinstance(published, Records) else published


async def _seen(scanners: Scanners, runs: Sequence[ScannerRun], cyclonedx: str) -> Results:
    """Mark runs as failed that did not see the packages of the SBOM, and find the end of life of the distribution."""
    purls = purls_of(cyclonedx) if cyclonedx else ()
    runs = await with_threats(scanners.images, scanners.databases, runs)
    checked = tuple(covered(run, packages_of(purls)) for run in runs)
    erlang = next((purl.version for purl in parsed(purls) if purl.is_erlang), "").removeprefix("OTP-")
    ended = next((run.system for run in checked if run.ended), "")
    day = ""
    if ended and cyclonedx:
        try:
            day = await ended_on(scanners.images, scanners.databases, _document(cyclonedx), ended)
        except dagger.QueryError as error:
            checked += (
                ScannerRun(
                    "grype", "SBOM", failure=f"the query for the end of life of {ended} failed: {last_words(error)}"
                ),
            )
    return Results(checked, packages=tuple(sorted({*filter(None, purls)})), erlang=erlang, ended_on=day)


def _document(cyclonedx: str) -> dagger.File:
    return handover.file("sbom.cdx.json", cyclonedx)


async def _vulnerabilities(
    scanners: Scanners, content: dagger.Directory | dagger.File, own: tuple[str, ...] = ()
) -> list[ScannerRun]:
    """Run Trivy and Grype at the same time; the failure of one is a result, so that the other finishes."""
    target, _ = target_of(content)

    async def one(scanner: str, step: Awaitable[ScannerRun]) -> ScannerRun:
        try:
            with named(f"scanning the {target} with {scanner}"):
                return await step
        except dagger.QueryError as error:
            return ScannerRun(scanner, target, failure=last_words(error))
        except PipelineError as error:
            return ScannerRun(scanner, target, failure=str(error))

    return await gathered(
        one("trivy", trivy(scanners.images, scanners.databases, content, own)),
        one("grype", grype(scanners.images, scanners.databases, content, own)),
    )
