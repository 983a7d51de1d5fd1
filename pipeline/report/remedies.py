"""What to change in which file, and how many findings that fixes."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from pipeline.report.report import Report
from pipeline.sbom.component import Kind
from pipeline.scan.findings import END_OF_LIFE, ERLANG, RETIRED, SUPPRESSING, Finding, Status
from pipeline.scan.verdict import Judged
from pipeline.scan.versions import includes, numbers
from pipeline.table import count

#: How `fixed` has a release of Erlang/OTP, beside the versions of an application.
_RELEASE = "OTP "
#: How many packages of the system a line names.
_SHOWN = 3
_TABLE, _LOCK = "image table", "rebar.lock"


@dataclasses.dataclass(frozen=True, slots=True)
class Remedy:
    """A change that fixes some findings."""

    #: `FILE: what to change in it`.
    change: str
    #: The findings that it fixes.
    findings: tuple[Finding, ...]

    @property
    def mends(self) -> int:
        """How many findings it fixes."""
        return len(self.findings)

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.change} (fixes {count(self.mends, 'finding')})"


def remedies(report: Report) -> list[Remedy]:
    """Return the changes that fix findings that break the policy or warn; the one that fixes most comes first."""
    return _mending(_wanted(report), report)


def changes(report: Report) -> list[str]:
    """Return them as text, a line each, and how many findings have no known fix."""
    return [*map(str, remedies(report)), *unmended(report)]


def unmended(report: Report) -> list[str]:
    """Return a line with the number of those findings that have no known fix, if there are any."""
    left = sum(not _group(finding) for finding in _wanted(report))
    return [f"{count(left, 'finding')} without a known fix: see docs/policy.md on accept.toml"] if left else []


def next_steps(report: Report) -> list[str]:
    """Return the next step for each finding, in their order."""
    others = [item.finding for item in report.verdict.having(Status.ACCEPTED, Status.TOLERATED)]
    known = {
        _key(finding): remedy.change
        for findings in (_wanted(report), others)
        for remedy in _mending(findings, report)
        for finding in remedy.findings
    }
    return [_next_step(item, known.get(_key(item.finding), "")) for item in report.verdict.judged]


def _next_step(item: Judged, change: str) -> str:
    if item.status in SUPPRESSING:
        return "none: it does not apply"
    if item.acceptance:
        return f"none until {item.acceptance.until}" + (f"; to fix it before: {change}" if change else "")
    if change or item.finding.fixed:
        return change or f"{item.finding.package}: {item.finding.remedy}"
    if item.status is Status.TOLERATED:
        return "none: the policy tolerates it"
    if item.finding.id == RETIRED:
        return f"replace the package {item.finding.package}, or accept the finding in accept.toml"
    return "accept it in accept.toml, or state in a VEX document why it does not apply"


def _key(finding: Finding) -> tuple[str, ...]:
    """Return a hashable key of a finding."""
    return (finding.kind, finding.package, finding.version, finding.id)


def _mending(findings: Iterable[Finding], report: Report) -> list[Remedy]:
    """Return the changes that fix findings; the one that fixes most comes first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        if key := _group(finding):
            groups.setdefault(key, []).append(finding)
    found = [remedy for group in groups.values() for remedy in _remedies(group, report)]
    return sorted(found, key=lambda remedy: (-remedy.mends, remedy.change))


def _wanted(report: Report) -> list[Finding]:
    return [item.finding for item in (*report.verdict.breaking, *report.verdict.warnings)]


def _group(finding: Finding) -> tuple[str, ...]:
    """Return a key of the change that fixes a finding together with others; empty if no fix is known."""
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
        yield Remedy(f"the image: remove {first.package}, and revoke the secret", tuple(group))
    elif first.id == END_OF_LIFE:
        yield Remedy(f"{table}: a base image newer than {first.package} {first.version}", tuple(group))
    elif first.kind is Kind.OS:
        yield Remedy(f"{table}: {_base(group)}", tuple(group))
    elif _releases(first):
        releases = [(finding, _releases(finding)) for finding in group]
        for target, mended in _targets(report.erlang, releases, "otp"):
            yield Remedy(f"{table}: Erlang/OTP {f'{report.erlang} → ' if report.erlang else ''}{target}", mended)
    else:
        scheme = "otp" if first.kind is Kind.OTP else "semver"
        file = table if first.kind is Kind.OTP else place.path if place else _LOCK
        fixes = [(finding, finding.fixed) for finding in group]
        for target, mended in _targets(first.version, fixes, scheme):
            yield Remedy(f"{file}: {first.package} {first.version} → {target}", mended)


def _targets(
    version: str, fixes: Sequence[tuple[Finding, tuple[str, ...]]], scheme: str
) -> Iterator[tuple[str, tuple[Finding, ...]]]:
    """Return the versions to change to, each with what it fixes: the one that fixes most first, then for the rest.

    Parameters
    ----------
    version
        That is in the image.
    fixes
        Each finding, with the versions that have its fix.
    scheme
        Of the versions, as `includes` has it.
    """
    left = list(fixes)
    while left:
        known = {each for _, fix in left for each in fix}
        later = {each for each in known if numbers(each) > numbers(version)} or known
        # Of those that mend as many, the one that changes least.
        ordered = sorted(later, key=numbers)
        target = max(ordered, key=lambda each: sum(_has(each, fix, scheme) for _, fix in left))
        mended = tuple(finding for finding, fix in left if _has(target, fix, scheme))
        if not mended:
            return
        yield target, mended
        left = [(finding, fix) for finding, fix in left if not _has(target, fix, scheme)]


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
    """Return which base image has the fixes: one built on or after the day of the last one, if all days are known."""
    days = [finding.urgency.fixed_on for finding in group]
    known = [day for day in days if day is not None]
    if known:
        return f"a base image built on {max(known)} or later"
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
