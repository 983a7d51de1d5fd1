"""What ci/ does: the providers' environments, the three definitions and their likeness, what people are told."""

import inspect
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import ClassVar, get_args, get_type_hints

import pytest
import yaml
from api import Service

from pipeline import main as module
from pipeline.image.libraries import UID
from pipeline.project.source import SOURCE_IGNORE

ROOT = Path(__file__).parents[2]
CI = ROOT / "ci"
RECORDED = ROOT / "tests" / "fixtures" / "ci"
WORKFLOWS = ROOT / ".github" / "workflows"
SECRETS = {"REGISTRY_PASSWORD": "s3cret-password", "SIGSTORE_ID_TOKEN": "s3cret-token"}


# What a provider knows ------------------------------------------------------------------------------------------------


#: Shells that runners have for /bin/sh.
SHELLS = [shell for shell in (["dash"], ["busybox", "ash"], ["bash", "--posix"]) if shutil.which(shell[0])]


@dataclass(frozen=True)
class Shim:
    """ci/run of a project, with a Dagger CLI that only writes down what it was called with."""

    folder: Path
    shell: list[str]

    @property
    def project(self) -> Path:
        """The project that has ci/; no repository, unless a test makes it one."""
        return self.folder / "project"

    def run(
        self, *words: str, env: dict[str, str] | None = None, folder: Path = RECORDED, script: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        known = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "DAGGER": str(self.folder / "dagger"),
            "GIT_CEILING_DIRECTORIES": str(self.folder),
        }
        return subprocess.run(
            [*self.shell, script or self.project / "ci" / "run", *words],
            env=known | (env or {}),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def __call__(self, *words: str, env: dict[str, str] | None = None, folder: Path = RECORDED) -> list[str]:
        done = self.run(*words, env=env, folder=folder)
        if done.returncode:
            raise AssertionError(done.stderr)
        return (self.folder / "argv").read_text().splitlines()

    def refusal(self, *words: str, env: dict[str, str] | None = None, folder: Path = RECORDED) -> str:
        """Return what was said, where nothing was called."""
        done = self.run(*words, env=env, folder=folder)
        assert done.returncode
        assert not (self.folder / "argv").exists()
        return done.stderr

    def git(self, *words: str) -> str:
        """Run git in the project."""
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", self.project, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self) -> str:
        """Make the project a repository, with all that it has in one commit more; return its name."""
        self.git("init", "-q", "-b", "main")
        self.git("add", "--all", "--force")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def refusal_after(self, *words: str) -> str:
        """Return what was said, where nothing was called but what was before."""
        (self.folder / "argv").unlink()
        return self.refusal(*words)

    @property
    def env(self) -> str:
        return (self.folder / "env").read_text()


@pytest.fixture(params=SHELLS[:1])
def shim(tmp_path: Path, request: pytest.FixtureRequest) -> Shim:
    dagger = tmp_path / "dagger"
    dagger.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/argv\nenv >{tmp_path}/env\n")
    dagger.chmod(0o755)
    shutil.copytree(CI, tmp_path / "project" / "ci", ignore=shutil.ignore_patterns("github.yml"))
    return Shim(tmp_path, request.param)


def recorded(name: str) -> dict[str, str]:
    lines = (RECORDED / f"{name}.env").read_text().splitlines()
    assert lines[0].startswith("# "), f"{name}.env does not say where it comes from"
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def behind(argv: list[str], verb: str) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in argv[argv.index(verb) + 1 :])


def test_without_a_terminal_only_what_failed_is_told(shim: Shim) -> None:
    shim("size")
    assert "DAGGER_PROGRESS=dots\n" in shim.env
    shim("size", env={"DAGGER_PROGRESS": "plain"})
    assert "DAGGER_PROGRESS=plain\n" in shim.env


def test_an_engine_has_two_minutes_to_end_a_session(shim: Shim) -> None:
    shim("size")
    assert "_EXPERIMENTAL_DAGGER_SHUTDOWN_TIMEOUT=2m\n" in shim.env
    shim("size", env={"_EXPERIMENTAL_DAGGER_SHUTDOWN_TIMEOUT": "5m"})
    assert "_EXPERIMENTAL_DAGGER_SHUTDOWN_TIMEOUT=5m\n" in shim.env


GITHUB_RUN = "actions/runs/1658821493/attempts"
PUBLISHED = {
    "github-push": {
        "branch": "main",
        "builder-id": "https://github.com/vito/bass/.github/workflows/image.yml@refs/heads/main",
        "invocation": f"https://github.com/vito/bass/{GITHUB_RUN}/1",
    },
    "github-tag": {
        "version": "3.0.0",
        "builder-id": "https://github.com/octocat/hello-world/.github/workflows/image.yml@refs/tags/v3.0.0",
        "invocation": f"https://github.com/octocat/Hello-World/{GITHUB_RUN}/2",
    },
    "github-schedule": {
        "branch": "main",
        "builder-id": "https://github.com/octocat/hello-world/.github/workflows/image.yml@refs/heads/main",
        "invocation": f"https://github.com/octocat/Hello-World/{GITHUB_RUN}/1",
    },
    "gitlab-push": {
        "branch": "main",
        "builder-id": "https://gitlab.com/diggerdev/digger-demo/-/runners/12270845",
        "invocation": "https://gitlab.com/diggerdev/digger-demo/-/jobs/5229168106",
    },
    "gitlab-merge-request": {
        "pull-request": "45",
        "builder-id": "https://gitlab.com/diggerdev/digger-demo/-/runners/12270857",
        "invocation": "https://gitlab.com/diggerdev/digger-demo/-/jobs/5229209492",
    },
    "gitlab-tag": {
        "version": "3.0.0",
        "builder-id": "https://gitlab.example.com/gitlab-org/gitlab/-/runners/10",
        "invocation": "https://gitlab.example.com/gitlab-org/gitlab/-/jobs/50",
    },
    "gitlab-schedule": {
        "branch": "main",
        "builder-id": "https://gitlab.example.com/gitlab-org/gitlab/-/runners/10",
        "invocation": "https://gitlab.example.com/gitlab-org/gitlab/-/jobs/51",
    },
    "jenkins-push": {
        "branch": "main",
        "builder-id": "https://jenkins.example.com/jenkins",
        "invocation": "https://jenkins.example.com/jenkins/job/erlmcp/job/main/17/",
    },
    "jenkins-pull-request": {
        "pull-request": "13",
        "builder-id": "https://jenkins.example.com/jenkins",
        "invocation": "https://jenkins.example.com/jenkins/job/erlmcp/job/PR-13/1/",
    },
    "jenkins-tag": {
        "version": "3.0.0",
        "builder-id": "https://jenkins.example.com/jenkins",
        "invocation": "https://jenkins.example.com/jenkins/job/erlmcp/job/v3.0.0/1/",
    },
    "jenkins-schedule": {
        "branch": "main",
        "builder-id": "https://jenkins.example.com/jenkins",
        "invocation": "https://jenkins.example.com/jenkins/job/erlmcp/18/",
    },
}
FORKS = {
    "github-pull-request-fork": "vito/testdata",
    "gitlab-merge-request-fork": "stranger/digger-demo",
    "jenkins-pull-request-fork": "stranger",
}


