"""ci/ on real programs: each setting of engine.json on an engine with it, the definitions against the laptop's run."""

import datetime as dt
import json
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import databases
import files
import pytest
import yaml
from conftest import FIXTURES, ROOT, read_archive
from engines import Engine, apart
from registry import settings
from test_events import GITLAB_CI_LOCAL

CI = ROOT / "ci"

MIRROR = "127.0.0.1:5999"


def fill(storage: Path, images: Path) -> None:
    """Put the runtime's stand-in into the mirror as Docker Hub's library/probe."""
    config = storage.with_name("fill.yml")
    config.write_text(settings("127.0.0.1:5998", storage))
    name, _, digest = tomllib.loads(images.read_text())["images"]["runtime-debian"].partition("@")
    source = f"{name.rpartition(':')[0]}@{digest}"  # skopeo takes one of tag and digest
    with subprocess.Popen(["docker-registry", "serve", config], stderr=subprocess.DEVNULL) as server:
        try:
            time.sleep(1)
            subprocess.run(
                [
                    *("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"),
                    *(f"docker://{source}", "docker://127.0.0.1:5998/library/probe:1"),
                ],
                check=True,
            )
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def engine_of_ci(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Start an engine with ci/engine.json, the mirror's address apart: that one answers no test."""
    folder = tmp_path_factory.mktemp("engine")
    configured = json.loads((CI / "engine.json").read_text())
    configured["registries"]["docker.io"]["mirrors"] = [MIRROR]
    fill(folder / "storage", images)
    with apart(folder, configured, {MIRROR: folder / "storage"}) as engine:
        yield engine


def test_the_garbage_collector_keeps_what_engine_json_says(engine_of_ci: Engine) -> None:
    done = engine_of_ci.query("{ engine { localCache { reservedSpace maxUsedSpace minFreeSpace } } }")
    assert done.returncode == 0, done.stderr
    disk = shutil.disk_usage(engine_of_ci.folder).total

    def share(percent: int) -> int:
        # The engine rounds up to whole GiB and counts each as a GB.
        return (disk * percent // 100 // 2**30 + 1) * 10**9

    gc = json.loads((CI / "engine.json").read_text())["gc"]
    assert gc == {"reservedSpace": "20GB", "maxUsedSpace": "80%", "minFreeSpace": "10%"}
    assert json.loads(done.stdout)["engine"]["localCache"] == {
        "reservedSpace": 20 * 2**30,
        "maxUsedSpace": share(80),
        "minFreeSpace": share(10),
    }


def test_images_of_docker_hub_come_from_the_mirror(engine_of_ci: Engine) -> None:
    done = engine_of_ci.query('{ container { from(address: "docker.io/library/probe:1") { imageRef } } }')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["container"]["from"]["imageRef"].startswith("docker.io/library/probe:1@sha256:")


def test_no_container_gets_the_capabilities_of_root(engine_of_ci: Engine) -> None:
    query = """{ container { from(address: "docker.io/library/probe:1") {
        withExec(args: ["sh", "-c", "grep CapEff /proc/self/status"], insecureRootCapabilities: %s) { stdout } } } }"""
    plain = engine_of_ci.query(query % "false")
    assert plain.returncode == 0, plain.stderr
    assert "CapEff" in plain.stdout
    asked = engine_of_ci.query(query % "true")
    assert asked.returncode != 0
    assert "insecure" in asked.stderr


def test_the_log_of_a_session_holds_warnings_and_worse_alone(engine_of_ci: Engine) -> None:
    # Before it has read its configuration it says more; by default it writes a line for each request.
    before = engine_of_ci.log
    assert engine_of_ci.query("{ version }").returncode == 0
    assert "level=info" in before
    assert not {"level=info", "level=debug"} & set(engine_of_ci.log.removeprefix(before).split())


# The same run in three places -----------------------------------------------------------------------------------------

OVERLAY = ("dagger.json", "pyproject.toml", "uv.lock", ".dockerignore", "pipeline", "ci", ".github")
GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")
ARGUMENTS = (
    "--flavor=debian --images=images.toml --init=files/init --certificates=files/certificates "
    "--trivy-db=db/trivy --grype-db=db/grype --eef-db=db/eef --repository=registry.example.com/greeter "
    "--registry-service=tcp://{}"
)
LAPTOP = ("build-runtime sync", "assess reports export --path=reports", "assess verdict")


@dataclass(frozen=True)
class Run:
    """What a place left of the run: its exit code, what it said, its reports."""

    code: int
    said: str
    folder: Path

    @property
    def reports(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.folder / "reports").iterdir()}

    @property
    def digest(self) -> str:
        return json.loads(self.reports["findings.json"])["image"]["digest"]


@pytest.fixture(scope="module")
def repository(
    engine: dict[str, str], images: Path, registry: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """Return a repository with an application, the pipeline laid over it, and the environment to run it in."""
    folder = tmp_path_factory.mktemp("ci") / "repository"
    shutil.copytree(FIXTURES / "greeter", folder, symlinks=True)
    shutil.copytree(FIXTURES / "packages", folder / "_checkouts")
    for name in OVERLAY:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    shutil.copy(images, folder / "images.toml")
    (folder / "files").mkdir()
    for argument in files.given():
        name, _, path = argument.removeprefix("--").partition("=")
        shutil.copy(path, folder / "files" / name)
    databases.make(folder / "db", dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    (folder / ".gitlab-ci.yml").write_text("include:\n  - local: ci/gitlab-ci.yml\n")
    # Which gitlab-ci-local makes in the checkout: a file that git does not know would make it another commit's.
    with (folder / ".gitignore").open("a") as ignored:
        ignored.write("/.gitlab-ci-local\n")
    subprocess.run([*GIT, "init", "--quiet", "--initial-branch=main"], cwd=folder, check=True)
    subprocess.run([*GIT, "add", "--all", "--force"], cwd=folder, check=True)
    subprocess.run([*GIT, "commit", "--quiet", "--message=x"], cwd=folder, check=True)
    return folder, engine | {"ERLMCP_ARGUMENTS": ARGUMENTS.format(registry)}


def clone(repository: Path, place: str) -> Path:
    folder = repository.parent / place
    subprocess.run(["git", "clone", "--quiet", repository, folder], check=True)
    # A service's name, from which gitlab-ci-local takes the project's.
    origin = "https://gitlab.com/banyan-platform/erlmcp.git"
    subprocess.run(["git", "remote", "set-url", "origin", origin], cwd=folder, check=True)
    return folder


def script(folder: Path, commands: Iterable[str], env: dict[str, str]) -> Run:
    """Run commands as a CI does: each in a shell, up to the first that fails."""
    said = ""
    for command in commands:
        done = subprocess.run(
            ["bash", "-e", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=900, check=False
        )
        said += done.stdout + done.stderr
        if done.returncode:
            return Run(done.returncode, said, folder)
    return Run(0, said, folder)


@pytest.fixture(scope="module")
def laptop(repository: tuple[Path, dict[str, str]]) -> Run:
    source, env = repository
    return script(clone(source, "laptop"), [f"ci/run {words}" for words in LAPTOP], env)


@pytest.fixture(scope="module")
def github(repository: tuple[Path, dict[str, str]]) -> Run:
    """Run the steps of the workflow's job in a plain shell, with a recorded event."""
    source, env = repository
    folder = clone(source, "github")
    lines = (FIXTURES / "ci" / "github-push.env").read_text().splitlines()
    event = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    steps = yaml.safe_load((folder / ".github/workflows/pipeline.yml").read_text())["jobs"]["image"]["steps"]
    summary = {
        name: str(source.parent / name.lower()) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV")
    }
    return script(folder, [step["run"] for step in steps if "run" in step], env | event | summary)


@pytest.fixture(scope="module")
def gitlab(repository: tuple[Path, dict[str, str]]) -> Run:
    """Run the job of the GitLab file with gitlab-ci-local, in its shell mode."""
    source, env = repository
    if missing := [name for name in ("npx", "rsync") if not shutil.which(name)]:
        pytest.skip(f"needs {', '.join(missing)} on the PATH, for gitlab-ci-local")
    folder = clone(source, "gitlab")
    # It takes variables by argument alone; a variable of its own environment is one of the runner's.
    runner = {key: value for key, value in env.items() if key != "ERLMCP_ARGUMENTS"}
    given = {
        "ERLMCP_ARGUMENTS": env["ERLMCP_ARGUMENTS"],
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    }
    variables = " ".join(f"--variable '{key}={value}'" for key, value in given.items())
    return script(folder, [f"npx --yes {GITLAB_CI_LOCAL} --no-color 'erlmcp image' {variables}"], runner)


# What may differ between two runs of one commit: the time of the verdict, ids and times that scanners make anew, and
# how long the node took to start.
TIMES = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?|healthy after \d+\.\d s")


def same(reports: dict[str, str]) -> dict[str, str]:
    return {name: TIMES.sub("TIME", text) for name, text in reports.items()}


@pytest.mark.parametrize("place", ["github", "gitlab"])
def test_a_ci_and_a_laptop_find_the_same_of_the_same_image(
    laptop: Run, place: str, request: pytest.FixtureRequest
) -> None:
    run: Run = request.getfixturevalue(place)
    assert laptop.reports, laptop.said
    assert run.reports.keys() == laptop.reports.keys(), run.said
    assert run.digest == laptop.digest
    there, here = same(run.reports), same(laptop.reports)
    assert [name for name in here if there[name] != here[name]] == []


@pytest.mark.parametrize("place", ["laptop", "github", "gitlab"])
def test_a_gate_that_fails_fails_the_job_and_its_reports_are_there(place: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(place)
    assert run.code == 1
    assert "POLICY FAILED" in run.said
    # The table, once: a log is read, not watched.
    assert len(re.findall(r"\bseverity +advisory ", run.said)) == 1
    wanted = {"report.md", "findings.sarif", "gl-container-scanning-report.json", "junit.xml", "sbom.cdx.json"}
    assert wanted <= run.reports.keys()


def test_the_image_that_was_judged_is_the_one_that_is_built(
    laptop: Run, repository: tuple[Path, dict[str, str]]
) -> None:
    archive = laptop.folder / "image.tar"
    done = script(laptop.folder, [f"ci/run image-tarball export --path={archive}"], repository[1])
    assert done.code == 0, done.said
    assert read_archive(archive).digest == laptop.digest


def test_the_summary_of_the_step_is_the_report(github: Run, repository: tuple[Path, dict[str, str]]) -> None:
    assert (repository[0].parent / "github_step_summary").read_text() == github.reports["report.md"]


ACCEPTED = """[[accept]]
id = "CVE-0000-0002"
package = "tiny_text"
reason = "no untrusted text gets there"
until = 2099-12-31
"""
VEX = """{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "x", "version": 1,
"timestamp": "2026-01-01T00:00:00Z", "statements": [{"vulnerability": {"name": "CVE-2026-23941"},
"products": [{"@id": "pkg:otp/inets"}], "status": "not_affected", "justification": "vulnerable_code_not_present"}]}
"""


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("ci/run images", 0, "runtime-alpine = "),
        ("ci/run application", 0, "greeter_core"),
        ("ci/run sbom export --path=sbom && ls sbom", 0, "sbom.cdx.json"),
        ("ci/run assess --fail-on=CRITICAL verdict", 0, "PASSED: no finding of CRITICAL"),
        ("ci/run assess --only-fixed verdict", 1, "POLICY FAILED: 3 findings of HIGH or worse with a fix"),
        ("ci/run assess --accept-old-db verdict", 1, "POLICY FAILED: 3 findings of HIGH or worse"),
        (
            "ci/run assess --accept=accept.toml --vex=vex/erlmcp.openvex.json verdict",
            1,
            "POLICY FAILED: 2 findings of HIGH or worse",
        ),
    ],
)
def test_the_commands_of_the_documents_run(
    laptop: Run, repository: tuple[Path, dict[str, str]], command: str, code: int, words: str
) -> None:
    # One of five, in every call: the project's own file counts without being named.
    (laptop.folder / "accept.toml").write_text(ACCEPTED)
    (laptop.folder / "vex").mkdir(exist_ok=True)
    (laptop.folder / "vex" / "erlmcp.openvex.json").write_text(VEX)
    done = script(laptop.folder, [command], repository[1])
    assert done.code == code, done.said
    assert words in done.said
