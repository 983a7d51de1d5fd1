"""What the scans ask the engine for: at the same time, each once, without secrets, with databases keyed by day."""

import dataclasses
import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path

import dagger
import pytest
from recorder import Chain, Recorder, exec_error

from pipeline.errors import InputError, PolicyError, ScannerError
from pipeline.project.application import Application
from pipeline.project.images import default_images
from pipeline.project.project import Project
from pipeline.report.documents import documents
from pipeline.report.report import reported
from pipeline.report.terminal import conclude
from pipeline.sbom.containers import Subject, describe
from pipeline.sbom.sbom import Image
from pipeline.scan.databases import Databases
from pipeline.scan.policy import Criteria
from pipeline.scan.scanners import Results, scan
from pipeline.scan.scout import Scout

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parents[1] / "unit" / "data"
IMAGES = default_images()
IMAGE = Image("ghcr.io/example/erlmcp", "2.1.0", "sha256:" + "5e" * 32, "2026-02-04T17:25:56Z", "alpine:3.22")
NOW = dt.datetime.now(dt.UTC)
TODAY = Databases("2026-11-24")
READ = json.loads(
    """{"name": "erlmcp", "version": "2.1.0", "release_apps": [], "apps": [], "other_apps": [], "checkouts": [],
        "locked": [], "plugins": [], "dropped_plugins": [], "sys_config": null, "vm_args": null, "overlay": [],
        "description": "", "licenses": [], "links": []}"""
)


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the module have a working directory of its own, as an engine does."""
    monkeypatch.chdir(tmp_path)


def report(scanner: str) -> str:
    """Return a recorded report, as of a database that is built today."""
    document = json.loads((DATA / "scans" / f"{scanner}.json").read_text())
    if scanner == "grype":
        document["descriptor"]["db"]["status"]["built"] = NOW.isoformat()
    return json.dumps(document)


def answers(started: Recorder, latency: float = 0) -> None:
    """Let each scanner's report be read; a read takes some seconds."""
    for name, text in {
        "syft.json": (DATA / "sbom" / "syft.json").read_text(),
        "inventory.json": (DATA / "sbom" / "inventory.json").read_text(),
        "trivy.json": report("trivy"),
        "grype.json": report("grype"),
        "metadata.json": json.dumps({"UpdatedAt": NOW.isoformat()}),
    }.items():
        started.answer(
            "File.contents",
            text,
            when=lambda chain, name=name: bool(
                chain.parent and str(chain.parent.call.args.get("path", "")).endswith(name)
            ),
            latency=latency if name != "metadata.json" else 0,
        )


@pytest.fixture
async def recorder(anyio_backend: str) -> AsyncIterator[Recorder]:  # noqa: ARG001 # the loop of the fixture is the test's
    async with Recorder() as started:
        answers(started)
        yield started


def subject(recorder: Recorder, files: dict[str, str] | None = None) -> Subject:
    layout = recorder.host_directory({"index.json": "{}", "oci-layout": "{}"})
    return Subject(
        IMAGES,
        Project(source=recorder.host_directory(files or {}), builder="b", runtime="r"),
        Application.parse(json.dumps(READ), {}),
        dagger.dag.container().from_(IMAGES["builder-alpine"]),
        dagger.dag.container(),
        layout,
        layout,
        IMAGE,
    )


async def results(recorder: Recorder, databases: Databases = TODAY, files: dict[str, str] | None = None) -> Results:
    scanned = subject(recorder, files)
    return await scan(IMAGES, databases, lambda: describe(scanned), scanned.layout)


def runs(recorder: Recorder, scanner: str) -> list[Chain]:
    """Return the commands that scan, without those that fetch a database."""
    return [
        chain
        for chain in recorder.execs()
        if chain.images()[:1] == [IMAGES[scanner]]
        and not {"--download-db-only", "update"} & set(chain.call.args["args"])
    ]


def fetches(recorder: Recorder) -> list[Chain]:
    return [chain for chain in recorder.execs() if {"--download-db-only", "update"} & set(chain.call.args["args"])]


