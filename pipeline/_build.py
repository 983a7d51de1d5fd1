"""The stages before the image: read the project, dependencies, each application, the release.

Every stage is a function of what it needs alone, so that the engine's cache answers for what did not change:
the dependencies see two generated files, an application sees its own sources, its siblings' headers and what it
needs of them, the release sees compiled applications only.
"""

import dataclasses
import json
from collections.abc import Awaitable
from importlib import resources
from typing import TypeVar

import anyio
import dagger
from dagger import dag

from pipeline._application import DEVELOPMENT_PLUGINS, Application, OwnApplication
from pipeline.errors import BuildError, InputError, excerpt

_T = TypeVar("_T")

BUILD = "/build"
#: Where every compiled application lies, by name: dependencies and the project's own.
LIB = f"{BUILD}/lib"
#: The host name under which `--mirror` is known to the stages that fetch.
MIRROR_HOST = "mirror"
#: One time for every file that we make, so that a layer depends on its content alone. Seconds since the epoch.
FILE_TIME = 315532800  # 1980-01-01, the earliest that zip archives can hold

#: What the reader needs to see: its key changes with the project's shape, not with its code.
_SHAPE = [
    "rebar.config",
    "rebar.config.script",
    "rebar.lock",
    "**/rebar.config",
    "**/rebar.config.script",
    "**/src/*.app.src",
    "**/src/*.app.src.script",
]
#: Headers of the project, for siblings that include them.
_HEADERS = ["include/**", "**/include/**/*.hrl"]


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """What the user gave, checked."""

    source: dagger.Directory
    builder: str
    runtime: str
    release: str = ""
    release_version: str = ""
    apps: tuple[str, ...] = ()
    rebar_config: dagger.File | None = None
    sys_config: dagger.File | None = None
    vm_args: dagger.File | None = None
    hex_mirror: str = ""
    hex_mirror_key: dagger.File | None = None
    git_config: dagger.File | None = None
    mirror: dagger.Service | None = None
    health_url: str = ""
    revision: str = ""
    created: str = ""
    labels: tuple[str, ...] = ()


def resource(name: str) -> str:
    """Return the text of a script of ours that runs inside a container."""
    return resources.files("pipeline").joinpath("resources", name).read_text(encoding="utf-8")


async def run(step: Awaitable[_T], what: str) -> _T:
    """Await a step; if a command in it fails, say what was being done and what the command said.

    Raises
    ------
    BuildError
        With the command's own words.
    """
    try:
        return await step
    except dagger.ExecError as error:
        raise BuildError(f"{what} failed:\n{excerpt(error)}") from None


def builder(project: Project) -> dagger.Container:
    """Return the build image with the settings that every stage shares."""
    return (
        dag.container()
        .from_(project.builder)
        .with_workdir(BUILD)
        .with_env_variable("TERM", "dumb")
        .with_env_variable("ERL_COMPILER_OPTIONS", "deterministic")
        .with_env_variable("REBAR_COLOR", "low")
    )


async def read(project: Project) -> Application:
    """Read the project: Erlang parses Erlang.

    Raises
    ------
    InputError
        If there is no release to build in it, or files disagree.
    """
    shape = project.source.filter(include=_SHAPE)
    if project.rebar_config:
        shape = shape.with_file("rebar.config", project.rebar_config).without_file("rebar.config.script")
    options = {
        "--release": project.release,
        "--release-version": project.release_version,
        "--apps": ",".join(project.apps),
        "--development-plugins": ",".join(DEVELOPMENT_PLUGINS),
    }
    arguments = [word for option, value in options.items() if value for word in (option, value)]
    out = (
        builder(project)
        .with_new_file("/pipeline/application.escript", resource("application.escript"))
        .with_directory("/source", shape)
        .with_exec(["escript", "/pipeline/application.escript", "/source", "/out", *arguments])
        .directory("/out")
    )
    text = await run(out.file("application.json").contents(), "reading rebar.config")
    if "error" in json.loads(text):
        return Application.parse(text, {})
    names = [name for name in await out.glob("**/*.config") if not name.endswith("/")]
    return Application.parse(text, {name: await out.file(name).contents() for name in names})


