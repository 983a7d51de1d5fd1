"""`erlmcp.toml`: arguments of the module that a project sets once. What the command line gives overrides the file."""

import contextlib
import dataclasses
import difflib
import enum
import inspect
import posixpath
import re
import typing
from collections.abc import Collection, Iterator, Mapping
from types import NoneType
from typing import Any

import dagger
from dagger import Name

from pipeline.errors import InputError, parse_toml

#: A settings file of this name in the project's root is read without being asked for.
SETTINGS = "erlmcp.toml"
#: The table in it that is no argument: `pipeline.scan.policy` reads it.
POLICY = "policy"
#: Why the file does not give an argument, by its name or its type.
_REFUSED: Mapping[str | type, str] = {
    "revision": "it belongs to one commit",
    "created": "it belongs to one commit",
    "incremental": "it is for the work at one machine",
    "scout_user": "it goes with --scout-token, a secret",
    dagger.Secret: "a secret is never read from a file of the project",
    dagger.Socket: "it belongs to one machine",
    dagger.Service: "it belongs to one machine",
    dagger.Directory: "no directory is read from the file",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Argument:
    """An argument of the module."""

    #: Its name in Python.
    python: str
    #: What it takes.
    type: Any

    @property
    def refusal(self) -> str:
        """Why the file cannot give it; empty if it can."""
        return _REFUSED.get(self.python) or _REFUSED.get(self.type, "")

    def value(self, given: object) -> Any:  # noqa: ANN401 # of the argument's type; of a file its path
        """Return what the file gives, or raise `ValueError` with what was expected."""
        match given:
            case str() if self.type is str:
                return given
            case str() if self.type is dagger.File:
                return _path(given)
            case str() if inspect.isclass(self.type) and issubclass(self.type, enum.Enum):
                if given in self.type.__members__:
                    return self.type[given]
            case bool() if self.type is bool:
                return given
            case list() if self.type == list[str] and all(isinstance(each, str) for each in given):
                return given
        raise ValueError(self.expected)

    @property
    def expected(self) -> str:
        """What it takes, as a reader writes it."""
        if self.type is bool:
            return "true or false"
        if self.type == list[str]:
            return 'a list of strings, such as ["a", "b"]'
        if self.type is dagger.File:
            return "the path of a file in the project, in quotes"
        if self.type is str:
            return "a string, in quotes"
        return " or ".join(f'"{name}"' for name in self.type.__members__)


def arguments(constructor: Any) -> dict[str, Argument]:  # noqa: ANN401 # what takes them
    """Return the arguments of the module by the names that the command line has for them.

    Parameters
    ----------
    constructor
        The function of Python that makes the module's object.
    """
    found = {}
    for python, kind in typing.get_type_hints(constructor, include_extras=True).items():
        if python == "return":
            continue
        given, *extras = typing.get_args(kind) if typing.get_origin(kind) is typing.Annotated else [kind]
        name = next((extra.name for extra in extras if isinstance(extra, Name)), python)
        taken = [each for each in typing.get_args(given) if each is not NoneType]
        # Of what may be None, the other type.
        found[name.replace("_", "-")] = Argument(
            python, taken[0] if NoneType in typing.get_args(given) and len(taken) == 1 else given
        )
    return found


def _path(text: str) -> str:
    path = posixpath.normpath(text)
    if not text or path.startswith(("/", "../")) or path in {".", ".."}:
        raise ValueError("the path of a file in the project, from its root")
    return path


def parse(text: str, known: Mapping[str, Argument]) -> dict[str, Any]:
    """Read what a settings file says of the module's arguments; the policy in it is not looked at.

    Parameters
    ----------
    text
        TOML.
    known
        The arguments of the module.

    Returns
    -------
    dict
        By the names of the command line: texts, switches, lists, and of files their paths from the project's root.

    Raises
    ------
    InputError
        If it is no TOML, or gives what is not known, not of its type, or not to be given there.
    """
    document = parse_toml(text, SETTINGS)
    policy = document.pop(POLICY, {})
    for key in policy if isinstance(policy, dict) else ():
        if key in known:
            raise InputError(
                f"{SETTINGS}: {key} is below [{POLICY}], and so part of the policy: move it above that line"
            )
    found = {}
    for key, given in document.items():
        if key not in known:
            raise InputError(f"{SETTINGS}: {key}: {_unknown(key, known)}")
        if refusal := known[key].refusal:
            example = "env:NAME" if known[key].type is dagger.Secret else "…"
            raise InputError(f"{SETTINGS}: {key}: {refusal}; give it in the call, --{key}={example}")
        try:
            found[key] = known[key].value(given)
        except ValueError as error:
            raise InputError(f"{SETTINGS}: {key} = {_written(given)}: expected {error}") from None
    return found


def _unknown(key: str, known: Mapping[str, Argument]) -> str:
    names = sorted(name for name, argument in known.items() if not argument.refusal)
    near = difflib.get_close_matches(key.replace("_", "-"), [*names, POLICY], 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"no such setting{hint}; expected one of {', '.join(names)}, or the table [{POLICY}]"


def _written(given: object) -> str:
    """Return a value as TOML has it, as far as a message needs it."""
    if isinstance(given, bool):
        return str(given).lower()
    return f'"{given}"' if isinstance(given, str) else str(given)


async def read(source: dagger.Directory, known: Mapping[str, Argument]) -> dict[str, Any]:
    """Return what a project's settings file gives, by the names of the command line; of a file its path.

    Raises
    ------
    InputError
        See `parse`; or if a file that it names is not there.
    """
    if SETTINGS not in await source.glob(SETTINGS):
        return {}
    found = parse(await source.file(SETTINGS).contents(), known)
    for key, value in found.items():
        if known[key].type is dagger.File and value not in await source.glob(value):
            raise InputError(f'{SETTINGS}: {key} = "{value}": there is no such file in the project')
    return found


@contextlib.contextmanager
def naming(settings: Collection[str]) -> Iterator[None]:
    """Say with an `InputError` which of the arguments that it names were not given in the call but by the file.

    Parameters
    ----------
    settings
        What the file gave, by the names of the command line; of a file `NAME=PATH`.
    """
    try:
        yield
    except InputError as error:
        names = (name.partition("=")[0] for name in settings)
        named = [name for name in names if re.search(rf"--{name}(?![\w-])", str(error))]
        if not named:
            raise
        raise InputError(f"{error} ({SETTINGS} sets {', '.join(named)})") from None
