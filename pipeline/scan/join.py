"""Sightings joined over scanners by package and flaw; known false ones dropped."""

import collections
import re
from collections.abc import Iterable, Sequence

from pipeline.sbom.component import Kind
from pipeline.scan.findings import Cleared, Dropped, Finding, Severity, Sighting, rank

# From the first CVE of all to the first of Erlang/OTP that NVD has, CVE-2009-0130.
_YEARS_BEFORE = range(1999, 2009)
_VENDORS = frozenset({"erlang"})


def drop_false(
    sightings: Iterable[Sighting], cleared: Sequence[Cleared] = ()
) -> tuple[tuple[Sighting, ...], tuple[Dropped, ...]]:
    """Part the sightings from those that are known false matches of Erlang/OTP and its applications.

    The names of OTP applications (`ftp`, `snmp`, `tftp`, `inets`, ...) are those of other programs too, and Grype
    matches them by guessed CPEs (its issue 2344). It sees Erlang/OTP as a whole, by its version, whatever of it is in
    the image, and whatever a branch mended: `cleared` says what a record knows better.
    """
    kept, dropped = [], []
    for sighting in sightings:
        reason = _false_match(sighting) or next((each.reason for each in cleared if each.matches(sighting)), "")
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
    best, *others = sorted(names, key=rank)
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
