"""What to change in which file, and how many findings that mends."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from pipeline.report.report import Report
from pipeline.sbom.component import Kind
from pipeline.scan.findings import END_OF_LIFE, ERLANG, Finding
from pipeline.scan.versions import includes, numbers
from pipeline.table import count

#: How `fixed` has a release of Erlang/OTP, beside the versions of an application.
_RELEASE = "OTP "
#: How many packages of the system a line names.
_SHOWN = 3
_TABLE, _LOCK = "image table", "rebar.lock"


@dataclasses.dataclass(frozen=True, slots=True)
class Remedy:
    """A change that mends some findings."""

    #: `FILE: what to change in it`.
    change: str
    mends: int

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.change} mends {self.mends}"


def remedies(report: Report) -> list[Remedy]:
    """Return what mends the findings that break the policy, or only warn: what mends most is first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in _wanted(report):
        if key := _group(finding):
            groups.setdefault(key, []).append(finding)
    found = [remedy for group in groups.values() for remedy in _remedies(group, report)]
    return sorted(found, key=lambda remedy: (-remedy.mends, remedy.change))


def changes(report: Report) -> list[str]:
    """Return them for people, a line each; at the end how many findings nothing is known to mend."""
    left = sum(not _group(finding) for finding in _wanted(report))
    unmended = f"no fixed version is known of {count(left, 'finding')}: see docs/policy.md on accept.toml"
    return [*map(str, remedies(report)), *([unmended] if left else [])]


def _wanted(report: Report) -> list[Finding]:
    return [item.finding for item in (*report.verdict.breaking, *report.verdict.warnings)]


def _group(finding: Finding) -> tuple[str, ...]:
    """Return by what a finding is mended together with others; nothing if nothing is known to mend it."""
    if finding.kind is Kind.SECRET:
        return (finding.kind, finding.package)
    if finding.id == END_OF_LIFE:
        return (END_OF_LIFE,)
    if not finding.fixed:
        return ()
    if finding.kind is Kind.OS:
        return (finding.kind, "dated" if finding.urgency.fixed_on else "")
    if _releases(finding):
        return (finding.kind,)
    return (finding.kind, finding.package, finding.version)


def _remedies(group: Sequence[Finding], report: Report) -> Iterator[Remedy]:
    first = group[0]
    place = report.place(first)
    table = place.path if place and place.path.endswith(".toml") else _TABLE
    if first.kind is Kind.SECRET:
        yield Remedy(f"the image: to leave out {first.package}", len(group))
    elif first.id == END_OF_LIFE:
        yield Remedy(f"{table}: a base of a newer release than {first.package} {first.version}", len(group))
    elif first.kind is Kind.OS:
        yield Remedy(f"{table}: {_base(group)}", len(group))
    elif _releases(first):
        for target, mends in _targets(report.erlang, [_releases(finding) for finding in group], "otp"):
            yield Remedy(f"{table}: Erlang/OTP {f'{report.erlang} → ' if report.erlang else ''}{target}", mends)
    else:
        scheme = "otp" if first.kind is Kind.OTP else "semver"
        file = table if first.kind is Kind.OTP else place.path if place else _LOCK
        for target, mends in _targets(first.version, [finding.fixed for finding in group], scheme):
            yield Remedy(f"{file}: {first.package} {first.version} → {target}", mends)


def _targets(version: str, fixes: Sequence[tuple[str, ...]], scheme: str) -> Iterator[tuple[str, int]]:
    """Return the versions to change to, each with how many it mends: the one that mends most, then what mends the rest.

    Parameters
    ----------
    version
        That is in the image.
    fixes
        For each finding, the versions that have its fix.
    scheme
        Of the versions, as `includes` has it.
    """
    left = list(fixes)
    while left:
        known = {each for fix in left for each in fix}
        later = {each for each in known if numbers(each) > numbers(version)} or known
        # Of those that mend as many, the one that changes least.
        ordered = sorted(later, key=numbers)
        target = max(ordered, key=lambda each: sum(_has(each, fix, scheme) for fix in left))
        rest = [fix for fix in left if not _has(target, fix, scheme)]
        if len(rest) == len(left):
            return
        yield target, len(left) - len(rest)
        left = rest


def _has(version: str, fixed: Iterable[str], scheme: str) -> bool:
    """Tell whether a version is known to have a fix that some versions have: it is one of them, or after one.

    Only of the same major version: one that is ahead of a fix may have been published before it.
    """
    if version in fixed:
        return True
    own = [each for each in fixed if numbers(each)[:1] == numbers(version)[:1]]
    try:
        return bool(own) and all(includes(version, each, scheme) for each in own)
    except ValueError:
        return False


def _base(group: Iterable[Finding]) -> str:
    """Say which base has the fixes: one made on the day of the last of them or later, if all days are known."""
    days = [finding.urgency.fixed_on for finding in group]
    known = [day for day in days if day is not None]
    if known:
        return f"a base image of {max(known)} or later"
    packages: dict[str, str] = {}
    for finding in group:
        packages.setdefault(finding.package, finding.fixed[-1])
    shown = ", ".join(f"{name} {version}" for name, version in list(packages.items())[:_SHOWN])
    more = f" and {len(packages) - _SHOWN} more" if len(packages) > _SHOWN else ""
    return f"a base image with {shown}{more}"


def _releases(finding: Finding) -> tuple[str, ...]:
    """Return the releases of Erlang/OTP that have the fix."""
    if finding.kind is not Kind.OTP:
        return ()
    if finding.package == ERLANG:
        return finding.fixed
    return tuple(each.removeprefix(_RELEASE) for each in finding.fixed if each.startswith(_RELEASE))
