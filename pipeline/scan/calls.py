"""Find calls of the functions that advisories name, as evidence for the reader; it never changes the verdict."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Self

import dagger

from pipeline import handover
from pipeline.errors import guard

_CALLERS, _WANTED, _OUT = "/pipeline/callers.escript", "/pipeline/wanted", "/pipeline/callers.json"


#: Application and function (`my_mod:f/2`).
Call = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Callers:
    """The calls of a function from other applications of the release."""

    #: Whether the application is there without the function's module.
    missing: bool = False
    callers: tuple[Call, ...] = ()
    #: Those that call its module otherwise.
    of_module: tuple[Call, ...] = ()
    #: Those that call its application otherwise.
    of_application: tuple[Call, ...] = ()

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Read the result of `callers.escript` for one function."""
        calls = {
            key: tuple((each["application"], each["function"]) for each in raw[key])
            for key in ("callers", "of_module", "of_application")
        }
        return cls(raw["missing"], **calls)


async def callers(release: dagger.Container, name: str, wanted: Collection[str]) -> dict[str, Callers]:
    """Return the calls of some functions in a release, by function.

    Parameters
    ----------
    release
        A container with Erlang and the release.
    name
        Of the release, in /opt.
    wanted
        As `application module:function/arity`.

    Raises
    ------
    BuildError
        If the release cannot be read.
    """
    if not wanted:
        return {}
    found = (
        release.with_directory(
            "/pipeline", handover.scripts("scan/resources/callers.escript", "project/resources/common.hrl")
        )
        .with_file(_WANTED, handover.file("wanted", "".join(f"{each}\n" for each in sorted(wanted))))
        .with_exec(["escript", _CALLERS, f"/opt/{name}", _WANTED, _OUT])
    )
    text = await guard(found.file(_OUT).contents(), "the search for calls of vulnerable functions")
    return {each: Callers.parse(raw) for each, raw in json.loads(text).items()}


def evidence(package: str, functions: Sequence[str], known: Mapping[str, Callers], own: Collection[str]) -> str:
    """Return a sentence on who calls the vulnerable functions; empty if the advisory names none or none was searched.

    Parameters
    ----------
    package
        The application that has the flaw.
    functions
        That its record names.
    known
        Of the release.
    own
        The project's own applications: they come first.
    """
    asked = {each: known[f"{package} {each}"] for each in functions if f"{package} {each}" in known}
    if not asked:
        return ""
    gone = dict.fromkeys(name.rpartition(":")[0].strip("'") for name, each in asked.items() if each.missing)
    if all(each.missing for each in asked.values()):
        return f"{' and '.join(gone)} of {package} {'is' if len(gone) == 1 else 'are'} not in the image"
    for words, found in (
        ("called", [call for each in asked.values() for call in each.callers]),
        ("its module is called", [call for each in asked.values() for call in each.of_module]),
        (f"{package} is called", [call for each in asked.values() for call in each.of_application]),
    ):
        if found:
            return f"{words} by {_first(_ordered(found, own))}"
    return f"the code has no visible call from outside {package} (calls of names computed at run time are not visible)"


def _ordered(calls: Iterable[Call], own: Collection[str]) -> list[Call]:
    return sorted(set(calls), key=lambda call: (call[0] not in own, call))


def _first(calls: Sequence[Call]) -> str:
    more = f" and {len(calls) - 1} more" if len(calls) > 1 else ""
    return f"{calls[0][1]} of {calls[0][0]}{more}"
