"""What the scans ask the engine for: at the same time, each once, without secrets, with databases keyed by day."""

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import answers
import dagger
import facts
import graphql
import pytest
from answers import APPLICATION, NOW, project
from recorder import Chain, Recorder, exec_error, pull_error

from pipeline.errors import InputError, PolicyError, ScannerError
from pipeline.project.images import default_images
from pipeline.report.documents import documents
from pipeline.report.report import Report, reported
from pipeline.report.terminal import conclude, terminal
from pipeline.sbom.containers import Subject, describe
from pipeline.sbom.sbom import Image
from pipeline.scan.databases import Databases, checked
from pipeline.scan.findings import ScannerRun, Severity
from pipeline.scan.policy import Policy, Rules
from pipeline.scan.scanners import Results, Scanners, scan
from pipeline.scan.scout import Scout

pytestmark = pytest.mark.anyio

IMAGES = default_images()
IMAGE = Image("ghcr.io/example/erlmcp", "2.1.0", "sha256:" + "5e" * 32, "2026-02-04T17:25:56Z", "alpine:3.22")
TODAY = Databases("2026-11-24")
SCANNERS = Scanners(IMAGES, TODAY)


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    answers.of_scanners(recorder)
    return recorder


def subject(recorder: Recorder) -> Subject:
    layout = recorder.host_directory({"index.json": "{}", "oci-layout": "{}", "loads": ""})
    return Subject(
        project(recorder),
        APPLICATION,
        dagger.dag.container().from_(IMAGES["builder-alpine"]),
        dagger.dag.container(),
        dagger.dag.directory(),
        layout.file("loads"),
        layout,
        layout,
        IMAGE,
    )


async def results(recorder: Recorder, databases: Databases = TODAY) -> Results:
    scanned = subject(recorder)
    return await scan(Scanners(IMAGES, databases), lambda: describe(scanned), scanned.layout)


async def judged(found: Results, fail_on: Severity = Severity.HIGH) -> Report:
    return await reported(found, Rules(Policy(fail_on)), IMAGE, NOW)


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
    answers.of_scanners(recorder, latency=1)
    await results(recorder)

    def reads_the_image(chain: Chain) -> bool:
        path = str(chain.parent.call.args.get("path", "")) if chain.parent else ""
        words = [word for step in chain.steps() for word in step.call.args.get("args", ())]
        return path.startswith("/scan/out/") and any("/scan/image" in word for word in words)

    assert recorder.in_flight(reads_the_image) == 3


