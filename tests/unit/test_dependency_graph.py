"""What GitHub's dependency graph is told of a project's dependencies, and how it is submitted."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from api import Service
from test_ci import CI, ROOT, recorded
from test_reports import NOW
from test_sbom import INVENTORY, parse, with_app

from pipeline.report.github import dependency_snapshot
from pipeline.sbom.sbom import Sbom


def manifests(sbom: Sbom) -> dict[str, Any]:
    return json.loads(dependency_snapshot(sbom, NOW))["manifests"]


def test_what_the_lock_has_from_hex_and_git_is_submitted_and_nothing_else() -> None:
    [(path, manifest)] = manifests(parse()).items()
    assert path == manifest["name"] == manifest["file"]["source_location"] == "rebar.lock"
    names = {purl.rpartition("/")[2].partition("@")[0] for purl in manifest["resolved"]}
    assert names == {lock.get("package", lock["name"]) for lock in INVENTORY["locks"]}
    assert all(entry["package_url"] == purl for purl, entry in manifest["resolved"].items())


def test_the_lock_says_what_the_project_asks_for_and_the_image_what_runs() -> None:
    found = manifests(parse())["rebar.lock"]["resolved"]
    # Of level 0 in erlmcp's rebar.lock, of level 1, and one of level 0 that its release does not need.
    assert found["pkg:hex/cowboy@2.10.0"] == {
        "package_url": "pkg:hex/cowboy@2.10.0",
        "relationship": "direct",
        "scope": "runtime",
        "dependencies": ["pkg:hex/cowlib@2.12.1", "pkg:hex/ranch@2.1.0"],
    }
    assert found["pkg:hex/cowlib@2.12.1"]["relationship"] == "indirect"
    gone = found["pkg:github/joergen7/gen_pnet@f7f9a26d1f4f3e5aebcbc08a2e9729c3f1d7eeb2"]
    assert (gone["relationship"], gone["scope"]) == ("direct", "development")


def test_a_checkout_keeps_the_place_of_the_package_that_it_stands_for() -> None:
    found = manifests(with_app("cowlib", checkout=True, vsn="2.13.0"))["rebar.lock"]["resolved"]
    assert found["pkg:hex/cowlib@2.13.0"]["relationship"] == "indirect"


def test_what_no_lock_has_is_of_the_configuration_and_no_relationship_is_made_up() -> None:
    package = {"name": "tiny_text", "version": "1.0.2"}
    found = manifests(with_app("tiny_text", hex=package, vsn="1.0.2"))
    assert found["rebar.config"]["resolved"] == {
        "pkg:hex/tiny_text@1.0.2": {"package_url": "pkg:hex/tiny_text@1.0.2", "scope": "runtime"}
    }
    assert "pkg:hex/tiny_text@1.0.2" not in found["rebar.lock"]["resolved"]


def test_a_project_without_dependencies_takes_back_those_of_before() -> None:
    inventory = INVENTORY | {
        "locks": [],
        "applications": [app for app in INVENTORY["applications"] if app["kind"] != "dependency"],
    }
    assert manifests(parse(inventory=inventory)) == {}


def _object(required: str = "", **properties: Any) -> dict[str, Any]:  # noqa: ANN401 # JSON
    return {"type": "object", "required": required.split(), "properties": properties, "additionalProperties": False}


def _map(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": of}


_TEXT = {"type": "string"}
#: The body of POST /repos/{owner}/{repo}/dependency-graph/snapshots, without `metadata`, which we do not write: the
#: schemas snapshot, manifest and dependency of GitHub's OpenAPI description, in @octokit/openapi 23.0.2.
SNAPSHOT = _object(
    "detector version ref sha job scanned",
    version={"type": "integer"},
    job=_object("id correlator", id=_TEXT, correlator=_TEXT, html_url=_TEXT),
    sha={"type": "string", "minLength": 40, "maxLength": 64},
    ref={"type": "string", "pattern": "^refs/"},
    detector=_object("name version url", name=_TEXT, version=_TEXT, url=_TEXT),
    manifests=_map(
        _object(
            "name",
            name=_TEXT,
            file=_object(source_location=_TEXT),
            resolved=_map(
                _object(
                    package_url={"type": "string", "pattern": "^pkg"},
                    relationship={"enum": ["direct", "indirect"]},
                    scope={"enum": ["runtime", "development"]},
                    dependencies={"type": "array", "items": _TEXT},
                )
            ),
        )
    ),
    scanned={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
)
SNAPSHOTS = "/repos/vito/bass/dependency-graph/snapshots"


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()


def submit(service: Service, file: Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    own = {"GITHUB_API_URL": service.url, "GITHUB_WORKFLOW": "image", "GITHUB_JOB": "dependencies"}
    env = {"PATH": os.environ["PATH"], "TELL_TOKEN": "s3cret", **recorded("github-push"), **own}
    command = [folder / "ci" / "tell", "dependencies", file]
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True)


@pytest.fixture
def dependencies(tmp_path: Path) -> Path:
    path = tmp_path / "github-dependencies.json"
    path.write_text(dependency_snapshot(parse(), NOW))
    return path


def test_the_dependency_graph_gets_what_its_api_takes(service: Service, dependencies: Path) -> None:
    service.answers[SNAPSHOTS] = {"id": 1, "result": "SUCCESS", "message": "Dependency results ... updated."}
    done = submit(service, dependencies)
    assert done.returncode == 0, done.stderr
    [(method, path, body)] = service.asked
    assert (method, path) == ("POST", SNAPSHOTS)
    assert service.headers[0]["Authorization"] == "Bearer s3cret"
    jsonschema.Draft7Validator(SNAPSHOT).validate(body)
    assert body["sha"] == "2baf7884d80a783bb936c1c9501e18682c32876f"
    assert body["ref"] == "refs/heads/main"
    assert body["job"]["correlator"] == "image dependencies"
    assert body["job"]["html_url"].startswith("https://github.com/vito/bass/actions/runs/1658821493")
    assert body["manifests"]["rebar.lock"]["file"] == {"source_location": "rebar.lock"}


def test_the_dependency_graph_knows_in_which_folder_the_project_lies(
    service: Service, dependencies: Path, tmp_path: Path
) -> None:
    project = tmp_path / "repository" / "services" / "x"
    shutil.copytree(CI, project / "ci", symlinks=True)
    subprocess.run(["git", "init", "-q", tmp_path / "repository"], check=True)
    service.answers[SNAPSHOTS] = {"id": 1, "result": "ACCEPTED", "message": ""}
    assert submit(service, dependencies, project).returncode == 0
    file = service.asked[-1][2]["manifests"]["rebar.lock"]["file"]
    assert file == {"source_location": "services/x/rebar.lock"}


@pytest.mark.parametrize("result", ["INVALID", None])
def test_a_snapshot_that_is_not_taken_fails(service: Service, dependencies: Path, result: str | None) -> None:
    service.answers[SNAPSHOTS] = {"id": 1, "result": result, "message": "no manifest"}
    done = submit(service, dependencies)
    assert done.returncode == 1
    assert f"{json.dumps(result).strip(chr(34))}: no manifest" in done.stderr


def test_a_dependency_graph_that_is_off_is_told(service: Service, dependencies: Path) -> None:
    service.server.shutdown()
    service.server.server_close()
    done = submit(service, dependencies)
    assert done.returncode == 1
    assert "has its dependency graph off" in done.stderr
    assert "s3cret" not in done.stderr
