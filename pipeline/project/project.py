"""What the user gave, and the build image that every stage starts from."""

import dataclasses

import dagger
from dagger import dag

from pipeline.project.images import Images

BUILD = "/build"


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """What the user gave, checked."""

    source: dagger.Directory
    images: Images
    #: Which pair of the table builds and carries the release.
    flavor: str = "alpine"
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
    #: Of the image archive; the engine's own, if none is given.
    platforms: tuple[str, ...] = ()
    #: Where the image is published; empty for the default.
    repository: str = ""
    #: A registry on the engine's own machine.
    registry_service: dagger.Service | None = None

    @property
    def builder(self) -> str:
        """The image with Erlang/OTP and rebar3."""
        return self.images[f"builder-{self.flavor}"]

    @property
    def runtime(self) -> str:
        """The base of the runtime image."""
        return self.images[f"runtime-{self.flavor}"]

    def repository_of(self, release: str) -> str:
        """Return the repository of a release's image."""
        return self.repository or f"ghcr.io/banyan-platform/{release}"


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