async def test_syft_trivy_and_grype_look_at_the_image_at_the_same_time(recorder: Recorder) -> None:
    answers(recorder, latency=1)
    await results(recorder)

    def reads_the_image(chain: Chain) -> bool:
        path = str(chain.parent.call.args.get("path", "")) if chain.parent else ""
        words = [word for step in chain.steps() for word in step.call.args.get("args", ())]
        return path.startswith("/scan/out/") and any("/scan/image" in word for word in words)

    assert recorder.in_flight(reads_the_image) == 3


async def test_each_runs_once_and_every_format_is_a_conversion(recorder: Recorder) -> None:
    found = await results(recorder)
    made = await reported(found, Criteria(), IMAGE)
    files = documents(made, found)
    assert set(files) == {
        *("trivy.json", "trivy.sbom.json", "trivy.sarif", "grype.json", "grype.sbom.json", "grype.sarif", "syft.json"),
        *(
            "findings.sarif",
            "findings.json",
            "report.md",
            "junit.xml",
            "gl-container-scanning-report.json",
            "sbom.spdx.json",
            "sbom.cdx.json",
        ),
    }
    # Of the image and of the SBOM.
    assert {scanner: len(runs(recorder, scanner)) for scanner in ("syft", "trivy", "grype")} == {
        "syft": 1,
        "trivy": 2,
        "grype": 2,
    }


async def test_no_scanner_gets_a_secret_or_the_network(recorder: Recorder) -> None:
    await results(recorder)
    assert recorder.secrets() == []
    scans = [chain for scanner in ("syft", "trivy", "grype") for chain in runs(recorder, scanner)]
    assert len(scans) == 5
    for chain in scans:
        variables = {call.args["name"]: call.args["value"] for call in chain.calls("withEnvVariable")}
        assert variables["HTTPS_PROXY"] == "http://127.0.0.1:9"
        assert chain.calls("withServiceBinding") == []
    assert all("--skip-db-update" in chain.call.args["args"] for chain in runs(recorder, "trivy"))
    updates = [
        call.args["value"]
        for chain in runs(recorder, "grype")
        for call in chain.calls("withEnvVariable")
        if call.args["name"] == "GRYPE_DB_AUTO_UPDATE"
    ]
    assert updates == ["false", "false"]


async def test_databases_are_fetched_once_a_day(anyio_backend: str) -> None:  # noqa: ARG001 # as above
    keys = {}
    for day in ("2026-11-24", "2026-11-25"):
        async with Recorder() as started:
            await results(started, Databases(day))
            keys[day] = {chain.content_key for chain in fetches(started)}
    assert {day: len(found) for day, found in keys.items()} == {"2026-11-24": 2, "2026-11-25": 2}
    assert not keys["2026-11-24"] & keys["2026-11-25"]


async def test_databases_come_from_mirrors(recorder: Recorder) -> None:
    await results(
        recorder,
        dataclasses.replace(TODAY, trivy_repository="mirror.example.org/trivy-db:2", grype_url="https://m.example.org"),
    )
    [trivy] = [chain for chain in fetches(recorder) if "image" in chain.call.args["args"]]
    assert trivy.call.args["args"][-2:] == ["--db-repository", "mirror.example.org/trivy-db:2"]
    [grype] = [chain for chain in fetches(recorder) if "update" in chain.call.args["args"]]
    assert "https://m.example.org" in [call.args["value"] for call in grype.calls("withEnvVariable")]


async def test_databases_that_are_given_are_not_fetched(recorder: Recorder) -> None:
    trivy = recorder.host_directory({"db/trivy.db": "", "db/metadata.json": json.dumps({"UpdatedAt": NOW.isoformat()})})
    grype = recorder.host_directory({"6/vulnerability.db": ""})
    await results(recorder, Databases("2026-11-24", trivy, grype))
    assert fetches(recorder) == []