def test_every_recorded_environment_is_used() -> None:
    assert {path.stem for path in RECORDED.glob("*.env")} == PUBLISHED.keys() | FORKS.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_publish_is_told_what_the_provider_knows(shim: Shim, name: str) -> None:
    env = recorded(name)
    argv = shim("assess", "publish", env=env)
    assert behind(argv, "publish") == PUBLISHED[name]
    commit = next(env[key] for key in ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT") if key in env)
    # Without a git repository; with one, it is git that knows.
    assert argv[:4] == ["call", "--mod", str(shim.project), f"--revision={commit}"]
    assert [word for word in argv[4:] if not word.startswith("--")] == ["assess", "publish"]


def test_the_image_is_called_after_the_ci_s_own_repository_in_small_letters(shim: Shim) -> None:
    def said(**env: str) -> list[str]:
        return [word for word in shim("scan", env=env) if word.startswith("--repository=")]

    github = recorded("github-tag")
    assert github["GITHUB_REPOSITORY"] == "octocat/Hello-World"
    assert said(**github) == ["--repository=ghcr.io/octocat/hello-world"]
    assert said(**github, ERLMCP_ARGUMENTS="--repository=example.com/x") == ["--repository=example.com/x"]
    # GitHub's own registry alone is known.
    assert said(**github | {"GITHUB_SERVER_URL": "https://github.example.com"}) == []
    image = "registry.gitlab.com/diggerdev/digger-demo"
    assert said(**recorded("gitlab-push"), CI_REGISTRY_IMAGE=image) == [f"--repository={image}"]
    assert said(**recorded("gitlab-push")) == said(**recorded("jenkins-push")) == []
    # What was published there last is what `published` means.
    assert shim("published", "refs", env=github)[-2:] == ["--reference=ghcr.io/octocat/hello-world:main", "refs"]
    for words in (("--repository=example.com/x",), ("--repository", "example.com/x")):
        assert shim(*words, "published", "refs", env=github)[-2:] == ["--reference=example.com/x:main", "refs"]


@pytest.mark.parametrize("line", ['repository = "example.com/x"', "  'repository'='example.com/x' # ours"])
def test_the_repository_of_the_project_overrides_that_of_the_ci(shim: Shim, line: str) -> None:
    (shim.project / "erlmcp.toml").write_text(f'# repository = "a"\n{line}\n[policy]\nrepository = "b"\n')
    env = recorded("github-tag")
    given = shim("published", "refs", env=env)
    assert "--repository=example.com/x" in given
    assert given[-2:] == ["--reference=example.com/x:main", "refs"]
    given = shim("--repository=example.org/y", "published", "refs", env=env)
    assert [word for word in given if word.startswith("--repository")] == ["--repository=example.org/y"]
    assert given[-2:] == ["--reference=example.org/y:main", "refs"]


@pytest.mark.parametrize("name", FORKS)
def test_a_pull_request_from_a_fork_publishes_nothing_and_builds_all_the_same(shim: Shim, name: str) -> None:
    with pytest.raises(AssertionError, match=rf"a pull request from a fork \({FORKS[name]}\) must not publish"):
        shim("assess", "publish", env=recorded(name))
    assert shim("assess", "verdict", env=recorded(name))[-1] == "verdict"


def test_an_event_that_cannot_be_read_is_a_strangers(shim: Shim) -> None:
    env = recorded("github-pull-request-fork") | {"GITHUB_EVENT_PATH": "none"}
    with pytest.raises(AssertionError, match="from a fork"):
        shim("assess", "publish", env=env)


@pytest.mark.parametrize("name", PUBLISHED)
def test_secrets_are_named_never_told(shim: Shim, name: str) -> None:
    argv = shim("assess", "publish", env=recorded(name) | SECRETS | {"REGISTRY_USER": "robot"})
    told = behind(argv, "publish")
    assert told.items() >= {
        ("user", "robot"),
        ("password", "env:REGISTRY_PASSWORD"),
        ("identity-token", "env:SIGSTORE_ID_TOKEN"),
    }
    assert not any(secret in word for secret in SECRETS.values() for word in argv)


def test_a_key_is_named_too_and_takes_the_place_of_the_token(shim: Shim) -> None:
    env = recorded("jenkins-tag") | SECRETS | {"COSIGN_KEY": "s3cret-key", "COSIGN_PASSWORD": "s3cret-too"}
    argv = shim("assess", "publish", env=env)
    told = behind(argv, "publish")
    assert told["cosign-key"] == "env:COSIGN_KEY"
    assert told["cosign-password"] == "env:COSIGN_PASSWORD"
    assert "identity-token" not in told
    assert "s3cret" not in "\n".join(argv)


def test_rescan_logs_in_and_is_given_no_identity(shim: Shim) -> None:
    env = recorded("github-schedule") | SECRETS | {"REGISTRY_USER": "robot", "ERLMCP_PUBLISHED": "--reference=x"}
    assert shim("published", "verified", "rescan", env=env | {"ERLMCP_VERIFIED": "--key=k"})[5:] == [
        *("published", "--user=robot", "--password=env:REGISTRY_PASSWORD", "--reference=x"),
        *("verified", "--key=k"),
        "rescan",
    ]


def test_on_a_laptop_nothing_is_added(shim: Shim, tmp_path: Path) -> None:
    assert shim("assess", "publish", "--dry-run", folder=tmp_path)[3:] == ["assess", "publish", "--dry-run"]


def test_a_module_that_lies_elsewhere_builds_the_callers_folder(shim: Shim, tmp_path: Path) -> None:
    env = {"ERLMCP_MODULE": "github.com/banyan-platform/erlmcp"}
    assert shim("scan", env=env, folder=tmp_path)[2:] == [env["ERLMCP_MODULE"], "--source=.", "scan"]
    for given in ("--source=app", "--source"):
        assert shim(given, "scan", env=env, folder=tmp_path)[3:] == [given, "scan"]
    told = env | {"ERLMCP_ARGUMENTS": "--source=other"}
    assert shim("scan", env=told, folder=tmp_path)[3:] == ["--source=other", "scan"]


def test_in_a_repository_of_several_projects_the_project_is_the_modules_folder(tmp_path: Path) -> None:
    project, dagger = tmp_path / "services" / "greeter", tmp_path / "dagger"
    shutil.copytree(CI, project / "ci")
    dagger.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    dagger.chmod(0o755)
    env = {"PATH": os.environ["PATH"], "DAGGER": str(dagger), "HOME": str(tmp_path)}
    command = [str(project / "ci" / "run"), "scan"]

    def said() -> list[str]:
        done = subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()

    subprocess.run(["git", "init", "-q", project], check=True)
    assert said() == ["call", "--mod", str(project), "scan"]
    shutil.rmtree(project / ".git")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert said() == ["call", "--mod", str(project), f"--source={project}", "scan"]


def test_git_knows_better_than_the_provider(shim: Shim, tmp_path: Path) -> None:
    head = shim.commit()
    argv = shim("scan", env=recorded("gitlab-push"), folder=tmp_path)
    assert argv[3] == f"--revision={head}"
    assert re.fullmatch(r"--created=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", argv[4])


def test_git_answers_for_the_module_as_in_the_checkout_and_without_its_files(shim: Shim) -> None:
    def git(*words: str, folder: Path = shim.project) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", folder, *words]
        # In a container there is nothing to fetch from.
        env = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (shim.project / "file").write_text("made-up content")
    git("add", "file")
    git("commit", "-q", "-m", "x")
    git("tag", "-a", "v1.2.3", "-m", "release")
    git("commit", "-q", "--allow-empty", "-m", "y")
    git("config", "core.abbrev", "11")
    env = recorded("gitlab-push")
    [given] = [word for word in shim("scan", env=env) if word.startswith("--git=")]
    folder = Path(given.removeprefix("--git="))
    for words in (
        ("describe", "--tags"),
        ("log", "-n", "1", "--pretty=format:%h"),
        ("rev-list", "--count", "v1.2.3..HEAD"),
    ):
        assert git(*words, folder=folder) == git(*words)
    assert (
        git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)", folder=folder).split().count("blob") == 0
    )
    assert not [word for word in shim("--git=mine", "scan", env=env) if word.startswith("--git=/")]


def test_what_the_caller_says_wins_and_nothing_is_split_or_expanded(shim: Shim) -> None:
    env = recorded("github-push") | {"ERLMCP_ARGUMENTS": "--revision=abc  --labels=*", "ERLMCP_PUBLISH": "--branch=x"}
    assert shim("--health-url=http://a b", "assess", "publish", "--user=$(id)", env=env)[3:] == [
        "--repository=ghcr.io/vito/bass",
        "--revision=abc",
        "--labels=*",
        "--health-url=http://a b",
        "assess",
        "publish",
        f"--builder-id={PUBLISHED['github-push']['builder-id']}",
        f"--invocation={PUBLISHED['github-push']['invocation']}",
        "--branch=x",
        "--user=$(id)",
    ]


def test_a_tag_given_by_hand_takes_the_place_of_the_others(shim: Shim) -> None:
    told = behind(shim("assess", "publish", env=recorded("github-push") | {"IMAGE_TAG": "canary"}), "publish")
    assert told["tags"] == "canary"
    assert not {"branch", "version", "pull-request"} & told.keys()


def test_each_function_gets_the_arguments_of_its_name_and_no_others(shim: Shim) -> None:
    env = {
        "ERLMCP_ASSESS": "--fail-on=CRITICAL --only-fixed",
        "ERLMCP_PUBLISH": "--tags=x",
        "ERLMCP_PUBLISHED": "--reference=r --user=me",
        "ERLMCP_VERIFIED": "--key=k",
        "ERLMCP_PROMOTE": "--tags=y",
        "ERLMCP_RESCAN": "--fail-on=LOW",
        "REGISTRY_USER": "robot",
    }
    policy = ["--fail-on=CRITICAL", "--only-fixed"]
    assert shim("assess", "verdict", env=env)[3:] == ["assess", *policy, "verdict"]
    assert shim("assess", "reports", "export", "--path=reports", env=env)[3:] == [
        *("assess", *policy, "reports", "export", "--path=reports")
    ]
    # A name in another function's variable takes nothing away here.
    assert shim("assess", "publish", env=env)[3:] == ["assess", *policy, "publish", "--user=robot", "--tags=x"]
    published = ["published", "--reference=r", "--user=me", "verified", "--key=k"]
    assert shim("published", "verified", "rescan", env=env)[3:] == [*published, "rescan", "--fail-on=LOW"]
    assert shim("published", "verified", "promote", env=env)[3:] == [*published, "promote", "--tags=y"]
    assert shim("scan", env=env)[3:] == ["scan"]
    assert shim("release", "sync", env=env)[3:] == ["release", "sync"]


