"""Records of vulnerabilities: of CVE (5, as the Erlang Ecosystem Foundation publishes them), and of OSV (for Hex)."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.sbom import purl
from pipeline.sbom.purl import Purl
from pipeline.scan.findings import Severity, aliases_of, known, rated, severity_of, short
from pipeline.scan.versions import includes, numbers

AFFECTED, UNAFFECTED, UNKNOWN = "affected", "unaffected", "unknown"
#: Where a record can be read.
_PAGE = "https://cna.erlef.org/cves/{}.html"
_OSV_PAGE = "https://osv.dev/vulnerability/{}"
_GHSA = re.compile(r"https://github\.com/.*advisories/(GHSA(?:-[0-9a-z]{4}){3})")
#: Schemes of versions that are numbers in an order.
_SCHEMES = ("otp", "semver")
#: Words of GitHub and of CVSS that scanners do not use.
_WORDS = {"MODERATE": "MEDIUM", "NONE": "NEGLIGIBLE"}


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Versions from one on, and what became of them after it."""

    scheme: str
    start: str
    status: str = AFFECTED
    #: The first version after it; empty if there is none.
    end: str = ""
    #: The last version of it, where that is said instead.
    last: str = ""
    #: What changed at which version.
    changes: tuple[tuple[str, str], ...] = ()

    def status_of(self, version: str) -> str:
        """Return the status of a version; nothing if it is not of this range."""

        def has(other: str) -> bool:
            return includes(version, other, self.scheme)

        if not has(self.start):
            return ""
        if (self.end and has(self.end)) or (
            self.last and has(self.last) and not includes(self.last, version, self.scheme)
        ):
            return ""
        past = [(at, status) for at, status in self.changes if has(at)]
        # What a version has of the changes is one line: the last of them has all the others.
        for at, status in past:
            if all(includes(at, other, self.scheme) for other, _ in past):
                return status
        return self.status

    def fixes(self) -> tuple[str, ...]:
        """Return the versions that end it."""
        return (*(at for at, status in self.changes if status == UNAFFECTED), *([self.end] if self.end else []))


