"""The stages of the project's own applications, one for each."""

import anyio
import dagger

from pipeline.build.dependencies import LIB, fetched
from pipeline.errors import BuildError, guard
from pipeline.project.application import Application, OwnApplication
from pipeline.project.project import BUILD, Project
from pipeline.scripts import script

#: Headers of the project, for siblings that include them.
_HEADERS = ["include/**", "**/include/**/*.hrl"]


async def compile_app(
    project: Project,
    application: Application,
    base: dagger.Container,
    app: OwnApplication,
    built: dict[str, dagger.Directory],
) -> dagger.Directory:
    """Compile one application of the project; return its `ebin`, `priv` and `include`."""
    single = app.dir == "."
    sources = project.source if single else project.source.directory(app.dir)
    target = BUILD if single else f"{BUILD}/{app.dir}"
    if single:
        sources = sources.filter(include=["src/**", "include/**", "priv/**", "c_src/**"])
    config = application.configs["rebar.compile.config"] + f'{{project_app_dirs, ["{app.dir}"]}}.\n'
    container = (
        base.with_new_file(f"{BUILD}/rebar.config", config)
        .with_new_file("/pipeline/collect.sh", script("build/resources/collect.sh"))
        .with_new_file("/pipeline/compile.sh", script("build/resources/compile.sh"))
        .with_directory(BUILD, project.source.filter(include=_HEADERS))
        .with_directory(target, sources)
    )
    if own_config := application.configs.get(f"apps/{app.dir}/rebar.config"):
        container = container.with_new_file(f"{target}/rebar.config", own_config)
    for needed in application.closure(app):
        container = container.with_directory(f"{LIB}/{needed}", built[needed])
    siblings = [f"{other.name}={other.dir}" for other in application.apps if other.name != app.name]
    container = (
        container.with_env_variable("ERL_LIBS", LIB)
        .with_env_variable("REBAR_OFFLINE", "1")
        .with_exec(["sh", "/pipeline/compile.sh", app.name, app.dir, *siblings])
    )
    return await guard(container.directory(f"{BUILD}/built/{app.name}").sync(), f"{app.dir}: compiling {app.name}")


async def compile_all(
    project: Project, application: Application, base: dagger.Container
) -> dict[str, dagger.Directory]:
    """Compile every application of the project that the release needs, those that can at the same time."""
    built: dict[str, dagger.Directory] = {}
    failures: list[Exception] = []
    done = {app.name: anyio.Event() for app in application.apps}

    async def one(app: OwnApplication) -> None:
        try:
            for needed in application.closure(app):
                await done[needed].wait()
            if not failures:
                built[app.name] = await compile_app(project, application, base, app, built)
        except BuildError as error:
            failures.append(error)
        finally:
            done[app.name].set()

    async with anyio.create_task_group() as group:
        for app in application.apps:
            group.start_soon(one, app)
    if failures:
        raise failures[0]
    return built


async def compiled(project: Project, application: Application) -> tuple[dagger.Container, dict[str, dagger.Directory]]:
    """Return the container of the dependencies and the compiled applications."""
    base = await fetched(project, application)
    return base, await compile_all(project, application, base)


async def stage(project: Project, application: Application) -> dagger.Container:
    """Return the container of the dependencies and of the compiled applications, all in `/build/lib`."""
    container, built = await compiled(project, application)
    for name, directory in built.items():
        container = container.with_directory(f"{LIB}/{name}", directory)
    return container.with_label("stage", "compile")
