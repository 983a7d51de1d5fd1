"""How the registries of Hex are asked: in the way of the dependencies, once a day, and what comes of no answer."""

import json
from collections.abc import Callable

import answers
import dagger
import pytest
from answers import APPLICATION, NOW, of_a_registry_of_hex, project
from recorder import Chain, Recorder, exec_error, pull_error

from pipeline.project.images import default_images
from pipeline.project.project import Project
from pipeline.report.report import reported
from pipeline.report.terminal import terminal
from pipeline.sbom.containers import Subject, describe
from pipeline.sbom.cyclonedx import KIND, REPOSITORY, cyclonedx
from pipeline.sbom.sbom import Image
from pipeline.scan.databases import Databases
from pipeline.scan.findings import ScannerRun
from pipeline.scan.hex import ask
from pipeline.scan.policy import Rules
from pipeline.scan.scanners import Results, Scanners, scan, scan_document

pytestmark = pytest.mark.anyio

IMAGES = default_images()
IMAGE = Image("ghcr.io/example/erlmcp", "2.1.0", "sha256:" + "5e" * 32, "2026-02-04T17:25:56Z", "alpine:3.22")
DAY = "2026-11-24"
ACME = (
    '{hex, [{repos, [#{name => <<"hexpm:acme">>}, #{name => <<"own">>, repo_url => <<"https://hex.example.org">>}]}]}.'
)
NOTHING = {"retired": None, "others": [], "advisories": []}
SBOM = json.dumps(
    {
        "components": [
            {
                "name": name,
                "version": version,
                "purl": purl,
                "properties": [{"name": KIND, "value": kind}]
                + ([{"name": REPOSITORY, "value": repository}] if repository else []),
            }
            for name, version, purl, kind, repository in (
                ("cowboy", "2.12.0", "pkg:hex/cowboy@2.12.0", "hex", ""),
                (
                    "secret",
                    "1.0.0",
                    "pkg:hex/acme/secret@1.0.0?repository_url=https://repo.hex.pm",
                    "hex",
                    "hexpm:acme",
                ),
                ("mine", "1.0.0", "pkg:generic/mine@1.0.0", "other", "own"),
                ("stdlib", "6.2", "pkg:otp/stdlib@6.2", "otp", ""),
                ("tiny", "1.0.0", "pkg:generic/tiny@1.0.0", "other", ""),
            )
        ]
    }
)


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    answers.of_scanners(recorder)
    return recorder


def questions(recorder: Recorder) -> list[Chain]:
    return [chain for chain in recorder.execs() if answers.words(chain) == ["sh", "/pipeline/fetch.sh", "registry"]]


def variables(chain: Chain) -> dict[str, str]:
    return {call.args["name"]: call.args["value"] for call in chain.calls("withEnvVariable")}


async def results(recorder: Recorder, made: Project, day: str = DAY) -> Results:
    scanned = subject(recorder, made)
    scanners = Scanners(IMAGES, Databases(day), project=made)
    return await scan(scanners, lambda: describe(scanned), scanned.layout, hex_config=ACME)


def of_hex(found: Results) -> ScannerRun:
    [run] = [each for each in found.runs if each.scanner == "hex"]
    return run


async def asked(recorder: Recorder, made: Project, config: str = ACME) -> tuple[ScannerRun, Chain]:
    [run] = await ask(made, config, DAY, SBOM)
    return run, questions(recorder)[-1]


async def test_every_package_is_asked_for_once_as_the_dependency_stage_fetches(recorder: Recorder) -> None:
    made = project(recorder, hex_mirror="https://hex.example.org", hex_key=dagger.dag.set_secret("key", "made-up-key"))
    found = await results(recorder, made)
    [question] = questions(recorder)
    assert question.images() == [IMAGES["builder-alpine"]]
    assert variables(question)["HEX_CDN"] == "https://hex.example.org"
    assert variables(question)["REGISTRY_DATE"] == DAY
    assert answers.written(question, "/build/rebar.config") == ACME
    assert answers.written(question, "/pipeline/repositories") == "hexpm:acme\nown\n"
    assert "cowboy 2.10.0 hexpm" in answers.asked_for(question)
    # By the name of the package, not of the application.
    assert "ts_chatterbox 0.15.1 hexpm" in answers.asked_for(question)
    assert not [line for line in answers.asked_for(question) if line.split()[0] in {"chatterbox", "gen_pnet", "stdlib"}]
    # The key reaches that step alone, and none of its words.
    [given] = recorder.secrets()
    assert given in question.steps()
    assert "made-up-key" not in recorder.text()
    assert of_hex(found).unknown == ()


