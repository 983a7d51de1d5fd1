"""Platforms other than the engine's own: their images are made by copying files; none of their programs runs.

BEAM files are the same on every processor. What differs is ERTS with the native libraries of OTP, which come from
that platform's own builder, and the base with its libraries, from that platform's own runtime.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import dagger
from dagger import dag

from pipeline.build.release import ELF, elf, packed
from pipeline.errors import InputError, guard
from pipeline.handover import scripts
from pipeline.project.project import FILE_TIME, Project, builder

_SCRIPTS = ("build/resources/pack.sh", "image/resources/swap.sh")


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
        Names such as `linux/arm64`; an empty list means the engine's own.
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
            raise InputError(f"--platforms {name}: not a supported platform; give {' or '.join(_KNOWN)}")
    return {name: None if name == own else _KNOWN[name] for name in names}


async def architecture(platform: Platform | None) -> str:
    """Return the processor of a platform as images name it, such as `amd64`."""
    return platform.architecture if platform else (await dag.default_platform()).split("/")[1]


def container(platform: Platform | None, reference: str) -> dagger.Container:
    """Return an image for a platform; programs of another platform than the engine's cannot run."""
    return dag.container(platform=dagger.Platform(platform.name) if platform else None).from_(reference)


async def check_pulls(platform: Platform, reference: str) -> None:
    """Raise `InputError` unless there is an image for the platform."""
    try:
        await container(platform, reference).sync()
    except dagger.QueryError as error:
        raise InputError(
            f"{reference}: not available for {platform.name}; give an image that has this platform:\n{error}"
        ) from None


async def erts_for(platform: Platform, project: Project, release: dagger.Container) -> dagger.File:
    """Return the layer of ERTS and OTP of a release, made for another platform: the only one that differs, as a tar.

    Raises
    ------
    InputError
        If the builder has another Erlang for that platform, or a dependency or an application has native code.
    """
    await check_pulls(platform, project.builder)
    # Of two files that are keyed by their content: after a change of an application the engine has the layer already.
    swapped = (
        builder(project)
        .with_user("root")
        .with_directory("/pipeline", scripts(*_SCRIPTS))
        .with_file(ELF, elf(project))
        .with_mounted_file("/pipeline/erts.tar", packed(release, "erts"))
        .with_mounted_file("/pipeline/native.tar", packed(release, "native"))
        .with_mounted_directory("/foreign", container(platform, project.builder).rootfs())
        .with_exec(["sh", "/pipeline/swap.sh", platform.architecture, str(FILE_TIME)])
    )
    text = await guard(swapped.file("/layers/problems").contents(), f"copying ERTS for {platform.name}")
    refuse(text.splitlines(), project, platform)
    return packed(swapped, "erts")


def refuse(problems: Sequence[str], project: Project, platform: Platform) -> None:
    """Raise `InputError` for the first of the problems that `elf.escript swap` found, if any."""
    if not problems:
        return
    kind, _, what = problems[0].partition(" ")
    if kind == "native":
        application = what.removeprefix("lib/").partition("/")[0].rpartition("-")[0] or "the release"
        raise InputError(
            f"{application} has native code ({what}), which was compiled for the engine's platform, so that the image "
            f"for {platform.name} cannot be made here. Build it on an engine of that platform: run the same command "
            f"with --platforms={platform.name} and with _EXPERIMENTAL_DAGGER_RUNNER_HOST set to an engine on "
            f"{platform.name} (a real or an emulated machine)"
        )
    if kind == "processor":
        raise InputError(
            f"{project.builder}: its image for {platform.name} is wrong: {what} is for another processor; "
            "give a correct image with --builder-image"
        )
    raise InputError(
        f"{project.builder}: its image for {platform.name} has another version of Erlang/OTP: {what}; give an image "
        "that has the same version for all platforms with --builder-image"
    )
