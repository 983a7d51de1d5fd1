"""The stages that compile the project's own applications."""

import dataclasses
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

import dagger
from dagger import dag

from pipeline.build.dependencies import KEPT, MODULES, configured, fetched, keeping, libraries
from pipeline.errors import BuildError, InputError, gathered, guard
from pipeline.handover import script
from pipeline.project.application import Application, OwnApplication
from pipeline.project.project import BUILD, FILE_TIME, Project, asking, compiled_script, with_git
from pipeline.project.source import OWN_FILES

#: Documentation and tests, at the root and in the folder of each application: no stage before the release sees them.
#: A project whose build needs them is compiled in one stage, which sees everything.
_ASIDE = ("*.md", "doc", "docs", "test", "tests")
_ASIDE_AT_ROOT = (
    *(".github", ".gitlab", ".gitlab-ci.yml", "LICENSE*", "NOTICE*", "Dockerfile*", "Jenkinsfile*"),
    *OWN_FILES,
)
#: Folders of an application that compiling needs, even if relx copies files from them.
_OF_AN_APPLICATION = {"src", "include", "priv", "c_src"}
#: Headers of the project, for siblings that include them.
_HEADERS = ["include/**", "**/include/**/*.hrl"]
_CONFIGS = ("rebar.config", "rebar.config.script")
_ASKED = "===> git was asked"
#: What the compiler says if it lacks something that another application has.
_UNSEEN = re.compile(r"can't find include|undefined parse transform|behaviour \S+ undefined")
_TOGETHER = (
    "warning: all applications are compiled in one container, because one of them does not compile with only the "
    "interfaces of the applications in its .app.src; so a change in one may recompile others. The compiler said:\n{}\n"
)
#: What is said where placeholders for the modules would do for most projects, and do not for this one.
WITH_MODULES = (
    "warning: after each change of a module the release is assembled again, because it could not be done with "
    "placeholders for the modules. The command said:\n{}\n"
)
_SCRIPTS = ("application.sh", "pack.sh")
#: Compiled before, for all applications.
_COMPILER, _INTERFACE = "build/resources/pipeline_compiler.erl", "build/resources/pipeline_interface.escript"
_COMPILER_BEAM = "/pipeline/pipeline_compiler.beam"
#: What takes the modules out of applications, and what takes their place.
_PARTING = ("build/resources/pipeline_modules.escript", "build/resources/pipeline_placeholder.erl")
#: Set where every module is compiled: rebar3 need not look for one; see `rebar3.sh`.
_COMPILED = "PIPELINE_COMPILED"


@dataclasses.dataclass(frozen=True, slots=True)
class Compiled:
    """The compiled applications, on top of the dependencies, all in `/build/_build`."""

    container: dagger.Container
    #: The same with a placeholder for each module: keyed by the names of the modules, not by what they do. None if relx
    #: may need more of them, when it assembles the release.
    frame: dagger.Container | None = None
    #: The modules themselves, stripped, as `opt/NAME/lib/APPLICATION-VERSION/ebin`. The folders above them are there,
    #: too, since the engine gives those that it makes the time of day.
    modules: dagger.Directory | None = None


async def compiled(project: Project, application: Application) -> Compiled:
    """Compile the applications that the release needs.

    First, each application is compiled in a stage of its own. The stage sees the interfaces of the applications that it
    needs, or, if code of the project runs during compilation, everything that was compiled before it. If that fails (an
    application needs a sibling that it does not name, a hook needs more), everything is compiled in one stage that sees
    all files, as rebar3 does; the user gets the failure of that stage.

    Raises
    ------
    BuildError
        With rebar3's own words.
    InputError
        If the build runs git and --git was not given.
    """
    base = await fetched(project, application)
    failure = ""
    stages: dict[str, dagger.Container] | None = None
    if not application.one_stage and not application.executed:
        try:
            stages = await separate(project, application, base)
        except BuildError as error:
            failure = str(error)
    if stages:
        container = _joined(project, application, base, stages)
    else:
        container = await _together(project, application, base, grows=not failure or bool(_UNSEEN.search(failure)))
    if failure:
        # The run's log.
        sys.stderr.write(_TOGETHER.format(failure))
    if application.executed or application.assembled_with:
        return Compiled(container)
    return await _parted(project, application, base, container, list((stages or {}).values()))


