"""The findings of the scanners: each advisory of each package once for each scanner."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Self, TypeVar

from pipeline.errors import InputError
from pipeline.sbom.component import Kind
from pipeline.sbom.purl import Purl
from pipeline.scan.databases import Database

_T = TypeVar("_T")
#: The name under which Erlang/OTP as a whole is shown, whatever a scanner calls it.
ERLANG = "Erlang/OTP"
#: The name under which a system without security fixes is a finding.
END_OF_LIFE = "end-of-life"
#: The name under which a release of a Hex package is a finding that was retired.
RETIRED = "retired"
_ERLANG_NAMES = frozenset({"erlang", "otp", "erlang/otp", "erlang-otp"})

_KINDS_BY_TYPE = {
    # package URL types, and the scanners' own names of types where they give no package URL
    **dict.fromkeys(("deb", "apk", "rpm", "alpm", "os-pkgs"), "os"),
    **dict.fromkeys(("otp", "erlang-otp"), "otp"),
    "hex": "hex",
    **dict.fromkeys(("github", "gitlab", "bitbucket"), "git"),
}

# Names of one flaw each. A distribution's bulletin (DSA, RHSA, ...) speaks of several at once: folding by it would
# join what is not the same.
_SINGLE = ("CVE", "EEF", "GHSA", "OSV")
_TITLE = 120


class Severity(enum.IntEnum):
    """The severity of a finding, in the order of the scanners."""

    UNKNOWN = 0
    NEGLIGIBLE = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the severity of a name in any case, or raise `InputError`."""
        found = cls.__members__.get(text.strip().upper())
        if not found:
            names = ", ".join(severity.name for severity in reversed(cls) if severity)
            raise InputError(f"{text}: not a severity; use {names}")
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Urgency:
    """How urgent a vulnerability is: whether and how likely it is exploited, and since when it is fixed."""

    #: The day on which CISA's catalogue of known exploited vulnerabilities took it in; nothing if it is not there.
    exploited: dt.date | None = None
    #: How likely it is exploited within 30 days (EPSS of FIRST), from 0 to 1; nothing if nobody says.
    epss: float | None = None
    #: Of CVSS 3 or 4, from 0 to 10, the highest that somebody gives; nothing if nobody does.
    score: float | None = None
    #: Since when there is a fixed version, if that day is known.
    fixed_on: dt.date | None = None

    def joined(self, other: Self) -> Self:
        """Combine what two sources know of the same vulnerability: the worse value and the earlier day."""
        return type(self)(
            _first(min, self.exploited, other.exploited),
            _first(max, self.epss, other.epss),
            _first(max, self.score, other.score),
            _first(min, self.fixed_on, other.fixed_on),
        )

    def __str__(self) -> str:
        """Return text on whether or how likely it is exploited; empty if not known."""
        if self.exploited:
            return f"known to be exploited since {self.exploited} (CISA KEV)"
        return f"EPSS {self.percent}" if self.epss is not None else ""

    @property
    def percent(self) -> str:
        """The likelihood as text; empty if not known."""
        return "" if self.epss is None else f"{self.epss:.1%}"


