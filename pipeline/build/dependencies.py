"""The stage of the dependencies."""

import re

import dagger
from dagger import dag

from pipeline.errors import BuildError, guard
from pipeline.project.application import Application, OwnApplication
from pipeline.project.project import BUILD, Project, builder
from pipeline.scripts import script

#: The host name under which `--mirror` is known to the stages that fetch.
MIRROR_HOST = "mirror"
#: A line for each locked package that was fetched: NAME VERSION REPOSITORY.
PACKAGES = "/pipeline/packages"
_CACHE = "/root/.cache/rebar3"
_STAND_IN = (
    '{application, %s, [{description, ""}, {vsn, "0"}, {registered, []}, {applications, [kernel, stdlib]}, '
    "{modules, []}]}.\n"
)


def libraries(project: Project) -> str:
    """Return the folder that has every compiled application by name: dependencies and the project's own."""
    # rebar3 joins the names of several profiles.
    return f"{BUILD}/_build/{project.profile.replace(',', '+')}/lib"


def configured(container: dagger.Container, application: Application, name: str = "rebar.config") -> dagger.Container:
    """Put the project's configurations in place; `name` is that of the root's."""
    container = container.with_new_file(f"{BUILD}/rebar.config", application.configs[name])
    for path, text in application.configs.items():
        if "/" in path:
            container = container.with_new_file(f"{BUILD}/{path}", text)
    return container


async def fetched(project: Project, application: Application) -> dagger.Container:
    """Fetch and compile the dependencies, as the lock has them; nothing of the project's code is in its key."""
    container = configured(await _locked(builder(project), project, application), application)
    for app in application.apps:
        container = container.with_new_file(f"{BUILD}/{app.app_file.removesuffix('.script')}", _stand_in(app))
    filled = (
        container.with_new_file("/pipeline/fetch.sh", script("build/resources/fetch.sh"))
        .with_(lambda ctr: _fetching(ctr, project, application))
        .with_(lambda ctr: _cached(ctr, project))
        .with_exec(["sh", "/pipeline/fetch.sh", project.profile])
    )
    # A fresh container: mirrors, secrets and caches of the fetching stay out of every later key.
    stage = (
        (await _locked(builder(project), project, application))
        .with_directory(f"{BUILD}/_build", filled.directory("/fetched/_build"))
        .with_directory(f"{_CACHE}/hex", filled.directory("/fetched/hex"))
        .with_file(PACKAGES, filled.file("/fetched/packages"))
        .with_env_variable("REBAR_OFFLINE", "1")
        .with_label("stage", "deps")
    )
    try:
        return await guard(stage.sync(), "fetching and compiling the dependencies")
    except BuildError as error:
        private = private_repositories(application)
        if not private or project.hex_key:
            raise
        raise BuildError(f"{error}\n{', '.join(private)}: give the key with --hex-key=env:NAME") from None


def _cached(container: dagger.Container, project: Project) -> dagger.Container:
    """Keep what rebar3 fetches for other builds, but for what only this one may have."""
    if project.hex_key:
        return container.with_mounted_temp(_CACHE)
    volume = dag.cache_volume("erlmcp-rebar3")
    return container.with_mounted_cache(_CACHE, volume, sharing=dagger.CacheSharingMode.LOCKED)


def _stand_in(app: OwnApplication) -> str:
    """Return what rebar3 needs of an application to see that it is there."""
    return _STAND_IN % app.name


async def _locked(container: dagger.Container, project: Project, application: Application) -> dagger.Container:
    """Put the lock and the checkouts in place."""
    if application.locked:
        container = container.with_new_file(f"{BUILD}/rebar.lock", await project.source.file("rebar.lock").contents())
    if application.checkouts:
        container = container.with_directory(f"{BUILD}/_checkouts", project.source.directory("_checkouts"))
    return container


def _fetching(container: dagger.Container, project: Project, application: Application) -> dagger.Container:
    """Say where packages and repositories come from."""
    if project.mirror:
        container = container.with_service_binding(MIRROR_HOST, project.mirror)
    if project.hex_mirror:
        container = container.with_env_variable("HEX_CDN", project.hex_mirror)
    if project.hex_mirror_key:
        container = container.with_mounted_file("/run/hex-mirror.pem", project.hex_mirror_key)
    if project.hex_key:
        container = (
            container.with_mounted_temp("/root/.config/rebar3")
            .with_mounted_secret("/run/hex.key", project.hex_key)
            .with_new_file("/pipeline/repositories", "".join(f"{name}\n" for name in private_repositories(application)))
        )
    if project.git_config:
        container = container.with_mounted_file("/run/gitconfig", project.git_config).with_env_variable(
            "GIT_CONFIG_GLOBAL", "/run/gitconfig"
        )
    return container


def private_repositories(application: Application) -> list[str]:
    """Return the names of the Hex repositories that rebar.config names, but for the public one."""
    names = re.findall(r"name\s*=>\s*<<\"([\w:.-]+)\">>", application.configs["rebar.config"])
    return [name for name in dict.fromkeys(names) if name != "hexpm"]
