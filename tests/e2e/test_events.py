"""The three definitions as they are, in programs that read them: each event, and which jobs it runs with what.

The Dagger CLI is a stand-in that writes down how it was called, so no engine is asked. GitHub's workflow runs in act,
with actions that stand in for those that store files and show findings; GitLab's file in gitlab-ci-local; the
Jenkinsfile in definitions/jenkins.groovy. What is not on the PATH is named by the test that needs it:

    act               go install github.com/nektos/act@v0.2.89, and a checkout of actions/checkout named by ACT_CHECKOUT
    gitlab-ci-local   Node.js, whose npx fetches it, and rsync
    groovy            of the distribution
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from api import Service
from conftest import FIXTURES, ROOT

#: The newest that Node 20 runs.
GITLAB_CI_LOCAL = "gitlab-ci-local@4.61.0"
DEFINITIONS = Path(__file__).parent / "definitions"
IMAGE = ("ghcr.io/octocat/hello-world", "registry.gitlab.com/octocat/hello-world", "registry.example.com/app")
BUILT = ["build-runtime sync"]
SNAPSHOTS = "dependency-graph/snapshots"
REPORTS = "assess reports export --path=reports"


def needs(*programs: str) -> None:
    if missing := [name for name in programs if not shutil.which(name)]:
        pytest.skip(f"needs {', '.join(missing)} on the PATH (see the top of this file)")


@dataclass
class Project:
    """A repository that holds an application and the pipeline, and what was called in its jobs."""

    folder: Path
    api: Service

    def git(self, *words: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", self.folder, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: str) -> str:
        """Commit what these files hold now; a name has _ for its dot."""
        for name, text in files.items():
            (self.folder / name.replace("_", ".")).write_text(text)
        self.git("add", "--all", "--force")
        self.git("commit", "-q", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def merge(self, **files: str) -> str:
        """Check out the merge of a pull request into main that changes these files; return main's commit."""
        base = self.git("rev-parse", "main")
        self.git("checkout", "-q", "-b", "feature")
        self.commit(**files)
        self.git("checkout", "-q", "-b", "merged", "main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", "feature")
        self.git("update-ref", "refs/remotes/origin/main", base)
        return base

    @property
    def env(self) -> dict[str, str]:
        """The environment of a runner."""
        java = Path(shutil.which("java") or "/usr/bin/java").resolve()
        return {
            "PATH": os.environ["PATH"],
            "JAVA_HOME": os.environ.get("JAVA_HOME", str(java.parents[1])),
            "HOME": str(self.folder.parent / "home"),
            "DAGGER": str(DEFINITIONS / "dagger"),
            "CALLS": str(self.folder.parent / "calls"),
        }

    def calls(self) -> dict[str, list[str]]:
        """Return what each job called, without the arguments that every call has."""
        found: dict[str, list[str]] = {}
        path = self.folder.parent / "calls"
        for line in path.read_text().splitlines() if path.exists() else []:
            job, _, words = line.partition(": ")
            for image in IMAGE:
                words = words.removeprefix(f"--repository={image} ")
            found.setdefault(job.removeprefix("erlmcp ").lower(), []).append(words)
        return found


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "project"
    shutil.copytree(FIXTURES / "greeter", folder, symlinks=True)
    shutil.copytree(ROOT / "ci", folder / "ci", symlinks=True)
    shutil.copytree(ROOT / ".github", folder / ".github")
    shutil.copy(ROOT / ".dockerignore", folder)
    (folder / ".gitlab-ci.yml").write_text("include: [{local: ci/gitlab-ci.yml}]\n")
    (folder / ".gitignore").write_text(".gitlab-ci-local\n")
    (folder / "README.md").write_text("1")
    (tmp_path / "home").mkdir()
    made = Project(folder, Service())
    made.git("init", "-q", "-b", "main")
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    made.commit()
    made.git("remote", "add", "origin", "https://github.com/octocat/Hello-World.git")
    made.api.answers[f"/repos/octocat/Hello-World/{SNAPSHOTS}"] = {"result": "SUCCESS", "message": "updated"}
    yield made
    made.api.server.shutdown()


# GitHub ---------------------------------------------------------------------------------------------------------------

MAIN = {"ref": "refs/heads/main"}


