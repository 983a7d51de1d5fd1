"""The stage of the locked dependencies."""

import dagger
from dagger import dag

from pipeline.errors import guard
from pipeline.project.application import Application
from pipeline.project.project import BUILD, Project, builder
from pipeline.scripts import script

#: Where every compiled application lies, by name: dependencies and the project's own.
LIB = f"{BUILD}/lib"
#: The host name under which `--mirror` is known to the stages that fetch.
MIRROR_HOST = "mirror"


async def fetched(project: Project, application: Application) -> dagger.Container:
    """Fetch and compile the locked dependencies; nothing of the project's code is in its key."""
    container = (
        builder(project)
        .with_new_file(f"{BUILD}/rebar.config", application.configs["rebar.deps.config"])
        .with_new_file("/pipeline/collect.sh", script("build/resources/collect.sh"))
    )
    if application.locked:
        container = container.with_new_file(f"{BUILD}/rebar.lock", await project.source.file("rebar.lock").contents())
    if application.checkouts:
        container = container.with_directory(f"{BUILD}/_checkouts", project.source.directory("_checkouts"))
    cache = "/root/.cache/rebar3"
    filled = (
        container.with_(lambda ctr: _fetching(ctr, project))
        .with_mounted_cache(cache, dag.cache_volume("erlmcp-rebar3"), sharing=dagger.CacheSharingMode.LOCKED)
        .with_exec(["rebar3", "as", "prod", "compile", "--deps_only"])
        .with_exec(["sh", "/pipeline/collect.sh", LIB, *_DEPENDENCY_DIRS])
    )
    # A fresh container: mirrors, sources and caches of the fetching stay out of every later key.
    stage = builder(project).with_directory(LIB, filled.directory(LIB)).with_label("stage", "deps")
    if application.plugins:
        plugins = "_build/default/plugins"
        stage = stage.with_directory(f"{BUILD}/{plugins}", filled.directory(plugins))
    return await guard(stage.sync(), "fetching and compiling the dependencies")


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
