"""The stage of the release, with ERTS, sorted into the layers of the image."""

import sys
from collections.abc import Mapping

import dagger

from pipeline import handover
from pipeline.build.applications import WITH_MODULES, aside, compiled
from pipeline.build.configuration import checked, made, proved
from pipeline.build.dependencies import libraries
from pipeline.errors import BuildError, guard
from pipeline.project.application import Application
from pipeline.project.project import BUILD, FILE_TIME, Project, compiled_script

_SCRIPTS = ("build/resources/release.sh", "build/resources/pack.sh")
#: Where the stages have the script that reads ELF files.
ELF = "/pipeline/elf.escript"


async def assembled(project: Project, application: Application) -> dagger.Container:
    """Assemble the release from the compiled applications, in `/opt/NAME` and, sorted by layer, in `/layers`.

    If relx needs the names of the project's modules alone, it gets placeholders, and the modules, stripped as relx does
    it, are put in afterwards: a change in a module does not make it assemble the release again. The command compares
    what relx did with each placeholder.
    """
    what = f"assembling the release {application.name}"
    replaced = await checked(project, application)
    parts = await compiled(project, application)
    release, failure = None, ""
    if parts.frame and parts.modules:
        framed = await _by_relx(project, application, parts.frame, replaced)
        try:
            failure = await guard(framed.file("/pipeline/unlike").contents(), what)
        except BuildError as error:
            failure = str(error)
        if not failure:
            release = framed.with_directory("/", parts.modules).with_directory("/layers/applications", parts.modules)
    if not release:
        whole = parts.container.with_directory(BUILD, project.source.filter(include=aside(application)))
        release = await guard((await _by_relx(project, application, whole, replaced)).sync(), what)
    if failure:
        # The run's log. What is wrong with the project itself, relx has said above.
        sys.stderr.write(WITH_MODULES.format(failure))
    await proved(release, application)
    return release


async def _by_relx(
    project: Project, application: Application, container: dagger.Container, replaced: Mapping[str, str]
) -> dagger.Container:
    """Let relx assemble the release from what is in a container; `replaced` are other texts of files, by path."""
    texts = {"rebar.config": application.configs["rebar.release.config"], **replaced}
    container = container.with_directory(BUILD, handover.directory(texts))
    if files := await made(project, application):
        container = container.with_directory("/pipeline", handover.directory(files))
    arguments = (project.profile, application.name, libraries(project), str(FILE_TIME))
    own = [app.name for app in application.apps]
    return (
        container.with_directory("/pipeline", handover.scripts(*_SCRIPTS))
        .with_file(ELF, elf(project))
        .with_exec(["sh", "/pipeline/release.sh", *arguments, *own])
        .with_workdir(f"/opt/{application.name}")
        .with_label("stage", "release")
    )


def elf(project: Project) -> dagger.File:
    """Return the script that reads and writes ELF files, to be put at `ELF`."""
    return compiled_script(project, "image/resources/elf.escript", "image/resources/root.hrl")


def packed(release: dagger.Container, name: str) -> dagger.File:
    """Return a tar that `release.sh` left of a release: what is made of it is keyed by its content."""
    # A file of a container would be keyed by the command; one of a directory is not.
    return release.directory("/packed").file(f"{name}.tar")
