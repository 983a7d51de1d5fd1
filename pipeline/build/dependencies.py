"""The stage of the dependencies."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping

import dagger
from dagger import dag

from pipeline import handover
from pipeline.errors import BuildError, InputError, gathered, guard
from pipeline.project.application import Application, GitDependency, Native, OwnApplication
from pipeline.project.project import BUILD, Project, builder, with_git

#: The host name of the `--mirror` service in the stages that fetch.
MIRROR_HOST = "mirror"
#: A line for each locked package that was fetched: NAME VERSION REPOSITORY sha512:CHECKSUM.
PACKAGES = "/pipeline/packages"
#: Where the compiler keeps the beams of modules, and the variable that says so.
MODULES, KEPT = "/pipeline/modules", "PIPELINE_MODULES"
_CACHE = "/root/.cache/rebar3"
_CLONE = "build/resources/clone.sh"
_FETCH_SH, _SOURCE = "build/resources/fetch.sh", "build/resources/pipeline_source.erl"
_REGISTRY = ("build/resources/pipeline_registry.erl", "project/resources/common.hrl")
_COMPILERS = ("build/resources/pipeline_compiler.erl", "build/resources/pipeline_early.erl")
#: Further scripts of the stage that gets the dependencies.
_NATIVE = ("build/resources/pipeline_native.erl", "project/resources/native.hrl", "project/resources/common.hrl")
_FETCH = "/pipeline/fetch.sh"
#: What to do about certain error messages of git and ssh.
_HINTS = {
    "Host key verification failed": "give the host keys of that server with --known-hosts",
    "Permission denied (publickey": "give an SSH agent with a key for that server with --ssh=$SSH_AUTH_SOCK",
    "could not read Username": "give a git configuration with a token (http.extraHeader) with --git-config=file:PATH",
    "Authentication failed": "the server does not accept the token in --git-config; give a valid one",
}
#: A shell script that prints which of its arguments are not installed as programs; any C compiler counts as cc.
_LACKING = """for wanted do
    names=$wanted
    [ "$wanted" != cc ] || names="cc gcc clang"
    for name in $names; do
        command -v "$name" >/dev/null && continue 2
    done
    echo "$wanted"
done"""
_STAND_IN = (
    '{application, %s, [{description, ""}, {vsn, "0"}, {registered, []}, {applications, [kernel, stdlib]}, '
    "{modules, []}]}.\n"
)


def libraries(project: Project) -> str:
    """Return the folder that has every compiled application by name: dependencies and the project's own."""
    # rebar3 joins the names of several profiles.
    return f"{BUILD}/_build/{project.profile.replace(',', '+')}/lib"


def modules(project: Project, application: Application) -> dagger.CacheVolume:
    """Return the volume in which the compiler keeps the beams of modules; see `pipeline_compiler.erl`."""
    name = hashlib.sha256(f"{project.builder} {application.name}".encode()).hexdigest()
    return dag.cache_volume(f"erlmcp-modules-{name[:16]}")


def keeping(container: dagger.Container, project: Project, application: Application) -> dagger.Container:
    """Let the compiler keep the beams of modules, and take those that are kept."""
    volume = modules(project, application)
    return container.with_mounted_cache(MODULES, volume).with_env_variable(KEPT, MODULES)


def configured(
    container: dagger.Container,
    application: Application,
    name: str = "rebar.config",
    more: Mapping[str, str] | None = None,
) -> dagger.Container:
    """Put the project's configurations in place; `name` is that of the root's, `more` are other texts by path."""
    texts = {path: text for path, text in application.configs.items() if "/" in path}
    files = handover.directory({**texts, "rebar.config": application.configs[name], **(more or {})})
    return container.with_directory(BUILD, files)


async def equipped(project: Project, application: Application) -> Project:
    """Return the project with a builder that has the programs that its native code, if any, is compiled with.

    Raises
    ------
    InputError
        If there is no such builder.
    """
    native = (*application.native, *await native_dependencies(project, application))
    if not native:
        return project
    missing = await _missing(project, native)
    if missing and f"builder-{project.flavor}-full" in project.images.table:
        project = dataclasses.replace(project, native=True)
        missing = await _missing(project, native)
    if missing:
        other = "" if project.flavor == "debian" else ", or --flavor=debian"
        raise InputError(
            f"{', '.join(map(str, missing))}: compiling needs programs that {project.builder} does not have; give a "
            f"builder image that has them with --builder-image{other}"
        )
    return project


