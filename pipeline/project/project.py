"""What the user gave, and the build image that every stage starts from."""

import dataclasses

import dagger
from dagger import dag

BUILD = "/build"


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