async def _together(
    project: Project, application: Application, base: dagger.Container, *, grows: bool = True
) -> dagger.Container:
    """Compile in one container; with `grows` first application by application."""
    ways: dict[str, Callable[[dagger.Directory | None], dagger.Container]] = {
        "whole": lambda git: whole(project, application, base, git, siblings=False)
    }
    if grows:
        ways = {"grown": lambda git: grown(project, application, base, git), **ways}
    if application.other_apps:
        ways["siblings"] = lambda git: whole(project, application, base, git, siblings=True)
    git = project.git if application.asks_git else None
    failures: dict[str, BuildError] = {}
    for name, way in ways.items():
        for answering in (git, project.git) if project.git and not git else (git,):
            try:
                container = await guard(way(answering).sync(), "compiling")
                # For rebar3's own compiler nothing is compiled: it would do it again when it assembles the release.
                kept = project.incremental and name != "siblings"
                return container.with_env_variable(_COMPILED, "yes") if kept else container
            except BuildError as error:
                failures[name] = error
                if _ASKED not in str(error):
                    break
    # The failure of the stage that sees what the release needs; one that sees more may fail for unrelated reasons.
    raise _refusal(project, failures["whole"])


def _refusal(project: Project, failure: BuildError) -> BuildError | InputError:
    """Return the error for the user: what rebar3 said, or that --git is needed."""
    if _ASKED not in str(failure) or project.git:
        return failure
    what = str(failure).partition(_ASKED)[2].partition(": ")[2].splitlines()[0]
    return InputError(
        f"compiling runs git ({what}), but the sources are copied without their repository; "
        "give the .git directory of the checkout with --git=.git"
    )


async def separate(
    project: Project, application: Application, base: dagger.Container
) -> dict[str, dagger.Container] | None:
    """Compile each application beside the interfaces that it needs; applications that need no other one in parallel.

    The engine keys a command's output by the command, except a single file, which it keys by its content. So an
    interface is one file: as long as its content stays the same, the applications that need it are not compiled again.

    Returns
    -------
    The container of each, or None if the project cannot be compiled in this way: if code of one application runs while
    another is compiled, the other must see all of it.

    Raises
    ------
    BuildError
        With rebar3's own words.
    """
    ready = _seeing_interfaces(project, application, base)
    folder = libraries(project).removeprefix(f"{BUILD}/")
    stages: dict[str, dagger.Container] = {}
    for app in application.apps:
        container = ready.with_directory(BUILD, _files(project, application, app))
        if project.incremental:
            container = keeping(container, project, application)
        for name in application.needed(app):
            container = container.with_file(f"/pipeline/seen/{name}.tar", _left_by(stages[name]).file("interface.tar"))
        others = [other.dir for other in application.apps if other is not app]
        stages[app.name] = container.with_exec(
            [
                *("sh", "/pipeline/application.sh", project.profile, app.dir, app.name, folder),
                *(application.name, str(FILE_TIME), *others),
            ]
        )
    reasons = await gathered(
        *(guard(stage.file("/pipeline/why").contents(), f"compiling {name}") for name, stage in stages.items()),
        # What the release is assembled with, meanwhile.
        *([] if application.assembled_with else [_outside(project, application).sync()]),
    )
    return None if any(reasons[: len(stages)]) else stages


def _seeing_interfaces(project: Project, application: Application, base: dagger.Container) -> dagger.Container:
    """Return what the stage of every application begins with."""
    ready = configured(_ready(project, application, base, None), application)
    # rebar3 knows an application by this file.
    known = project.source.filter(include=[app.app_file for app in application.apps])
    for files in (*_shared(project, application), known):
        ready = ready.with_directory(BUILD, files)
    for name in _SCRIPTS:
        ready = ready.with_file(f"/pipeline/{name}", script(f"build/resources/{name}"))
    ready = ready.with_file("/pipeline/pipeline_interface.escript", compiled_script(project, _INTERFACE))
    ready = ready.with_file(_COMPILER_BEAM, compiled_script(project, _COMPILER))
    return ready if application.assembled_with else _parting(ready, project)


