"""What the vulnerability scanners saw, joined over scanners into one list of findings."""

import collections
import dataclasses
import datetime as dt
import enum
import json
import re
import urllib.parse
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Self

from pipeline.errors import InputError
from pipeline.sbom.component import Kind

#: The name under which Erlang/OTP as a whole is shown, whatever a scanner calls it.
ERLANG = "Erlang/OTP"
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

# From the first CVE of all to the first of Erlang/OTP that NVD has, CVE-2009-0130.
_YEARS_BEFORE = range(1999, 2009)
_VENDORS = frozenset({"erlang"})
_TITLE = 120


class Severity(enum.IntEnum):
    """How bad a finding is, in the order of the scanners."""

    UNKNOWN = 0
    NEGLIGIBLE = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the severity of a name in any case, or raise `InputError`."""
        try:
            return cls[text.strip().upper()]
        except KeyError:
            names = ", ".join(severity.name for severity in reversed(cls) if severity)
            raise InputError(f"{text}: not a severity; expected one of {names}") from None


@dataclasses.dataclass(frozen=True, slots=True)
class Purl:
    """A package URL; empty parts are empty."""

    type: str
    namespace: str
    name: str
    version: str
    qualifiers: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the parts of a package URL, or nothing if it is not one."""
        scheme, _, rest = text.partition(":")
        path, _, query = rest.partition("#")[0].partition("?")
        path, _, version = path.strip("/").partition("@")
        kind, *front = map(urllib.parse.unquote, path.split("/"))
        if scheme != "pkg" or not front:
            return None
        *namespace, name = front
        return cls(
            kind.lower(), "/".join(namespace), name, urllib.parse.unquote(version), dict(urllib.parse.parse_qsl(query))
        )

    @property
    def is_erlang(self) -> bool:
        """Tell whether it is Erlang/OTP as a whole, in one of the forms in use."""
        names = {
            "github": ("erlang/otp",),
            "otp": ("erlang", "otp"),
            "generic": ("erlang", "erlang/otp", "erlang-otp", "otp"),
        }
        return f"{self.namespace}/{self.name}".lstrip("/").lower() in names.get(self.type, ())

    def normal(self) -> Self:
        """Return the same package under one form: Erlang/OTP as a whole has several."""
        if not self.is_erlang:
            return self
        version = self.version.removeprefix("OTP-")
        return dataclasses.replace(self, type="otp", namespace="", name="erlang", version=version, qualifiers={})

    def covers(self, other: Self) -> bool:
        """Tell whether `other` is this package; a version or a qualifier that is not given here is any."""
        mine, theirs = self.normal(), other.normal()
        return (
            (mine.type, mine.namespace.lower(), mine.name.lower())
            == (theirs.type, theirs.namespace.lower(), theirs.name.lower())
            and mine.version in ("", theirs.version)
            and mine.qualifiers.items() <= theirs.qualifiers.items()
        )


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

    @property
    def is_erlang(self) -> bool:
        """Tell whether the package is Erlang/OTP as a whole."""
        return self.kind is Kind.OTP and self.package == ERLANG


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A secret that lies in the image: which rule found it and where, never what it is."""

    rule: str
    path: str
    line: int


@dataclasses.dataclass(frozen=True, slots=True)
class Database:
    """A vulnerability database."""

    scanner: str
    built: dt.datetime
    source: str = ""

    @classmethod
    def from_trivy(cls, metadata: str, source: str = "") -> Self:
        """Make one of the `metadata.json` that lies beside Trivy's database.

        Raises
        ------
        InputError
            If it is not such a file.
        """
        try:
            return cls("trivy", _time(json.loads(metadata)["UpdatedAt"]), source)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{source or 'trivy database'}: its metadata.json has no build date ({_reason(error)}); "
                "expected what `trivy image --download-db-only` leaves in its cache directory under db/"
            ) from None


@dataclasses.dataclass(frozen=True, slots=True)
class Scan:
    """One run of one scanner: what it saw, or why it saw nothing."""

    scanner: str
    #: What it looked at: `image` or `SBOM`.
    target: str
    version: str = ""
    sightings: tuple[Sighting, ...] = ()
    secrets: tuple[Secret, ...] = ()
    database: Database | None = None
    #: Empty if the scanner ran to its end and its report could be read.
    failure: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Dropped:
    """A sighting that is known to be none."""

    sighting: Sighting
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One flaw in one package, seen by one or more scanners."""

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

    @property
    def severity(self) -> Severity:
        """The highest that a scanner gives it."""
        return max(self.severities.values())

    @property
    def names(self) -> frozenset[str]:
        """Every name of the flaw."""
        return frozenset((self.id, *self.aliases))

    @property
    def order(self) -> tuple[object, ...]:
        """The worst first, then by package and name."""
        return (-self.severity, self.kind, self.package, self.version, self.id)


