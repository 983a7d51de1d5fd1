"""The application as rebar3 itself describes it."""

import dataclasses
import json
from typing import Any, Self

from pipeline.errors import InputError
from pipeline.project.vm_args import release_name_problem


@dataclasses.dataclass(frozen=True, slots=True)
class OwnApplication:
    """An application of the project."""

    name: str
    dir: str
    #: Path of its `.app.src`, `.app.src.script` or `.app`.
    app_file: str
    vsn: str
    #: Whether a command, a file or a script gives its version.
    computed: bool = False
    #: Applications that its own file names, of the project or not.
    needs: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigFile:
    """A `sys.config` or a `vm.args` of the project, as relx chooses it."""

    #: Empty if the project says that the release has none.
    path: str


@dataclasses.dataclass(frozen=True, slots=True)
class GitDependency:
    """A dependency that the lock has from a git repository."""

    name: str
    url: str
    commit: str
    #: The only part of the repository that is taken (rebar3's `git_subdir`); empty for the whole.
    folder: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Native:
    """An application, or the project's own configuration, that calls other programs than Erlang's to compile it."""

    name: str
    programs: tuple[str, ...]

    def __str__(self) -> str:
        """Return both, for people."""
        return f"{self.name} ({', '.join(self.programs)})"

    @classmethod
    def parse(cls, items: list[dict[str, Any]]) -> tuple[Self, ...]:
        """Make them of the JSON of `native.hrl`."""
        return tuple(cls(item["name"], tuple(item["programs"])) for item in items)


@dataclasses.dataclass(frozen=True, slots=True)
class Application:
    """A release and what it is made of."""

    name: str
    version: str
    #: In the order of the release.
    release_apps: tuple[str, ...]
    #: The project's own that the release needs, in the order in which rebar3 compiles them.
    apps: tuple[OwnApplication, ...]
    #: Applications of the project that the release does not need: never compiled.
    other_apps: tuple[OwnApplication, ...]
    locked: tuple[str, ...]
    #: Dependencies that are asked for, and not in the lock: their versions may change.
    unlocked: tuple[str, ...]
    checkouts: tuple[str, ...]
    #: What comes from Hex: a term of Erlang a line, with name, version and checksums (see `pipeline_source.erl`).
    packages: str
    #: Packages for which the lock has no checksum.
    without_checksum: tuple[str, ...]
    #: What comes from git.
    repositories: tuple[GitDependency, ...]
    #: Of the project itself; what its dependencies need is known once they are fetched.
    native: tuple[Native, ...]
    #: What rebar.config says of the repositories of Hex, as text; empty if nothing.
    hex: str
    #: Plugins that stay, and whether each has a version.
    plugins: dict[str, bool]
    dropped_plugins: tuple[str, ...]
    sys_config: ConfigFile | None
    vm_args: ConfigFile | None
    #: Paths that relx copies into the release besides, in its own notation.
    relx_files: tuple[str, ...]
    description: str
    licenses: tuple[str, ...]
    links: dict[str, str]
    #: Configurations of the stages, by path: of the project (`rebar.config`), of the release
    #: (`rebar.release.config`), of applications (`apps/x/rebar.config`).
    configs: dict[str, str]
    #: What of the project, or of its plugins, runs or reaches into other applications while one is compiled.
    executed: tuple[str, ...] = ()
    #: What may look at the modules of the project while relx assembles the release.
    assembled_with: tuple[str, ...] = ()
    #: What the project asks of its git repository when it is read.
    asked: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, asked: str = "") -> Self:
        """Make one of the reader's JSON.

        Parameters
        ----------
        text
            What `pipeline_reader.erl` wrote.
        asked
            What was asked of git meanwhile, a command a line.

        Raises
        ------
        InputError
            With the reader's own words, if it refused the project.
        """
        raw: dict[str, Any] = json.loads(text)
        if "error" in raw:
            raise InputError(raw["error"])
        if problem := release_name_problem(raw["name"]):
            raise InputError(f"rebar.config: {problem}")
        return cls(
            apps=tuple(OwnApplication(**_frozen(app)) for app in raw.pop("apps")),
            other_apps=tuple(OwnApplication(**_frozen(app)) for app in raw.pop("other_apps")),
            native=Native.parse(raw.pop("native")),
            repositories=tuple(GitDependency(**repository) for repository in raw.pop("repositories")),
            plugins={plugin["name"]: plugin["pinned"] for plugin in raw.pop("plugins")},
            links={link["name"]: link["url"] for link in raw.pop("links")},
            sys_config=_config_file(raw.pop("sys_config")),
            vm_args=_config_file(raw.pop("vm_args")),
            asked=tuple(dict.fromkeys(asked.splitlines())),
            **_frozen(raw),
        )

    @property
    def asks_git(self) -> bool:
        """Whether compiling asks git too: for a version that is none yet in the sources."""
        return bool(self.asked) and any(app.computed for app in self.apps)

    @property
    def one_stage(self) -> str:
        """Why everything is compiled in one stage; empty if each application has one of its own."""
        if len(self.apps) < 2:  # noqa: PLR2004 # one
            return "there is only one application"
        if any(app.dir == "." for app in self.apps):
            return "the root of the project is an application, and there are others"
        return ""

    def needed(self, app: OwnApplication) -> list[str]:
        """Return the names of the project's own applications that one needs, and those that they need, in order."""
        needed: set[str] = set(app.needs)
        for other in reversed(self.apps[: self.apps.index(app)]):
            if other.name in needed:
                needed.update(other.needs)
        return [other.name for other in self.apps[: self.apps.index(app)] if other.name in needed]

    def summary(self, native: str = "") -> str:
        """Return what was read as text for the user; `native` describes the native code."""
        ways = "each application in its own stage"
        if self.one_stage:
            ways = f"in one stage: {self.one_stage}"
        elif self.executed:
            ways = f"{ways}, one after the other: {self.executed[0]}"
        rows = {
            "release": f"{self.name} {self.version}",
            "applications": ", ".join(f"{app.name} {app.vsn}" for app in self.apps),
            "compiled": ways,
            "not in the release": ", ".join(app.name for app in self.other_apps),
            "locked": ", ".join(self.locked),
            "not locked": ", ".join(f"{name} (its version may change)" for name in self.unlocked),
            "no checksum": ", ".join(f"{name} (checked by the registry's checksum)" for name in self.without_checksum),
            "checkouts": ", ".join(self.checkouts),
            "plugins kept": ", ".join(
                name if pinned else f"{name} (no version: its version may change)"
                for name, pinned in self.plugins.items()
            ),
            "plugins dropped": ", ".join(self.dropped_plugins),
            "native code": native,
            "sys.config": _origin(self.sys_config),
            "vm.args": _origin(self.vm_args),
        }
        width = max(map(len, rows))
        return "\n".join(f"{key:<{width}}  {value or '-'}" for key, value in rows.items())


def _frozen(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}


def _config_file(raw: dict[str, Any] | None) -> ConfigFile | None:
    return ConfigFile(**raw) if raw else None


def _origin(file: ConfigFile | None) -> str:
    if file is None:
        return "the pipeline's default"
    return file.path or "none, as rebar.config requests"
