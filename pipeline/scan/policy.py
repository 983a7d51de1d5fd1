"""The policy: from the arguments, otherwise from the project's `erlmcp.toml`, otherwise the default."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import dagger
from dagger import dag

from pipeline.errors import InputError, parse_toml
from pipeline.project.settings import POLICY, SETTINGS
from pipeline.scan.acceptance import ACCEPTANCES, Acceptance, acceptance_json, acceptance_of, read_acceptances
from pipeline.scan.databases import MAX_AGE
from pipeline.scan.findings import Severity
from pipeline.scan.vex import Statement, otp_document, read_vex, statement_json, statement_of

_T = TypeVar("_T")
_EXAMPLE = """[policy]
fail-on = "HIGH"
only-fixed = false
fail-on-known-exploited = true
grace-days = 0
otp-vex = false
unknown-as = "HIGH"
accept-old-db = false
require = ["non-root", "no-setuid", "health", "base-pinned", "sbom"]
vex = ["vex/name.openvex.json"]"""


#: What `publish` can require of an image, as the compliance report has it, and what it does require by default.
CHECKS = (
    "non-root",
    "no-setuid",
    "health",
    "writable",
    "labels",
    "no-secret",
    "base-pinned",
    "size",
    "sbom",
)
REQUIRED = ("non-root", "no-setuid", "health", "base-pinned", "sbom")
#: What a command says to require nothing: a list that is empty is one that was not given.
_NOTHING = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """Which findings break it."""

    fail_on: Severity = Severity.HIGH
    #: Count only findings for which there is a fixed version.
    only_fixed: bool = False
    #: The severity of findings that no source rates; None for the threshold.
    unknown_as: Severity | None = None
    #: Whether what is known to be exploited breaks it whatever its severity, fixed or not.
    known_exploited: bool = True
    #: For how many days after there is a fixed version a finding only warns.
    grace_days: int = 0

    @property
    def unknown(self) -> Severity:
        """The severity of findings that no source rates."""
        return self.unknown_as or self.fail_on

    def __str__(self) -> str:
        """Describe what breaks it."""
        return f"{_or_worse(self.fail_on)}{' with a fix' if self.only_fixed else ''}"


def _or_worse(severity: Severity) -> str:
    return severity.name if severity is Severity.CRITICAL else f"{severity.name} or worse"


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """The policy with the statements and acceptances that were given."""

    policy: Policy = Policy()
    statements: tuple[Statement, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    #: Whether Erlang/OTP's own VEX document counts too.
    otp_vex: bool = False
    #: Of a vulnerability database; nothing for any age.
    max_age: dt.timedelta | None = MAX_AGE
    #: Checks of the compliance report without which nothing is published.
    require: tuple[str, ...] = REQUIRED

    def attested(self) -> dict[str, Any]:
        """Return them as JSON; `from_attested` reads it."""
        unknown = self.policy.unknown_as
        return {
            "fail_on": self.policy.fail_on.name,
            "only_fixed": self.policy.only_fixed,
            "unknown_as": unknown.name if unknown else None,
            "known_exploited": self.policy.known_exploited,
            "grace_days": self.policy.grace_days,
            "otp_vex": self.otp_vex,
            "max_age_days": self.max_age.days if self.max_age else None,
            "require": list(self.require),
            "accept": [acceptance_json(entry) for entry in self.acceptances],
            "vex": [statement_json(statement) for statement in self.statements],
        }

    @classmethod
    def from_attested(cls, attested: Mapping[str, Any]) -> Self:
        """Read the policy that an image was published with; the default for what the verdict does not contain."""
        default = cls()
        unknown = attested.get("unknown_as")
        days = attested.get("max_age_days", MAX_AGE.days)
        return cls(
            Policy(
                Severity.parse(attested.get("fail_on", default.policy.fail_on.name)),
                attested.get("only_fixed", default.policy.only_fixed),
                Severity.parse(unknown) if unknown else None,
                attested.get("known_exploited", default.policy.known_exploited),
                attested.get("grace_days", default.policy.grace_days),
            ),
            tuple(statement_of(raw) for raw in attested.get("vex", ())),
            tuple(acceptance_of(raw) for raw in attested.get("accept", ())),
            attested.get("otp_vex", default.otp_vex),
            None if days is None else dt.timedelta(days=days),
            tuple(attested.get("require", default.require)),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """The settings of a command or of the project; None where it does not set one."""

    fail_on: Severity | None = None
    only_fixed: bool | None = None
    unknown_as: Severity | None = None
    fail_on_known_exploited: bool | None = None
    grace_days: int | None = None
    otp_vex: bool | None = None
    accept_old_db: bool | None = None
    require: tuple[str, ...] | None = None
    statements: tuple[Statement, ...] | None = None
    acceptances: tuple[Acceptance, ...] | None = None

    def over(self, rules: Rules) -> Rules:
        """Return rules in which these settings replace others."""
        policy = rules.policy
        return Rules(
            Policy(
                _first(self.fail_on, policy.fail_on),
                _first(self.only_fixed, policy.only_fixed),
                policy.unknown_as if self.unknown_as is None else self.unknown_as,
                _first(self.fail_on_known_exploited, policy.known_exploited),
                _first(self.grace_days, policy.grace_days),
            ),
            _first(self.statements, rules.statements),
            _first(self.acceptances, rules.acceptances),
            _first(self.otp_vex, rules.otp_vex),
            rules.max_age if self.accept_old_db is None else None if self.accept_old_db else MAX_AGE,
            _first(self.require, rules.require),
        )


def _first(given: _T | None, otherwise: _T) -> _T:
    return otherwise if given is None else given


@dataclasses.dataclass(frozen=True, slots=True)
class Settings(Given):
    """The table `[policy]` of `erlmcp.toml`; None for a missing key."""

    #: Paths of OpenVEX documents, from the project's root.
    vex: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, name: str = SETTINGS) -> Self:
        """Read a settings file.

        Parameters
        ----------
        text
            TOML, perhaps with a table `[policy]`; what else is in it are arguments (`pipeline.project.settings`).
        name
            Of the file, for messages.

        Raises
        ------
        InputError
            If it is no TOML, or the table holds what is not known.
        """
        table = parse_toml(text, name).get(POLICY, {})
        if not isinstance(table, dict):
            raise InputError(f"{name}: {POLICY} must be a table; write settings such as\n{_EXAMPLE}")
        return cls(**{_field(key, name): _value(key, value, name) for key, value in table.items()})


#: Which of them a key says; the others are files of their own.
_FIELDS = Settings.__dataclass_fields__.keys() - {"statements", "acceptances"}


def _field(key: str, name: str) -> str:
    field = key.replace("-", "_")
    if "_" in key or field not in _FIELDS:
        raise InputError(f"{name}: unknown key policy.{key}; write settings such as\n{_EXAMPLE}")
    return field


def _value(key: str, value: object, name: str) -> Any:  # noqa: ANN401 # of the field's type
    match key, value:
        case (("fail-on" | "unknown-as"), str()):
            return _severity(value, f"{name}: policy.{key}")
        case "vex", list() if all(isinstance(path, str) for path in value):
            return tuple(value)
        case "require", list() if all(isinstance(check, str) for check in value):
            return _checks(value, f"{name}: policy.require")
        case (("only-fixed" | "fail-on-known-exploited" | "otp-vex" | "accept-old-db"), bool()):
            return value
        case "grace-days", int() if not isinstance(value, bool):
            return _days(value, f"{name}: policy.grace-days")
    raise InputError(f"{name}: policy.{key} = {value!r} has the wrong type; write settings such as\n{_EXAMPLE}")


def _severity(text: str, where: str) -> Severity:
    try:
        return Severity.parse(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _days(number: int, where: str) -> int:
    if number < 0:
        raise InputError(f"{where}: {number} is not a number of days; give 0 or more")
    return number


def _checks(names: Sequence[str], where: str) -> tuple[str, ...]:
    for name in names:
        if name not in CHECKS:
            raise InputError(f"{where}: {name} is not a check; the checks are {', '.join(CHECKS)}")
    return tuple(dict.fromkeys(names))


@dataclasses.dataclass(frozen=True, slots=True)
class Criteria:
    """The policy arguments of a command; None where the project, or else the default, decides."""

    fail_on: str = ""
    only_fixed: bool | None = None
    unknown_as: str = ""
    fail_on_known_exploited: bool | None = None
    grace_days: int | None = None
    vex: tuple[dagger.File, ...] = ()
    otp_vex: bool | None = None
    accept: dagger.File | None = None
    accept_old_db: bool | None = None
    require: tuple[str, ...] = ()


async def read_criteria(criteria: Criteria) -> Given:
    """Read the policy arguments of a command, with the files that they name.

    Raises
    ------
    InputError
        If something of it is wrong.
    """
    statements, acceptances = None, None
    if criteria.vex:
        texts = [(await file.contents(), f"--vex {await file.name()}") for file in criteria.vex]
        statements = tuple(statement for text, name in texts for statement in read_vex(text, name))
    if criteria.accept:
        acceptances = read_acceptances(await criteria.accept.contents(), f"--accept {await criteria.accept.name()}")
    require = () if criteria.require == (_NOTHING,) else _checks(criteria.require, "--require")
    return Given(
        _severity(criteria.fail_on, "--fail-on") if criteria.fail_on else None,
        criteria.only_fixed,
        _severity(criteria.unknown_as, "--unknown-as") if criteria.unknown_as else None,
        criteria.fail_on_known_exploited,
        None if criteria.grace_days is None else _days(criteria.grace_days, "--grace-days"),
        criteria.otp_vex,
        criteria.accept_old_db,
        require if criteria.require else None,
        statements,
        acceptances,
    )


async def project_rules(source: dagger.Directory) -> Rules:
    """Return the policy of a project: `erlmcp.toml` and `accept.toml`, over the default.

    Raises
    ------
    InputError
        If a file cannot be read, or one that the settings name is not there.
    """
    found = await source.glob("*.toml")
    settings = Settings.parse(await source.file(SETTINGS).contents()) if SETTINGS in found else Settings()
    documents = [(await _named(source, path), path) for path in settings.vex]
    acceptances = (
        read_acceptances(await source.file(ACCEPTANCES).contents(), ACCEPTANCES) if ACCEPTANCES in found else None
    )
    statements = tuple(statement for text, name in documents for statement in read_vex(text, name))
    return dataclasses.replace(settings, statements=statements, acceptances=acceptances).over(Rules())


async def _named(source: dagger.Directory, path: str) -> str:
    if not await source.glob(path):
        raise InputError(
            f"{SETTINGS}: policy.vex names {path}, which does not exist; put VEX documents in the project's folder vex/"
        )
    return await source.file(path).contents()


async def otp_statements(version: str) -> tuple[Statement, ...]:
    """Download the OpenVEX statements of Erlang/OTP for its releases (erlang.org/download/vex), if there are any."""
    if not version:
        return ()
    url = otp_document(version)
    try:
        return read_vex(await dag.http(url).contents(), url, told=False)
    except dagger.QueryError as error:
        raise InputError(f"--otp-vex: cannot download {url} ({error}); give the document with --vex") from None