def test_a_policy_under_its_old_name_is_refused(shim: Shim) -> None:
    with pytest.raises(AssertionError, match="ERLMCP_SCAN is no longer read: rename it to ERLMCP_ASSESS"):
        shim("scan", env={"ERLMCP_SCAN": "--fail-on=LOW"})
    with pytest.raises(AssertionError, match="ERLMCP_DAY is no longer read: the databases are always those of today"):
        shim("scan", env={"ERLMCP_DAY": "2026-11-24"})


def test_a_function_of_containers_is_left_as_it_is(shim: Shim) -> None:
    env = recorded("github-pull-request-fork") | {"ERLMCP_PUBLISH": "--tags=x", "ERLMCP_ASSESS": "--fail-on=LOW"}
    assert shim("build-runtime", "publish", "--address=ttl.sh/x", env=env)[5:] == [
        *("build-runtime", "publish", "--address=ttl.sh/x")
    ]


# The words of a call --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
class TestWords:
    """Which word is a function's name, and whose an argument is; in each shell that runners have."""

    ENV: ClassVar = {
        "ERLMCP_ASSESS": "--fail-on=LOW",
        "ERLMCP_PUBLISH": "--tags=x",
        "ERLMCP_PUBLISHED": "--reference=r",
        "ERLMCP_RESCAN": "--user=other --fail-on=LOW",
    }

    @pytest.fixture
    def shim(self, shim: Shim, shell: list[str]) -> Shim:
        return Shim(shim.folder, shell)

    @pytest.mark.parametrize(
        "words",
        [
            # A value that is called as a function is.
            ("--release", "assess", "build-runtime", "export-image"),
            ("--release", "assess", "scan"),
            ("assess", "--accept", "publish", "verdict"),
            ("build-runtime", "publish", "--address=ttl.sh/x"),
            ("-o", "assess", "image-tarball"),
            ("--progress", "published", "size"),
            # A function behind something else than its own.
            ("assess", "reports", "publish"),
            ("release", "assess"),
        ],
        ids=" ".join,
    )
    def test_a_value_is_no_function(self, shim: Shim, words: tuple[str, ...]) -> None:
        added = [word for word in shim(*words, env=self.ENV)[3:] if word not in words]
        assert added == (["--fail-on=LOW"] if words[0] == "assess" else [])

    @pytest.mark.parametrize(
        "words",
        [
            ("assess", "--only-fixed", "publish"),
            ("-s", "--cookie-from-environment", "assess", "--fail-on", "HIGH", "publish"),
            ("--flavor", "debian", "assess", "--only-fixed=false", "publish"),
        ],
        ids=" ".join,
    )
    def test_a_function_behind_options_is_one(self, shim: Shim, words: tuple[str, ...]) -> None:
        argv = shim(*words, env=self.ENV)
        assert argv[argv.index("publish") + 1 :] == ["--tags=x"]
        assert argv[argv.index("assess") + 1] == "--fail-on=LOW"

    def test_arguments_of_one_function_are_none_of_another(self, shim: Shim) -> None:
        told = behind(shim("assess", "publish", env=self.ENV | {"REGISTRY_USER": "robot"}), "publish")
        assert told["user"] == "robot"
        argv = shim("published", "verified", "rescan", env=self.ENV | {"REGISTRY_USER": "robot"})
        assert argv[4:6] == ["--user=robot", "--reference=r"]
        assert argv[-2:] == ["--user=other", "--fail-on=LOW"]
        # --user of the command belongs to where it stands.
        argv = shim("published", "verified", "promote", "--user=x", env={"REGISTRY_USER": "robot"})
        assert argv[4] == "--user=robot"

    def test_quotes_keep_spaces(self, shim: Shim) -> None:
        env = {
            "ERLMCP_ARGUMENTS": """--health-url="http://127.0.0.1/a b" --labels='x=it is "so"'\n--flavor  debian""",
            "ERLMCP_ASSESS": "'--accept=my file.toml'",
        }
        assert shim("assess", "verdict", env=env)[3:] == [
            *("--health-url=http://127.0.0.1/a b", '--labels=x=it is "so"', "--flavor", "debian"),
            *("assess", "--accept=my file.toml", "verdict"),
        ]

    @pytest.mark.parametrize(
        ("env", "message"),
        [
            ({"ERLMCP_ASSESS": "--accept='x"}, "ERLMCP_ASSESS: a quote is not closed: --accept='x"),
            (
                {"ERLMCP_ASSESS": "--only-fixed publish"},
                "ERLMCP_ASSESS: publish is not an argument; write --name=value",
            ),
            ({"ERLMCP_ARGUMENTS": "--flavor"}, "ERLMCP_ARGUMENTS: --flavor has no value"),
            ({"ERLMCP_SILENCE": "soon"}, "ERLMCP_SILENCE: soon: set it to minutes"),
        ],
    )
    def test_a_variable_that_is_none_is_refused(self, shim: Shim, env: dict[str, str], message: str) -> None:
        assert message in shim.refusal("assess", "verdict", env=env)

    def test_options_are_written_as_the_help_has_them(self, shim: Shim) -> None:
        assert "--onlyFixed: write it with lower-case letters" in shim.refusal("assess", "--onlyFixed", "publish")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("IMAGE_TAG", "x\n--dry-run"),
            ("IMAGE_TAG", "x --move"),
            ("IMAGE_TAG", "x,latest"),
            ("REGISTRY_USER", "me\n--accept=all.toml"),
            ("CHANGE_ID", "7\n--unsigned"),
            ("BRANCH_NAME", "a\n--move"),
        ],
    )
    def test_a_line_break_adds_no_argument(self, shim: Shim, name: str, value: str) -> None:
        env = recorded("jenkins-push") | {name: value}
        assert re.search(r"line break|is not a tag", shim.refusal("assess", "publish", env=env))

    def test_tags_that_a_site_protects_are_not_given_by_hand(self, shim: Shim) -> None:
        env = recorded("github-push") | {"ERLMCP_PROTECTED_TAGS": "latest main [0-9]*"}
        for tag in ("latest", "main", "3.0"):
            assert f"IMAGE_TAG: {tag} is protected by ERLMCP_PROTECTED_TAGS" in shim.refusal(
                "assess", "publish", env=env | {"IMAGE_TAG": tag}
            )
        assert behind(shim("assess", "publish", env=env | {"IMAGE_TAG": "main-2"}), "publish")["tags"] == "main-2"
        assert behind(shim("assess", "publish", env=env), "publish")["branch"] == "main"

    def test_a_tag_that_only_begins_like_a_version_is_none(self, shim: Shim) -> None:
        env = recorded("gitlab-tag") | {"CI_COMMIT_TAG": "vendor-1"}
        assert "the git tag vendor-1 is not a version" in shim.refusal("assess", "publish", env=env)
        assert behind(shim("assess", "publish", env=env | {"IMAGE_TAG": "vendor-1"}), "publish")["tags"] == "vendor-1"

    @pytest.mark.parametrize(
        ("name", "variable"),
        [
            ("github-push", "GITHUB_WORKFLOW_REF"),
            ("gitlab-push", "CI_PROJECT_URL"),
            ("gitlab-push", "CI_RUNNER_ID"),
            ("github-push", "GITHUB_RUN_ATTEMPT"),
        ],
    )
    def test_what_provenance_lacks_ends_publish_alone(self, shim: Shim, name: str, variable: str) -> None:
        env = {key: value for key, value in recorded(name).items() if key != variable}
        assert f"{variable}: not set, but the provenance" in shim.refusal("assess", "publish", env=env)
        assert shim("assess", "publish", "--dry-run", env=env)[-1] == "--dry-run"
        assert shim("assess", "verdict", env=env)[-1] == "verdict"

    def test_a_merge_queue_judges_a_pull_request(self, shim: Shim) -> None:
        ref = "refs/heads/gh-readonly-queue/main/pr-104-9f1c02ba78d3c1ee3e2f4a5f4a0f6c4c7f5e8b1d"
        env = recorded("github-push") | {"GITHUB_REF": ref, "GITHUB_EVENT_NAME": "merge_group"}
        told = behind(shim("assess", "publish", env=env), "publish")
        assert told["pull-request"] == "104"
        assert "branch" not in told