def _joined(
    project: Project, application: Application, base: dagger.Container, stages: Mapping[str, dagger.Container]
) -> dagger.Container:
    """Return all that the stages made in one container."""
    container = _seeing_interfaces(project, application, base)
    for app in application.apps:
        for path in (f"{BUILD}/{app.dir}", f"{libraries(project)}/{app.name}"):
            container = container.with_directory(path, stages[app.name].directory(path))
    return container.with_env_variable(_COMPILED, "yes").with_label("stage", "compile")


def _left_by(stage: dagger.Container) -> dagger.Directory:
    """Return the folder in which the command of a stage leaves files for others."""
    # A file of a container would be keyed by the command; a file of a directory is keyed by its content.
    return stage.directory("/pipeline")


def _parting(container: dagger.Container, project: Project) -> dagger.Container:
    """Give what parts an application into its modules and the rest."""
    for name in ("part.sh", "pack.sh"):
        container = container.with_file(f"/pipeline/{name}", script(f"build/resources/{name}"))
    for path in _PARTING:
        name = PurePosixPath(path).name.replace(".erl", ".beam")
        container = container.with_file(f"/pipeline/{name}", compiled_script(project, path))
    return container


async def _parted(
    project: Project,
    application: Application,
    base: dagger.Container,
    container: dagger.Container,
    stages: Sequence[dagger.Container],
) -> Compiled:
    """Part the modules from the applications: as each stage has done it, or all of them in the container."""
    if not stages:
        pairs = [word for app in application.apps for word in (app.dir, app.name)]
        folder = libraries(project).removeprefix(f"{BUILD}/")
        command = ["sh", "/pipeline/part.sh", folder, application.name, str(FILE_TIME), *pairs]
        stages = [_parting(container, project).with_exec(command)]
    try:
        reasons = await gathered(*(guard(each.file("/pipeline/whole").contents(), "parting") for each in stages))
    except BuildError as error:
        reasons = [str(error)]
        sys.stderr.write(WITH_MODULES.format(error))
    if any(reasons):
        return Compiled(container)
    frame = _parting(configured(_ready(project, application, base, None), application), project)
    frame = frame.with_directory(BUILD, _outside(project, application))
    modules = dag.directory()
    for number, stage in enumerate(stages):
        frame = frame.with_file(f"/pipeline/frames/{number}.tar", _left_by(stage).file("frame.tar"))
        modules = modules.with_directory("/", _left_by(stage).directory("stripped"))
    return Compiled(container, frame.with_env_variable(_COMPILED, "yes"), modules)


def _outside(project: Project, application: Application) -> dagger.Directory:
    """Return what relx needs of the source besides the applications: a change of documentation is none of that."""
    inside = ["include", *(["src", "c_src"] if len(_folders(application)) < len(application.apps) else [])]
    # rebar3 knows an application by its file.
    known = [app.app_file for app in application.apps]
    files = project.source.filter(include=[*known, *_taken_by_relx(application)])
    return _beside(project, application).filter(exclude=inside).with_directory("/", files)


def grown(
    project: Project, application: Application, base: dagger.Container, git: dagger.Directory | None
) -> dagger.Container:
    """Compile application by application: each stage adds the files of one application to the stage before."""
    container = configured(_ready(project, application, base, git), application)
    if application.one_stage:
        files = project.source.filter(exclude=[*aside(application), *_without(application)])
        return _compile(container.with_directory(BUILD, files), project, application, application.apps)
    for files in _shared(project, application):
        container = container.with_directory(BUILD, files)
    for app in application.apps:
        container = container.with_directory(BUILD, _files(project, application, app))
        container = _compile(container, project, application, [app])
    return container