def read_trivy(text: str, target: str, own: Collection[str] = ()) -> Scan:
    """Read Trivy's JSON of an image or of an SBOM; a report that cannot be read is a scan that failed.

    Parameters
    ----------
    text
        The report.
    target
        What was scanned: `image` or `SBOM`.
    own
        Names of the project's own applications.
    """
    try:
        report = json.loads(text)
        results = report.get("Results") or []
        if report["SchemaVersion"] != 2:  # noqa: PLR2004 # the only one there has been since 2021
            return Scan("trivy", target, failure=f"its report has version {report['SchemaVersion']}; expected 2")
        if not any(result.get("Class") in ("os-pkgs", "lang-pkgs") for result in results):
            # Trivy has no such result for a system that it does not recognise: that is not "clean".
            return Scan("trivy", target, failure=f"it saw no packages in the {target}")
        return Scan(
            "trivy",
            target,
            report.get("Trivy", {}).get("Version", ""),
            tuple(_from_trivy(raw, result, own) for result in results for raw in result.get("Vulnerabilities") or ()),
            tuple(
                Secret(raw["RuleID"], result["Target"], raw.get("StartLine", 0))
                for result in results
                for raw in result.get("Secrets") or ()
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Scan("trivy", target, failure=f"its report cannot be read ({_reason(error)})")


def read_grype(text: str, target: str, own: Collection[str] = ()) -> Scan:
    """Read Grype's JSON; arguments and failures are those of `read_trivy`."""
    try:
        report = json.loads(text)
        status = report["descriptor"]["db"]["status"]
        if status.get("error"):
            return Scan("grype", target, failure=f"its database: {status['error']}")
        return Scan(
            "grype",
            target,
            report["descriptor"].get("version", ""),
            tuple(_from_grype(raw, own) for raw in report["matches"]),
            database=Database("grype", _time(status["built"]), status.get("from", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Scan("grype", target, failure=f"its report cannot be read ({_reason(error)})")


def drop_false(sightings: Iterable[Sighting]) -> tuple[tuple[Sighting, ...], tuple[Dropped, ...]]:
    """Part the sightings from those that are known false matches of OTP applications.

    The names of OTP applications (`ftp`, `snmp`, `tftp`, `inets`, ...) are those of other programs too, and Grype
    matches them by guessed CPEs (its issue 2344).
    """
    kept, dropped = [], []
    for sighting in sightings:
        reason = _false_match(sighting)
        if reason:
            dropped.append(Dropped(sighting, reason))
        else:
            kept.append(sighting)
    return tuple(kept), tuple(dropped)


def join(sightings: Sequence[Sighting]) -> tuple[Finding, ...]:
    """Join sightings by package and flaw, the worst first.

    A flaw that is reported of an OTP application and of Erlang/OTP as a whole is one finding, of the application.
    """
    names = _folded(sightings)
    groups: dict[tuple[str, Kind, str, str], list[Sighting]] = collections.defaultdict(list)
    for sighting in sightings:
        key = (min(names[sighting.id]), sighting.kind, sighting.package.lower(), sighting.version)
        groups[key].append(sighting)
    for key in [key for key, group in groups.items() if group[0].is_erlang]:
        applications = [
            other
            for other, group in groups.items()
            if other[0] == key[0] and other[1] is Kind.OTP and not group[0].is_erlang
        ]
        for other in applications:
            groups[other].extend(groups[key])
        if applications:
            del groups[key]
    return tuple(
        sorted((_finding(group, names[group[0].id]) for group in groups.values()), key=lambda finding: finding.order)
    )


def _folded(sightings: Iterable[Sighting]) -> dict[str, set[str]]:
    """Return, by name of a flaw, all its names."""
    names: dict[str, set[str]] = {}
    for sighting in sightings:
        seen = {sighting.id, *sighting.aliases}
        merged = seen.union(*(names.get(name, ()) for name in seen))
        names |= dict.fromkeys(merged, merged)
    return names


def _finding(group: list[Sighting], names: set[str]) -> Finding:
    first = group[0]
    ordered = sorted(group, key=lambda sighting: (sighting.is_erlang, sighting.scanner != "trivy", sighting.scanner))
    severities: dict[str, Severity] = {}
    for sighting in sorted(group, key=lambda sighting: sighting.scanner):
        severities[sighting.scanner] = max(sighting.severity, severities.get(sighting.scanner, Severity.UNKNOWN))
    best, *others = sorted(names, key=_rank)
    releases = tuple(f"OTP {version}" for version in _fixed(group, erlang=True))
    return Finding(
        id=best,
        aliases=tuple(others),
        package=first.package,
        version=first.version,
        purls=tuple(dict.fromkeys(sighting.purl for sighting in ordered if sighting.purl)),
        kind=first.kind,
        severities=severities,
        # Of an application, the release of Erlang/OTP that has the fix is told apart from its own version.
        fixed=_fixed(group, erlang=first.is_erlang) + (() if first.is_erlang else releases),
        url=next((sighting.url for sighting in ordered if sighting.url), ""),
        title=next((sighting.title for sighting in ordered if sighting.title), ""),
    )


def _fixed(group: Iterable[Sighting], *, erlang: bool) -> tuple[str, ...]:
    """Return the fixed versions of the scanner that names the fewest: it knows which is for the version at hand."""
    fixes = [(len(sighting.fixed), sighting.fixed) for sighting in group if sighting.is_erlang == erlang]
    return min((fix for fix in fixes if fix[0]), default=(0, ()))[1]


def _rank(name: str) -> tuple[int, str]:
    prefix = name.partition("-")[0]
    return (_SINGLE.index(prefix) if prefix in _SINGLE else len(_SINGLE), name)


def _false_match(sighting: Sighting) -> str:
    if sighting.kind is not Kind.OTP:
        return ""
    if sighting.cpes and not any(_vendor(cpe) in _VENDORS for cpe in sighting.cpes):
        return "an OTP application matched by the CPE of another vendor's program"
    years = [int(year) for year in re.findall(r"CVE-(\d{4})-", " ".join((sighting.id, *sighting.aliases)))]
    if years and min(years) in _YEARS_BEFORE:
        return f"an OTP application matched by an advisory older than Erlang/OTP's first, of {_YEARS_BEFORE.stop}"
    return ""


def _vendor(cpe: str) -> str:
    # Formatted string binding of CPE 2.3: cpe:2.3:part:vendor:product:..., a colon inside a value has a backslash.
    parts = re.split(r"(?<!\\):", cpe)
    return parts[3] if len(parts) > 3 else ""  # noqa: PLR2004 # see above


def _from_trivy(raw: dict[str, Any], result: dict[str, Any], own: Collection[str]) -> Sighting:
    purl = raw.get("PkgIdentifier", {}).get("PURL", "")
    scanner_type = result["Class"] if result.get("Class") == "os-pkgs" else result.get("Type", "")
    package, version, kind = _locate(raw["PkgName"], raw.get("InstalledVersion", ""), purl, scanner_type, own)
    name = raw["VulnerabilityID"]
    return Sighting(
        scanner="trivy",
        id=name,
        aliases=_aliases(name, raw.get("VendorIDs") or ()),
        package=package,
        version=version,
        purl=purl,
        kind=kind,
        severity=_severity(raw.get("Severity", "")),
        fixed=tuple(part.strip() for part in raw.get("FixedVersion", "").split(",") if part.strip()),
        url=raw.get("PrimaryURL", ""),
        title=_short(raw.get("Title") or raw.get("Description", "")),
    )


def _from_grype(raw: dict[str, Any], own: Collection[str]) -> Sighting:
    artifact, flaw, details = raw["artifact"], raw["vulnerability"], raw.get("matchDetails") or []
    purl = artifact.get("purl", "")
    package, version, kind = _locate(artifact["name"], artifact["version"], purl, artifact.get("type", ""), own)
    related = raw.get("relatedVulnerabilities") or []
    descriptions = [source.get("description", "") for source in (flaw, *related)]
    suggested = {detail["fix"]["suggestedVersion"] for detail in details if detail.get("fix")}
    only_by_cpe = bool(details) and all(detail["type"] == "cpe-match" for detail in details)
    return Sighting(
        scanner="grype",
        id=flaw["id"],
        aliases=_aliases(flaw["id"], (other["id"] for other in related)),
        package=package,
        version=version,
        purl=purl,
        kind=kind,
        severity=_severity(flaw.get("severity", "")),
        fixed=tuple(sorted(suggested) or flaw.get("fix", {}).get("versions") or ()),
        url=flaw.get("dataSource", ""),
        title=_short(next(filter(None, descriptions), "")),
        cpes=tuple(sorted({cpe for detail in details for cpe in detail["found"]["cpes"]})) if only_by_cpe else (),
    )


def _locate(name: str, version: str, purl: str, scanner_type: str, own: Collection[str]) -> tuple[str, str, Kind]:
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


def _aliases(name: str, others: Iterable[str]) -> tuple[str, ...]:
    if not name.startswith(_SINGLE):
        return ()
    # The Erlang Ecosystem Foundation names its advisories EEF-CVE-...
    every = {name, *(other for other in others if other.startswith(_SINGLE))}
    every |= {other.removeprefix("EEF-") for other in every if other.startswith("EEF-CVE-")}
    return tuple(sorted(every - {name}, key=_rank))


def _severity(text: str) -> Severity:
    return Severity.__members__.get(text.upper(), Severity.UNKNOWN)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 3].rstrip() + "..."


def _time(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