def test_what_is_never_in_an_image_is_what_the_module_never_takes() -> None:
    [line] = re.findall(r"printf '\*\*/%s\\n' (.*)", (CI / "outside.sh").read_text())
    named = {f"**/{word}" for word in shlex.split(line)}
    assert named == {pattern for pattern in SOURCE_IGNORE if not pattern.startswith("!")} - {"**/.git"}


def test_the_switches_are_those_of_the_module() -> None:
    """Which options take no value is known to the module and to the CLI; ci/run has a list of them."""
    text = (CI / "run").read_text()
    listed = set(re.findall(r"--[a-z-]+", text[text.index("is_switch() {") : text.index("--verbose")]))
    objects = [
        value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__
    ]
    switches = set()
    for each in objects:
        functions = [value for value in vars(each).values() if inspect.isfunction(value)]
        for hints in [get_type_hints(each), *map(get_type_hints, functions)]:
            hints.pop("return", None)
            switches |= {
                f"--{name.replace('_', '-')}"
                for name, hint in hints.items()
                if hint is bool or (isinstance(hint, UnionType) and set(get_args(hint)) == {bool, NoneType})
            }
    assert listed == switches


# Direct mode ----------------------------------------------------------------------------------------------------------

#: What stands for uv: it makes a Python that writes down what it was called with, as the shim's CLI does.
UV = """#!/bin/sh
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
printf '%s\\n' "$@" >"{folder}/uv"
cp "{folder}/dagger" "$UV_PROJECT_ENVIRONMENT/bin/python"
"""


@pytest.fixture
def direct(shim: Shim) -> dict[str, str]:
    """Give the project a pipeline, and the machine uv; return the environment that has it."""
    for name in ("pipeline/direct.py", "uv.lock"):
        (shim.project / name).parent.mkdir(exist_ok=True)
        (shim.project / name).touch()
    programs = shim.folder / "programs"
    programs.mkdir()
    (programs / "uv").write_text(UV.format(folder=shim.folder))
    (programs / "uv").chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin"}


@pytest.mark.parametrize("words", [["--direct"], ["--flavor=debian", "--direct"], ["ERLMCP_DIRECT"]])
def test_direct_runs_python_with_the_words_that_the_module_would_get(
    shim: Shim, direct: dict[str, str], words: list[str]
) -> None:
    named = {"ERLMCP_DIRECT": "1"} if words == ["ERLMCP_DIRECT"] else {}
    rest = [*(word for word in words if word.startswith("--")), "assess", "--vex", "a b.json", "publish", "--dry-run"]
    env = {**direct, "REGISTRY_USER": "robot", "PYTHONDONTWRITEBYTECODE": "1"}
    argv = shim(*rest, env=env | named)
    plain = shim(*(word for word in rest if word != "--direct"), env=env)
    assert plain[:3] == ["call", "--mod", str(shim.project)]
    assert argv == ["-O", "-P", "-m", "pipeline", *plain[3:]]
    assert "--user=robot" in argv
    known = shim.run(*rest, env=env | named) and shim.env
    assert f"PYTHONPATH={shim.project}\n" in known
    assert "ERLMCP_DIRECT=1\n" in known
    assert f"_EXPERIMENTAL_DAGGER_CLI_BIN={shim.folder}/dagger\n" in known
    assert f"PYTHONPYCACHEPREFIX={shim.folder}/.cache/erlmcp-pipeline/bytecode\n" in known
    # Many container images set it.
    assert "PYTHONDONTWRITEBYTECODE" not in known
    assert "DAGGER_PROGRESS" not in known


def test_the_packages_are_those_of_the_lock_and_fetched_once(shim: Shim, direct: dict[str, str]) -> None:
    first = shim.run("--direct", "scan", env=direct)
    assert "ci/run: installing the packages of uv.lock into " in first.stderr
    assert {"--frozen", "--no-install-project", "--no-default-groups"} < set(
        (shim.folder / "uv").read_text().splitlines()
    )
    (shim.folder / "uv").unlink()
    assert shim.run("--direct", "scan", env=direct).stderr == ""
    (shim.project / "uv.lock").write_text("another")
    shim("--direct", "scan", env=direct)
    assert (shim.folder / "uv").exists()


HOSTED = {"GITHUB_ACTIONS": "true", "RUNNER_ENVIRONMENT": "github-hosted"}


@pytest.mark.parametrize(
    ("changed", "is_direct"),
    [
        ({}, True),
        ({"ERLMCP_DIRECT": "0"}, False),
        ({"RUNNER_ENVIRONMENT": "self-hosted"}, False),
        # It may keep what it has.
        ({"_EXPERIMENTAL_DAGGER_RUNNER_HOST": "tcp://engine:1234"}, False),
        ({"ERLMCP_MODULE": "github.com/banyan-platform/erlmcp"}, False),
    ],
)
def test_a_runner_that_is_new_each_time_loads_no_module(
    shim: Shim, direct: dict[str, str], changed: dict[str, str], *, is_direct: bool
) -> None:
    done = shim.run("scan", env=direct | HOSTED | changed)
    assert done.returncode == 0, done.stderr
    argv = (shim.folder / "argv").read_text().splitlines()
    assert (argv[0], "--direct" in done.stderr) == (("-O", True) if is_direct else ("call", False))


def test_a_new_runner_without_python_or_with_defaults_of_the_module_loads_it(
    shim: Shim, direct: dict[str, str]
) -> None:
    # The engine looks for it above the folder of the call, too.
    for folder in (shim.project, shim.project.parent):
        (folder / ".env").touch()
        assert shim("scan", env=direct | HOSTED, folder=shim.project)[0] == "call"
        (folder / ".env").unlink()
    programs = shim.folder / "programs"
    (programs / "uv").rename(programs / "python3")
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    assert shim("scan", env=direct | HOSTED)[0] == "call"


def test_direct_says_what_it_needs(shim: Shim, direct: dict[str, str]) -> None:
    programs = shim.folder / "programs"
    (programs / "uv").rename(programs / "python3")
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    said = shim.refusal("--direct", "scan", env=direct)
    assert said == (
        "ci/run: --direct needs uv on the PATH, or Python 3.11 or newer as python3; install one, or omit --direct\n"
    )


def test_packages_that_cannot_be_had_are_told(shim: Shim, direct: dict[str, str]) -> None:
    (shim.folder / "programs" / "uv").write_text("#!/bin/sh\necho no network >&2\nexit 2\n")
    said = shim.refusal("--direct", "scan", env=direct).splitlines()
    assert said[-2:] == [
        "no network",
        "ci/run: --direct needs the packages of uv.lock from PyPI, see above; make PyPI reachable, or omit --direct",
    ]


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (["assess", "--direct", "verdict"], {}, "--direct: write it before the function: ci/run --direct assess"),
        (
            ["--incremental", "health"],
            {"CI": "true"},
            "--incremental: it is for the work at one machine; a CI compiles everything",
        ),
        (
            ["health"],
            {"CI": "true", "ERLMCP_ARGUMENTS": "--incremental"},
            "--incremental: it is for the work at one machine; a CI compiles everything",
        ),
        (
            ["--incremental", "health"],
            {"JENKINS_URL": "https://ci/", "BUILD_URL": "https://ci/1/"},
            "--incremental: it is for the work at one machine; a CI compiles everything",
        ),
        (["scan"], {"ERLMCP_DIRECT": "yes"}, "ERLMCP_DIRECT: yes: set it to 1 to load no module, or to 0 to load it"),
        (
            ["--direct", "scan"],
            {"ERLMCP_MODULE": "github.com/banyan-platform/erlmcp"},
            "--direct: ERLMCP_MODULE must be a local folder with the pipeline: github.com/banyan-platform/erlmcp",
        ),
    ],
)
def test_direct_where_it_cannot_be_is_refused(
    shim: Shim, direct: dict[str, str], words: list[str], env: dict[str, str], said: str
) -> None:
    assert shim.refusal(*words, env=direct | env) == f"ci/run: {said}\n"


# The project and its commit -------------------------------------------------------------------------------------------