async def test_what_is_known_is_known_for_a_day(anyio_backend: str) -> None:  # noqa: ARG001 # the loop is the test's
    keys = []
    for day in (DAY, DAY, "2026-11-25"):
        async with Recorder() as started:
            answers.of_scanners(started)
            await results(started, project(started), day)
            [question] = questions(started)
            keys.append(question.content_key)
    assert keys[0] == keys[1] != keys[2]


async def test_a_question_names_the_repository_of_each_package(recorder: Recorder) -> None:
    _, question = await asked(recorder, project(recorder))
    assert answers.asked_for(question) == ["cowboy 2.12.0 hexpm", "secret 1.0.0 hexpm:acme", "mine 1.0.0 own"]
    assert answers.written(question, "/build/rebar.config") == ACME


async def test_of_a_published_image_the_organisations_are_known_by_their_names(recorder: Recorder) -> None:
    made = project(recorder, hex_key=dagger.dag.set_secret("key", "plain"))
    _, question = await asked(recorder, made, "")
    assert answers.written(question, "/build/rebar.config") == '{hex, [{repos, [#{name => <<"hexpm:acme">>}]}]}.\n'
    assert answers.written(question, "/pipeline/repositories") == "hexpm:acme\n"


async def test_an_sbom_without_hex_packages_is_no_question(recorder: Recorder) -> None:
    assert await ask(project(recorder), "", DAY, '{"components": []}') == ()
    assert questions(recorder) == []


async def test_a_rescan_asks_about_what_the_attested_sbom_has(recorder: Recorder) -> None:
    answers.of_scanners(recorder)
    _, sbom = await describe(subject(recorder))
    found = await scan_document(Scanners(IMAGES, Databases(DAY), project=project(recorder)), cyclonedx(sbom.shipped()))
    [question] = questions(recorder)
    assert "cowboy 2.10.0 hexpm" in answers.asked_for(question)
    assert of_hex(found).unknown == ()


def subject(recorder: Recorder, made: Project | None = None) -> Subject:
    layout = recorder.host_directory({"index.json": "{}", "oci-layout": "{}", "loads": ""})
    builder, made = dagger.dag.container().from_(IMAGES["builder-alpine"]), made or project(recorder)
    image, files = dagger.dag.container(), dagger.dag.directory()
    return Subject(made, APPLICATION, builder, image, files, layout.file("loads"), layout, layout, IMAGE)


async def test_what_one_repository_says_counts_though_another_one_is_silent(recorder: Recorder) -> None:
    retired = {**NOTHING, "retired": {"reason": "security", "message": "take 2.13.0"}, "others": ["2.13.0"]}
    said = json.dumps([retired, {"unknown": "https://repo.hex.pm/repos/acme answers 401"}, NOTHING])
    # So that the next call asks again.
    recorder.answer(
        "Container.withExec", exec_error(1, stdout=said), when=lambda chain: chain.call.args["args"][-1] == "registry"
    )
    run, _ = await asked(recorder, project(recorder))
    assert [(each.id, each.package, each.fixed) for each in run.sightings] == [("retired", "cowboy", ("2.13.0",))]
    assert run.unknown == ("not known whether retired: secret 1.0.0: https://repo.hex.pm/repos/acme\n  answers 401",)


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        (
            "Container.withExec",
            exec_error(1, stderr="===> --hex-key: this is not an API key"),
            "--hex-key: this is not an API key",
        ),
        ("Container.from", pull_error(IMAGES["builder-alpine"]), "failed to resolve image"),
        ("Container.stdout", "<html>", "an answer has the wrong form"),
        ("Container.stdout", "[]", "an answer has the wrong form"),
        ("Container.stdout", '[{}, {}, {"unknown": 1}]', "an answer has the wrong form"),
    ],
)
async def test_no_answer_is_told_in_the_reports_and_decides_nothing(
    recorder: Recorder, name: str, error: object, reason: str
) -> None:
    when: dict[str, Callable[[Chain], bool]] = {
        "Container.withExec": lambda chain: chain.call.args["args"][-1] == "registry",
        "Container.from": lambda chain: chain.call.args["address"] == IMAGES["builder-alpine"],
        "Container.stdout": of_a_registry_of_hex,
    }
    recorder.answer(name, error, when=when[name])
    run, _ = await asked(recorder, project(recorder))
    assert run.failure == ""
    assert run.sightings == ()
    assert reason in " ".join(" ".join(run.unknown).split())
    found = Results((run,))
    made = await reported(found, Rules(), IMAGE, NOW)
    assert made.verdict.passed
    assert "not known whether retired: cowboy 2.12.0, secret 1.0.0, mine 1.0.0" in terminal(made).replace("\n  ", " ")