async def test_a_database_that_cannot_be_fetched_is_a_scanner_that_failed(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec",
        exec_error(1, stderr="FATAL\tFatal error\tfailed to download vulnerability DB: no such host"),
        when=lambda chain: "--download-db-only" in chain.call.args["args"],
    )
    found = await results(recorder)
    failed = {(scan.scanner, scan.target): scan.failure for scan in found.runs if scan.failure}
    assert set(failed) == {("trivy", "image"), ("trivy", "SBOM")}
    assert failed["trivy", "image"].startswith("its database could not be fetched: FATAL")
    with pytest.raises(ScannerError, match=r"^SCANNER FAILED: trivy"):
        conclude(await reported(found, Criteria(fail_on="CRITICAL"), IMAGE))


async def test_syft_fails_and_the_others_finish(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec", exec_error(1, stderr="killed"), when=lambda chain: chain.images()[:1] == [IMAGES["syft"]]
    )
    found = await results(recorder)
    assert [(scan.scanner, scan.target, bool(scan.failure)) for scan in found.runs] == [
        ("syft", "image", True),
        ("trivy", "image", False),
        ("grype", "image", False),
    ]
    assert found.sbom is None
    made = await reported(found, Criteria(), IMAGE)
    assert not made.verdict.passed
    assert "sbom.cdx.json" not in documents(made, found)


async def test_docker_scout_alone_gets_its_token_and_its_failure_is_one(recorder: Recorder) -> None:
    images = IMAGES.override({"scout": "docker/scout-cli:1"})
    login = Scout("user", dagger.dag.set_secret("token", "hub-token"))
    scanned = subject(recorder)
    recorder.answer(
        "File.contents", "{}", when=lambda chain: bool(chain.find("file", path="/scan/out/scout.sarif")), latency=0
    )

    async def run() -> Results:
        return await scan(images, TODAY, lambda: describe(scanned), scanned.layout, scout=login)

    found = await run()
    assert found.scout == "{}"
    with_secret = [chain for chain in recorder.execs() if chain.calls("withSecretVariable")]
    assert {chain.images()[0] for chain in with_secret} == {"docker/scout-cli:1"}
    assert "hub-token" not in recorder.text()
    made = await reported(found, Criteria(), IMAGE)
    assert "scout.sarif" in documents(made, found)
    recorder.answer(
        "Container.withExec",
        exec_error(1, stderr="ERROR: unauthorized"),
        when=lambda chain: chain.images()[:1] == ["docker/scout-cli:1"],
    )
    failed = await reported(await run(), Criteria(fail_on="CRITICAL"), IMAGE)
    assert [scan.scanner for scan in failed.verdict.failures] == ["scout"]
    with pytest.raises(InputError, match=r'^no image "scout"; give one'):
        await scan(IMAGES, TODAY, lambda: describe(scanned), scanned.layout, scout=login)


async def test_the_projects_own_acceptances_count_unless_others_are_given(recorder: Recorder) -> None:
    tomorrow = NOW.date() + dt.timedelta(days=1)
    entry = f'[[accept]]\nid = "CVE-1"\npackage = "{{}}"\nreason = "r"\nuntil = {tomorrow}\n'
    source = recorder.host_directory({"accept.toml": entry.format("project")})
    other = recorder.host_directory({"other.toml": entry.format("given")}).file("other.toml")
    found = await results(recorder)
    for criteria, package in ((Criteria(), "project"), (Criteria(accept=other), "given")):
        made = await reported(found, criteria, IMAGE, source)
        assert [item.package for item in made.verdict.unmatched] == [package]


async def test_the_verdict_is_an_error_of_its_own_kind(recorder: Recorder) -> None:
    found = await results(recorder)
    with pytest.raises(PolicyError, match=r"^POLICY FAILED: "):
        conclude(await reported(found, Criteria(fail_on="LOW"), IMAGE))


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01"])
def test_a_day_that_is_none(day: str) -> None:
    with pytest.raises(InputError, match=rf"^--db-date {day}: not a day"):
        Databases(day)