def test_the_commit_is_that_of_what_is_built(shim: Shim, tmp_path: Path) -> None:
    """Not that of the folder where somebody calls."""
    head = shim.commit()
    other = Shim(tmp_path / "other", shim.shell)
    other.project.mkdir(parents=True)
    others = other.commit()
    assert f"--revision={head}" in shim("scan", folder=other.project)
    assert f"--revision={others}" in shim(f"--source={other.project}", "scan")
    assert f"--revision={others}" in shim("--source", str(other.project), "scan")
    assert f"--revision={others}" in shim("scan", env={"ERLMCP_ARGUMENTS": f"--source={other.project}"})
    assert f"--revision={others}" in shim("scan", env={"ERLMCP_MODULE": "x"}, folder=other.project)
    elsewhere = shim("--source=https://example.com/x.git", "scan", env=recorded("github-push"))
    elsewhere += shim(f"--source={tmp_path}", "scan", env=recorded("github-push"))
    assert not [word for word in elsewhere if word.startswith(("--revision", "--created", "--git"))]


def test_a_link_on_the_path_finds_the_module(shim: Shim, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "far").symlink_to("../project/ci/run")
    (tmp_path / "near").symlink_to(tmp_path / "bin" / "far")
    assert shim.run("scan", script=tmp_path / "near").returncode == 0
    assert (tmp_path / "argv").read_text().splitlines()[2] == str(shim.project)


