"""The verdict: apply VEX documents, acceptances and the policy to the findings."""

import dataclasses
import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.sbom.component import Kind
from pipeline.scan.acceptance import Acceptance
from pipeline.scan.baseline import Baseline
from pipeline.scan.databases import MAX_AGE, wrong_age
from pipeline.scan.findings import (
    END_OF_LIFE,
    SUPPRESSING,
    Dropped,
    Finding,
    ScannerRun,
    Secret,
    Severity,
    Status,
    Urgency,
    severity_of,
)
from pipeline.scan.join import drop_false, join
from pipeline.scan.policy import Policy
from pipeline.scan.vex import Statement, speaks_of, unmatched
from pipeline.table import count


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A finding with its status."""

    finding: Finding
    status: Status
    reason: str = ""
    #: Of a VEX document, if one is about it: the one that counts.
    statement: Statement | None = None
    #: By which somebody answers for it, if one counts.
    acceptance: Acceptance | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of the scans."""

    policy: Policy
    #: The worst first.
    judged: tuple[Judged, ...]
    dropped: tuple[Dropped, ...] = ()
    #: Scans without a result.
    failures: tuple[ScannerRun, ...] = ()
    #: Messages about databases that are too old, or not of this time.
    outdated: tuple[str, ...] = ()
    expired: tuple[Acceptance, ...] = ()
    unmatched: tuple[Acceptance, ...] = ()
    #: Messages about statements of VEX documents that match nothing.
    unmatched_vex: tuple[str, ...] = ()
    #: Whether it was held against an earlier image, whose findings only warn.
    compared: bool = False

    @property
    def passed(self) -> bool:
        """Tell whether there is a verdict and the policy passes."""
        return self.decided and not self.breaking

    @property
    def decided(self) -> bool:
        """Tell whether there is a verdict: every scanner ran, with a recent database."""
        return not (self.failures or self.outdated)

    @property
    def breaking(self) -> tuple[Judged, ...]:
        """The findings that break the policy."""
        return self.having(Status.BREAKING)

    @property
    def warnings(self) -> tuple[Judged, ...]:
        """The findings that only warn: an earlier image has them too, or they are within their days of grace."""
        return self.having(Status.WARNING)

    @property
    def accepted(self) -> tuple[Judged, ...]:
        """The findings that somebody accepted."""
        return self.having(Status.ACCEPTED)

    @property
    def suppressed(self) -> tuple[Judged, ...]:
        """The findings that a VEX document calls not affected or fixed."""
        return self.having(*SUPPRESSING)

    def having(self, *statuses: Status) -> tuple[Judged, ...]:
        """Return the findings of some statuses."""
        return tuple(item for item in self.judged if item.status in statuses)

    @property
    def lines(self) -> tuple[str, ...]:
        """The verdict in words, one line for each thing that is wrong; one line if nothing is."""
        result = [
            f"SCANNER FAILED: {scan.scanner} ({scan.target}): {scan.failure}; there is no verdict without its findings"
            for scan in self.failures
        ]
        result += self.outdated
        if self.breaking:
            result.append(f"POLICY FAILED: {', '.join(self._broken())}")
        elif not result:
            more = f", but {count(len(self.warnings), 'warning')}" if self.warnings else ""
            result.append(f"PASSED: no {'new ' if self.compared else ''}finding of {self.policy}{more}")
        return tuple(result)

    def _broken(self) -> Iterator[str]:
        findings = [item.finding for item in self.breaking]
        exploited = [finding for finding in findings if finding.urgency.exploited]
        rated = [finding for finding in findings if not finding.always_breaks and finding not in exploited]
        secrets = [finding for finding in findings if finding.kind is Kind.SECRET]
        new = "new " if self.compared else ""
        if exploited:
            yield f"{count(len(exploited), f'{new}finding')} known to be exploited"
        if rated:
            yield f"{count(len(rated), f'{new}finding')} of {self.policy}"
        if secrets:
            yield f"{count(len(secrets), 'secret')} in the image"
        for finding in findings:
            if finding.id == END_OF_LIFE:
                yield f"{finding.package} {finding.version} {finding.title}"


