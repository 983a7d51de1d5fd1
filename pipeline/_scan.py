"""Syft, Trivy and Grype as sibling containers, at the same time, over one image.

Each reads the image once; Trivy and Grype also read the SBOM, since an image alone tells them little of the BEAM.
None gets a secret, and none reaches the network: what they need of it is fetched before, in steps of its own.
"""

import dataclasses
import datetime as dt
import posixpath
import re
from collections.abc import Awaitable, Callable

import anyio
import dagger
from dagger import dag

from pipeline import _ci_reports, handover
from pipeline._findings import Database, Scan, Severity, read_grype, read_trivy
from pipeline._policy import MAX_AGE, Acceptance, Policy, Statement, judge, read_acceptances, read_vex
from pipeline._reports import Report, findings_json, markdown, sarif, terminal
from pipeline.errors import InputError, PipelineError, PolicyError, ScannerError, excerpt
from pipeline.project.images import Images
from pipeline.sbom.containers import IMAGE, OUT, scanner
from pipeline.sbom.cyclonedx import cyclonedx
from pipeline.sbom.sbom import Image, Sbom
from pipeline.sbom.spdx import spdx

#: An acceptance file of this name in the project's root is taken without being asked for.
ACCEPTANCES = "accept.toml"
#: Where Trivy and Grype look for their own, when nothing else is said.
_TRIVY_SOURCE = "mirror.gcr.io/aquasec/trivy-db"
_GRYPE_SOURCE = "https://grype.anchore.io/databases"
_SBOM = "/scan/sbom.cdx.json"
_TRIVY_CACHE, _GRYPE_CACHE = "/scan/trivy", "/scan/grype"
_WORDS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Databases:
    """Where the vulnerability databases come from."""

    #: Day for which they are fetched (ISO 8601): a new day is a new fetch.
    date: str
    #: Directories with a database, instead of a fetch.
    trivy: dagger.Directory | None = None
    grype: dagger.Directory | None = None
    #: An OCI repository, and a URL, instead of the makers' own.
    trivy_repository: str = ""
    grype_url: str = ""

    def __post_init__(self) -> None:
        """Raise `InputError` if the day is none."""
        try:
            dt.date.fromisoformat(self.date)
        except ValueError:
            raise InputError(f"--db-date {self.date}: not a day; expected such as 2026-02-04") from None


@dataclasses.dataclass(frozen=True, slots=True)
class Criteria:
    """What the user asks of an image, as given."""

    fail_on: str = "HIGH"
    only_fixed: bool = False
    vex: tuple[dagger.File, ...] = ()
    otp_vex: bool = False
    accept: dagger.File | None = None
    accept_old_db: bool = False

    def __post_init__(self) -> None:
        """Raise `InputError` if the severity is none."""
        _ = self.policy

    @property
    def policy(self) -> Policy:
        """What breaks it."""
        try:
            return Policy(Severity.parse(self.fail_on), self.only_fixed)
        except InputError as error:
            raise InputError(f"--fail-on: {error}") from None