def test_what_git_does_not_know_is_told_and_never_the_commit(shim: Shim) -> None:
    (shim.project / ".dockerignore").write_text("# not in the image\ndocs\n**/*.md\n")
    (shim.project / ".gitignore").write_text("kept-out\n")
    (shim.project / "docs").mkdir()
    (shim.project / "docs" / "x.html").write_text("1")
    head = shim.commit()

    def told() -> tuple[str, str]:
        done = shim.run("scan")
        assert done.returncode == 0, done.stderr
        [revision] = [word for word in (shim.folder / "argv").read_text().split("\n") if "--revision=" in word]
        return revision.removeprefix("--revision="), done.stderr

    # What a run itself leaves, and what is in no image.
    for name in ("reports/report.md", "image.txt", "rescan.txt", "notes.md", "docs/x.html", "kept-out", "_build/x"):
        (shim.project / name).parent.mkdir(exist_ok=True)
        (shim.project / name).write_text("x")
    assert told() == (head, "")
    (shim.project / "src").mkdir()
    (shim.project / "src" / "new.erl").write_text("x")
    revision, said = told()
    assert revision == f"{head}-dirty"
    assert "?? src/" in said
    assert "reports" not in said
    # It says who built a commit; this is none.
    assert "only a commit can be published" in shim.refusal_after("assess", "publish")
    for asked in ("--help", "-h"):
        assert shim.run("assess", "publish", asked).returncode == 0
    for switched_off in ("--help=false", "--dry-run=0"):
        assert shim("assess", "publish", "--dry-run")[-1] == "--dry-run"
        assert "only a commit can be published" in shim.refusal_after("assess", "publish", switched_off)
    assert "--revision=mine" in shim("--revision=mine", "assess", "publish")
    # With exceptions in the file, git and Docker could differ: then nothing is left out.
    (shim.project / ".dockerignore").write_text("docs\n!docs/x.html\n")
    assert "docs/x.html" in told()[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_repository_of_another_owner_is_not_built_without_its_commit(shim: Shim) -> None:
    shim.commit()
    shutil.chown(shim.project, 12345)
    shutil.chown(shim.project / ".git", 12345)
    said = shim.refusal("scan")
    assert f"git fails in {shim.project}" in said
    assert "safe.directory" in said


# The CLI and its cache ------------------------------------------------------------------------------------------------


def cli(folder: Path, version: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagger").write_text(
        f'#!/bin/sh\n[ "$1" = version ] && echo "dagger {version} (x)" || echo "called $0"\n'
    )
    (folder / "dagger").chmod(0o755)


def test_a_broken_cli_in_the_cache_is_fetched_again(shim: Shim, tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "erlmcp-pipeline" / "dagger-0.21.8"
    cli(folder, "v0.21.8")
    env = {"DAGGER": "", "PATH": "/usr/bin:/bin", "DAGGER_DOWNLOAD_URL": f"file://{tmp_path}/none"}
    assert shim.run("scan", env=env).stdout == f"called {folder}/dagger\n"
    (folder / "dagger").write_bytes(b"\x7fELF broken")
    assert "cannot download" in shim.run("scan", env=env).stderr


def test_a_home_that_cannot_be_written_is_no_obstacle(shim: Shim, tmp_path: Path) -> None:
    cli(tmp_path / "bin", "v0.21.8")
    shim.commit()
    (tmp_path / "home").write_text("no folder, even for root")
    env = {"DAGGER": "", "HOME": str(tmp_path / "home"), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    env["TMPDIR"] = str(tmp_path)
    done = shim.run("scan", env=env)
    assert done.returncode == 0, done.stderr
    cache = tmp_path / f"erlmcp-pipeline-{os.geteuid()}"
    assert f"home/.cache, so {cache} is used" in done.stderr
    assert cache.stat().st_mode & 0o777 == 0o700
    # Nothing that somebody else could have put there is run.
    for mode in (0o770, 0o702):
        cache.chmod(mode)
        assert "belongs to another user; set XDG_CACHE_HOME" in shim.run("scan", env=env).stderr


# An engine that died, and what is said of an image --------------------------------------------------------------------


def test_a_call_that_says_nothing_ends(shim: Shim, tmp_path: Path) -> None:
    (tmp_path / "dagger").write_text("#!/bin/sh\necho begun >&2\nexec sleep 60\n")
    begun = time.monotonic()
    done = shim.run("scan", env={"ERLMCP_SILENCE": "2s"})
    assert time.monotonic() - begun < 30
    assert done.returncode not in (0, None)
    assert done.stderr.startswith("begun\n")
    assert "the engine no longer answers, or a step takes longer" in done.stderr
    assert not list((tmp_path / ".cache" / "erlmcp-pipeline").glob("call.*"))


def test_a_call_that_goes_on_is_left_alone(shim: Shim, tmp_path: Path) -> None:
    (tmp_path / "dagger").write_text(
        "#!/bin/sh\nfor i in 1 2 3 4; do echo $i >&2; sleep 1; done\ncat\necho out\nexit 7\n"
    )
    for silence in ("3s", "0"):
        done = subprocess.run(
            [shim.project / "ci" / "run", "scan"],
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(tmp_path),
                "DAGGER": f"{tmp_path}/dagger",
                "ERLMCP_SILENCE": silence,
            },
            input="in\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (7, "in\nout\n", "1\n2\n3\n4\n")


@pytest.mark.parametrize("words", [("build-runtime",), ("build-runtime", "sync")])
def test_a_build_says_what_was_built_and_what_to_type_next(shim: Shim, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "dagger").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\necho Container@xxh3:1\n')
    head = shim.commit()
    done = shim.run("--flavor=debian", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Built the image of {shim.project}, commit {head}; ")
    assert "ci/run build-runtime export-image --name=" in done.stdout
    assert "Container@" not in done.stdout
    [call] = (tmp_path / "calls").read_text().splitlines()
    assert call.endswith(" --flavor=debian build-runtime sync")


def test_a_build_that_fails_says_nothing_of_an_image(shim: Shim, tmp_path: Path) -> None:
    (tmp_path / "dagger").write_text("#!/bin/sh\nexit 3\n")
    done = shim.run("build-runtime")
    assert (done.returncode, done.stdout) == (3, "")


def test_a_build_that_goes_somewhere_is_left_as_it_is(shim: Shim) -> None:
    for words in (
        ("-o", "image.tar", "build-runtime"),
        ("build-runtime", "--json"),
        ("build-runtime", "export-image", "--name=x"),
    ):
        assert shim(*words)[3:] == list(words)


# What changed ---------------------------------------------------------------------------------------------------------


class TestChanged:
    """The cheap first step: a pull request that changes nothing of the image is not built."""

    @pytest.fixture
    def shim(self, shim: Shim) -> Shim:
        (shim.project / ".dockerignore").write_text("docs\n**/*.md\nerlmcp.toml\nkept\n.github\nci\n")
        named = ("kept/vex.json", "kept/images.toml")
        for name in ("src/a.erl", "docs/x", "README.md", *named, ".github/workflows/x.yml"):
            (shim.project / name).parent.mkdir(parents=True, exist_ok=True)
            (shim.project / name).write_text("1")
        (shim.project / "erlmcp.toml").write_text(
            'flavor = "debian"\nimages = "kept/images.toml"\nsys-config = \'kept/a b.config\' # it\'s ours\n'
            '[policy]\nvex = ["kept/a.json", "kept/b.json"]\n'
        )
        shim.commit()
        return shim

    def change(self, shim: Shim, *names: str) -> None:
        """Check out the merge of a pull request that changes these files."""
        shim.git("checkout", "-q", "-b", "feature")
        for name in names:
            (shim.project / name).parent.mkdir(parents=True, exist_ok=True)
            (shim.project / name).write_text("2")
        shim.commit()
        shim.git("checkout", "-q", "main")
        # Of the target, not of the pull request.
        (shim.project / "src" / "b.erl").write_text("1")
        shim.commit()
        shim.git("update-ref", "refs/remotes/origin/main", "main")
        shim.git("checkout", "-q", "-b", "merge")
        shim.git("merge", "-q", "--no-ff", "-m", "merge", "feature")

    def looked(self, shim: Shim, **env: str) -> bool:
        done = shim.run(env=env, script=shim.project / "ci" / "changed")
        assert done.returncode == 0, done.stderr
        assert done.stdout in ("image\n", "nothing\n")
        assert ("nothing that affects the image or its verdict changed" in done.stderr) == (done.stdout == "nothing\n")
        return done.stdout == "image\n"

    def events(self, shim: Shim) -> dict[str, dict[str, str]]:
        target = shim.git("rev-parse", "main")
        return {
            "github": recorded("github-pull-request-fork"),
            "gitlab": recorded("gitlab-merge-request") | {"CI_MERGE_REQUEST_TARGET_BRANCH_SHA": target},
            "jenkins": recorded("jenkins-pull-request"),
        }

    @pytest.mark.parametrize("place", ["github", "gitlab", "jenkins"])
    @pytest.mark.parametrize(
        ("names", "looked"),
        [
            (("README.md", "docs/x", "docs/deep/y", "apps/one/notes.md"), False),
            (("README.md", "src/a.erl"), True),
            (("priv/new",), True),
            (("ci/run",), True),
            ((".github/workflows/x.yml",), True),
            # Policy counts, wherever .dockerignore keeps it.
            (("erlmcp.toml",), True),
            (("kept/other.json",), False),
            (("kept/vex.json",), True),
            (("kept/images.toml",), True),
            (("kept/a b.config",), True),
            (("kept/b.json",), True),
        ],
        ids=str,
    )
    def test_what_the_image_and_its_verdict_are_made_of(
        self, shim: Shim, place: str, names: tuple[str, ...], *, looked: bool
    ) -> None:
        self.change(shim, *names)
        env = self.events(shim)[place] | {"ERLMCP_ASSESS": "--vex=kept/vex.json"}
        assert self.looked(shim, **env) == looked

    def test_where_nobody_knows_it_is_looked_at(self, shim: Shim) -> None:
        self.change(shim, "README.md")
        for name in PUBLISHED:
            if "request" not in name:
                assert self.looked(shim, **recorded(name)), name
        assert self.looked(shim, **self.events(shim)["gitlab"] | {"CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "1" * 40})
        assert self.looked(shim, **self.events(shim)["jenkins"] | {"CHANGE_TARGET": "other"})
        # A checkout of the head alone, and none.
        shim.git("checkout", "-q", "feature")
        assert self.looked(shim, **self.events(shim)["github"])
        shutil.rmtree(shim.project / ".git")
        assert self.looked(shim, **recorded("github-pull-request-fork"))


# Services that the scripts talk to ------------------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()


def test_in_github_cosign_fetches_the_identity_where_it_signs(shim: Shim, service: Service) -> None:
    env = recorded("github-push") | {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{service.url}/token?x=1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "s3cret-request",
    }
    argv = shim("assess", "publish", env=env)
    told = behind(argv, "publish")
    assert told["identity-url"] == "env:ACTIONS_ID_TOKEN_REQUEST_URL"
    assert told["identity-url-token"] == "env:ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # the variable's name
    assert "identity-token" not in told
    # A token lives five minutes: none is asked for before the build.
    assert service.headers == []
    assert "s3cret" not in "\n".join(argv)
    for other in ({"COSIGN_KEY": "key"}, {"SIGSTORE_ID_TOKEN": "token"}):
        assert "identity-url" not in behind(shim("assess", "publish", env=env | other), "publish")


def tell(service: Service, provider: str, *words: str | Path) -> None:
    own = {
        "github": recorded("github-pull-request-fork")
        | {"GITHUB_REPOSITORY": "vito/testdata", "GITHUB_API_URL": service.url},
        "gitlab": recorded("gitlab-merge-request") | {"CI_API_V4_URL": service.url},
    }[provider]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TELL_TOKEN": "s3cret"} | own
    subprocess.run([CI / "tell", *words], env=env, cwd=RECORDED, check=True, capture_output=True)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.md"
    path.write_text('## Passed: `x`\n\n"quoted" $(id) \\n\n')
    return path


BODY = '<!-- erlmcp-pipeline -->\n## Passed: `x`\n\n"quoted" $(id) \\n\n'
THREADS = {
    # first page of comments, where a new one goes, where the one with the id 7 is
    "github": ("/repos/vito/testdata/issues/2018/comments", "PATCH", "/repos/vito/testdata/issues/comments/7"),
    "gitlab": ("/projects/44723537/merge_requests/45/notes", "PUT", "/projects/44723537/merge_requests/45/notes/7"),
}


@pytest.mark.parametrize("provider", THREADS)
def test_the_first_report_is_a_new_comment(service: Service, report: Path, provider: str) -> None:
    tell(service, provider, "comment", report)
    assert service.asked[-1] == ("POST", THREADS[provider][0], {"body": BODY})
    header = {"github": ("Authorization", "Bearer s3cret"), "gitlab": ("PRIVATE-TOKEN", "s3cret")}[provider]
    assert all(headers[header[0]] == header[1] for headers in service.headers)


@pytest.mark.parametrize("provider", THREADS)
def test_later_reports_update_that_comment(service: Service, report: Path, provider: str) -> None:
    path, method, own = THREADS[provider]
    others = [{"id": number, "body": "x"} for number in range(100, 200)]
    service.answers[f"{path}?per_page=100&page=1"] = others
    service.answers[f"{path}?per_page=100&page=2"] = [{"id": 7, "body": BODY}]
    tell(service, provider, "comment", report)
    assert service.asked[-1] == (method, own, {"body": BODY})


def test_a_persons_comment_is_left_alone(service: Service, report: Path) -> None:
    path = THREADS["github"][0]
    service.answers[f"{path}?per_page=100&page=1"] = [{"id": 7, "body": BODY, "user": {"type": "User"}}]
    tell(service, "github", "comment", report)
    assert service.asked[-1][:2] == ("POST", path)


@pytest.mark.parametrize(
    ("provider", "project", "key"),
    [("github", "/repos/vito/testdata", "body"), ("gitlab", "/projects/44723537", "description")],
)
def test_an_alert_is_one_issue(service: Service, tmp_path: Path, provider: str, project: str, key: str) -> None:
    alert = tmp_path / "rescan.txt"
    alert.write_text("Bad news\n\n~~~~~~~~\nwords\n~~~~~~~~\n")
    body = "<!-- erlmcp-pipeline -->\n~~~~~~~~\nwords\n~~~~~~~~\n"
    tell(service, provider, "issue", alert)
    assert service.asked[-1] == ("POST", f"{project}/issues", {"title": "Bad news", key: body})
    number = {"github": "number", "gitlab": "iid"}[provider]
    service.answers[f"{project}/issues?per_page=100&page=1"] = [{number: 3, "title": "Bad news"}]
    tell(service, provider, "issue", alert)
    comments = {"github": "comments", "gitlab": "notes"}[provider]
    assert service.asked[-1] == ("POST", f"{project}/issues/3/{comments}", {"body": body})


# As the CLI 0.21.8 ended a rescan on an engine (DAGGER_PROGRESS=dots), shortened in its dots and arguments.
TOLD = """\x1b[90m▶\x1b[0m \x1b[32m.\x1b[0m\x1b[32m.\x1b[0m\x1b[31mX\x1b[0m

\x1b[32m✔\x1b[0m connect \x1b[2m0.1s\x1b[0m
\x1b[31m✘\x1b[0m .\x1b[1mrescan\x1b[0m\x1b[2m: String!\x1b[0m \x1b[2m4.2s\x1b[0m \x1b[31mERROR\x1b[0m
\x1b[31m! {}\x1b[0m
"""


@pytest.mark.parametrize(
    ("said", "title", "words"),
    [
        (
            TOLD.format("PolicyError: x@sha256:1\n! 1 new since yesterday\n! ~~~~~~~~"),
            "The published image did not pass its nightly scan",
            "PolicyError: x@sha256:1\n1 new since yesterday\n ~~~~~~~~",
        ),
        (
            TOLD.format("RegistryError: no answer"),
            "The nightly scan of the published image did not run",
            "RegistryError: no answer",
        ),
        (
            "".join(f"step {number}\n" for number in range(100)),
            "The nightly scan of the published image did not run",
            "\n".join(f"step {number}" for number in range(60, 100)),
        ),
    ],
)
def test_an_alert_tells_a_finding_from_a_fault(tmp_path: Path, said: str, title: str, words: str) -> None:
    (tmp_path / "rescan.err").write_text(said)
    # Anywhere: Jenkins has neither of the two tokens.
    command = [CI / "tell", "alert", "rescan.err"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, check=True, capture_output=True, text=True
    )
    assert done.stdout == f"{title}\n\n~~~~~~~~\n{words}\n~~~~~~~~\n"


# The definitions ------------------------------------------------------------------------------------------------------


def load(path: Path) -> dict:
    # YAML 1.1 takes the key `on` for a truth value.
    loaded = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in loaded.items()}


PIPELINE = load(WORKFLOWS / "pipeline.yml")
TRIGGERS = load(WORKFLOWS / "image.yml")["on"]
GITLAB = load(CI / "gitlab-ci.yml")
JENKINS = (CI / "Jenkinsfile").read_text()


def calls(text: str) -> list[str]:
    """Return the commands of ci/run in a script, without redirections and what follows."""
    return [found.strip() for found in re.findall(r"ci/run ([^>|&'\n]*)", text)]


def github_jobs() -> dict[str, list[str]]:
    found = {
        name: calls("\n".join(step.get("run", "") for step in job["steps"])) for name, job in PIPELINE["jobs"].items()
    }
    return {name: verbs for name, verbs in found.items() if verbs}


def gitlab_jobs() -> dict[str, list[str]]:
    jobs = {name.removeprefix("erlmcp "): job for name, job in GITLAB.items()}
    found = {name: calls("\n".join(job["script"])) for name, job in jobs.items()}
    return {name: verbs for name, verbs in found.items() if verbs}


def jenkins_stages() -> dict[str, str]:
    _, *parts = re.split(r"^ {8}stage\('(\w+)'\)", JENKINS, flags=re.MULTILINE)
    return {parts[at].lower(): parts[at + 1] for at in range(0, len(parts), 2)}


LOOKED_AT = ["build-runtime", "assess reports export --path=reports"]


def test_the_three_definitions_call_the_same_with_the_same() -> None:
    expected = {
        "image": [*LOOKED_AT, "assess verdict"],
        "publish": [*LOOKED_AT, "assess publish"],
        "rescan": ["published verified rescan"],
    }
    assert github_jobs() == expected
    assert gitlab_jobs() == expected
    # One build of Jenkins has both stages, one after the other on one agent.
    stages = {name: verbs for name, text in jenkins_stages().items() if (verbs := calls(text))}
    assert stages == expected | {"publish": ["assess publish"]}
    assert list(stages) == ["image", "publish", "rescan"]


def test_a_pull_request_that_changes_nothing_of_the_image_is_green_after_the_first_step() -> None:
    steps = {step.get("name", ""): step for step in PIPELINE["jobs"]["image"]["steps"]}
    first, *others = [name for name in steps if name]
    assert steps[first]["run"] == 'echo "changed=$(ci/changed)" >>"$GITHUB_OUTPUT"'
    assert {steps[name]["if"] for name in others} == {"steps.changed.outputs.changed != 'nothing'"}
    # Its commit and that of the branch that it goes to.
    assert PIPELINE["jobs"]["image"]["steps"][0]["with"]["fetch-depth"] == 2
    for name in ("image", "note"):
        assert GITLAB[f"erlmcp {name}"]["script"][0] == '[ "$(ci/changed)" != nothing ] || exit 0'
    assert "sh(script: 'ci/changed', returnStdout: true).trim() != 'nothing'" in jenkins_stages()["image"]
    # Where something is published nothing is skipped.
    for job in (PIPELINE["jobs"]["publish"], GITLAB["erlmcp publish"], jenkins_stages()["publish"]):
        assert "ci/changed" not in str(job)


def test_the_three_definitions_keep_the_same_files() -> None:
    expected = {"image": ["reports"], "publish": ["reports", "image.txt"], "rescan": ["rescan.txt"]}
    github = {
        name: [
            step["with"]["path"].rstrip("/")
            for step in PIPELINE["jobs"][name]["steps"]
            if step.get("uses", "").startswith("actions/upload-artifact@")
        ]
        for name in expected
    }
    gitlab = {name: [path.rstrip("/") for path in GITLAB[f"erlmcp {name}"]["artifacts"]["paths"]] for name in expected}
    jenkins = {
        name: [path.removesuffix("/**") for path in re.findall(r"archiveArtifacts artifacts: '([^']*)'", text)]
        for name, text in jenkins_stages().items()
    }
    assert github == gitlab == expected
    assert jenkins == expected | {"publish": ["image.txt"], "clean": []}
    # Those of the build before are none of this one.
    assert "sh 'rm -rf reports image.txt rescan.txt rescan.err'" in jenkins_stages()["clean"]


def test_reports_are_stored_when_the_gate_fails() -> None:
    for name, gate in (("image", "Gate"), ("publish", "Publish")):
        steps = [step.get("id") or step.get("name", "") for step in PIPELINE["jobs"][name]["steps"]]
        assert steps.index("Reports") < steps.index("stored") < steps.index(gate)
        assert GITLAB[f"erlmcp {name}"]["artifacts"]["when"] == "always"
    assert re.search(r"always \{\s*archiveArtifacts artifacts: 'reports/\*\*'", JENKINS)


def test_no_run_lasts_for_ever() -> None:
    assert all(job["timeout-minutes"] <= 120 for job in PIPELINE["jobs"].values())
    assert all(job["timeout"] in ("15m", "1h", "2h") for job in GITLAB.values())
    assert "timeout(time: 2, unit: 'HOURS')" in JENKINS


def test_the_three_definitions_have_the_old_triggers_and_no_filter_of_paths() -> None:
    assert TRIGGERS["push"] == {"branches": ["main", "develop"], "tags": ["v[0-9]*"]}
    assert TRIGGERS["pull_request"] == {"branches": ["main", "develop"]}
    assert {"merge_group", "schedule"} <= TRIGGERS.keys()
    assert "image_tag" in TRIGGERS["workflow_dispatch"]["inputs"]
    assert "changes" not in str(GITLAB)
    assert "changeset" not in JENKINS
    assert re.search(r"cron\(env.BRANCH_NAME == null \|\| env.BRANCH_NAME == 'main' \? 'H 3 \* \* \*'", JENKINS)
    assert "string(\n            name: 'image_tag'" in JENKINS


def test_the_files_that_the_outlets_name_are_those_of_reports() -> None:
    named = set(re.findall(r"reports/([\w.-]+\.\w+)", (WORKFLOWS / "pipeline.yml").read_text() + str(GITLAB) + JENKINS))
    assert named == {
        "report.md",
        "code-scanning.sarif",
        "sbom.spdx.json",
        "sbom.cdx.json",
        "gl-container-scanning-report.json",
        "junit.xml",
        "github-dependencies.json",
    }


def test_a_job_that_runs_the_repositorys_code_may_write_nothing_but_publish() -> None:
    assert PIPELINE["permissions"] == {}
    writing = {
        name: sorted(key for key, value in job["permissions"].items() if value == "write")
        for name, job in PIPELINE["jobs"].items()
    }
    assert writing == {
        "image": [],
        "show": ["pull-requests", "security-events"],
        "publish": ["id-token", "packages"],
        "dependencies": ["contents"],
        "release": ["contents"],
        "rescan": [],
        "alert": ["issues"],
    }
    # What a pull request brings is checked out where nothing may be written alone.
    refs = {
        name: step["with"].get("ref")
        for name, job in PIPELINE["jobs"].items()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    }
    assert refs["show"] == "${{ github.event.pull_request.base.sha || github.sha }}"
    assert "pull_request_target" not in TRIGGERS


def test_no_script_of_a_workflow_is_made_of_expressions() -> None:
    scripts = [step["run"] for job in PIPELINE["jobs"].values() for step in job["steps"] if "run" in step]
    assert len(scripts) >= 8
    assert not [script for script in scripts if "${{" in script]


def test_secrets_reach_the_job_that_needs_them_alone() -> None:
    jobs = PIPELINE["jobs"]
    assert {name for name, job in jobs.items() if "secrets." in str(job)} == {"publish", "rescan"}
    # The job that runs code of a pull request has a token that reads, and only if it is of this repository.
    assert {name for name, job in jobs.items() if "REGISTRY_" in str(job)} == {"image", "publish", "rescan"}
    assert set(jobs["image"]["permissions"].values()) == {"read"}
    tokens = {step["env"]["REGISTRY_PASSWORD"] for step in jobs["image"]["steps"] if "env" in step}
    own = "github.event.pull_request.head.repo.full_name == github.repository || github.event_name == 'merge_group'"
    assert tokens == {f"${{{{ ({own}) && github.token || '' }}}}"}
    assert [name for name, text in jenkins_stages().items() if "withCredentials" in text] == ["publish", "rescan"]
    assert "not { changeRequest() }" in jenkins_stages()["publish"]
    assert {name for name, job in GITLAB.items() if "REGISTRY_" in str(job)} == {"erlmcp publish", "erlmcp rescan"}
    assert [name for name, job in GITLAB.items() if "id_tokens" in job] == ["erlmcp publish"]


class TestBaseline:
    """What a pull request is compared with."""

    @pytest.fixture
    def shim(self, tmp_path: Path) -> Shim:
        dagger = tmp_path / "dagger"
        # As the CLI does it: `export --path` writes the file, unless the registry has no such image.
        dagger.write_text(
            f"""#!/bin/sh
printf '%s\\n' "$@" >{tmp_path}/argv
echo "$*" >>{tmp_path}/calls
case "$*" in
    *registry.example.com/none*) exit 1 ;;
    *' findings export --path='*)
        for word; do :; done
        file=${{word#--path=}}
        mkdir -p "${{file%/*}}"
        echo '{{}}' >"$file"
        ;;
esac
"""
        )
        dagger.chmod(0o755)
        shutil.copytree(CI, tmp_path / "project" / "ci", ignore=shutil.ignore_patterns("github.yml"))
        return Shim(tmp_path, SHELLS[0])

    ENV = recorded("gitlab-merge-request") | {
        "ERLMCP_BASELINE": "registry.example.com/app:main",
        "ERLMCP_VERIFIED": "--key=file:cosign.pub",
        "ERLMCP_PUBLISHED": "--reference=registry.example.com/other:main",
        "REGISTRY_USER": "somebody",
    }

    def test_a_pull_request_is_compared_with_what_was_proved_once(self, shim: Shim) -> None:
        for verb in ("reports", "verdict"):
            argv = shim("assess", verb, env=self.ENV)
            [file] = [Path(word.removeprefix("--baseline=")) for word in argv if word.startswith("--baseline=")]
            assert file.read_text() == "{}\n"
        fetches = [call for call in (shim.folder / "calls").read_text().splitlines() if " findings export " in call]
        assert len(fetches) == 1
        assert (
            "published --user=somebody --reference=registry.example.com/app:main verified --key=file:cosign.pub"
            in fetches[0]
        )
        assert "other:main" not in fetches[0]
        # Another run asks anew.
        shim("assess", "verdict", env=self.ENV | {"CI_JOB_URL": "https://gitlab.com/x/-/jobs/7"})
        assert (shim.folder / "calls").read_text().count(" findings export ") == 2

    def test_nothing_else_is_compared(self, shim: Shim) -> None:
        for env, words in (
            (recorded("github-push"), ("assess", "verdict")),
            (self.ENV, ("build-runtime", "sync")),
            (self.ENV | {"ERLMCP_ASSESS": "--baseline=mine.json"}, ("assess", "verdict")),
        ):
            argv = shim(*words, env=env | {"ERLMCP_BASELINE": "registry.example.com/app:main"})
            assert " findings export " not in (shim.folder / "calls").read_text()
            assert [word for word in argv if word.startswith("--baseline")] in ([], ["--baseline=mine.json"])

    def test_without_a_proof_everything_counts(self, shim: Shim) -> None:
        argv = shim("assess", "verdict", env=self.ENV | {"ERLMCP_BASELINE": "registry.example.com/none:main"})
        assert not [word for word in argv if word.startswith("--baseline")]


def test_no_checkout_leaves_its_token_behind() -> None:
    steps = [step for job in PIPELINE["jobs"].values() for step in job["steps"]]
    checkouts = [step["with"] for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == 6
    assert all(options["persist-credentials"] is False for options in checkouts)


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for job in PIPELINE["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40}", name) for name in used)


def test_the_reusable_workflow_is_found_in_ci_too() -> None:
    assert (CI / "github.yml").resolve() == WORKFLOWS / "pipeline.yml"


def test_in_gitlab_a_job_is_never_without_the_one_that_it_needs() -> None:
    """GitLab refuses a pipeline whose job needs one that its rules left out."""

    def conditions(name: str) -> list[str]:
        return [" ".join(rule["if"].split()) for rule in GITLAB[name]["rules"] if rule.get("when") != "never"]

    target = "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME =~ /^(main|develop)$/"
    merge_request = f'$CI_PIPELINE_SOURCE == "merge_request_event" && {target}'
    assert merge_request in conditions("erlmcp image")
    assert conditions("erlmcp note") == [f"$TELL_TOKEN && {merge_request}"]
    assert [name for name, job in GITLAB.items() if "needs" in job] == ["erlmcp note"]


def test_in_gitlab_an_older_pipeline_does_not_move_a_tag_back() -> None:
    publish = GITLAB["erlmcp publish"]
    assert publish["resource_group"]
    # Jobs of an environment alone are ended when a newer one is through.
    assert publish["environment"]


def test_what_may_write_shows_the_commit_that_was_scanned() -> None:
    """upload-sarif takes the commit of a repository that is checked out where it looks, whatever it is told."""
    steps = PIPELINE["jobs"]["show"]["steps"]
    [checkout] = [step["with"] for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    [upload] = [step["with"] for step in steps if "upload-sarif@" in step.get("uses", "")]
    assert checkout["path"] == "base"
    assert (upload["checkout_path"], upload["sha"]) == ("reports", "${{ github.sha }}")
    # The comment does not hang on code scanning, which not every repository has.
    names = [step.get("name") for step in steps]
    assert names.index("Comment") < names.index("Code scanning")


def test_what_a_site_sets_reaches_the_workflow() -> None:
    """Every variable that ci/run reads from a site can be given on GitHub."""
    inputs = PIPELINE["on"]["workflow_call"]["inputs"]
    given = load(WORKFLOWS / "image.yml")["jobs"]["pipeline"]["with"]
    assert given.keys() == inputs.keys()
    text = (WORKFLOWS / "pipeline.yml").read_text()
    assert all(f"inputs.{name}" in text for name in inputs)
    assert "ghcr.io" not in str(given)  # an owner may have capitals; ci/run writes them small


# Kubernetes -----------------------------------------------------------------------------------------------------------

DOCUMENTS = {item["kind"]: item for item in yaml.safe_load_all((CI / "kubernetes" / "erlmcp.yaml").read_text())}
POD = DOCUMENTS["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_erlmcp_runs_without_rights_on_a_root_that_is_read_only() -> None:
    assert POD["securityContext"]["runAsNonRoot"]
    assert (POD["securityContext"]["runAsUser"], POD["securityContext"]["runAsGroup"]) == (UID, UID)
    security = CONTAINER["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert not POD["automountServiceAccountToken"]
    assert re.fullmatch(r"ghcr.io/banyan-platform/erlmcp@sha256:[0-9a-f]{64}", CONTAINER["image"])


def test_erlmcp_may_write_where_the_image_says_and_nowhere_else() -> None:
    mounted = {mount["mountPath"] for mount in CONTAINER["volumeMounts"] if not mount.get("readOnly")}
    assert mounted == {"/tmp", "/var/log/erlmcp", "/var/lib/erlmcp", "/var/run/erlmcp"}  # noqa: S108 # the image's


def test_the_probes_are_the_images_health_check() -> None:
    code = (ROOT / "pipeline" / "image" / "runtime.py").read_text()
    command, interval, timeout, start, retries = re.search(
        r'\["(.*?)"\], interval="(\d+)s", timeout="(\d+)s", start_period="(\d+)s", retries=(\d)', code
    ).groups()
    probes = [CONTAINER[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    assert {tuple(probe["exec"]["command"]) for probe in probes} == {(command,)}
    assert {probe["timeoutSeconds"] for probe in probes} == {int(timeout)}
    startup, readiness, liveness = probes
    assert startup["periodSeconds"] * startup["failureThreshold"] == int(start)
    assert (readiness["periodSeconds"], readiness["failureThreshold"]) == (int(interval), int(retries))
    assert liveness["failureThreshold"] > readiness["failureThreshold"]


def test_the_kubernetes_files_are_what_their_schemas_say() -> None:
    check("kubernetes-validate", "--strict", "--quiet", CI / "kubernetes" / "erlmcp.yaml")


# Other people's checkers ----------------------------------------------------------------------------------------------


def check(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    check("zizmor", "--offline", "--quiet", WORKFLOWS)


def test_the_definitions_are_what_their_schemas_say() -> None:
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS.glob("*.yml"))
    check(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.gitlab-ci",
        "--data-transform",
        "gitlab-ci",
        CI / "gitlab-ci.yml",
    )