async def told(project: Project, application: Application) -> str:
    """Return, as text for the user, which native code there is and which image builds it."""
    try:
        native = (*application.native, *await native_dependencies(project, application))
    except BuildError as error:
        known = ", ".join(map(str, application.native))
        first = str(error).splitlines()[0].removesuffix(":")
        return f"{known}{', ' if known else ''}unknown for the dependencies ({first})"
    if not native:
        return ""
    names = ", ".join(map(str, native))
    try:
        return f"{names}; built with {(await equipped(project, application)).builder}"
    except InputError:
        return f"{names}; {project.builder} does not have these programs"


async def _missing(project: Project, native: tuple[Native, ...]) -> list[Native]:
    """Return the native code for which the builder lacks a program."""
    programs = sorted({program for item in native for program in item.programs})
    asked = builder(project).with_exec(["sh", "-c", _LACKING, "look for programs in the builder", *programs])
    absent = (await guard(asked.stdout(), f"looking in {project.builder} for {', '.join(programs)}")).split()
    found = [Native(item.name, tuple(program for program in item.programs if program in absent)) for item in native]
    return [item for item in found if item.programs]


async def native_dependencies(project: Project, application: Application) -> tuple[Native, ...]:
    """Return the dependencies whose compilation calls programs that are not part of Erlang."""
    if not (application.packages or application.repositories or application.unlocked or application.checkouts):
        return ()
    text = await (await _got(project, application)).file("/fetched/native.json").contents()
    return Native.parse(json.loads(text))


async def fetched(project: Project, application: Application) -> dagger.Container:
    """Fetch and compile the dependencies of the lock; the cache key does not depend on the project's code.

    Packages and git repositories are fetched in commands of their own, keyed by the lock's checksums and commits, so
    the cache answers for them without the network. The later commands use the network only where rebar3 itself must
    fetch something: plugins, and dependencies that are not locked.
    """
    got = _with_scripts(await _got(project, application), *_COMPILERS)
    if project.incremental:
        got = keeping(got, project, application)
    filled = got.with_exec(["sh", _FETCH, "compile", project.profile])
    filled = await guard(filled.sync(), "fetching and compiling the dependencies")
    # A fresh container, so that mirrors, secrets and caches of the fetching are not part of any later key.
    stage = (
        _locked(builder(project), project, application)
        .with_directory(f"{BUILD}/_build", filled.directory("/fetched/_build"))
        .with_directory(f"{_CACHE}/hex", filled.directory("/fetched/hex"))
        .with_env_variable("REBAR_OFFLINE", "1")
        .with_label("stage", "deps")
    )
    if application.packages:
        stage = stage.with_file(PACKAGES, filled.file(PACKAGES))
    else:
        stage = stage.with_new_file(PACKAGES, "")
    return await stage.sync()


async def _got(project: Project, application: Application) -> dagger.Container:
    """Let rebar3 unpack the dependencies from the files that were fetched."""
    steps = {dependency.name: _cloned(project, dependency) for dependency in application.repositories}
    if application.packages:
        steps[""] = _packages(project, application)
    trees = dict(zip(steps, await gathered(*steps.values()), strict=True))
    stand_ins = {app.app_file.removesuffix(".script"): _stand_in(app) for app in application.apps}
    container = configured(_locked(builder(project), project, application), application, more=stand_ins)
    if packages := trees.pop("", None):
        for name in ("packages", "packages.etf"):
            container = container.with_file(f"/pipeline/{name}", packages.file(name))
    if trees:
        container = with_git(container, project)
    for name, tree in trees.items():
        container = container.with_mounted_directory(f"/pipeline/git/{name}", tree)
    if application.plugins or application.unlocked:
        container = _with_git_access(_with_hex_access(container, project, application.hex), project)
        container = container.with_env_variable("PIPELINE_ONLINE", "yes")
    got = _with_scripts(container, _SOURCE, *_NATIVE).with_exec(["sh", _FETCH, "get", project.profile])
    return await guard(got.sync(), "fetching the dependencies")


async def _packages(project: Project, application: Application) -> dagger.Directory:
    """Fetch the locked Hex packages, checked against the lock's checksums: `packages.etf`, and a list of them."""
    container = (
        # The same builder for fetching, whatever builder compiles them.
        builder(dataclasses.replace(project, native=False))
        .with_file(f"{BUILD}/rebar.config", handover.file("rebar.config", application.hex))
        .with_file("/pipeline/wanted", handover.file("wanted", application.packages))
    )
    container = _with_scripts(_with_hex_access(container, project, application.hex), _SOURCE)
    found = container.with_exec(["sh", _FETCH, "packages"]).directory("/fetched")
    try:
        return await guard(found.sync(), "fetching the Hex packages of rebar.lock")
    except BuildError as error:
        private = private_repositories(application.hex)
        if not private or project.hex_key or not re.search(" answers 40[134]", str(error)):
            raise
        raise BuildError(f"{error}\n{', '.join(private)}: private; give the key with --hex-key=env:NAME") from None