def whole(
    project: Project,
    application: Application,
    base: dagger.Container,
    git: dagger.Directory | None,
    *,
    siblings: bool,
) -> dagger.Container:
    """Compile all at once with every file of the project; with `siblings` also applications outside the release."""
    exclude = [*_configurations(application), *([] if siblings else _strangers(application))]
    container = configured(_ready(project, application, base, git), application, "rebar.release.config")
    container = container.with_directory(BUILD, project.source.filter(exclude=exclude))
    # The siblings are none of the release's, and are compiled here too.
    project = dataclasses.replace(project, incremental=project.incremental and not siblings)
    return _compile(container, project, application, application.apps)


def aside(application: Application) -> list[str]:
    """Return the patterns of files that only the release may need: those that relx copies, and documentation."""
    dirs = _folders(application)
    # An application may have the name of such a folder.
    own = {"/".join(folder.split("/")[:depth]) for folder in dirs for depth in range(1, folder.count("/") + 2)}
    return [
        *(name for name in (*_ASIDE, *_ASIDE_AT_ROOT) if name not in own),
        *(f"{folder}/{name}" for folder in dirs for name in _ASIDE if f"{folder}/{name}" not in own),
        *_taken_by_relx(application),
    ]


def _taken_by_relx(application: Application) -> list[str]:
    """Return the patterns of files that relx copies from outside of the applications."""
    named = [file.path for file in (application.sys_config, application.vm_args) if file and file.path]
    paths = [
        re.sub(r"\{\{.*?\}\}", "*", path).rstrip("/")
        for path in (*named, *application.relx_files)
        if not path.startswith(("/", "{{"))
        and path.split("/")[0] not in _OF_AN_APPLICATION
        and not any(path == folder or path.startswith(f"{folder}/") for folder in _folders(application))
    ]
    return list(dict.fromkeys(paths))


def _folders(application: Application) -> list[str]:
    """Return the folders of the applications, without the root."""
    return [app.dir for app in application.apps if app.dir != "."]


def _shared(project: Project, application: Application) -> list[dagger.Directory]:
    """Return the files that every application sees: those outside of any application, and all headers."""
    headers = project.source.filter(include=_HEADERS, exclude=[*aside(application), *_without(application)])
    return [_beside(project, application), headers]


def _beside(project: Project, application: Application) -> dagger.Directory:
    """Return the files outside of the folders of applications."""
    return project.source.filter(exclude=[*aside(application), *_without(application), *_folders(application)])


def _files(project: Project, application: Application, app: OwnApplication) -> dagger.Directory:
    """Return the files of an application."""
    return project.source.filter(include=[f"{app.dir}/**"], exclude=[*aside(application), *_without(application)])


def _configurations(application: Application) -> list[str]:
    """Return the patterns of files that are in place already: configurations, lock, checkouts."""
    folders = [f"{app.dir}/" for app in application.apps if app.dir != "."]
    return [f"{folder}{name}" for folder in ("", *folders) for name in _CONFIGS] + ["rebar.lock", "_checkouts"]


def _strangers(application: Application) -> list[str]:
    """Return the files by which rebar3 would see the applications that the release does not need."""
    return [app.app_file for app in application.other_apps]


def _without(application: Application) -> list[str]:
    folders = [app.dir for app in application.other_apps if app.dir != "."]
    return [*_configurations(application), *_strangers(application), *folders]


def _ready(
    project: Project, application: Application, base: dagger.Container, git: dagger.Directory | None
) -> dagger.Container:
    container = asking(base, project, git)
    if application.repositories and not git:
        container = with_git(container, project)
    return container.with_file("/pipeline/rebar3.sh", script("build/resources/rebar3.sh"))


def _compile(
    container: dagger.Container, project: Project, application: Application, apps: Sequence[OwnApplication]
) -> dagger.Container:
    folders = ":".join(app.dir for app in apps)
    command = ["sh", "/pipeline/rebar3.sh", project.profile, folders, "compile"]
    if project.incremental:
        container = container.with_file(_COMPILER_BEAM, compiled_script(project, _COMPILER))
        container = keeping(container, project, application).with_exec(command)
        container = container.without_mount(MODULES).without_env_variable(KEPT)
    else:
        container = container.with_exec(command)
    return container.with_label("stage", "compile")
