"""What an image may not have: what a command says, else what the project says in `erlmcp.toml`, else the default."""

import dataclasses
import datetime as dt
from typing import Any, Self, TypeVar

import dagger
from dagger import dag

from pipeline.errors import InputError, parse_toml
from pipeline.sbom.sbom import Sbom
from pipeline.scan.acceptance import ACCEPTANCES, Acceptance, read_acceptances
from pipeline.scan.databases import MAX_AGE
from pipeline.scan.findings import Severity
from pipeline.scan.vex import Statement, otp_document, read_vex

_T = TypeVar("_T")
#: A settings file of this name in the project's root is read without being asked for.
SETTINGS = "erlmcp.toml"
_EXAMPLE = """[policy]
fail-on = "HIGH"
only-fixed = false
otp-vex = false
accept-old-db = false
vex = ["vex/name.openvex.json"]"""


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What an image may not have."""

    fail_on: Severity = Severity.HIGH
    #: Count only findings for which there is a fixed version.
    only_fixed: bool = False

    def __str__(self) -> str:
        """Name what breaks it."""
        return f"{_or_worse(self.fail_on)}{' with a fix' if self.only_fixed else ''}"


def _or_worse(severity: Severity) -> str:
    return severity.name if severity is Severity.CRITICAL else f"{severity.name} or worse"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The table `[policy]` of `erlmcp.toml`; nothing for what it does not say."""

    fail_on: Severity | None = None
    only_fixed: bool | None = None
    otp_vex: bool | None = None
    accept_old_db: bool | None = None
    #: Paths of OpenVEX documents, from the project's root.
    vex: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, name: str = SETTINGS) -> Self:
        """Read a settings file.

        Parameters
        ----------
        text
            TOML with a table `[policy]`.
        name
            Of the file, for messages.

        Raises
        ------
        InputError
            If it is no TOML, or holds what is not known.
        """
        document = parse_toml(text, name)
        table = document.pop("policy", {})
        if document or not isinstance(table, dict):
            unknown = next(iter(document), "policy")
            raise InputError(f"{name}: {unknown} is not known here; expected such as\n{_EXAMPLE}")
        return cls(**{_field(key, name): _value(key, value, name) for key, value in table.items()})


def _field(key: str, name: str) -> str:
    field = key.replace("-", "_")
    if "_" in key or field not in Settings.__dataclass_fields__:
        raise InputError(f"{name}: policy.{key} is not known; expected such as\n{_EXAMPLE}")
    return field


def _value(key: str, value: object, name: str) -> Any:  # noqa: ANN401 # of the field's type
    match key, value:
        case "fail-on", str():
            return _severity(value, f"{name}: policy.fail-on")
        case "vex", list() if all(isinstance(path, str) for path in value):
            return tuple(value)
        case (("only-fixed" | "otp-vex" | "accept-old-db"), bool()):
            return value
    raise InputError(f"{name}: policy.{key} = {value!r} is not of its kind; expected such as\n{_EXAMPLE}")


def _severity(text: str, where: str) -> Severity:
    try:
        return Severity.parse(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


@dataclasses.dataclass(frozen=True, slots=True)
class Criteria:
    """What a command asks of an image; nothing where the project, or else the default, decides."""

    fail_on: str = ""
    only_fixed: bool | None = None
    vex: tuple[dagger.File, ...] = ()
    otp_vex: bool | None = None
    accept: dagger.File | None = None
    accept_old_db: bool | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of an image, with all that was given for it."""

    policy: Policy = Policy()
    statements: tuple[Statement, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    #: Whether Erlang/OTP's own VEX document counts too.
    otp_vex: bool = False
    #: Of a vulnerability database; nothing for any age.
    max_age: dt.timedelta | None = MAX_AGE


async def read_rules(criteria: Criteria, source: dagger.Directory) -> Rules:
    """Return what is asked of an image, before anything is built.

    Parameters
    ----------
    criteria
        What the command says; it overrides the project's own.
    source
        The project's root, with its `erlmcp.toml` and `accept.toml`, if it has them.

    Raises
    ------
    InputError
        If a file cannot be read, or one that the settings name is not there.
    """
    found = await source.glob("*.toml")
    settings = Settings.parse(await source.file(SETTINGS).contents()) if SETTINGS in found else Settings()
    documents = (
        [(await file.contents(), f"--vex {await file.name()}") for file in criteria.vex]
        if criteria.vex
        else [(await _named(source, path), path) for path in settings.vex]
    )
    if criteria.accept:
        acceptances = read_acceptances(await criteria.accept.contents(), f"--accept {await criteria.accept.name()}")
    elif ACCEPTANCES in found:
        acceptances = read_acceptances(await source.file(ACCEPTANCES).contents(), ACCEPTANCES)
    else:
        acceptances = ()
    given = _severity(criteria.fail_on, "--fail-on") if criteria.fail_on else None
    return Rules(
        Policy(_first(given, settings.fail_on, Severity.HIGH), _first(criteria.only_fixed, settings.only_fixed, False)),  # noqa: FBT003
        tuple(statement for text, name in documents for statement in read_vex(text, name)),
        acceptances,
        _first(criteria.otp_vex, settings.otp_vex, False),  # noqa: FBT003
        None if _first(criteria.accept_old_db, settings.accept_old_db, False) else MAX_AGE,  # noqa: FBT003
    )


def _first(given: _T | None, own: _T | None, default: _T) -> _T:
    return next((value for value in (given, own) if value is not None), default)


async def _named(source: dagger.Directory, path: str) -> str:
    if not await source.glob(path):
        raise InputError(
            f"{SETTINGS}: policy.vex names {path}, which is not there; VEX documents lie in the project's folder vex/"
        )
    return await source.file(path).contents()


async def otp_statements(sbom: Sbom | None) -> tuple[Statement, ...]:
    """Fetch what Erlang/OTP says of the vulnerabilities of its releases (erlang.org/download/vex)."""
    version = next((part.version for part in sbom.components if part.name == "erlang"), "") if sbom else ""
    if not version:
        return ()
    url = otp_document(version)
    try:
        return read_vex(await dag.http(url).contents(), url, told=False)
    except dagger.QueryError as error:
        raise InputError(f"--otp-vex: {url} cannot be fetched ({error}); give it as a file with --vex") from None