@dataclasses.dataclass(frozen=True, slots=True)
class Scout:
    """A login at Docker Hub, without which Docker Scout does not run."""

    user: str
    token: dagger.Secret


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run of a scanner: what was read out of its report, and the report."""

    scan: Scan
    raw: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Results:
    """What the scanners gave; a run that failed is among them."""

    runs: tuple[Run, ...]
    #: Syft's own JSON; empty if it failed.
    syft: str = ""
    sbom: Sbom | None = None
    #: Docker Scout's SARIF; empty if it was not asked, or failed.
    scout: str = ""

    @property
    def scans(self) -> tuple[Scan, ...]:
        """The runs as the policy sees them."""
        return tuple(each.scan for each in self.runs)


# The scanners ---------------------------------------------------------------------------------------------------------


async def scan(
    images: Images,
    databases: Databases,
    describe: Callable[[], Awaitable[tuple[str, Sbom]]],
    layout: dagger.Directory,
    *,
    own: tuple[str, ...] = (),
    scout: Scout | None = None,
) -> Results:
    """Run all scanners at the same time; one that fails does not stop the others.

    Parameters
    ----------
    images
        The table of image references.
    databases
        Where the databases come from.
    describe
        Makes Syft's JSON and the SBOM; the scans of the SBOM wait for it, those of the image do not.
    layout
        The image as an OCI layout.
    own
        Names of the project's own applications.
    scout
        Ask Docker Scout too.
    """
    runs: list[Run] = []
    scouted: list[str] = []
    documents: list[tuple[str, Sbom]] = []

    async def look(content: dagger.Directory | dagger.File) -> None:
        runs.extend(await _vulnerabilities(images, databases, content, own))

    async def document() -> None:
        try:
            documents.append(await describe())
        except PipelineError as error:
            runs.append(Run(Scan("syft", "image", failure=str(error))))
        else:
            await look(_document(cyclonedx(documents[0][1].shipped())))

    async def ask(report: dagger.File) -> None:
        try:
            scouted.append(await report.contents())
        except dagger.ExecError as error:
            runs.append(Run(Scan("scout", "image", failure=_said(error))))

    await check(databases)
    scouts = [_scout(images, layout, scout)] if scout else []
    async with anyio.create_task_group() as group:
        for report in scouts:
            group.start_soon(ask, report)
        group.start_soon(document)
        group.start_soon(look, layout)
    text, sbom = documents[0] if documents else ("", None)
    order = [(scanner, target) for target in ("image", "SBOM") for scanner in ("syft", "trivy", "grype", "scout")]
    runs.sort(key=lambda each: order.index((each.scan.scanner, each.scan.target)))
    return Results(tuple(runs), text, sbom, "".join(scouted))


def _scout(images: Images, layout: dagger.Directory, login: Scout) -> dagger.File:
    """Return the SARIF of Docker Scout: the one scanner that asks a service, and needs a login for it.

    Of docs.docker.com/reference/cli/docker/scout/cves and the variables in the README of github.com/docker/scout-cli.
    """
    out = f"{OUT}/scout.sarif"
    return (
        dag.container()
        .from_(images["scout"])
        .with_directory(OUT, dag.directory())
        .with_env_variable("DOCKER_SCOUT_HUB_USER", login.user)
        .with_secret_variable("DOCKER_SCOUT_HUB_PASSWORD", login.token)
        .with_mounted_directory(IMAGE, layout)
        .with_exec(["cves", "--format=sarif", f"--output={out}", f"oci-dir://{IMAGE}"], use_entrypoint=True)
        .file(out)
    )


async def scan_document(images: Images, databases: Databases, cyclonedx: str) -> Results:
    """Run Trivy and Grype over an SBOM that was published with an image; the image itself is not needed."""
    await check(databases)
    return Results(tuple(await _vulnerabilities(images, databases, _document(cyclonedx))))


def _document(cyclonedx: str) -> dagger.File:
    return handover.file("sbom.cdx.json", cyclonedx)


async def _vulnerabilities(
    images: Images, databases: Databases, content: dagger.Directory | dagger.File, own: tuple[str, ...] = ()
) -> list[Run]:
    """Run Trivy and Grype at the same time; the failure of one is a result, so that the other finishes."""
    runs: dict[str, Run] = {}
    target, _ = _target(content)

    async def one(scanner: str, step: Awaitable[Run]) -> None:
        try:
            runs[scanner] = await step
        except dagger.ExecError as error:
            runs[scanner] = Run(Scan(scanner, target, failure=_said(error)))
        except PipelineError as error:
            runs[scanner] = Run(Scan(scanner, target, failure=str(error)))

    async with anyio.create_task_group() as group:
        group.start_soon(one, "trivy", trivy(images, databases, content, own))
        group.start_soon(one, "grype", grype(images, databases, content, own))
    return [runs["trivy"], runs["grype"]]


async def check(databases: Databases) -> None:
    """Raise `InputError` if a directory that was given holds no database."""
    for option, directory, file, command in (
        ("--trivy-db", databases.trivy, "trivy.db", "trivy image --download-db-only --cache-dir DIR"),
        ("--grype-db", databases.grype, "vulnerability.db", "GRYPE_DB_CACHE_DIR=DIR grype db update"),
    ):
        if directory and not await directory.glob(f"**/{file}"):
            raise InputError(f"{option}: no {file} in it; give the DIR that `{command}` filled")


async def trivy(
    images: Images, databases: Databases, content: dagger.Directory | dagger.File, own: tuple[str, ...]
) -> Run:
    """Run Trivy over an image or an SBOM."""
    target, path = _target(content)
    database = await _fetched(await _trivy_database(images, databases))
    source = "--trivy-db" if databases.trivy else databases.trivy_repository or _TRIVY_SOURCE
    metadata = await database.file("metadata.json").contents()
    command = {
        # Secrets are looked for in the image alone; its configuration is read for them too.
        "image": ["image", "--scanners=vuln,secret", "--image-config-scanners=secret", "--input", path],
        "SBOM": ["sbom", "--scanners=vuln", path],
    }[target]
    flags = ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check", "--no-progress"]
    out = f"{OUT}/trivy.json"
    container = _mounted(scanner(images["trivy"]), path, content).with_mounted_directory(f"{_TRIVY_CACHE}/db", database)
    raw = (
        await container.with_exec(
            [*command, *flags, "--cache-dir", _TRIVY_CACHE, "--format=json", "--output", out], use_entrypoint=True
        )
        .file(out)
        .contents()
    )
    found = read_trivy(raw, target, own)
    return Run(dataclasses.replace(found, database=Database.from_trivy(metadata, source)), raw)


async def grype(
    images: Images, databases: Databases, content: dagger.Directory | dagger.File, own: tuple[str, ...]
) -> Run:
    """Run Grype over an image or an SBOM."""
    target, path = _target(content)
    database = await _fetched(_grype_database(images, databases))
    out = f"{OUT}/grype.json"
    raw = (
        await _mounted(_grype_settings(scanner(images["grype"])), path, content)
        .with_mounted_directory(_GRYPE_CACHE, database)
        .with_env_variable("GRYPE_DB_AUTO_UPDATE", "false")
        # Its age is judged with Trivy's, by one rule; a refusal here would be a scanner's failure.
        .with_env_variable("GRYPE_DB_VALIDATE_AGE", "false")
        .with_exec(
            [f"{'oci-dir' if target == 'image' else 'sbom'}:{path}", "-o", "json", "--file", out], use_entrypoint=True
        )
        .file(out)
        .contents()
    )
    found = read_grype(raw, target, own)
    source = "--grype-db" if databases.grype else databases.grype_url or _GRYPE_SOURCE
    return Run(
        dataclasses.replace(found, database=found.database and dataclasses.replace(found.database, source=source)), raw
    )


def _target(content: dagger.Directory | dagger.File) -> tuple[str, str]:
    """Return what a scanner looks at, by name, and where it finds it: a file is the SBOM."""
    return ("SBOM", _SBOM) if isinstance(content, dagger.File) else ("image", IMAGE)


def _mounted(container: dagger.Container, path: str, content: dagger.Directory | dagger.File) -> dagger.Container:
    if isinstance(content, dagger.File):
        return container.with_mounted_file(path, content)
    return container.with_mounted_directory(path, content)


def _grype_settings(container: dagger.Container) -> dagger.Container:
    return container.with_env_variable("GRYPE_CHECK_FOR_APP_UPDATE", "false").with_env_variable(
        "GRYPE_DB_CACHE_DIR", _GRYPE_CACHE
    )


def _said(error: dagger.ExecError) -> str:
    """Return a scanner's own last words: the line that says what is wrong, not the stack below it."""
    lines = excerpt(error, lines=400).splitlines()
    telling = [line for line in lines if re.search(r"FATAL|^panic:|^fatal error|\bERROR\b|\[?error\]?:", line)]
    text = " ".join(" ".join((telling or lines)[-_WORDS:]).split())
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)\s+", "", text)


