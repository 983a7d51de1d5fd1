"""Join the findings of the scanners by package and vulnerability, and drop known false positives."""

import collections
import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from pipeline.sbom.component import Kind
from pipeline.scan.findings import ERLANG, Absence, Cleared, Dropped, Finding, Severity, Sighting, Urgency, rank

# From the first CVE of all to the first of Erlang/OTP that NVD has, CVE-2009-0130.
_YEARS_BEFORE = range(1999, 2009)
_VENDORS = frozenset({"erlang"})


def drop_false(
    sightings: Iterable[Sighting], cleared: Sequence[Cleared] = ()
) -> tuple[tuple[Sighting, ...], tuple[Dropped, ...]]:
    """Separate known false positives about Erlang/OTP and its applications from the other findings.

    The names of OTP applications (`ftp`, `snmp`, `tftp`, `inets`, ...) are those of other programs too, and Grype
    matches them by guessed CPEs (its issue 2344). It sees Erlang/OTP as a whole, by its version, whatever of it is in
    the image, and whatever a branch mended: `cleared` says what a record knows better.
    """
    kept, dropped = [], []
    for sighting in sightings:
        false = _false_match(sighting)
        clear = next((each for each in cleared if each.matches(sighting)), None)
        if false:
            dropped.append(Dropped(sighting, Absence.COMPONENT, false, anywhere=True))
        elif clear:
            # Which applications there are, and what a distribution mended, is of one image.
            anywhere = clear.package not in ("", ERLANG)
            dropped.append(Dropped(sighting, clear.absence, clear.reason, anywhere))
        else:
            kept.append(sighting)
    return tuple(kept), tuple(dropped)


def join(sightings: Sequence[Sighting], threats: Mapping[str, Urgency] = MappingProxyType({})) -> tuple[Finding, ...]:
    """Join findings by package and vulnerability, the worst first; `threats` has the urgency by CVE.

    Names are folded within a package alone, and two CVEs are two findings, whatever advisory speaks of both: who
    accepts one has said nothing of the other. A flaw that is reported of an OTP application and of Erlang/OTP as a
    whole is one finding, of the application.
    """
    packages: dict[tuple[Kind, str, str], list[Sighting]] = collections.defaultdict(list)
    for sighting in sightings:
        packages[sighting.kind, sighting.package.lower(), sighting.version].append(sighting)
    wholes = [sighting for sighting in sightings if sighting.is_erlang]
    findings: list[Finding] = []
    told: set[str] = set()
    for package in sorted(packages.values(), key=lambda package: package[0].is_erlang):
        whole = package[0].is_erlang
        others = wholes if package[0].kind is Kind.OTP and not whole else []
        for name, names, group in _flaws([*package, *others]):
            if whole and name in told:
                continue
            if not whole and all(sighting.is_erlang for sighting in group):
                continue
            findings.append(_finding(package[0], name, names, group, threats.get(name, Urgency())))
            if any(sighting.is_erlang for sighting in group):
                told |= {name, *(sighting.id for sighting in group if not _cves(sighting))}
    return tuple(sorted(findings, key=lambda finding: finding.order))


def _cves(sighting: Sighting) -> frozenset[str]:
    """Return the CVEs that a sighting names; the Erlang Ecosystem Foundation's EEF-CVE-... is one."""
    return frozenset(filter(None, map(_cve, sighting.names)))


def _cve(name: str) -> str:
    """Return the CVE that a name means, or nothing."""
    plain = name.removeprefix("EEF-")
    return plain if plain.startswith("CVE-") else ""


def _flaws(sightings: Sequence[Sighting]) -> list[tuple[str, frozenset[str], list[Sighting]]]:
    """Return the flaws of one package, each with its first name, all its names, and who saw it.

    A sighting that names several CVEs counts for each of them. One that names none counts for those of whoever shares
    a name with it, directly or through others that name none.
    """
    meant: dict[str, frozenset[str]] = collections.defaultdict(frozenset)
    for sighting in sightings:
        for name in sighting.names:
            meant[name] |= _cves(sighting)
    groups: dict[str, list[Sighting]] = collections.defaultdict(list)
    names: dict[str, frozenset[str]] = collections.defaultdict(frozenset)
    for part, linked in _linked(sightings):
        cves = frozenset[str]().union(*(_cves(sighting) or meant[name] for sighting in part for name in linked))
        for flaw in cves or {min(linked, key=rank)}:
            groups[flaw] += part
            names[flaw] |= {name for name in linked if _cve(name) in ("", flaw)} | {flaw}
    return [(flaw, names[flaw], group) for flaw, group in groups.items()]


def _linked(sightings: Sequence[Sighting]) -> list[tuple[list[Sighting], frozenset[str]]]:
    """Return each sighting that names a CVE alone, and those that name none as far as they share names."""
    parts = [([sighting], sighting.names) for sighting in sightings if _cves(sighting)]
    chains: list[tuple[list[Sighting], frozenset[str]]] = []
    for sighting in sightings:
        if not _cves(sighting):
            part, names = [sighting], sighting.names
            for chain in [chain for chain in chains if chain[1] & names]:
                chains.remove(chain)
                part, names = [*chain[0], *part], names | chain[1]
            chains.append((part, names))
    return [*parts, *chains]


def _finding(first: Sighting, name: str, names: Collection[str], group: list[Sighting], threat: Urgency) -> Finding:
    ordered = sorted(group, key=lambda sighting: (sighting.is_erlang, sighting.scanner != "trivy", sighting.scanner))
    severities: dict[str, Severity] = {}
    for sighting in sorted(group, key=lambda sighting: sighting.scanner):
        severities[sighting.scanner] = max(sighting.severity, severities.get(sighting.scanner, Severity.UNKNOWN))
    releases = tuple(f"OTP {version}" for version in _fixed(group, erlang=True))
    return Finding(
        id=name,
        aliases=tuple(sorted(set(names) - {name}, key=rank)),
        package=first.package,
        version=first.version,
        purls=tuple(dict.fromkeys(sighting.purl for sighting in ordered if sighting.purl)),
        kind=first.kind,
        severities=severities,
        # Of an application, the release of Erlang/OTP that has the fix is told apart from its own version.
        fixed=_fixed(group, erlang=first.is_erlang) + (() if first.is_erlang else releases),
        url=next((sighting.url for sighting in ordered if sighting.url), ""),
        title=next((sighting.title for sighting in ordered if sighting.title), ""),
        functions=tuple(dict.fromkeys(name for sighting in ordered for name in sighting.functions)),
        urgency=functools.reduce(Urgency.joined, (sighting.urgency for sighting in ordered), threat),
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
