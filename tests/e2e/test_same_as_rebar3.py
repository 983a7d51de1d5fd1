"""Plain rebar3 judges: what it builds we build, file by file; what it refuses we refuse.

Each project of tests/fixtures/inputs is built twice in the same builder image: by `rebar3 as prod release`, with only
the developers' options of relx taken out of its configuration, and by the pipeline's own stages.
"""

import contextlib
import dataclasses
import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import anyio
import dagger
import pytest
from conftest import FIXTURES, session
from dagger import dag
from plain import by_rebar3, tree

from pipeline.build.applications import compiled
from pipeline.build.dependencies import equipped
from pipeline.build.release import assembled
from pipeline.errors import PipelineError
from pipeline.project.images import images_in_use
from pipeline.project.project import Project
from pipeline.project.reader import read
from pipeline.project.source import SOURCE_IGNORE, filtered

INPUTS = FIXTURES / "inputs"
NAMES = sorted(path.name for path in INPUTS.iterdir() if path.is_dir())

#: What relx makes and the image does not have, each with its reason.
LEFT_OUT = {
    r"erts-[^/]+/(include|lib|src|doc|man)/.*": "for those who compile against ERTS",
    r"(erts-[^/]+/)?bin/(ct_run|dialyzer|erlc|typer|start|start_erl|erl_call\.exe|(start|start_erl|erl)\.src)": "tools "
    "of developers, and start scripts of old",
    r"lib/[^/]+/(include|src|doc|man|examples|c_src|emacs|info)/.*": "sources and manuals: nothing of it runs",
    r".*\.a": "libraries to link with",
    r"lib/crypto-[^/]+/priv/lib/otp_test_engine\.so": "OTP's own tests load it",
    r"(log|data)/": "empty folders of relx: links to folders that may be written take their place in the image",
}
#: Where the project has neither, relx would write a vm.args with a cookie, and an empty sys.config.
MADE = r"releases/[^/]+/{}(\.src)?"
#: What relx's options for developers look like: those are overruled.
DEVELOPMENT = re.compile(r",?\s*\{(mode|dev_mode|include_erts), *\w+\}")

#: What is refused, by whom, and how it begins or what it says.
BOTH = {
    "09-name-string": "the name of a release must be an atom",
    "24-hook-plugin": "erlfmt",
    "61-noapps": "Bad parameter in .app file",
    "62-types": "relx reports an error: {bad_goal,{demo,permanent,[tools]}}",
    "74-hex-org": "acme_lib",
}
OURS_ALONE = {
    # A cookie that is written down would be in the image.
    "45-vmargs-comment": "config/vm.args:5:",
    "48-vmargs-oneline": "config/vm.args:1:",
}
SEVERAL = {"05-extend", "07-release-opts"}
#: Those whose versions come out of git.
OF_GIT = {"13-vsn-cmd", "13-vsn-git", "13-vsn-semver", "28b-script-git"}
#: Those whose modules relx gets, and not a placeholder for each: code of the project runs when it is compiled, or
#: something may look at its modules or sources when the release is assembled.
WITH_MODULES = {
    *("13-vsn-cmd", "13-vsn-git", "13-vsn-semver", "14-root-hooks", "31-appsrc-script"),
    *("37-nif-make", "37b-nif-umbrella", "39-native-dir"),
    *("18-release-hook", "80-excluded-module", "81-debug-in-prod", "82-overlay-source", "83-overlay-beam"),
    "85-hook-reads-beam",
}
#: Those whose modules keep their debug information.
WITH_DEBUG_INFORMATION = {"81-debug-in-prod"}
#: Those that ask for a dependency from a place that is not there: it lies among the checkouts.
WITH_TINY = {"01-atom-dep", "04-prod-dep", "27-app-prod-deps"}


@dataclasses.dataclass
class Outcome:
    """What plain rebar3 and the pipeline made of a project: a tree, or a refusal."""

    plain: Path | str = ""
    ours: Path | str = ""
    #: Whether relx got placeholders.
    frame: bool = False
    #: Of `sys.config` and `vm.args`, which the pipeline made.
    made: tuple[str, ...] = ()
    version: str = ""


def made(name: str, target: Path) -> Path:
    """Write a project; return its folder."""
    shutil.copytree(INPUTS / name, target, symlinks=True)
    if not list(target.glob("*/*/src")) or (target / "src").exists():
        for file in (INPUTS / "00-base" / "src").iterdir():
            if not (target / "src" / file.name).exists():
                (target / "src").mkdir(exist_ok=True)
                shutil.copy(file, target / "src" / file.name)
    if name in WITH_TINY:
        tiny = target / "_checkouts" / "tiny" / "src"
        tiny.mkdir(parents=True)
        (tiny / "tiny.app.src").write_text('{application, tiny, [{vsn, "1.0"}, {applications, [kernel, stdlib]}]}.\n')
        (tiny / "tiny.erl").write_text("-module(tiny).\n")
    if name not in WITH_DEBUG_INFORMATION:
        # Most projects leave it in, and relx strips it; with it relx must get the modules.
        config = target / "rebar.config"
        text = re.sub(r"\bdebug_info\b", "no_debug_info", config.read_text())
        config.write_text(text if "erl_opts" in text else f"{text}{{erl_opts, [no_debug_info]}}.\n")
    if name in OF_GIT:
        commit(target)
        (target / "NEWS").write_text("one commit after the tag\n")
        commit(target, tag=False)
    return target