async def deps(project: Project, application: Application) -> dagger.Container:
    """Fetch and compile the locked dependencies; nothing of the project's code is in its key."""
    container = (
        builder(project)
        .with_new_file(f"{BUILD}/rebar.config", application.configs["rebar.deps.config"])
        .with_new_file("/pipeline/collect.sh", resource("collect.sh"))
    )
    if application.locked:
        container = container.with_new_file(f"{BUILD}/rebar.lock", await project.source.file("rebar.lock").contents())
    if application.checkouts:
        container = container.with_directory(f"{BUILD}/_checkouts", project.source.directory("_checkouts"))
    cache = "/root/.cache/rebar3"
    fetched = (
        container.with_(lambda ctr: _fetching(ctr, project))
        .with_mounted_cache(cache, dag.cache_volume("erlmcp-rebar3"), sharing=dagger.CacheSharingMode.LOCKED)
        .with_exec(["rebar3", "as", "prod", "compile", "--deps_only"])
        .with_exec(["sh", "/pipeline/collect.sh", LIB, *_DEPENDENCY_DIRS])
    )
    # A fresh container: mirrors, sources and caches of the fetching stay out of every later key.
    stage = builder(project).with_directory(LIB, fetched.directory(LIB)).with_label("stage", "deps")
    if application.plugins:
        plugins = "_build/default/plugins"
        stage = stage.with_directory(f"{BUILD}/{plugins}", fetched.directory(plugins))
    return await run(stage.sync(), "fetching and compiling the dependencies")


#: Where rebar3 builds dependencies: default for what is locked, prod for the profile's own.
_DEPENDENCY_DIRS = [f"_build/{profile}/{kind}" for profile in ("default", "prod") for kind in ("lib", "checkouts")]


def _fetching(container: dagger.Container, project: Project) -> dagger.Container:
    """Say where packages and repositories come from."""
    if project.mirror:
        container = container.with_service_binding(MIRROR_HOST, project.mirror)
    if project.hex_mirror:
        container = container.with_env_variable("HEX_CDN", project.hex_mirror)
    if project.hex_mirror_key:
        # rebar3 takes the key of a repository that signs with its own from its global configuration only.
        container = container.with_mounted_file("/run/hex-mirror.pem", project.hex_mirror_key).with_exec(
            ["sh", "-ec", _HEX_CONFIG]
        )
    if project.git_config:
        container = container.with_mounted_file("/run/gitconfig", project.git_config).with_env_variable(
            "GIT_CONFIG_GLOBAL", "/run/gitconfig"
        )
    return container


_HEX_CONFIG = """
mkdir -p /root/.config/rebar3
cat >/root/.config/rebar3/rebar.config <<END
{hex, [{repos, [#{name => <<"hexpm">>, repo_public_key => <<"
$(cat /run/hex-mirror.pem)
">>}]}]}.
END
"""


async def compile_app(
    project: Project,
    application: Application,
    base: dagger.Container,
    app: OwnApplication,
    built: dict[str, dagger.Directory],
) -> dagger.Directory:
    """Compile one application of the project; return its `ebin`, `priv` and `include`."""
    single = app.dir == "."
    sources = project.source if single else project.source.directory(app.dir)
    target = BUILD if single else f"{BUILD}/{app.dir}"
    if single:
        sources = sources.filter(include=["src/**", "include/**", "priv/**", "c_src/**"])
    config = application.configs["rebar.compile.config"] + f'{{project_app_dirs, ["{app.dir}"]}}.\n'
    container = (
        base.with_new_file(f"{BUILD}/rebar.config", config)
        .with_new_file("/pipeline/collect.sh", resource("collect.sh"))
        .with_new_file("/pipeline/compile.sh", resource("compile.sh"))
        .with_directory(BUILD, project.source.filter(include=_HEADERS))
        .with_directory(target, sources)
    )
    if own_config := application.configs.get(f"apps/{app.dir}/rebar.config"):
        container = container.with_new_file(f"{target}/rebar.config", own_config)
    for needed in application.closure(app):
        container = container.with_directory(f"{LIB}/{needed}", built[needed])
    siblings = [f"{other.name}={other.dir}" for other in application.apps if other.name != app.name]
    container = (
        container.with_env_variable("ERL_LIBS", LIB)
        .with_env_variable("REBAR_OFFLINE", "1")
        .with_exec(["sh", "/pipeline/compile.sh", app.name, app.dir, *siblings])
    )
    return await run(container.directory(f"{BUILD}/built/{app.name}").sync(), f"{app.dir}: compiling {app.name}")


