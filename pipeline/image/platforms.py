"""Platforms other than the engine's own: their images are made by copying files, none of theirs runs.

BEAM files are the same on every processor. What differs is ERTS with the native libraries of OTP, which come from
that platform's own builder, and the base with its libraries, from that platform's own runtime.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import dagger
from dagger import dag

from pipeline.errors import InputError, guard
from pipeline.handover import scripts
from pipeline.project.project import Project

_SCRIPT = "/pipeline/elf.escript"


@dataclasses.dataclass(frozen=True, slots=True)
class Platform:
    """A platform that is not the engine's own."""

    name: str
    architecture: str


_KNOWN = {f"linux/{name}": Platform(f"linux/{name}", name) for name in ("amd64", "arm64")}


def parse_platforms(given: Iterable[str], own: str) -> dict[str, Platform | None]:
    """Read `--platforms`; return them by name, in one order, `None` for the engine's own.

    Parameters
    ----------
    given
        Names such as `linux/arm64`; none is the engine's own.
    own
        The engine's platform.

    Raises
    ------
    InputError
        If one is not known.
    """
    own = "/".join(own.split("/")[:2])
    names = sorted(set(given)) or [own]
    for name in names:
        if name != own and name not in _KNOWN:
            raise InputError(f"--platforms {name}: not a platform that the pipeline knows; one of {', '.join(_KNOWN)}")
    return {name: None if name == own else _KNOWN[name] for name in names}


async def architecture(platform: Platform | None) -> str:
    """Return the processor of a platform as images name it, such as `amd64`."""
    return platform.architecture if platform else (await dag.default_platform()).split("/")[1]


def container(platform: Platform | None, reference: str) -> dagger.Container:
    """Return an image for a platform; of another one than the engine's nothing runs."""
    return dag.container(platform=dagger.Platform(platform.name) if platform else None).from_(reference)


async def check_pulls(platform: Platform, reference: str) -> None:
    """Raise `InputError` unless there is an image for the platform."""
    try:
        await container(platform, reference).sync()
    except dagger.QueryError as error:
        raise InputError(
            f"{reference}: cannot be had for {platform.name}; choose an image that has it:\n{error}"
        ) from None


async def release_for(platform: Platform, project: Project, release: dagger.Container) -> dagger.Container:
    """Return the container of a release with its `/layers` made for another platform.

    Raises
    ------
    InputError
        If the builder has another Erlang for that platform, or a dependency or an application has native code.
    """
    await check_pulls(platform, project.builder)
    swapped = (
        release.with_directory("/pipeline", scripts("image/resources/elf.escript", "image/resources/root.hrl"))
        .with_mounted_directory("/foreign", container(platform, project.builder).rootfs())
        .with_exec(["escript", _SCRIPT, "swap", platform.architecture, "/layers", "/foreign"])
    )
    text = await guard(swapped.file("/layers/problems").contents(), f"taking ERTS for {platform.name}")
    refuse(text.splitlines(), project, platform)
    return swapped


def refuse(problems: Sequence[str], project: Project, platform: Platform) -> None:
    """Raise `InputError` for the first of the problems that `elf.escript swap` found, if any."""
    if not problems:
        return
    kind, _, what = problems[0].partition(" ")
    if kind == "native":
        application = what.removeprefix("lib/").partition("/")[0].rpartition("-")[0] or "the release"
        raise InputError(
            f"{application} has native code ({what}), made for the engine's own platform: an image for {platform.name} "
            "cannot be made by copying. Build that one where its code runs: the same command with "
            f"--platforms={platform.name}, and _EXPERIMENTAL_DAGGER_RUNNER_HOST set to an engine on {platform.name} "
            "(a real machine, or an emulated one)"
        )
    if kind == "processor":
        raise InputError(
            f"{project.builder}: no image for {platform.name}: {what} is for another processor; "
            "choose one that has it with --builder-image"
        )
    raise InputError(
        f"{project.builder}: its Erlang for {platform.name} is another: {what}; choose an image whose platforms have "
        "one version with --builder-image"
    )
