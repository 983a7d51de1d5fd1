"""Reads the project in its own builder: Erlang parses Erlang."""

import json

from pipeline.errors import guard
from pipeline.project.application import DEVELOPMENT_PLUGINS, Application
from pipeline.project.project import Project, builder
from pipeline.scripts import script

#: What the reader needs to see: its key changes with the project's shape, not with its code.
_SHAPE = [
    "rebar.config",
    "rebar.config.script",
    "rebar.lock",
    "**/rebar.config",
    "**/rebar.config.script",
    "**/src/*.app.src",
    "**/src/*.app.src.script",
]


async def read(project: Project) -> Application:
    """Read the project: Erlang parses Erlang.

    Raises
    ------
    InputError
        If there is no release to build in it, or files disagree.
    """
    shape = project.source.filter(include=_SHAPE)
    if project.rebar_config:
        shape = shape.with_file("rebar.config", project.rebar_config).without_file("rebar.config.script")
    options = {
        "--release": project.release,
        "--release-version": project.release_version,
        "--apps": ",".join(project.apps),
        "--development-plugins": ",".join(DEVELOPMENT_PLUGINS),
    }
    arguments = [word for option, value in options.items() if value for word in (option, value)]
    out = (
        builder(project)
        .with_new_file("/pipeline/application.escript", script("project/resources/application.escript"))
        .with_new_file("/pipeline/common.hrl", script("project/resources/common.hrl"))
        .with_directory("/source", shape)
        .with_exec(["escript", "/pipeline/application.escript", "/source", "/out", *arguments])
        .directory("/out")
    )
    text = await guard(out.file("application.json").contents(), "reading rebar.config")
    if "error" in json.loads(text):
        return Application.parse(text, {})
    names = [name for name in await out.glob("**/*.config") if not name.endswith("/")]
    return Application.parse(text, {name: await out.file(name).contents() for name in names})