# Databases ------------------------------------------------------------------------------------------------------------


async def _fetched(database: dagger.Directory) -> dagger.Directory:
    """Wait for a database, so that a fetch that fails does not look like a scan that fails."""
    try:
        return await database.sync()
    except dagger.ExecError as error:
        raise InputError(f"its database could not be fetched: {_said(error)}") from None


async def _trivy_database(images: Images, databases: Databases) -> dagger.Directory:
    """Return the directory with `trivy.db` and `metadata.json`."""
    if databases.trivy:
        # Either the cache directory, which holds it as `db`, or that one itself.
        [path, *_] = await databases.trivy.glob("**/trivy.db")
        return databases.trivy.directory(posixpath.dirname(path) or ".")
    repository = ["--db-repository", databases.trivy_repository] if databases.trivy_repository else []
    return (
        dag.container()
        .from_(images["trivy"])
        .with_env_variable("DB_DATE", databases.date)
        .with_exec(
            ["image", "--download-db-only", "--no-progress", "--cache-dir", _TRIVY_CACHE, *repository],
            use_entrypoint=True,
        )
        .directory(f"{_TRIVY_CACHE}/db")
    )


def _grype_database(images: Images, databases: Databases) -> dagger.Directory:
    """Return Grype's cache directory with its database."""
    if databases.grype:
        return databases.grype
    container = _grype_settings(dag.container().from_(images["grype"])).with_env_variable("DB_DATE", databases.date)
    if databases.grype_url:
        container = container.with_env_variable("GRYPE_DB_UPDATE_URL", databases.grype_url)
    return container.with_exec(["db", "update"], use_entrypoint=True).directory(_GRYPE_CACHE)


# The verdict ----------------------------------------------------------------------------------------------------------


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
        statements=await _statements(criteria, results.sbom),
        acceptances=await _acceptances(criteria, source),
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


async def _statements(criteria: Criteria, sbom: Sbom | None) -> tuple[Statement, ...]:
    given = [(await file.contents(), f"--vex {await file.name()}") for file in criteria.vex]
    if criteria.otp_vex and sbom:
        version = next((part.version for part in sbom.components if part.name == "erlang"), "")
        url = f"https://erlang.org/download/vex/otp-{version.partition('.')[0]}.openvex.json"
        given.append((await _get(url), url))
    return tuple(statement for text, name in given for statement in read_vex(text, name))


async def _get(url: str) -> str:
    try:
        return await dag.http(url).contents()
    except dagger.QueryError as error:
        raise InputError(f"--otp-vex: {url} cannot be fetched ({error}); give it as a file with --vex") from None


async def _acceptances(criteria: Criteria, source: dagger.Directory | None) -> tuple[Acceptance, ...]:
    if criteria.accept:
        return read_acceptances(await criteria.accept.contents(), f"--accept {await criteria.accept.name()}")
    if source and await source.glob(ACCEPTANCES):
        return read_acceptances(await source.file(ACCEPTANCES).contents(), ACCEPTANCES)
    return ()


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
