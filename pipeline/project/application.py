"""What the pipeline knows of the application: read by Erlang out of `rebar.config`, `rebar.lock` and `*.app.src`."""

import dataclasses
import json
from typing import Any, Self

from pipeline.errors import InputError

#: Plugins for developers, which no release needs: dropped, so that a build does not fetch them.
#: Any other plugin stays (a port compiler or a code generator is part of the build).
DEVELOPMENT_PLUGINS = (
    "covertool",
    "coveralls",
    "erlfmt",
    "rebar3_appup_plugin",
    "rebar3_auto",
    "rebar3_bench",
    "rebar3_depup",
    "rebar3_edoc_extensions",
    "rebar3_ex_doc",
    "rebar3_format",
    "rebar3_hank",
    "rebar3_hex",
    "rebar3_lint",
    "rebar3_proper",
    "rebar3_sheldon",
    "rebar_covertool",
)


@dataclasses.dataclass(frozen=True, slots=True)
class OwnApplication:
    """An application of the project that the release needs."""

    name: str
    dir: str
    vsn: str
    #: Applications of the project that it needs itself, directly.
    needs: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Application:
    """A release and what it is made of."""

    name: str
    version: str
    #: In the order of the release.
    release_apps: tuple[str, ...]
    #: The project's own, each after those that it needs.
    apps: tuple[OwnApplication, ...]
    #: Applications of the project that the release does not need: never compiled.
    other_apps: tuple[str, ...]
    locked: tuple[str, ...]
    checkouts: tuple[str, ...]
    #: Plugins that stay, and whether each has a version.
    plugins: dict[str, bool]
    dropped_plugins: tuple[str, ...]
    #: Paths that relx names, whether they exist or not.
    sys_config: str | None
    vm_args: str | None
    #: Files that relx copies into the release besides.
    overlay: tuple[str, ...]
    description: str
    licenses: tuple[str, ...]
    links: dict[str, str]
    #: Generated configurations, by path (`rebar.deps.config`, `apps/x/rebar.config`, …).
    configs: dict[str, str]

    @classmethod
    def parse(cls, text: str, configs: dict[str, str]) -> Self:
        """Make one of the reader's JSON.

        Raises
        ------
        InputError
            With the reader's own words, if it refused the project.
        """
        raw: dict[str, Any] = json.loads(text)
        if "error" in raw:
            raise InputError(raw["error"])
        apps = tuple(
            OwnApplication(app["name"], app["dir"], app["vsn"], tuple(app["needs"])) for app in raw.pop("apps")
        )
        return cls(
            apps=apps,
            configs=configs,
            plugins={plugin["name"]: plugin["pinned"] for plugin in raw.pop("plugins")},
            links={link["name"]: link["url"] for link in raw.pop("links")},
            **{key: _frozen(value) for key, value in raw.items()},
        )

    def closure(self, app: OwnApplication) -> tuple[str, ...]:
        """Return the project's applications that `app` needs, directly or not, in dependency order."""
        needed: set[str] = set(app.needs)
        for other in reversed(self.apps):
            if other.name in needed:
                needed.update(other.needs)
        return tuple(other.name for other in self.apps if other.name in needed)

    def summary(self) -> str:
        """Return what was read, for people."""
        rows = {
            "release": f"{self.name} {self.version}",
            "applications": ", ".join(f"{app.name} {app.vsn}" for app in self.apps),
            "not in the release": ", ".join(self.other_apps),
            "locked": ", ".join(self.locked),
            "checkouts": ", ".join(self.checkouts),
            "plugins kept": ", ".join(
                name if pinned else f"{name} (no version: fetched anew)" for name, pinned in self.plugins.items()
            ),
            "plugins dropped": ", ".join(self.dropped_plugins),
            "sys.config": self.sys_config or "made by the pipeline",
            "vm.args": self.vm_args or "made by the pipeline",
        }
        width = max(map(len, rows))
        return "\n".join(f"{key:<{width}}  {value or '-'}" for key, value in rows.items())


def _frozen(value: Any) -> Any:  # noqa: ANN401 # JSON
    return tuple(value) if isinstance(value, list) else value
