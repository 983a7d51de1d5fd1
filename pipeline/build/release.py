"""The stage of the release, with ERTS, sorted into the layers of the image."""

import dagger

from pipeline.build.applications import compiled
from pipeline.build.configuration import configuration
from pipeline.build.dependencies import LIB
from pipeline.errors import InputError, guard
from pipeline.project.application import Application
from pipeline.project.project import BUILD, Project
from pipeline.scripts import script

#: One time for every file that we make, so that a layer depends on its content alone. Seconds since the epoch.
FILE_TIME = 315532800  # 1980-01-01, the earliest that zip archives can hold


async def assembled(project: Project, application: Application) -> dagger.Container:
    """Assemble the release out of what is compiled; it lies in `/opt/NAME` and, sorted, in `/layers`."""
    base, built = await compiled(project, application)
    container = (
        base.with_new_file(f"{BUILD}/rebar.config", application.configs["rebar.release.config"])
        .with_new_file("/pipeline/layers.sh", script("build/resources/layers.sh"))
        .with_new_file(f"{BUILD}/sys.config.src", await configuration(project, application, "sys.config"))
        .with_new_file(f"{BUILD}/vm.args.src", await configuration(project, application, "vm.args"))
    )
    if application.overlay:
        container = container.with_directory(BUILD, await _overlay(project, application))
    for name, directory in built.items():
        container = container.with_directory(f"{LIB}/{name}", directory)
    container = (
        container.with_env_variable("ERL_LIBS", LIB)
        .with_env_variable("REBAR_OFFLINE", "1")
        .with_exec(["rebar3", "as", "prod", "release", "--relname", application.name])
        .with_exec(
            ["sh", "/pipeline/layers.sh", str(FILE_TIME), application.name, *(app.name for app in application.apps)]
        )
        .with_workdir(f"/opt/{application.name}")
        .with_label("stage", "release")
    )
    return await guard(container.sync(), f"assembling the release {application.name}")


async def _overlay(project: Project, application: Application) -> dagger.Directory:
    """Return the files that relx copies into the release, or say which is missing."""
    # "{{name}}" is relx's own template language: only relx knows such a path.
    known = [path for path in application.overlay if "{{" not in path]
    templated = ["config/**", "priv/**", "rel/**"] if len(known) < len(application.overlay) else []
    files = project.source.filter(include=[*known, *templated])
    for path in known:
        if not await files.glob(path):
            raise InputError(f"rebar.config: the overlay of relx copies {path}, which is not in --source")
    return files