def pull_request(base: str, head: str = "octocat/Hello-World") -> dict[str, Any]:
    return {
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": {"ref": "feature", "repo": {"full_name": head}},
            "base": {"ref": "main", "sha": base},
        },
    }


class TestGithub:
    """.github/workflows in act."""

    WORKFLOWS: ClassVar = {
        name: yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text()) for name in ("pipeline.yml",)
    }

    def run(self, project: Project, event: str, payload: dict[str, Any], **env: str) -> tuple[dict[str, str], str]:
        """Run an event; return how its jobs ended, and the log."""
        needs("act", "node", "jq")
        checkout = os.environ.get("ACT_CHECKOUT", "")
        if not checkout:
            pytest.skip("needs ACT_CHECKOUT set to a checkout of actions/checkout (see the top of this file)")
        top = project.folder.parent
        for stale in ("calls", "summary"):
            (top / stale).unlink(missing_ok=True)
        repository = {"full_name": "octocat/Hello-World", "default_branch": "main"}
        queue = payload["ref"] if event == "merge_group" else ""
        if queue:
            # act does not know this event, and takes the default branch for its ref unless there is none.
            del repository["default_branch"]
        (top / "event.json").write_text(json.dumps({"repository": repository, **payload}))
        gh = top / "bin" / "gh"
        gh.parent.mkdir(exist_ok=True)
        gh.write_text('#!/bin/sh\necho "$GITHUB_JOB: gh $*" >>"$CALLS"\n')
        gh.chmod(0o755)
        runner = project.env | {"PATH": f"{gh.parent}:{os.environ['PATH']}"}
        given = {
            "DAGGER": runner["DAGGER"],
            "CALLS": runner["CALLS"],
            "ARTIFACTS": str(top / "artifacts"),
            "GITHUB_API_URL": project.api.url,
            # act knows no such variable.
            "GITHUB_WORKFLOW_REF": "octocat/Hello-World/.github/workflows/image.yml@refs/heads/main",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{project.folder}.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/octocat/Hello-World",
            **({"GITHUB_REF": queue} if queue else {}),
            **{key: value for key, value in env.items() if key in ("FINDING", "FAULT")},
        }
        actions = {
            step["uses"]
            for workflow in self.WORKFLOWS.values()
            for job in workflow["jobs"].values()
            for step in job["steps"]
            if "uses" in step
        }
        local = []
        for used in actions:
            name, _, commit = used.partition("@")
            owner, repo = name.split("/")[:2]
            folder = checkout if repo == "checkout" else DEFINITIONS / "actions" / repo
            local.append(f"--local-repository={owner}/{repo}@{commit}={folder}")
        done = subprocess.run(
            [
                *(
                    "act",
                    event,
                    "--actor=octocat",
                    "--eventpath",
                    top / "event.json",
                    "--workflows",
                    ".github/workflows/image.yml",
                ),
                *("--platform", "ubuntu-24.04=-self-hosted", "--secret", "GITHUB_TOKEN=s3cret-token"),
                *(f"--env={key}={value}" for key, value in given.items()),
                *(f"--var={key}={value}" for key, value in env.items() if key.startswith("ERLMCP_")),
                *(f"--input={key}={value}" for key, value in payload.get("inputs", {}).items()),
                *local,
            ],
            cwd=project.folder,
            env=runner | {key: value for key, value in given.items() if key.startswith("GIT_")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        log = done.stdout + done.stderr
        ended = re.findall(r"\[pipeline/pipeline/(\w+) *\] .*Job (succeeded|failed)", log)
        return dict(ended), log

    def test_a_push_to_main_builds_once_publishes_and_shows(self, project: Project) -> None:
        jobs, log = self.run(project, "push", MAIN)
        assert jobs == {"publish": "succeeded", "show": "succeeded", "dependencies": "succeeded"}, log
        [submitted] = [body for _, path, body in project.api.asked if path.endswith(SNAPSHOTS)]
        head = project.git("rev-parse", "HEAD")
        assert project.calls() == {
            "publish": [
                *BUILT,
                REPORTS,
                "assess publish --branch=main --user=octocat --password=env:REGISTRY_PASSWORD",
            ],
            "show": [f"SARIF of {head} refs/heads/main"],
        }
        assert (submitted["sha"], submitted["ref"]) == (head, "refs/heads/main")
        # It takes the place of what the same job submitted before. (act names the called workflow, GitHub the caller.)
        assert submitted["job"]["correlator"] in {"pipeline dependencies", "image dependencies"}

    def test_a_site_may_leave_the_dependency_graph_alone(self, project: Project) -> None:
        jobs, log = self.run(project, "push", MAIN, ERLMCP_DEPENDENCY_GRAPH="false")
        assert jobs == {"publish": "succeeded", "show": "succeeded"}, log

    def test_a_push_to_develop_publishes_nothing(self, project: Project) -> None:
        project.git("checkout", "-q", "-b", "develop")
        jobs, log = self.run(project, "push", {"ref": "refs/heads/develop"})
        assert jobs == {"image": "succeeded", "show": "succeeded"}, log
        assert project.calls()["image"] == [*BUILT, REPORTS, "assess verdict"]

    def test_a_tag_is_published_and_has_its_sboms_on_the_release(self, project: Project) -> None:
        project.git("tag", "v1.2.3")
        jobs, log = self.run(project, "push", {"ref": "refs/tags/v1.2.3"})
        assert jobs == {"publish": "succeeded", "show": "succeeded", "release": "succeeded"}, log
        assert "assess publish --version=1.2.3 " in project.calls()["publish"][-1]
        assert project.calls()["release"][-1].startswith("gh release upload v1.2.3 --clobber reports/sbom.spdx.json")

    def test_a_pull_request_is_judged_and_told(self, project: Project) -> None:
        base = project.merge(rebar_config="%% changed")
        merged = project.git("rev-parse", "HEAD")
        jobs, log = self.run(project, "pull_request", pull_request(base))
        assert jobs == {"image": "succeeded", "show": "succeeded"}, log
        image = project.calls()["image"]
        # It is compared with what main published; that is fetched once.
        [proved] = [call for call in image if call.startswith("published ")]
        assert " --reference=ghcr.io/octocat/hello-world:main verified --issuer=" in proved
        assert image[-1].startswith("assess --baseline=")
        # The commit that was scanned, and not that of the branch whose scripts are run.
        assert project.calls()["show"] == [f"SARIF of {merged} refs/pull/7/merge"]
        method, path, body = project.api.asked[-1]
        assert (method, path) == ("POST", "/repos/octocat/Hello-World/issues/7/comments")
        assert body["body"].endswith("report.md\n")

    def test_a_pull_request_of_words_alone_is_green_at_once(self, project: Project) -> None:
        base = project.merge(README_md="2")
        jobs, log = self.run(project, "pull_request", pull_request(base))
        assert jobs == {"image": "succeeded"}, log
        assert project.calls() == {}

    def test_a_pull_request_from_a_fork_is_judged_with_no_password(self, project: Project) -> None:
        base = project.merge(rebar_config="%% changed")
        jobs, log = self.run(project, "pull_request", pull_request(base, "stranger/Hello-World"))
        assert jobs == {"image": "succeeded"}, log
        assert project.calls()["image"][-1].startswith("assess ")
        assert "password" not in str(project.calls())

    def test_a_gate_that_fails_is_red_and_its_reports_are_told(self, project: Project) -> None:
        base = project.merge(rebar_config="%% changed")
        jobs, log = self.run(project, "pull_request", pull_request(base), FINDING="1")
        assert jobs == {"image": "failed", "show": "succeeded"}, log
        assert project.api.asked[-1][0] == "POST"

    def test_the_pull_request_that_adds_the_pipeline_is_green(self, project: Project) -> None:
        shutil.rmtree(project.folder / "ci")
        base = project.commit()
        shutil.copytree(ROOT / "ci", project.folder / "ci", symlinks=True)
        project.merge(rebar_config="%% changed")
        jobs, log = self.run(project, "pull_request", pull_request(base))
        assert jobs == {"image": "succeeded", "show": "succeeded"}, log
        assert "No comment: the target branch has no ci/tell yet" in log
        assert not project.api.asked

    def test_a_merge_queue_is_judged_as_the_pull_request_that_it_is(self, project: Project) -> None:
        ref = "gh-readonly-queue/main/pr-7-" + "a" * 40
        project.git("checkout", "-q", "-b", ref)
        project.commit(rebar_config="%% changed")
        payload = {"merge_group": {"head_ref": f"refs/heads/{ref}"}, "ref": f"refs/heads/{ref}"}
        jobs, log = self.run(project, "merge_group", payload)
        assert jobs == {"image": "succeeded"}, log
        assert project.calls()["image"][-1].startswith("assess --baseline=")

    def test_a_run_by_hand_publishes_under_its_tag(self, project: Project) -> None:
        payload = MAIN | {"inputs": {"image_tag": "canary"}}
        jobs, log = self.run(project, "workflow_dispatch", payload)
        assert jobs == {"publish": "succeeded", "show": "succeeded", "dependencies": "succeeded"}, log
        assert "assess publish --tags=canary " in project.calls()["publish"][-1]
        jobs, log = self.run(project, "workflow_dispatch", payload, ERLMCP_PROTECTED_TAGS="latest c*")
        # What main depends on is told, whatever became of the image.
        assert jobs == {"publish": "failed", "show": "succeeded", "dependencies": "succeeded"}, log
        assert "IMAGE_TAG: canary is protected by ERLMCP_PROTECTED_TAGS" in log

    @pytest.mark.parametrize(
        ("env", "title"),
        [
            ({}, ""),
            ({"FINDING": "1"}, "The published image did not pass its nightly scan"),
            ({"FAULT": "1"}, "The nightly scan of the published image did not run"),
        ],
        ids=["passes", "finds", "fails"],
    )
    def test_the_night_judges_what_main_published(self, project: Project, env: dict[str, str], title: str) -> None:
        jobs, log = self.run(project, "schedule", MAIN, **env)
        assert jobs == ({"rescan": "failed", "alert": "succeeded"} if title else {"rescan": "succeeded"}), log
        [call] = project.calls()["rescan"]
        assert call.startswith("published --reference=ghcr.io/octocat/hello-world:main --user=octocat --password=")
        assert call.endswith("/.github/workflows/pipeline.yml@refs/heads/main rescan")
        issues = [body["title"] for method, _, body in project.api.asked if method == "POST"]
        assert issues == ([title] if title else [])


# GitLab ---------------------------------------------------------------------------------------------------------------


class TestGitlab:
    """ci/gitlab-ci.yml in gitlab-ci-local."""

    MERGE_REQUEST: ClassVar = {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_MERGE_REQUEST_IID": "45",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_PROJECT_ID": "1",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1",
        "CI_COMMIT_BRANCH": "",
        "TELL_TOKEN": "s3cret",
        "ERLMCP_VERIFIED": "--key=cosign.pub",
    }

    def run(self, project: Project, **variables: str) -> tuple[int, str]:
        needs("rsync", "jq")
        program = ["gitlab-ci-local"]
        if not shutil.which("gitlab-ci-local"):
            needs("npx")
            program = ["npx", "--yes", GITLAB_CI_LOCAL]
        project.git("remote", "set-url", "origin", "https://gitlab.com/octocat/hello-world.git")
        (project.folder.parent / "calls").unlink(missing_ok=True)
        known = {
            "GITLAB_CI": "true",
            "CI_REGISTRY_IMAGE": "registry.gitlab.com/octocat/hello-world",
            "CI_REGISTRY_USER": "job",
            "CI_REGISTRY_PASSWORD": "s3cret",
            "CI_RUNNER_ID": "10",
            "CI_API_V4_URL": project.api.url,
            "DAGGER": project.env["DAGGER"],
            "CALLS": project.env["CALLS"],
        }
        done = subprocess.run(
            [
                *(*program, "--no-color", "--force-shell-executor", "--no-shell-isolation"),
                *(f"--variable={key}={value}" for key, value in (known | variables).items()),
            ],
            cwd=project.folder,
            env=project.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def test_a_push_to_main_builds_once_and_publishes(self, project: Project) -> None:
        code, log = self.run(project, CI_PIPELINE_SOURCE="push")
        assert code == 0, log
        assert project.calls() == {
            "publish": [*BUILT, REPORTS, "assess publish --branch=main --user=job --password=env:REGISTRY_PASSWORD"]
        }

    def test_a_push_to_develop_publishes_nothing(self, project: Project) -> None:
        project.git("checkout", "-q", "-b", "develop")
        code, log = self.run(project, CI_PIPELINE_SOURCE="push")
        assert code == 0, log
        assert project.calls() == {"image": [*BUILT, REPORTS, "assess verdict"]}

    def test_a_tag_is_published_if_it_is_a_version(self, project: Project) -> None:
        tag = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": ""}
        code, log = self.run(project, **tag, CI_COMMIT_TAG="v1.2.3")
        assert code == 0, log
        assert "assess publish --version=1.2.3 " in project.calls()["publish"][-1]
        code, log = self.run(project, **tag, CI_COMMIT_TAG="vendor-1")
        assert project.calls() == {}

    def test_a_merge_request_is_judged_and_told(self, project: Project) -> None:
        base = project.merge(rebar_config="%% changed")
        code, log = self.run(project, **self.MERGE_REQUEST, CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
        assert code == 0, log
        assert project.calls().keys() == {"image"}
        assert project.calls()["image"][-1].startswith("assess --baseline=")
        method, path, _ = project.api.asked[-1]
        assert method == "POST"
        assert re.fullmatch(r"/projects/\d+/merge_requests/45/notes", path)

    def test_a_merge_request_of_words_alone_is_green_at_once(self, project: Project) -> None:
        base = project.merge(README_md="2")
        code, log = self.run(project, **self.MERGE_REQUEST, CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
        assert code == 0, log
        assert project.calls() == {}
        assert not project.api.asked

    def test_a_gate_that_fails_is_red_and_its_report_is_told(self, project: Project) -> None:
        base = project.merge(rebar_config="%% changed")
        code, log = self.run(project, **self.MERGE_REQUEST, CI_MERGE_REQUEST_DIFF_BASE_SHA=base, FINDING="1")
        assert code == 1, log
        assert project.api.asked[-1][0] == "POST"

    def test_a_merge_request_to_another_branch_and_other_pipelines_run_nothing(self, project: Project) -> None:
        self.run(project, **self.MERGE_REQUEST | {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "other"})
        assert project.calls() == {}
        project.git("checkout", "-q", "-b", "other")
        self.run(project, CI_PIPELINE_SOURCE="push")
        assert project.calls() == {}

    def test_a_pipeline_by_hand_publishes_under_its_tag(self, project: Project) -> None:
        project.git("checkout", "-q", "-b", "other")
        code, log = self.run(project, CI_PIPELINE_SOURCE="web", IMAGE_TAG="canary")
        assert code == 0, log
        assert "assess publish --tags=canary " in project.calls()["publish"][-1]

    @pytest.mark.parametrize("env", [{}, {"FINDING": "1"}], ids=["passes", "finds"])
    def test_the_night_judges_what_main_published(self, project: Project, env: dict[str, str]) -> None:
        verified = {"ERLMCP_VERIFIED": "--key=cosign.pub", "TELL_TOKEN": "s3cret"}
        code, log = self.run(project, CI_PIPELINE_SOURCE="schedule", **verified, **env)
        assert code == len(env), log
        image = "registry.gitlab.com/octocat/hello-world:main"
        login = "--user=job --password=env:REGISTRY_PASSWORD"
        assert project.calls() == {
            "rescan": [f"published --reference={image} {login} verified --key=cosign.pub rescan"]
        }
        issues = [body["title"] for method, _, body in project.api.asked if method == "POST"]
        assert issues == (["The published image did not pass its nightly scan"] if env else [])


# Jenkins --------------------------------------------------------------------------------------------------------------


class TestJenkins:
    """ci/Jenkinsfile in a harness that knows what pipeline-model-definition does with it."""

    def run(self, project: Project, cause: str, **env: str) -> list[str]:
        needs("groovy", "java")
        (project.folder.parent / "calls").unlink(missing_ok=True)
        known = {
            "JENKINS_URL": "https://jenkins.example.com/",
            "BUILD_URL": "https://jenkins.example.com/job/x/1/",
            "ERLMCP_ARGUMENTS": "--repository=registry.example.com/app",
            "ERLMCP_VERIFIED": "--key=cosign.pub",
        }
        done = subprocess.run(
            ["groovy", DEFINITIONS / "jenkins.groovy", "ci/Jenkinsfile", cause],
            cwd=project.folder,
            env=project.env | known | env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    MAIN: ClassVar = {"BRANCH_NAME": "main", "GIT_BRANCH": "main"}
    CHANGE: ClassVar = {"BRANCH_NAME": "PR-13", "CHANGE_ID": "13", "CHANGE_TARGET": "main"}
    LOOKED_AT: ClassVar = [*BUILT, REPORTS, "assess verdict"]
    PUBLISHED = (
        "assess publish --branch=main --user=user-of-registry --password=env:REGISTRY_PASSWORD "
        "--cosign-key=env:COSIGN_KEY --cosign-password=env:COSIGN_PASSWORD"
    )

    @pytest.mark.parametrize("env", [MAIN, {"GIT_BRANCH": "origin/main"}], ids=["multibranch", "one branch"])
    def test_a_push_to_main_is_judged_and_published(self, project: Project, env: dict[str, str]) -> None:
        said = self.run(project, "BranchEventCause", **env)
        assert project.calls() == {"image": self.LOOKED_AT, "publish": [self.PUBLISHED]}
        assert said[-2:] == ["result: SUCCESS", "timer: H 3 * * *"]

    def test_the_first_build_of_a_branch_is_judged(self, project: Project) -> None:
        said = self.run(project, "BranchIndexingCause", BRANCH_NAME="feature", GIT_BRANCH="feature")
        assert project.calls() == {"image": self.LOOKED_AT}
        assert said[-1] == "timer: "

    def test_a_change_request_is_judged_and_publishes_nothing(self, project: Project) -> None:
        project.merge(rebar_config="%% changed")
        for cause in ("BranchEventCause", "UserIdCause"):
            for fork in ({}, {"CHANGE_FORK": "stranger"}):
                self.run(project, cause, **self.CHANGE, **fork)
                assert project.calls().keys() == {"image"}
                assert project.calls()["image"][-1].startswith("assess --baseline=")

    def test_a_change_request_of_words_alone_is_green_at_once(self, project: Project) -> None:
        project.merge(README_md="2")
        said = self.run(project, "BranchEventCause", **self.CHANGE)
        assert project.calls() == {}
        assert said[-2] == "result: SUCCESS"

    def test_a_gate_that_fails_publishes_nothing_and_has_its_own_reports(self, project: Project) -> None:
        (project.folder / "reports").mkdir()
        (project.folder / "reports" / "of-yesterday").write_text("x")
        said = self.run(project, "BranchEventCause", **self.MAIN, FINDING="1")
        assert project.calls().keys() == {"image"}
        [archived] = [line for line in said if line.startswith("Image: archived ")]
        assert "report.md" in archived
        assert "of-yesterday" not in archived
        assert said[-2] == "result: FAILURE"

    def test_a_tag_is_published_if_it_is_a_version(self, project: Project) -> None:
        self.run(project, "BranchEventCause", BRANCH_NAME="v1.2.3", TAG_NAME="v1.2.3")
        assert "assess publish --version=1.2.3 " in project.calls()["publish"][-1]
        self.run(project, "BranchEventCause", BRANCH_NAME="vendor-1", TAG_NAME="vendor-1")
        assert project.calls().keys() == {"image"}

    def test_a_build_by_hand_publishes_under_its_tag(self, project: Project) -> None:
        self.run(project, "UserIdCause", BRANCH_NAME="feature", PARAM_image_tag="canary")
        assert "assess publish --tags=canary " in project.calls()["publish"][-1]

    @pytest.mark.parametrize("env", [{}, {"FINDING": "1"}], ids=["passes", "finds"])
    def test_the_night_judges_what_main_published(self, project: Project, env: dict[str, str]) -> None:
        said = self.run(project, "TimerTrigger", **self.MAIN, **env)
        login = "--user=user-of-registry --password=env:REGISTRY_PASSWORD"
        assert project.calls() == {
            "rescan": [f"published --reference=registry.example.com/app:main {login} verified --key=cosign.pub rescan"]
        }
        assert said[-2] == f"result: {'UNSTABLE' if env else 'SUCCESS'}"
        words = (project.folder / "rescan.txt").read_text()
        assert words.startswith("The published image did not pass" if env else "passed")
