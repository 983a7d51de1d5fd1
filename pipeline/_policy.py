"""The verdict: findings against VEX documents, acceptances and the policy."""

import collections
import dataclasses
import datetime as dt
import enum
import json
import tomllib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from pipeline._findings import Database, Dropped, Finding, Purl, Scan, Severity, drop_false, join
from pipeline.errors import InputError

#: The age at which Grype refuses its own database.
MAX_AGE = dt.timedelta(days=5)
_ACCEPTANCE = """[[accept]]
id = "CVE-2026-12345"
package = "name"
reason = "why"
until = 2026-12-31"""
_STATUSES = ("not_affected", "affected", "fixed", "under_investigation")


class Status(enum.StrEnum):
    """What became of a finding."""

    BREAKING = "breaking"
    TOLERATED = "tolerated"
    ACCEPTED = "accepted"
    NOT_AFFECTED = "not_affected"
    FIXED = "fixed"


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What an image may not have."""

    fail_on: Severity = Severity.HIGH
    #: Count only findings for which there is a fixed version.
    only_fixed: bool = False

    def __str__(self) -> str:
        """Name what breaks it."""
        return f"{_or_worse(self.fail_on)}{' with a fix' if self.only_fixed else ''}"


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a VEX document."""

    names: frozenset[str]
    status: str
    #: Products, each with its subcomponents.
    products: tuple[tuple[str, tuple[str, ...]], ...]
    reason: str
    source: str
    time: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Acceptance:
    """A finding that somebody answers for until a day (inclusive)."""

    id: str
    package: str
    reason: str
    until: dt.date

    def matches(self, finding: Finding) -> bool:
        """Tell whether it is meant for a finding."""
        return self.id in finding.names and (
            self.package == finding.package or _matches(self.package, _parsed(finding.purls))
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A finding and what became of it."""

    finding: Finding
    status: Status
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What the scans come to."""

    policy: Policy
    #: The worst first.
    judged: tuple[Judged, ...]
    dropped: tuple[Dropped, ...] = ()
    #: Scans without a result.
    failures: tuple[Scan, ...] = ()
    #: Messages about databases that are too old.
    outdated: tuple[str, ...] = ()
    expired: tuple[Acceptance, ...] = ()
    unmatched: tuple[Acceptance, ...] = ()

    @property
    def passed(self) -> bool:
        """Tell whether the policy is known to hold."""
        return self.decided and not self.breaking

    @property
    def decided(self) -> bool:
        """Tell whether every scanner did its work, with a database that is new enough."""
        return not (self.failures or self.outdated)

    @property
    def breaking(self) -> tuple[Judged, ...]:
        """The findings that break the policy."""
        return self.having(Status.BREAKING)

    @property
    def accepted(self) -> tuple[Judged, ...]:
        """The findings that somebody accepted."""
        return self.having(Status.ACCEPTED)

    @property
    def suppressed(self) -> tuple[Judged, ...]:
        """The findings that a VEX document says are none."""
        return self.having(Status.NOT_AFFECTED, Status.FIXED)

    def having(self, *statuses: Status) -> tuple[Judged, ...]:
        """Return the findings of some statuses."""
        return tuple(item for item in self.judged if item.status in statuses)

    @property
    def lines(self) -> tuple[str, ...]:
        """The verdict in words, one line for each thing that is wrong; one line if nothing is."""
        result = [
            f"SCANNER FAILED: {scan.scanner} ({scan.target}): {scan.failure}; "
            "what it would have found is not known, so nothing is decided"
            for scan in self.failures
        ]
        result += [f"DATABASE TOO OLD: {message}" for message in self.outdated]
        if self.breaking:
            result.append(f"POLICY FAILED: {count(len(self.breaking), 'finding')} of {self.policy}")
        elif not result:
            result.append(f"PASSED: no finding of {self.policy}")
        return tuple(result)


def judge(
    scans: Sequence[Scan],
    policy: Policy,
    *,
    now: dt.datetime,
    statements: Iterable[Statement] = (),
    acceptances: Sequence[Acceptance] = (),
    image: Collection[str] = (),
    max_age: dt.timedelta | None = MAX_AGE,
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
    """
    kept, dropped = drop_false(sighting for scan in scans for sighting in scan.sightings)
    findings = join(kept)
    # Of several statements on the same thing the last one counts.
    by_time = sorted(statements, key=lambda statement: statement.time)
    judged = tuple(
        _suppress(finding, by_time, image) or _decide(finding, policy, acceptances, now.date()) for finding in findings
    )
    databases = dict.fromkeys(scan.database for scan in scans if scan.database)
    expired = tuple(entry for entry in acceptances if entry.until < now.date())
    return Verdict(
        policy,
        judged,
        # What a scanner sees in the image and in the SBOM is one.
        tuple(dict.fromkeys(dropped)),
        failures=tuple(scan for scan in scans if scan.failure),
        outdated=tuple(filter(None, (too_old(database, now, max_age) for database in databases))),
        expired=expired,
        unmatched=tuple(
            entry for entry in acceptances if entry not in expired and not any(map(entry.matches, findings))
        ),
    )


def _suppress(finding: Finding, statements: Sequence[Statement], image: Collection[str]) -> Judged | None:
    about = [statement for statement in statements if _speaks_of(statement, finding, image)]
    if not about or about[-1].status not in (Status.NOT_AFFECTED, Status.FIXED):
        return None
    return Judged(finding, Status(about[-1].status), f"{about[-1].reason} ({about[-1].source})")


def _decide(finding: Finding, policy: Policy, acceptances: Sequence[Acceptance], today: dt.date) -> Judged:
    entries = [entry for entry in acceptances if entry.matches(finding)]
    for entry in entries:
        if entry.until >= today:
            return Judged(finding, Status.ACCEPTED, f"{entry.reason} (until {entry.until})")
    if finding.severity < policy.fail_on:
        return Judged(finding, Status.TOLERATED, f"less than {policy.fail_on.name}")
    if policy.only_fixed and not finding.fixed:
        return Judged(finding, Status.TOLERATED, "no fixed version")
    expiries = [entry.until for entry in entries]
    return Judged(finding, Status.BREAKING, f"its acceptance expired on {max(expiries)}" if expiries else "")


def too_old(database: Database, now: dt.datetime, limit: dt.timedelta | None = MAX_AGE) -> str:
    """Return a message if a database is older than the limit, else nothing."""
    age = now - database.built
    if limit is None or age <= limit:
        return ""
    source = f" ({database.source})" if database.source else ""
    return (
        f"{database.scanner}'s database{source} was built on {database.built:%Y-%m-%d}, {count(age.days, 'day')} ago; "
        f"at most {count(limit.days, 'day')} are allowed: take a newer one, or accept it with --accept-old-db"
    )


def read_vex(text: str, name: str) -> tuple[Statement, ...]:
    """Read an OpenVEX document (0.2).

    Parameters
    ----------
    text
        The document.
    name
        Of its file, for messages.

    Raises
    ------
    InputError
        If it is not one.
    """
    try:
        document = json.loads(text)
        if not str(document["@context"]).startswith("https://openvex.dev/ns"):
            raise InputError(f"{name}: its @context is {document['@context']}; expected an OpenVEX document")
        return tuple(_statement(raw, document, name) for raw in document["statements"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{name}: not an OpenVEX document ({reason})") from None


def _statement(raw: dict[str, Any], document: dict[str, Any], name: str) -> Statement:
    flaw = raw["vulnerability"]
    names = [flaw] if isinstance(flaw, str) else [flaw["name"], *flaw.get("aliases", ())]
    status = raw["status"]
    if status not in _STATUSES:
        raise InputError(f"{name}: {names[0]} has the status {status}; expected one of {', '.join(_STATUSES)}")
    reason = raw.get("justification") or raw.get("impact_statement") or ""
    if status == Status.NOT_AFFECTED and not reason:
        raise InputError(f"{name}: {names[0]} is not_affected without a reason; add a justification (OpenVEX 0.2)")
    return Statement(
        frozenset(names),
        status,
        tuple(
            (product, tuple(part for raw_part in raw_product.get("subcomponents", ()) for part in _ids(raw_part)))
            for raw_product in raw.get("products", ())
            for product in _ids(raw_product)
        ),
        reason.replace("_", " ") if "justification" in raw else reason or status,
        document.get("@id", name),
        _zoned(raw.get("last_updated") or raw.get("timestamp") or document["timestamp"]),
    )


def _ids(component: dict[str, Any] | str) -> tuple[str, ...]:
    if isinstance(component, str):
        return (component,)
    return tuple(dict.fromkeys(filter(None, (component.get("@id"), component.get("identifiers", {}).get("purl")))))


def _speaks_of(statement: Statement, finding: Finding, image: Collection[str]) -> bool:
    if not statement.names & finding.names:
        return False
    own, whole = _parsed(finding.purls), _parsed(image)
    return any(
        any(_matches(part, own) for part in parts)
        if parts and (product in image or _matches(product, whole))
        else not parts and (product in image or _matches(product, whole) or _matches(product, own))
        for product, parts in statement.products
    )


def _parsed(purls: Iterable[str]) -> list[Purl]:
    return [parsed for purl in purls if (parsed := Purl.parse(purl))]


def _matches(text: str, purls: list[Purl]) -> bool:
    wanted = Purl.parse(text)
    return wanted is not None and any(map(wanted.covers, purls))


def read_acceptances(text: str, name: str) -> tuple[Acceptance, ...]:
    """Read an acceptance file.

    Parameters
    ----------
    text
        TOML: a list of `[[accept]]` with `id`, `package` (a name or a package URL), `reason` and `until` (a date).
    name
        Of the file, for messages.

    Raises
    ------
    InputError
        If it cannot be read, or an entry is not complete.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: not TOML: {error}") from None
    entries = raw.pop("accept", [])
    if raw or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        unknown = ", ".join(raw) or "accept"
        raise InputError(f"{name}: {unknown} is not known here; expected entries such as\n{_ACCEPTANCE}")
    result = tuple(_acceptance(entry, number, name) for number, entry in enumerate(entries, 1))
    for (flaw, package), times in collections.Counter((entry.id, entry.package) for entry in result).items():
        if times > 1:
            raise InputError(f"{name}: {flaw} of {package} is there {times} times; keep one entry")
    return result


def _acceptance(entry: dict[str, Any], number: int, name: str) -> Acceptance:
    where = f"{name}: entry {number} ({entry.get('id', 'without an id')})"
    for key in entry:
        if key not in Acceptance.__dataclass_fields__:
            raise InputError(f"{where}: {key} is not known; expected id, package, reason and until")
    for key in ("id", "package", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise InputError(f"{where}: needs a text for {key}; expected such as\n{_ACCEPTANCE}")
    until = entry.get("until")
    # A date with a time is a date too, as Python sees it.
    if not isinstance(until, dt.date) or isinstance(until, dt.datetime):
        raise InputError(f"{where}: needs a date for until, without quotes; expected such as\n{_ACCEPTANCE}")
    return Acceptance(entry["id"].strip(), entry["package"].strip(), " ".join(entry["reason"].split()), until)


def _zoned(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _or_worse(severity: Severity) -> str:
    return severity.name if severity is Severity.CRITICAL else f"{severity.name} or worse"


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