@dataclasses.dataclass(frozen=True, slots=True)
class Affected:
    """A package that a record is about."""

    package: Purl
    ranges: tuple[Range, ...]
    #: Of a version that no range has.
    default: str = UNAFFECTED
    modules: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    #: Whether its versions are revisions of a repository alone, of which no order is known here.
    by_revision: bool = False

    @property
    def is_application(self) -> bool:
        """Tell whether it is an application of Erlang/OTP, or of what lies beside it."""
        return self.package.type == "otp" and not self.package.is_erlang

    def covers(self, component: Purl) -> bool:
        """Tell whether a component is this package, in whatever version."""
        mine, theirs = self.package.normal(), component.normal()
        # A package of a private organisation, or of another registry, is another one.
        elsewhere = theirs.type == "hex" and (
            theirs.namespace or theirs.qualifiers.get("repository_url", purl.HEX) != purl.HEX
        )
        same = (mine.type, mine.namespace.lower(), mine.name.lower()) == (
            theirs.type,
            theirs.namespace.lower(),
            theirs.name.lower(),
        )
        return same and not elsewhere

    def status_of(self, version: str) -> str:
        """Return what the record says of a version.

        Raises
        ------
        ValueError
            If it is no version.
        """
        said = [(each, status) for each in self.ranges if (status := each.status_of(version))]
        # The range that begins last knows best.
        for each, status in said:
            if all(includes(each.start, other.start, each.scheme) for other, _ in said):
                return status
        return self.default

    def fixed(self, version: str) -> tuple[str, ...]:
        """Return the fixed version for a version: the first that has all that it has, or else each that comes later."""
        after = [
            (at, each.scheme)
            for each in self.ranges
            if each.status_of(version) == AFFECTED
            for at in each.fixes()
            if numbers(at) > numbers(version)
        ]
        own = [at for at, scheme in after if includes(at, version, scheme)]
        if own:
            return (min(own, key=numbers),)
        return tuple(sorted({at for at, _ in after}, key=numbers))


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """What is published of one vulnerability."""

    id: str
    aliases: tuple[str, ...]
    severity: Severity
    #: Of CVSS; nothing if there is none.
    score: float | None
    affected: tuple[Affected, ...]
    url: str = ""
    title: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Every name of it."""
        return frozenset((self.id, *self.aliases))

    @property
    def applications(self) -> tuple[Affected, ...]:
        """The applications of Erlang/OTP that it is about."""
        return tuple(each for each in self.affected if each.is_application)

    @property
    def whole(self) -> tuple[Affected, ...]:
        """What it says of Erlang/OTP as a whole, by release."""
        return tuple(each for each in self.affected if each.package.is_erlang and each.ranges)


def of_cve(raw: Mapping[str, Any]) -> Record | None:
    """Read a CVE record (version 5); one that was rejected is none.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If it is not one.
    """
    about = raw["cveMetadata"]
    if about["state"] != "PUBLISHED":
        return None
    cna = raw["containers"]["cna"]
    scores = [value for metric in cna.get("metrics", ()) for key, value in metric.items() if key.startswith("cvss")]
    vectors = [score_of(each.get("vectorString", "")) for each in scores]
    rating = max(filter(None, [*(float(each.get("baseScore") or 0) for each in scores), *vectors]), default=None)
    ghsa = [match[1] for each in cna.get("references", ()) if (match := _GHSA.match(each["url"]))]
    affected = [_of_cve(each, Purl.parse(each["packageURL"])) for each in cna["affected"] if each.get("packageURL")]
    return Record(
        about["cveId"],
        aliases_of(about["cveId"], ghsa[:1]),
        known(_severity_of(scores), rated(rating)),
        rating,
        tuple(each for each in affected if each),
        _PAGE.format(about["cveId"]),
        short(cna.get("title", "")),
    )


def _of_cve(raw: Mapping[str, Any], package: Purl | None) -> Affected | None:
    if package is None:
        raise ValueError(f"{raw['packageURL']} is not a package URL")
    ranges = tuple(
        Range(
            each["versionType"],
            _limit(each["version"]) or "0",
            each["status"],
            # Without a limit it has no end, as the publisher's own OSV records have it.
            _limit(each.get("lessThan", "")),
            _limit(each.get("lessThanOrEqual", "")),
            tuple((change["at"], change["status"]) for change in each.get("changes", ())),
        )
        for each in raw.get("versions", ())
        # Revisions of a repository, days and tags have no order that is known here.
        if each.get("versionType") in _SCHEMES
    )
    by_revision = not ranges and any(each.get("versionType") == "git" for each in raw.get("versions", ()))
    if not ranges and raw.get("versions") and not by_revision:
        return None
    routines = [each["name"] for each in raw.get("programRoutines", ())]
    return Affected(
        package,
        ranges,
        UNKNOWN if by_revision else raw.get("defaultStatus", UNKNOWN),
        tuple(raw.get("modules") or ()),
        tuple(routines),
        by_revision,
    )


def _limit(text: str) -> str:
    return "" if text == "*" else text


def of_osv(raw: Mapping[str, Any]) -> Record | None:
    """Read an OSV record; one that was withdrawn is none. What it says of other ecosystems than Hex is left out.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If it is not one.
    """
    if raw.get("withdrawn"):
        return None
    rating = max(filter(None, (score_of(each["score"]) for each in raw.get("severity") or ())), default=None)
    hexes = [each for each in raw.get("affected", ()) if each.get("package", {}).get("ecosystem") == "Hex"]
    return Record(
        raw["id"],
        aliases_of(raw["id"], raw.get("aliases", ())),
        known(_severity(raw.get("database_specific", {}).get("severity") or ""), rated(rating)),
        rating,
        tuple(Affected(Purl("hex", "", each["package"]["name"], "", {}), tuple(_of_osv(each))) for each in hexes),
        _OSV_PAGE.format(raw["id"]),
        short(raw.get("summary", "")),
    )


def _of_osv(raw: Mapping[str, Any]) -> Iterable[Range]:
    # Each on its own, in whatever order they are written (ossf.github.io/osv-schema).
    yield from (Range("semver", version, last=version) for version in raw.get("versions", ()))
    for each in raw.get("ranges", ()):
        if each["type"] not in ("SEMVER", "ECOSYSTEM"):
            continue
        events = [next(iter(event.items())) for event in each["events"] if "limit" not in event]
        starts = sorted((version for kind, version in events if kind == "introduced"), key=numbers)
        for start, following in itertools.zip_longest(starts, starts[1:]):
            ends = [
                (kind, version)
                for kind, version in events
                if kind != "introduced"
                and includes(version, start, "semver")
                and not (following and includes(version, following, "semver"))
            ]
            kind, version = min(ends, key=lambda event: numbers(event[1]), default=("", ""))
            yield Range(
                "semver", start, end=version if kind == "fixed" else "", last=version if kind == "last_affected" else ""
            )


def _severity_of(scores: Iterable[Mapping[str, Any]]) -> Severity:
    return max((_severity(each.get("baseSeverity", "")) for each in scores), default=Severity.UNKNOWN)


def score_of(vector: str) -> float | None:
    """Return the base score of a CVSS vector of version 3 or 4; nothing of another text."""
    import cvss  # noqa: PLC0415 # for a scan alone

    kind = {"CVSS:3": cvss.CVSS3, "CVSS:4": cvss.CVSS4}.get(vector[:6])
    try:
        return float(kind(vector).base_score) if kind else None
    except cvss.CVSSError:
        # Without a score and a word a finding counts as the policy says of what nobody rates.
        return None


def _severity(word: str) -> Severity:
    return severity_of(_WORDS.get(word.upper(), word))