async def test_each_runs_once_and_every_format_is_a_conversion(recorder: Recorder) -> None:
    found = await results(recorder)
    made = await judged(found)
    files = documents(made, found)
    assert set(files) == {
        *("trivy.json", "trivy.sbom.json", "trivy.sarif", "grype.json", "grype.sbom.json", "grype.sarif", "syft.json"),
        *(
            "code-scanning.sarif",
            "findings.sarif",
            "findings.json",
            "report.md",
            "junit.xml",
            "github-dependencies.json",
            "gl-container-scanning-report.json",
            "vex.openvex.json",
            "sbom.spdx.json",
            "sbom.spdx3.json",
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
            answers.of_scanners(started)
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
    trivy = recorder.host_directory({"db/trivy.db": "", "db/metadata.json": answers.scanned("metadata.json")})
    grype = recorder.host_directory({"6/vulnerability.db": ""})
    await results(recorder, await checked(Databases("2026-11-24", trivy, grype)))
    assert fetches(recorder) == []


async def test_a_database_without_its_metadata_is_a_scanner_that_failed(recorder: Recorder) -> None:
    recorder.answer("File.contents", pull_error("metadata.json"), when=answers.reads("metadata.json"))
    found = await results(recorder)
    failed = {(run.scanner, run.target): run.failure for run in found.runs if run.failure}
    assert set(failed) == {("trivy", "image"), ("trivy", "SBOM")}
    assert failed["trivy", "SBOM"].startswith(
        "mirror.gcr.io/aquasec/trivy-db: metadata.json, which has the build date of trivy.db, cannot be read ("
    )
    files = documents(await judged(found), found)
    assert {"report.md", "findings.json", "grype.json"} <= set(files)


async def test_a_scanner_that_leaves_no_report_failed_and_the_others_finish(recorder: Recorder) -> None:
    recorder.answer("File.contents", pull_error("no such file"), when=answers.reads("/out/grype.json"))
    found = await results(recorder)
    assert {(run.scanner, run.target) for run in found.runs if run.failure} == {("grype", "image"), ("grype", "SBOM")}
    made = await judged(found)
    assert sum("SCANNER FAILED: grype" in line for line in made.verdict.lines) == 2
    assert "grype.json" not in documents(made, found)


async def test_every_report_has_the_digests_of_the_databases(recorder: Recorder) -> None:
    found = await results(recorder)
    made = await judged(found)
    known = {run.database.scanner: run.database.digest for run in found.runs if run.database}
    assert set(known) == {"trivy", "grype", "eef"}
    assert all(digest.startswith("sha256:") for digest in known.values())
    files = documents(made, found)
    for name in ("findings.json", "findings.sarif", "report.md", "junit.xml", "gl-container-scanning-report.json"):
        assert all(digest in files[name] for digest in known.values()), name
    assert all(digest in terminal(made) for digest in known.values())


async def test_a_database_that_cannot_be_fetched_is_a_scanner_that_failed(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec",
        exec_error(1, stderr="FATAL\tFatal error\tfailed to download vulnerability DB: no such host"),
        when=lambda chain: "--download-db-only" in chain.call.args["args"],
    )
    found = await results(recorder)
    failed = {(scan.scanner, scan.target): scan.failure for scan in found.runs if scan.failure}
    assert set(failed) == {("trivy", "image"), ("trivy", "SBOM")}
    assert failed["trivy", "image"].startswith("its database could not be downloaded: FATAL")
    with pytest.raises(ScannerError, match=r"^SCANNER FAILED: trivy"):
        conclude(await judged(found, Severity.CRITICAL))


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
    made = await judged(found)
    assert not made.verdict.passed
    assert "sbom.cdx.json" not in documents(made, found)


async def test_a_scanner_that_cannot_be_pulled_failed_and_the_others_finish(recorder: Recorder) -> None:
    recorder.answer(
        "Container.from", pull_error(IMAGES["trivy"]), when=lambda chain: chain.images()[:1] == [IMAGES["trivy"]]
    )
    # With its database at hand, the scan is the first that needs the image.
    database = recorder.host_directory({"db/trivy.db": "", "db/metadata.json": answers.scanned("metadata.json")})
    found = await results(recorder, await checked(dataclasses.replace(TODAY, trivy=database)))
    failed = {(run.scanner, run.target): run.failure for run in found.runs if run.failure}
    assert set(failed) == {("trivy", "image"), ("trivy", "SBOM")}
    assert "failed to resolve image" in failed["trivy", "image"]
    assert found.sbom


async def test_docker_scout_alone_gets_its_token_and_its_failure_is_one(recorder: Recorder) -> None:
    images = IMAGES.override({"scout": "docker/scout-cli:1"})
    login = Scout("user", dagger.dag.set_secret("token", "hub-token"))
    scanned = subject(recorder)
    recorder.answer(
        "File.contents", "{}", when=lambda chain: bool(chain.find("file", path="/scan/out/scout.sarif")), latency=0
    )

    async def run() -> Results:
        return await scan(Scanners(images, TODAY, login), lambda: describe(scanned), scanned.layout)

    found = await run()
    assert found.scout == "{}"
    with_secret = [chain for chain in recorder.execs() if chain.calls("withSecretVariable")]
    assert {chain.images()[0] for chain in with_secret} == {"docker/scout-cli:1"}
    assert "hub-token" not in recorder.text()
    made = await judged(found)
    assert "scout.sarif" in documents(made, found)
    recorder.answer(
        "Container.withExec",
        exec_error(1, stderr="ERROR: unauthorized"),
        when=lambda chain: chain.images()[:1] == ["docker/scout-cli:1"],
    )
    failed = await judged(await run(), Severity.CRITICAL)
    assert [scan.scanner for scan in failed.verdict.failures] == ["scout"]
    with pytest.raises(InputError, match=r'^the image table has no "scout"; add'):
        await scan(Scanners(IMAGES, TODAY, login), lambda: describe(scanned), scanned.layout)


async def test_the_verdict_is_an_error_of_its_own_kind(recorder: Recorder) -> None:
    found = await results(recorder)
    with pytest.raises(PolicyError, match=r"^POLICY FAILED: "):
        conclude(await judged(found, Severity.LOW))


# What is published on Erlang, and on Hex packages ---------------------------------------------------------------------


def urls(recorder: Recorder) -> set[str]:
    """Return what was fetched over HTTP."""
    return {call.args["url"] for chain in recorder.plan for call in chain.calls("http")}


def of_eef(found: Results) -> ScannerRun:
    [run] = [each for each in found.runs if each.scanner == "eef"]
    return run


async def test_records_of_erlang_are_fetched_and_matched_with_the_sbom(recorder: Recorder) -> None:
    run = of_eef(await results(recorder))
    assert (run.target, run.failure) == ("SBOM", "")
    assert run.database is not None
    assert (run.database.scanner, run.database.source) == ("eef", "https://cna.erlef.org/cves")
    assert NOW.replace(microsecond=0) <= run.database.built <= dt.datetime.now(dt.UTC)
    assert run.database.digest.startswith("sha256:")
    assert urls(recorder) == {
        "https://cna.erlef.org/cves/index.json",
        "https://cna.erlef.org/cves/CVE-2026-23941.json",
        "https://cna.erlef.org/cves/CVE-2026-48855.json",
        "https://osv-vulnerabilities.storage.googleapis.com/Hex/all.zip",
    }
    assert ("CVE-2026-23941", "inets") in {(sighting.id, sighting.package) for sighting in run.sightings}


async def test_every_report_warns_of_the_erlang_of_the_image(recorder: Recorder) -> None:
    found = await results(recorder)
    made = await judged(found)
    told = "Erlang/OTP 27.3.4.1 has 2 advisories (worst HIGH); 27.3.4.13 has none"
    files = documents(made, found)
    for name in ("findings.json", "findings.sarif", "report.md", "gl-container-scanning-report.json", "junit.xml"):
        assert told in files[name], name
    with pytest.raises(PolicyError) as caught:
        conclude(made)
    assert told in " ".join(str(caught.value).split())


async def test_records_that_are_given_are_not_fetched(recorder: Recorder) -> None:
    given = recorder.host_directory({"db/eef.json": facts.database(NOW)})
    run = of_eef(await results(recorder, dataclasses.replace(TODAY, eef=given)))
    assert urls(recorder) == set()
    assert run.database is not None
    assert (run.database.source, run.database.built) == ("--eef-db", NOW)
    assert {"CVE-2026-55737", "CVE-2026-23941"} <= {sighting.id for sighting in run.sightings}


def searches(recorder: Recorder) -> list[Chain]:
    return [chain for chain in recorder.execs() if chain.call.args["args"][:2] == ["db", "search"]]


async def test_of_what_grype_does_not_see_its_database_is_asked_whether_it_is_exploited(recorder: Recorder) -> None:
    entry = {"cve": "CVE-2026-55737", "date_added": "2026-11-01", "known_ransomware_campaign_use": "Unknown"}
    row = {"id": "CVE-2026-55737", "provider": "nvd", "known_exploited": [entry], "epss": [{**entry, "epss": 0.5}]}
    recorder.answer("Container.stdout", json.dumps([row]), when=lambda chain: "search" in answers.words(chain.parent))
    given = recorder.host_directory({"db/eef.json": facts.database(NOW)})
    found = await results(recorder, dataclasses.replace(TODAY, eef=given))
    [asked] = searches(recorder)
    names = {word for word in answers.words(asked) if word.startswith("CVE-")}
    seen = {
        name
        for run in found.runs
        if run.scanner == "grype"
        for each in run.sightings
        for name in (each.id, *each.aliases)
    }
    assert "CVE-2026-55737" in names
    assert names.isdisjoint(seen)
    assert asked.images() == [IMAGES["grype"]]
    assert asked.calls("withMountedDirectory")
    judgement = (await judged(found, Severity.CRITICAL)).verdict
    [breaking] = [item for item in judgement.breaking if item.finding.id == "CVE-2026-55737"]
    assert breaking.finding.urgency.epss == 0.5
    assert "known to be exploited since 2026-11-01" in breaking.reason


@pytest.mark.parametrize("answer", ["<html>", "{}", '[{"known_exploited": [{}]}]', ""])
async def test_if_that_is_not_known_nothing_is_decided(recorder: Recorder, answer: str) -> None:
    if answer:
        recorder.answer("Container.stdout", answer, when=lambda chain: "search" in answers.words(chain.parent))
    else:
        crash = exec_error(1, stderr="no such database")
        recorder.answer("Container.withExec", crash, when=lambda chain: chain.call.args["args"][:2] == ["db", "search"])
    given = recorder.host_directory({"db/eef.json": facts.database(NOW)})
    found = await results(recorder, dataclasses.replace(TODAY, eef=given))
    [failed] = [run for run in found.runs if run.failure]
    assert failed.scanner == "grype"
    assert "exploited" in failed.failure
    assert not (await judged(found)).verdict.decided


async def test_records_that_cannot_be_had_are_a_scanner_that_failed_and_the_others_finish(recorder: Recorder) -> None:
    lost = "dial tcp: lookup cna.erlef.org: no such host"
    recorder.answer("File.contents", graphql.GraphQLError(lost), when=fetches_from("index"))
    found = await results(recorder)
    assert [(run.scanner, run.target) for run in found.runs if not run.failure] == [
        ("trivy", "image"),
        ("grype", "image"),
        ("trivy", "SBOM"),
        ("grype", "SBOM"),
    ]
    assert of_eef(found).failure == f"its database could not be downloaded: {lost}; give one with --eef-db"
    with pytest.raises(ScannerError, match=r"^SCANNER FAILED: eef \(SBOM\): its database could not be downloaded"):
        conclude(await judged(found, Severity.CRITICAL))


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("<html>", "index"),
        ("{}", "index"),
        ('[{"id": "../../osv/all"}]', "index"),
        ('[{"name": "x"}]', "index"),
        ("<html>", "CVE-2026-48855"),
    ],
)
async def test_an_answer_that_is_no_record_is_a_scanner_that_failed(recorder: Recorder, answer: str, name: str) -> None:
    recorder.answer("File.contents", answer, when=fetches_from(name))
    failure = of_eef(await results(recorder)).failure
    assert failure, answer
    assert "--eef-db" in failure or "advisories" in failure


