"""The user's arguments, and the build image that every stage starts from."""

import dataclasses
from pathlib import PurePosixPath

import dagger
from dagger import dag

from pipeline.errors import InputError
from pipeline.handover import script, scripts
from pipeline.project.images import Images

BUILD = "/build"
#: The time of every file that we make, so that a layer depends on its content only. Seconds since the epoch.
FILE_TIME = 315532800  # 1980-01-01, the earliest that zip archives can hold
_COMPILE = "project/resources/compile.sh"


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """The user's arguments, checked."""

    source: dagger.Directory
    images: Images
    #: Which pair of the table builds and carries the release.
    flavor: str = "alpine"
    #: Whether it takes the full builder of that flavor, which has a compiler.
    native: bool = False
    #: The profile of rebar3 that the release is built under.
    profile: str = "prod"
    #: The git folder of the checkout, for what asks it.
    git: dagger.Directory | None = None
    release: str = ""
    release_version: str = ""
    apps: tuple[str, ...] = ()
    rebar_config: dagger.File | None = None
    sys_config: dagger.File | None = None
    vm_args: dagger.File | None = None
    #: Whether a module is compiled only if it, or what it is made of, has changed since the engine last compiled it.
    incremental: bool = False
    #: Whether a cookie in the project's vm.args gives way to that of the environment.
    cookie_from_environment: bool = False
    hex_mirror: str = ""
    #: Its address with a login in it, instead.
    hex_mirror_secret: dagger.Secret | None = None
    hex_mirror_key: dagger.File | None = None
    hex_key: dagger.Secret | None = None
    git_config: dagger.Secret | None = None
    #: An agent with the keys for repositories that are reached by SSH, and the keys of their hosts.
    ssh: dagger.Socket | None = None
    known_hosts: dagger.File | None = None
    mirror: dagger.Service | None = None
    #: The image's process 1, instead of the table's.
    init: dagger.File | None = None
    #: The image's certificates, instead of the base's or the table's.
    certificates: dagger.File | None = None
    health_url: str = ""
    revision: str = ""
    created: str = ""
    labels: tuple[str, ...] = ()
    #: Of the image archive; the engine's own, if none is given.
    platforms: tuple[str, ...] = ()
    #: Where the image is published; empty if nobody said it.
    repository: str = ""
    #: A registry on the engine's own machine.
    registry_service: dagger.Service | None = None
    #: Docker's config.json with the logins of registries.
    docker_config: dagger.Secret | None = None
    #: The file that some of the images come from.
    image_table: dagger.File | None = None

    def refuse_incremental(self) -> None:
        """Raise `InputError` if modules may come from an earlier call: not in an image that leaves this machine."""
        if self.incremental:
            raise InputError(
                "--incremental: only for the stages, build-runtime, serve, health and size; an image that is judged, "
                "published or written as an archive is compiled without the cache of modules: call without it"
            )

    @property
    def builder(self) -> str:
        """The image with Erlang/OTP and rebar3."""
        return self.images[f"builder-{self.flavor}-full" if self.native else f"builder-{self.flavor}"]

    @property
    def runtime(self) -> str:
        """The base of the runtime image."""
        return self.images[f"runtime-{self.flavor}"]

    def repository_of(self, release: str) -> str:
        """Return what reports call a release's image: its repository, or the release's name while it has none."""
        return self.repository or release


def with_git(container: dagger.Container, project: Project) -> dagger.Container:
    """Make git available, from the image `git` if the build image has none."""
    root = dag.container().from_(project.images["git"]).rootfs()
    return _before_git(container).with_mounted_directory("/pipeline/git-root", root)


def asking(container: dagger.Container, project: Project, git: dagger.Directory | None) -> dagger.Container:
    """Record in `/pipeline/asked` which git commands run on the project's repository, and give it if there is one."""
    if not git:
        return _before_git(container)
    # git refuses a repository that belongs to somebody else, which the files of an upload do.
    settings = {"COUNT": "1", "KEY_0": "safe.directory", "VALUE_0": "*"}
    for name, value in settings.items():
        container = container.with_env_variable(f"GIT_CONFIG_{name}", value)
    return with_git(container, project).with_directory(f"{BUILD}/.git", git)


def _before_git(container: dagger.Container) -> dagger.Container:
    container = container.with_file("/pipeline/bin/git", script("project/resources/git.sh"), permissions=0o755)
    return container.with_env_variable("PATH", "/pipeline/bin:${PATH}", expand=True)


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


def compiled_script(project: Project, path: str, *included: str) -> dagger.File:
    """Return one of the module's own scripts in Erlang as the builder compiles it, once for all stages that run it.

    Parameters
    ----------
    project
        The project, whose builder compiles.
    path
        Of an escript or a module, in this package.
    included
        The paths of files that it includes.
    """
    source = PurePosixPath(path)
    container = builder(project).with_user("root").with_directory("/pipeline", scripts(_COMPILE, path, *included))
    made = container.with_exec(["sh", "/pipeline/compile.sh", source.name]).directory("/compiled")
    return made.file((source.with_suffix(".beam") if source.suffix == ".erl" else source).name)
