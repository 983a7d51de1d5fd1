"""The stage of the release, with ERTS, sorted into the layers of the image."""

import dagger

from pipeline import handover
from pipeline.build.applications import aside, compiled
from pipeline.build.configuration import checked, made, proved
from pipeline.build.dependencies import libraries
from pipeline.errors import guard
from pipeline.project.application import Application
from pipeline.project.project import BUILD, Project, compiled_script

#: The time of every file that we make, so that a layer depends on its content only. Seconds since the epoch.
FILE_TIME = 315532800  # 1980-01-01, the earliest that zip archives can hold
_SCRIPTS = ("build/resources/release.sh", "build/resources/pack.sh")
#: Where the stages have the script that reads ELF files.
ELF = "/pipeline/elf.escript"


async def assembled(project: Project, application: Application) -> dagger.Container:
    """Assemble the release from the compiled applications, in `/opt/NAME` and, sorted by layer, in `/layers`."""
    replaced = await checked(project, application)
    container = await compiled(project, application)
    texts = {"rebar.config": application.configs["rebar.release.config"], **replaced}
    container = container.with_directory(BUILD, project.source.filter(include=aside(application))).with_directory(
        BUILD, handover.directory(texts)
    )
    if files := await made(project, application):
        container = container.with_directory("/pipeline", handover.directory(files))
    arguments = (project.profile, application.name, libraries(project), str(FILE_TIME))
    own = [app.name for app in application.apps]
    container = (
        container.with_directory("/pipeline", handover.scripts(*_SCRIPTS))
        .with_file(ELF, elf(project))
        .with_exec(["sh", "/pipeline/release.sh", *arguments, *own])
        .with_workdir(f"/opt/{application.name}")
        .with_label("stage", "release")
    )
    release = await guard(container.sync(), f"assembling the release {application.name}")
    await proved(release, application)
    return release


def elf(project: Project) -> dagger.File:
    """Return the script that reads and writes ELF files, to be put at `ELF`."""
    return compiled_script(project, "image/resources/elf.escript", "image/resources/root.hrl")


def packed(release: dagger.Container, name: str) -> dagger.File:
    """Return a tar that `release.sh` left of a release: what is made of it is keyed by its content."""
    # A file of a container would be keyed by the command; one of a directory is not.
    return release.directory("/packed").file(f"{name}.tar")