def judge(
    scans: Sequence[ScannerRun],
    policy: Policy,
    *,
    now: dt.datetime,
    statements: Iterable[Statement] = (),
    acceptances: Sequence[Acceptance] = (),
    image: Collection[str] = (),
    max_age: dt.timedelta | None = MAX_AGE,
    secrets: Iterable[Secret] = (),
    ended_on: str = "",
    baseline: Baseline | None = None,
) -> Verdict:
    """Join what the scanners saw and decide.

    Parameters
    ----------
    scans
        Every run, the failed ones too.
    policy
        What breaks it.
    now
        The time of the decision, with a zone.
    statements
        Of the VEX documents.
    acceptances
        Of the acceptance file.
    image
        Names under which a VEX document may speak of the image as a whole: references and package URLs.
    max_age
        Of a database; nothing for any age.
    secrets
        That are known to be in the image, besides those that the scans found.
    ended_on
        Since when the system gets no security fixes, if a scan says that it gets none and the day is known.
    baseline
        An earlier image: what it has too only warns.
    """
    cleared = [each for scan in scans for each in scan.cleared]
    kept, dropped = drop_false((sighting for scan in scans for sighting in scan.sightings), cleared)
    others = (*_secrets(scans, secrets), *_end_of_life(scans, ended_on))
    threats: dict[str, Urgency] = {}
    for scan in scans:
        threats |= {name: threats.get(name, Urgency()).joined(told) for name, told in scan.threats.items()}
    findings = tuple(sorted((*join(kept, threats), *others), key=lambda finding: finding.order))
    # Of several statements on the same thing the last one counts, of those of one time the one that suppresses nothing.
    by_time = sorted(statements, key=lambda statement: (statement.time, statement.status not in SUPPRESSING))
    said = [_said(finding, by_time, image) for finding in findings]
    judged = tuple(
        dataclasses.replace(
            _suppress(finding, statement)
            or _compared(_decide(finding, policy, acceptances, now.date()), baseline, now.date()),
            statement=statement,
        )
        for finding, statement in zip(findings, said, strict=True)
    )
    databases = dict.fromkeys(scan.database for scan in scans if scan.database)
    expired = tuple(entry for entry in acceptances if entry.until < now.date())
    return Verdict(
        policy,
        judged,
        # What a scanner sees in the image and in the SBOM is one.
        tuple(dict.fromkeys(dropped)),
        failures=tuple(scan for scan in scans if scan.failure),
        outdated=tuple(filter(None, (wrong_age(database, now, max_age) for database in databases))),
        expired=expired,
        unmatched=tuple(
            entry for entry in acceptances if entry not in expired and not any(map(entry.matches, findings))
        ),
        unmatched_vex=tuple(unmatched(by_time, findings, image)),
        compared=baseline is not None,
    )


def _said(finding: Finding, statements: Sequence[Statement], image: Collection[str]) -> Statement | None:
    return next((statement for statement in reversed(statements) if speaks_of(statement, finding, image)), None)


def _suppress(finding: Finding, said: Statement | None) -> Judged | None:
    if not said or said.status not in SUPPRESSING:
        return None
    return Judged(finding, Status(said.status), f"{said.reason} ({said.source})")


def _decide(finding: Finding, policy: Policy, acceptances: Sequence[Acceptance], today: dt.date) -> Judged:
    entries = [entry for entry in acceptances if entry.matches(finding)]
    for entry in entries:
        if entry.until >= today:
            return Judged(finding, Status.ACCEPTED, f"{entry.reason} (until {entry.until})", acceptance=entry)
    reasons = []
    if finding.urgency.exploited and policy.known_exploited:
        reasons.append(f"{finding.urgency}, which breaks the policy at any severity (--fail-on-known-exploited)")
    elif not finding.always_breaks:
        counted = finding.severity or policy.unknown
        if counted < policy.fail_on:
            return Judged(finding, Status.TOLERATED, f"below {policy.fail_on.name}")
        if policy.only_fixed and not finding.fixed:
            return Judged(finding, Status.TOLERATED, "no fixed version")
        if not finding.severity:
            reasons.append(f"no source rates the severity, which counts as {counted.name} (--unknown-as)")
        since = finding.urgency.fixed_on
        if since and (ends := since + dt.timedelta(days=policy.grace_days)) > today:
            reasons.append(f"fixed since {since}, so it will break the policy from {ends} (--grace-days)")
            return Judged(finding, Status.WARNING, "; ".join(reasons))
    if entries:
        reasons.append(f"its acceptance expired on {max(entry.until for entry in entries)}")
    return Judged(finding, Status.BREAKING, "; ".join(reasons))


def _compared(judged: Judged, baseline: Baseline | None, today: dt.date) -> Judged:
    """Return a judged finding with a warning instead of a break of the policy, if an earlier image also has it."""
    before = baseline.before(judged.finding, today) if baseline and judged.status is Status.BREAKING else ""
    if not before:
        return judged
    return dataclasses.replace(judged, status=Status.WARNING, reason="; ".join(filter(None, (before, judged.reason))))


def secrets_of(attested: Mapping[str, Any]) -> tuple[Secret, ...]:
    """Return the secrets in a verdict (`findings.json`), which an SBOM does not contain, whatever their status."""
    return tuple(
        Secret(raw["id"], raw["package"]["name"], 0, severity_of(raw["severity"]), raw["title"])
        for raw in attested.get("findings", ())
        if raw["package"].get("kind") == Kind.SECRET
    )


def _secrets(scans: Iterable[ScannerRun], others: Iterable[Secret]) -> Iterator[Finding]:
    """Return the secrets that were found, each rule and file once."""
    seen = [(scan.scanner, secret) for scan in scans for secret in scan.secrets]
    seen += [("attested", secret) for secret in others]
    places: dict[tuple[str, str], list[tuple[str, Secret]]] = {}
    for by, secret in seen:
        places.setdefault((secret.rule, secret.path), []).append((by, secret))
    for (rule, path), found in places.items():
        lines = sorted({secret.line for _, secret in found if secret.line})
        yield Finding(
            rule,
            (),
            path,
            f"line {', '.join(map(str, lines))}" if lines else "",
            (),
            Kind.SECRET,
            {by: secret.severity for by, secret in found},
            (),
            "",
            next((secret.title for _, secret in found if secret.title), ""),
        )


def _end_of_life(scans: Sequence[ScannerRun], ended_on: str) -> Iterator[Finding]:
    ended = [scan for scan in scans if scan.ended]
    if ended:
        name, _, version = ended[0].system.partition(" ")
        severities = {scan.scanner: Severity.HIGH for scan in ended}
        since = f"since {ended_on}" if ended_on else "any more"
        yield Finding(
            END_OF_LIFE, (), name, version, (), Kind.OS, severities, (), "", f"gets no security fixes {since}"
        )