def _first(choose: Callable[[Iterable[_T]], _T], *values: _T | None) -> _T | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting:
    """One advisory that one scanner reports for one package."""

    scanner: str
    id: str
    #: Other names of the same flaw.
    aliases: tuple[str, ...]
    package: str
    version: str
    purl: str
    kind: Kind
    severity: Severity
    fixed: tuple[str, ...] = ()
    url: str = ""
    title: str = ""
    #: The advisory's CPEs, if they are the only ground of the match.
    cpes: tuple[str, ...] = ()
    #: That have the flaw, as `module:function/arity`, where the advisory names some.
    functions: tuple[str, ...] = ()
    urgency: Urgency = Urgency()

    @property
    def names(self) -> frozenset[str]:
        """Every name of the flaw."""
        return frozenset((self.id, *self.aliases))

    @property
    def is_erlang(self) -> bool:
        """Tell whether the package is Erlang/OTP as a whole."""
        return self.kind is Kind.OTP and self.package == ERLANG


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A secret in the image: the rule that found it and its place, never the secret itself."""

    rule: str
    path: str
    line: int
    severity: Severity = Severity.HIGH
    title: str = ""


class Absence(enum.StrEnum):
    """Why an image does not have a vulnerability, in the terms of OpenVEX."""

    COMPONENT = "component_not_present"
    CODE = "vulnerable_code_not_present"


@dataclasses.dataclass(frozen=True, slots=True)
class Cleared:
    """A vulnerability that a package of Erlang/OTP does not have, though a scanner may report it for its version."""

    names: frozenset[str]
    #: Empty for whichever of it.
    package: str
    absence: Absence
    reason: str

    def matches(self, sighting: Sighting) -> bool:
        """Tell whether a sighting is of that flaw in that package."""
        return (
            sighting.kind is Kind.OTP
            and self.package in ("", sighting.package)
            and not self.names.isdisjoint(sighting.names)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ScannerRun:
    """One run of one scanner: its findings, or why it failed."""

    scanner: str
    #: What it looked at: `image` or `SBOM`.
    target: str
    version: str = ""
    sightings: tuple[Sighting, ...] = ()
    secrets: tuple[Secret, ...] = ()
    database: Database | None = None
    #: How many packages it saw, by type of their package URLs.
    packages: dict[str, int] = dataclasses.field(default_factory=dict)
    #: The operating system that it saw, such as `debian 13.8`.
    system: str = ""
    #: Whether that gets no more security fixes.
    ended: bool = False
    #: Empty if the scanner ran to its end, its report could be read, and it saw what there is.
    failure: str = ""
    #: Its own report.
    raw: str = ""
    #: What it knows of flaws, by CVE, whoever sees them.
    threats: Mapping[str, Urgency] = dataclasses.field(default_factory=dict)
    #: What it knows to be false of what others see.
    cleared: tuple[Cleared, ...] = ()
    #: What else a reader should know, a line each.
    remarks: tuple[str, ...] = ()
    #: What of that which it was asked it does not know, and why, a line each; the verdict stands all the same.
    unknown: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """Further remarks for the reader, a line each."""
        return (*self.remarks, *self.unknown)

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The severities of its findings."""
        return (*(seen.severity for seen in self.sightings), *(secret.severity for secret in self.secrets))