async def compile_all(
    project: Project, application: Application, base: dagger.Container
) -> dict[str, dagger.Directory]:
    """Compile every application of the project that the release needs, those that can at the same time."""
    built: dict[str, dagger.Directory] = {}
    failures: list[Exception] = []
    done = {app.name: anyio.Event() for app in application.apps}

    async def one(app: OwnApplication) -> None:
        try:
            for needed in application.closure(app):
                await done[needed].wait()
            if not failures:
                built[app.name] = await compile_app(project, application, base, app, built)
        except BuildError as error:
            failures.append(error)
        finally:
            done[app.name].set()

    async with anyio.create_task_group() as group:
        for app in application.apps:
            group.start_soon(one, app)
    if failures:
        raise failures[0]
    return built


async def compiled(project: Project, application: Application) -> tuple[dagger.Container, dict[str, dagger.Directory]]:
    """Return the container of the dependencies and the compiled applications."""
    base = await deps(project, application)
    return base, await compile_all(project, application, base)


async def release(project: Project, application: Application) -> dagger.Container:
    """Assemble the release out of what is compiled; it lies in `/opt/NAME` and, sorted, in `/layers`."""
    base, built = await compiled(project, application)
    container = (
        base.with_new_file(f"{BUILD}/rebar.config", application.configs["rebar.release.config"])
        .with_new_file("/pipeline/layers.sh", resource("layers.sh"))
        .with_new_file(f"{BUILD}/sys.config.src", await _config(project, application, "sys.config"))
        .with_new_file(f"{BUILD}/vm.args.src", await _config(project, application, "vm.args"))
    )
    if application.overlay:
        container = container.with_directory(BUILD, await _overlay(project, application))
    for name, directory in built.items():
        container = container.with_directory(f"{LIB}/{name}", directory)
    container = (
        container.with_env_variable("ERL_LIBS", LIB)
        .with_env_variable("REBAR_OFFLINE", "1")
        .with_exec(["rebar3", "as", "prod", "release", "--relname", application.name])
        .with_exec(
            ["sh", "/pipeline/layers.sh", str(FILE_TIME), application.name, *(app.name for app in application.apps)]
        )
        .with_workdir(f"/opt/{application.name}")
        .with_label("stage", "release")
    )
    return await run(container.sync(), f"assembling the release {application.name}")


async def _overlay(project: Project, application: Application) -> dagger.Directory:
    """Return the files that relx copies into the release, or say which is missing."""
    # "{{name}}" is relx's own template language: only relx knows such a path.
    known = [path for path in application.overlay if "{{" not in path]
    templated = ["config/**", "priv/**", "rel/**"] if len(known) < len(application.overlay) else []
    files = project.source.filter(include=[*known, *templated])
    for path in known:
        if not await files.glob(path):
            raise InputError(f"rebar.config: the overlay of relx copies {path}, which is not in --source")
    return files


async def _config(project: Project, application: Application, kind: str) -> str:
    """Return `sys.config` or `vm.args`: the given one, the project's own, or the pipeline's default."""
    given, path = {
        "sys.config": (project.sys_config, application.sys_config),
        "vm.args": (project.vm_args, application.vm_args),
    }[kind]
    if given:
        text, name = await given.contents(), f"--{kind.replace('.', '-')}"
    elif path and await project.source.glob(path):
        text, name = await project.source.file(path).contents(), path
    else:
        upper = application.name.upper().replace("-", "_")
        return resource(f"{kind}.src").replace("@NODE_NAME@", f"{upper}_NODE_NAME").replace("@NAME@", application.name)
    if kind == "vm.args":
        check_cookie(text, name)
    return text


def check_cookie(text: str, name: str) -> None:
    """Raise `InputError` if a `vm.args` holds a cookie: it would be readable in the image."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words[:1] == ["-setcookie"] and not line.partition("-setcookie")[2].strip().startswith("${"):
            raise InputError(
                f"{name}:{number}: a cookie written down here would be in the image; write -setcookie ${{RELX_COOKIE}}"
            )
