"""Read the project by asking rebar3 in the project's own builder."""

import dataclasses
import json
import posixpath
from collections.abc import Iterable

import dagger

from pipeline.errors import InputError, gathered, guard
from pipeline.handover import script, scripts
from pipeline.project.application import Application
from pipeline.project.config_scripts import is_plain
from pipeline.project.project import BUILD, Project, asking, builder

#: What rebar3 must see to tell the shape of most projects: the key changes with that, not with the code.
_SHAPE = [
    "rebar.config",
    "rebar.lock",
    "relx.config",
    "**/rebar.config",
    "**/*.app.src",
    "**/*.script",
    "**/ebin/*.app",
    "**/mix.exs",
    "**/c_src/*",
]
#: Their being there counts, not what is in them.
_FOUND_BY_RELX = {f"config/{name}{src}" for name in ("sys.config", "vm.args") for src in ("", ".src")}
#: Where rebar3 looks for dependencies and applications.
_LINKED = ("_checkouts", "apps", "lib")
_PLUGIN = f"{BUILD}/_checkouts/pipeline_reader"
_PLUGIN_SOURCES = ("pipeline_reader.erl", "common.hrl", "native.hrl")
_PLUGIN_APP = (
    '{application, pipeline_reader, [{description, "reader"}, {vsn, "1"}, {registered, []}, '
    "{applications, [kernel, stdlib]}]}.\n"
)
_OUT = "/out"


async def read(project: Project) -> Application:
    """Ask rebar3 what it knows of the project.

    For most projects the configuration files are enough, so that no other change makes this run again. If a command or
    a file determines something, or a script may ask for more, rebar3 gets the whole source, and the git directory if
    it was given.

    Raises
    ------
    InputError
        If the project has no release, files contradict each other, or git is needed and was not given.
    """
    if project.git and "HEAD" not in await project.git.entries():
        raise InputError("--git: this is not a git directory (it has no HEAD); give that of the checkout, --git=.git")
    source = project.source
    if project.rebar_config:
        source = source.with_file("rebar.config", project.rebar_config).without_file("rebar.config.script")
    project = dataclasses.replace(project, source=source)
    # One question for all that is asked about names.
    names = await source.glob("**")
    await _refuse_links(source, names)
    if not any(name.startswith("rebar.config") for name in names):
        raise InputError("rebar.config: not found; give the root of a rebar3 project with --source")
    if await _has_plain_scripts(source, names):
        text, asked = await _ask(project, _shape(source, names), whole=False)
        if "again" not in json.loads(text):
            return Application.parse(text, asked)
    text, asked = await _ask(project, source, whole=True)
    if asked and not project.git and "--git=.git" not in json.loads(text).get("error", ""):
        raise InputError(
            f"rebar.config, its script, or an application's version runs git ({asked.splitlines()[0]}), but the "
            "sources are copied without their repository; give the .git directory of the checkout with --git=.git"
        )
    return Application.parse(text, asked)


async def _has_plain_scripts(source: dagger.Directory, names: Iterable[str]) -> bool:
    """Tell whether the configuration files are all that the scripts of the project, if any, can ask for."""
    paths = [name for name in names if name.endswith(".script")]
    return all(is_plain(text) for text in await gathered(*(source.file(path).contents() for path in paths)))


async def _refuse_links(source: dagger.Directory, names: Iterable[str]) -> None:
    """Raise `InputError` for a dependency or an application that is a link: rebar3 follows it, the stages do not."""
    # Names of folders end in a slash.
    for path in (name for name in names if posixpath.dirname(name) in _LINKED and not name.endswith("/")):
        if await source.exists(path, expected_type=dagger.ExistsType.SYMLINK_TYPE, do_not_follow_symlinks=True):
            raise InputError(
                f"{path}: this is a symbolic link, which the build does not follow; replace it with a copy of the "
                "directory (cp -RL)"
            )


def _shape(source: dagger.Directory, names: Iterable[str]) -> dagger.Directory:
    shape = source.filter(include=_SHAPE)
    for name in sorted(_FOUND_BY_RELX.intersection(names)):
        shape = shape.with_new_file(name, "")
    return shape


async def _ask(project: Project, source: dagger.Directory, *, whole: bool) -> tuple[str, str]:
    """Return the answer of `pipeline_reader.erl`, and what was asked of git meanwhile."""
    settings = {
        "OUT": f"{_OUT}/project.json",
        "WHOLE": "yes" if whole else "",
        "RELEASE": project.release,
        "RELEASE_VERSION": project.release_version,
        "APPS": ",".join(project.apps),
        "SYS_CONFIG": "given" if project.sys_config else "",
        "VM_ARGS": "given" if project.vm_args else "",
    }
    container = (
        # Always with the same builder: which one is taken, the answer has a say in.
        asking(
            builder(dataclasses.replace(project, native=False)).with_directory(BUILD, source),
            project,
            project.git if whole else None,
        )
        .with_file("/pipeline/reader.sh", script("project/resources/reader.sh"))
        # The project's own files stay as they are: rebar3's global configuration names the plugin.
        .with_new_file("/root/.config/rebar3/rebar.config", "{plugins, [pipeline_reader]}.\n")
        .with_new_file(f"{_PLUGIN}/src/pipeline_reader.app.src", _PLUGIN_APP)
        .with_directory(f"{_PLUGIN}/src", scripts(*(f"project/resources/{name}" for name in _PLUGIN_SOURCES)))
        # Plugins of the project are not there yet, and nothing is fetched for them: rebar3 warns and goes on.
        .with_env_variable("REBAR_OFFLINE", "1")
    )
    for name, value in settings.items():
        if value:
            container = container.with_env_variable(f"READER_{name}", value)
    out = container.with_exec(["sh", "/pipeline/reader.sh", project.profile]).directory(_OUT)
    text = await guard(out.file("project.json").contents(), "reading the project with rebar3")
    return text, await out.file("asked").contents()