@dataclasses.dataclass(frozen=True, slots=True)
class Dropped:
    """A finding that is a known false positive."""

    sighting: Sighting
    absence: Absence
    reason: str
    #: Whether it is none in whatever image has the package in that version.
    anywhere: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability in one package, reported by one or more scanners."""

    id: str
    aliases: tuple[str, ...]
    package: str
    version: str
    #: As the scanners write it; the first is the package's own.
    purls: tuple[str, ...]
    kind: Kind
    #: By scanner.
    severities: dict[str, Severity]
    fixed: tuple[str, ...]
    url: str
    title: str
    #: That have the flaw, as `module:function/arity`.
    functions: tuple[str, ...] = ()
    urgency: Urgency = Urgency()

    @property
    def severity(self) -> Severity:
        """The highest severity that a scanner gives it."""
        return max(self.severities.values())

    @property
    def always_breaks(self) -> bool:
        """Tell whether it breaks the policy whatever its severity, fixed or not."""
        return self.kind is Kind.SECRET or self.id == END_OF_LIFE

    @property
    def remedy(self) -> str:
        """Say what fixes it."""
        if self.kind is Kind.SECRET:
            return "remove it from the image and revoke it, since everybody who has the image knows it"
        if self.id == END_OF_LIFE:
            return "use a base image of a newer release of the distribution"
        if self.id == RETIRED:
            return f"{self.fixed[0]} is not retired" if self.fixed else "every later release is retired"
        return f"fixed in {', '.join(self.fixed)}" if self.fixed else "no fixed version is known"

    @property
    def names(self) -> frozenset[str]:
        """Every name of the flaw."""
        return frozenset((self.id, *self.aliases))

    @property
    def order(self) -> tuple[object, ...]:
        """The sort key: known to be exploited first, then severity, likelihood, score, package and name."""
        urgency = self.urgency
        worst = (not urgency.exploited, -self.severity, -(urgency.epss or 0), -(urgency.score or 0))
        return (*worst, self.kind, self.package, self.version, self.id)


class Status(enum.StrEnum):
    """The status of a finding in the verdict."""

    BREAKING = "breaking"
    #: It would break the policy, but was there before, or has its days of grace.
    WARNING = "warning"
    TOLERATED = "tolerated"
    ACCEPTED = "accepted"
    NOT_AFFECTED = "not_affected"
    FIXED = "fixed"


#: What a VEX document may say to do away with a finding.
SUPPRESSING = (Status.NOT_AFFECTED, Status.FIXED)
#: What somebody answers for: it breaks nothing, and no service raises an alarm for it.
SUPPRESSED = (Status.ACCEPTED, *SUPPRESSING)


def is_same_flaw(one: tuple[str, Collection[str]], other: tuple[str, Collection[str]]) -> bool:
    """Tell whether two findings, each given by its first name and all names, are the same; two CVEs never are."""
    (first, names), (second, others) = one, other
    if first == second:
        return True
    two_cves = first.startswith("CVE-") and second.startswith("CVE-")
    return not two_cves and not set(names).isdisjoint(others)


def rank(name: str) -> tuple[int, str]:
    """Order the names of a flaw: the one that most people know comes first."""
    prefix = name.partition("-")[0]
    return (_SINGLE.index(prefix) if prefix in _SINGLE else len(_SINGLE), name)


def locate(name: str, version: str, purl: str, scanner_type: str, own: Collection[str]) -> tuple[str, str, Kind]:
    """Return the package's name, version and kind, the same for every scanner."""
    parsed = Purl.parse(purl)
    if parsed is None:
        kind = Kind(_KINDS_BY_TYPE.get(scanner_type, "other"))
        if kind is Kind.OTP and name.lower() in _ERLANG_NAMES:
            return ERLANG, version.removeprefix("OTP-"), kind
        return name, version, Kind.OWN if name in own and kind is not Kind.OS else kind
    if parsed.is_erlang:
        return ERLANG, version.removeprefix("OTP-"), Kind.OTP
    kind = Kind(_KINDS_BY_TYPE.get(parsed.type, "git" if "vcs_url" in parsed.qualifiers else "other"))
    if kind is not Kind.OS and own and {name, parsed.name} & set(own):
        return name, version, Kind.OWN
    # A hex package has another name than its application now and then; what an advisory names is the package.
    short = f"{parsed.namespace}/{parsed.name}" if kind is Kind.GIT and parsed.namespace else parsed.name
    return short, version, kind


def aliases_of(name: str, others: Iterable[str]) -> tuple[str, ...]:
    """Return the other names of a flaw, without those of several flaws at once."""
    if not name.startswith(_SINGLE):
        return ()
    # The Erlang Ecosystem Foundation names its advisories EEF-CVE-...
    every = {name, *(other for other in others if other.startswith(_SINGLE))}
    every |= {other.removeprefix("EEF-") for other in every if other.startswith("EEF-CVE-")}
    return tuple(sorted(every - {name}, key=rank))


def severity_of(text: str) -> Severity:
    """Return the severity that a scanner means; one that nobody knows is unknown."""
    return Severity.__members__.get(text.upper(), Severity.UNKNOWN)


def rated(score: float | None) -> Severity:
    """Return the severity of a CVSS score, by the scale that version 3 and 4 share."""
    if score is None:
        return Severity.UNKNOWN
    limits = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
    return next((severity for limit, severity in limits if score >= limit), Severity.UNKNOWN)


def known(*severities: Severity) -> Severity:
    """Return the first severity that says something."""
    return next(filter(None, severities), Severity.UNKNOWN)


def short(text: str) -> str:
    """Return a title as one line."""
    line = " ".join(text.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 3].rstrip() + "..."