async def registered(project: Project, hex_config: str, wanted: str, day: str) -> str:
    """Ask the Hex registries about packages (retired, advisories); return the JSON of `pipeline_registry.erl`.

    Answers are cached for a day. If a registry does not answer, the command fails, so that the next call asks again;
    the answers of the others are returned nevertheless.

    Parameters
    ----------
    project
        The project: how the registries are reached.
    hex_config
        The Hex repositories, as rebar.config names them.
    wanted
        The packages, as `pipeline_registry.erl` reads them.
    day
        The date of the query, as part of the cache key.
    """
    container = (
        builder(dataclasses.replace(project, native=False))
        .with_file(f"{BUILD}/rebar.config", handover.file("rebar.config", hex_config))
        .with_file("/pipeline/wanted", handover.file("wanted", wanted))
        .with_env_variable("REGISTRY_DATE", day)
    )
    container = _with_scripts(_with_hex_access(container, project, hex_config), *_REGISTRY)
    try:
        return await container.with_exec(["sh", _FETCH, "registry"]).stdout()
    except dagger.ExecError as error:
        if error.stdout:
            return error.stdout
        raise


async def _cloned(project: Project, dependency: GitDependency) -> dagger.Directory:
    """Fetch a git dependency by its commit, with its history; return its tree."""
    container = dag.container().from_(project.images["git"]).with_file("/pipeline/clone.sh", handover.script(_CLONE))
    command = ["sh", "/pipeline/clone.sh", dependency.url, dependency.commit, dependency.folder]
    tree = _with_git_access(container, project).with_exec(command).directory("/fetched")
    try:
        return await guard(tree.sync(), f"fetching the git dependency {dependency.name} of rebar.lock")
    except BuildError as error:
        hints = [hint for words, hint in _HINTS.items() if words in str(error)]
        raise BuildError("\n".join([str(error), *hints[:1]])) from None


def _with_git_access(container: dagger.Container, project: Project) -> dagger.Container:
    """Give git its configuration, SSH keys and the mirror."""
    if project.mirror:
        container = container.with_service_binding(MIRROR_HOST, project.mirror)
    if project.git_config:
        container = container.with_mounted_secret("/run/gitconfig", project.git_config)
        container = container.with_env_variable("GIT_CONFIG_GLOBAL", "/run/gitconfig")
    if project.ssh:
        container = container.with_unix_socket("/run/ssh.sock", project.ssh)
        container = container.with_env_variable("SSH_AUTH_SOCK", "/run/ssh.sock")
    if project.known_hosts:
        container = container.with_mounted_file("/run/known_hosts", project.known_hosts)
        container = container.with_env_variable("GIT_SSH_COMMAND", "ssh -o UserKnownHostsFile=/run/known_hosts")
    return container


def _with_scripts(container: dagger.Container, *paths: str) -> dagger.Container:
    return container.with_directory("/pipeline", handover.scripts(_FETCH_SH, *paths))


def _stand_in(app: OwnApplication) -> str:
    """Return a minimal resource file, by which rebar3 recognises an application."""
    return _STAND_IN % app.name


def _locked(container: dagger.Container, project: Project, application: Application) -> dagger.Container:
    """Put the lock and the checkouts in place."""
    if application.locked:
        container = container.with_file(f"{BUILD}/rebar.lock", project.source.file("rebar.lock"))
    if application.checkouts:
        container = container.with_directory(f"{BUILD}/_checkouts", project.source.directory("_checkouts"))
    return container


def _with_hex_access(container: dagger.Container, project: Project, hex_config: str) -> dagger.Container:
    """Configure the Hex repositories."""
    if project.mirror:
        container = container.with_service_binding(MIRROR_HOST, project.mirror)
    if project.hex_mirror:
        container = container.with_env_variable("HEX_CDN", project.hex_mirror)
    if project.hex_mirror_secret:
        container = container.with_secret_variable("HEX_CDN", project.hex_mirror_secret)
    if project.hex_mirror_key:
        container = container.with_mounted_file("/run/hex-mirror.pem", project.hex_mirror_key)
    if project.hex_key:
        # rebar3 reads the key from these folders, which exist only while the command runs.
        container = (
            container.with_mounted_temp("/root/.config/rebar3")
            .with_mounted_temp(_CACHE)
            .with_mounted_secret("/run/hex.key", project.hex_key)
            .with_new_file("/pipeline/repositories", "".join(f"{name}\n" for name in private_repositories(hex_config)))
        )
    return container


def private_repositories(hex_config: str) -> list[str]:
    """Return the names of the Hex repositories in a rebar.config, without the public one."""
    names = re.findall(r"name\s*=>\s*<<\"([\w:.-]+)\">>", hex_config)
    return [name for name in dict.fromkeys(names) if name != "hexpm"]