async def test_an_archive_that_is_none_is_a_scanner_that_failed(recorder: Recorder) -> None:
    def export(chain: Chain) -> str:
        Path(chain.call.args["path"]).write_text("<html>")
        return str(chain.call.args["path"])

    recorder.answer("File.export", export, when=fetches_from("all.zip"))
    assert of_eef(await results(recorder)).failure == (
        "its database could not be downloaded: an answer has the wrong form (File is not a zip file); "
        "give one with --eef-db"
    )


async def test_scanners_are_asked_what_a_distribution_mended_in_its_own_erlang(recorder: Recorder) -> None:
    package = {"format": "apk", "name": "erlang", "version": "27.3.4.1-r0"}
    inventory = json.dumps({**json.loads(answers.scanned("inventory.json")), "otp_package": package})
    recorder.answer("File.contents", inventory, when=answers.reads("inventory.json"))
    found = await results(recorder)
    assert not any(run.failure for run in found.runs)
    # Over the image, the SBOM and the question.
    assert {scanner: len(runs(recorder, scanner)) for scanner in ("trivy", "grype")} == {"trivy": 3, "grype": 3}
    handed = [
        json.loads(text)
        for chain in runs(recorder, "trivy")
        for call in chain.calls("withMountedFile")
        for text, _ in [next(iter(call.args["source"].tree.values()))]
    ]
    questions = [[part["purl"] for part in each["components"][1:]] for each in handed if len(each["components"]) == 3]
    assert [[purl.partition("?")[0] for purl in each] for each in questions] == [
        ["pkg:apk/debian/erlang@27.3.4.1-r0", "pkg:apk/debian/erlang@0"]
    ]


def fetches_from(text: str) -> Callable[[Chain], bool]:
    return lambda chain: any(text in call.args["url"] for call in chain.calls("http"))
