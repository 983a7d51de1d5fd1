"""The stage of the release, with ERTS, sorted into the layers of the image."""

import dagger

from pipeline import handover
from pipeline.build.applications import aside, compiled
from pipeline.build.configuration import checked, made, proved
from pipeline.build.dependencies import libraries
from pipeline.errors import guard
from pipeline.project.application import Application
from pipeline.project.project import BUILD, Project

#: One time for every file that we make, so that a layer depends on its content alone. Seconds since the epoch.
FILE_TIME = 315532800  # 1980-01-01, the earliest that zip archives can hold


async def assembled(project: Project, application: Application) -> dagger.Container:
    """Assemble the release out of what is compiled; it lies in `/opt/NAME` and, sorted, in `/layers`."""
    replaced = await checked(project, application)
    container = await compiled(project, application)
    texts = {"rebar.config": application.configs["rebar.release.config"], **replaced}
    container = container.with_directory(BUILD, project.source.filter(include=aside(application))).with_directory(
        BUILD, handover.directory(texts)
    )
    if files := await made(project, application):
        container = container.with_directory("/pipeline", handover.directory(files))
    command = ["sh", "/pipeline/rebar3.sh", project.profile, "", "release", "--relname", application.name]
    own = [app.name for app in application.apps]
    container = (
        container.with_file("/pipeline/layers.sh", handover.script("build/resources/layers.sh"))
        .with_exec(command)
        .with_exec(["sh", "/pipeline/layers.sh", str(FILE_TIME), application.name, libraries(project), *own])
        .with_workdir(f"/opt/{application.name}")
        .with_label("stage", "release")
    )
    release = await guard(container.sync(), f"assembling the release {application.name}")
    await proved(release, application)
    return release
