"""The stages of the project's own applications: a tree that grows, in which rebar3 compiles what is new."""

import re
from collections.abc import Callable

import dagger

from pipeline.build.dependencies import configured, fetched
from pipeline.errors import BuildError, InputError, guard
from pipeline.handover import script
from pipeline.project.application import Application, OwnApplication
from pipeline.project.project import BUILD, Project, asking, with_git

#: Files for readers and for tests, at the root and in the folder of each application: no stage before the release
#: sees them. A project whose build needs them is compiled in one stage, which sees all.
_ASIDE = ("*.md", "doc", "docs", "test", "tests")
_ASIDE_AT_ROOT = (".github", ".gitlab", ".gitlab-ci.yml", "LICENSE*", "NOTICE*", "Dockerfile*", "Jenkinsfile*")
#: Folders of an application that relx may copy from, and that compiling needs all the same.
_OF_AN_APPLICATION = {"src", "include", "priv", "c_src"}
#: Headers of the project, for siblings that include them.
_HEADERS = ["include/**", "**/include/**/*.hrl"]
_CONFIGS = ("rebar.config", "rebar.config.script")
_ASKED = "===> git was asked"


async def compiled(project: Project, application: Application) -> dagger.Container:
    """Compile the applications that the release needs, on top of the dependencies, all in `/build/_build`.

    First each application in a stage of its own. What that cannot model (an application that needs a sibling without
    saying so, a hook that needs more) shows as a failure; then all is compiled in one stage that sees everything, as
    rebar3 does, and the failure of that one is the user's.

    Raises
    ------
    BuildError
        With rebar3's own words.
    InputError
        If git is asked, and its folder was not given.
    """
    base = await fetched(project, application)
    ways: list[Callable[[dagger.Directory | None], dagger.Container]] = [
        lambda git: grown(project, application, base, git),
        lambda git: whole(project, application, base, git, siblings=False),
    ]
    if application.other_apps:
        ways.append(lambda git: whole(project, application, base, git, siblings=True))
    git = project.git if application.asks_git else None
    failures: list[BuildError] = []
    for way in ways:
        for answering in (git, project.git) if project.git and not git else (git,):
            try:
                return await guard(way(answering).sync(), "compiling")
            except BuildError as error:
                failures.append(error)
                if _ASKED not in str(error):
                    break
    # Of the stage that sees what the release needs; one that sees more may fail for what nobody asked for.
    failure = failures[1] if len(failures) > 1 else failures[0]
    if _ASKED in str(failure) and not project.git:
        what = str(failure).partition(_ASKED)[2].partition(": ")[2].splitlines()[0]
        raise InputError(
            f"compiling asks git ({what}), and sources come without their repository; "
            "give the checkout's git folder with --git=.git"
        )
    raise failure


def grown(
    project: Project, application: Application, base: dagger.Container, git: dagger.Directory | None
) -> dagger.Container:
    """Compile application by application: each stage is the one before and the files of one application."""
    late = aside(application)
    container = configured(_ready(project, application, base, git), application)
    if application.one_stage:
        files = project.source.filter(exclude=[*late, *_without(application)])
        return _compile(container.with_directory(BUILD, files), project, application.apps)
    own = [app.dir for app in application.apps]
    container = container.with_directory(
        BUILD, project.source.filter(exclude=[*late, *_without(application), *own])
    ).with_directory(BUILD, project.source.filter(include=_HEADERS, exclude=[*late, *_without(application)]))
    for app in application.apps:
        files = project.source.filter(include=[f"{app.dir}/**"], exclude=[*late, *_without(application)])
        container = _compile(container.with_directory(BUILD, files), project, [app])
    return container


def whole(
    project: Project,
    application: Application,
    base: dagger.Container,
    git: dagger.Directory | None,
    *,
    siblings: bool,
) -> dagger.Container:
    """Compile all at once, with every file of the project there; `siblings`: applications that it does not need too."""
    exclude = [*_configurations(application), *([] if siblings else _strangers(application))]
    container = configured(_ready(project, application, base, git), application, "rebar.release.config")
    return _compile(container.with_directory(BUILD, project.source.filter(exclude=exclude)), project, application.apps)


def aside(application: Application) -> list[str]:
    """Return the patterns of what only the release may need: relx's own files, and files for readers."""
    named = [file.path for file in (application.sys_config, application.vm_args) if file and file.path]
    dirs = [app.dir for app in application.apps if app.dir != "."]
    relx = [
        re.sub(r"\{\{.*?\}\}", "*", path).rstrip("/")
        for path in (*named, *application.relx_files)
        if not path.startswith(("/", "{{"))
        and path.split("/")[0] not in _OF_AN_APPLICATION
        and not any(path == folder or path.startswith(f"{folder}/") for folder in dirs)
    ]
    return [
        *_ASIDE,
        *_ASIDE_AT_ROOT,
        *(f"{folder}/{name}" for folder in dirs for name in _ASIDE),
        *dict.fromkeys(relx),
    ]


def _configurations(application: Application) -> list[str]:
    """Return the patterns of what is there already: configurations, lock, checkouts."""
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
    container: dagger.Container, project: Project, apps: tuple[OwnApplication, ...] | list[OwnApplication]
) -> dagger.Container:
    folders = ":".join(app.dir for app in apps)
    return container.with_exec(["sh", "/pipeline/rebar3.sh", project.profile, folders, "compile"]).with_label(
        "stage", "compile"
    )