def commit(folder: Path, *, tag: bool = True) -> None:
    """Commit a folder, at one time, by nobody in particular."""
    env = {**os.environ, **{f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}}
    steps = [
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-q", "-m", "x"],
        *([["tag", "v1.2.3"]] if tag else []),
    ]
    for step in steps:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *step]
        subprocess.run(command, cwd=folder, env=env, check=True)


async def by_the_user(image: str, source: dagger.Directory, name: str, target: Path) -> Path | str:
    """Build as a user does; return the tree, or what rebar3 said."""
    command = ["as", "prod", "release", *(["--relname", "demo"] if name in SEVERAL else [])]
    done = by_rebar3(image, source, *command)
    if await done.exit_code():
        return await done.stdout() + await done.stderr()
    await done.directory("/build/_build/prod/rel/demo").export(str(target))
    return target


async def by_us(project: Project, target: Path, outcome: Outcome) -> Path | str:
    """Build as the pipeline does; return the tree, or the refusal."""
    try:
        application = await read(project)
        project = await equipped(project, application)
        release = await assembled(project, application)
        await release.directory("/opt/demo").export(str(target))
        outcome.frame = (await compiled(project, application)).frame is not None
    except PipelineError as error:
        return str(error)
    config = {"sys.config": application.sys_config, "vm.args": application.vm_args}
    outcome.made = tuple(kind for kind, file in config.items() if file is None)
    outcome.version = application.version
    return target


@pytest.fixture(scope="module")
def outcomes(engine: dict[str, str], images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Build every project both ways, in one session."""
    folder = tmp_path_factory.mktemp("same")
    table = images_in_use(images.read_text(), {})
    found = {name: Outcome() for name in NAMES}

    async def build(name: str, limit: anyio.CapacityLimiter) -> None:
        async with limit:
            path = made(name, folder / "sources" / name)
            source = await filtered(dag.host().directory(str(path), exclude=list(SOURCE_IGNORE)))
            git = dag.host().directory(str(path / ".git")) if name in OF_GIT else None
            project = Project(source, table, "debian", git=git, release="demo" if name in SEVERAL else "")
            found[name].ours = await by_us(project, folder / "ours" / name, found[name])
            config = path / "rebar.config"
            config.write_text(DEVELOPMENT.sub("", config.read_text()))
            plain = dag.host().directory(str(path))
            found[name].plain = await by_the_user(table["builder-debian-full"], plain, name, folder / "plain" / name)

    async def run() -> None:
        with (folder / "log").open("w") as log:
            async with dagger.connection(dagger.Config(log_output=log)), anyio.create_task_group() as group:
                limit = anyio.CapacityLimiter(3)
                for name in NAMES:
                    group.start_soon(build, name, limit)

    with session(engine, folder), contextlib.redirect_stderr(io.StringIO()) as told:
        anyio.run(run)
    # With placeholders relx must do what it does without them.
    assert "placeholders" not in told.getvalue()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_release_is_that_of_rebar3(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    if name in BOTH:
        assert isinstance(outcome.plain, str), "rebar3 builds it"
        assert isinstance(outcome.ours, str), "we build it"
        assert BOTH[name] in outcome.ours
        return
    assert isinstance(outcome.plain, Path), outcome.plain
    if name in OURS_ALONE:
        assert str(outcome.ours).startswith(OURS_ALONE[name])
        return
    assert isinstance(outcome.ours, Path), outcome.ours
    allowed = [*LEFT_OUT, *(MADE.format(re.escape(kind)) for kind in outcome.made)]
    plain, ours = (
        {path: what for path, what in tree(root).items() if not any(re.fullmatch(each, path) for each in allowed)}
        for root in (outcome.plain, outcome.ours)
    )
    assert ours == plain


def test_relx_gets_placeholders_unless_it_may_look_at_modules(outcomes: dict[str, Outcome]) -> None:
    built = {name for name, outcome in outcomes.items() if isinstance(outcome.ours, Path)}
    assert {name for name in built if not outcomes[name].frame} == WITH_MODULES


@pytest.mark.parametrize(
    ("name", "version"),
    [("13-vsn-cmd", "1.2.3"), ("28-script", "2.5.0"), ("15-hyphen", "1.0.0-rc.1"), ("28b-script-git", "v1.2.3-1-g")],
)
def test_a_version_is_that_of_the_users_checkout(outcomes: dict[str, Outcome], name: str, version: str) -> None:
    assert outcomes[name].version.startswith(version)
