"""The data that every report is made from."""

import collections
import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pipeline.report.places import Place, Places
from pipeline.sbom.sbom import Image
from pipeline.scan.baseline import Baseline
from pipeline.scan.calls import Callers, evidence
from pipeline.scan.databases import Database
from pipeline.scan.findings import Finding, ScannerRun, Severity, Status
from pipeline.scan.policy import Rules, otp_statements
from pipeline.scan.scanners import Results
from pipeline.scan.verdict import Verdict, judge, secrets_of
from pipeline.scan.vex import image_names
from pipeline.table import count


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """The data of the reports."""

    #: Name and tag, as the user knows it.
    image: str
    #: `sha256:...`
    digest: str
    #: Of the verdict.
    time: dt.datetime
    runs: tuple[ScannerRun, ...]
    verdict: Verdict
    #: What else a reader should know, such as a scanner that was not asked and why.
    notes: tuple[str, ...] = ()
    #: Components of the SBOM by kind, if one was made.
    components: dict[str, int] = dataclasses.field(default_factory=dict)
    #: By which it was judged.
    rules: Rules = dataclasses.field(default_factory=Rules)
    #: Under which a VEX document may speak of the image.
    names: tuple[str, ...] = ()
    #: What brought the packages in; nothing if the project is not known.
    places: Places | None = None
    #: Who in the release calls what advisories name, and which applications are the project's own.
    callers: Mapping[str, Callers] = dataclasses.field(default_factory=dict)
    own: tuple[str, ...] = ()
    #: Package URLs of what is in the image.
    packages: tuple[str, ...] = ()
    #: The version of Erlang/OTP; empty if it is not known.
    erlang: str = ""

    def evidence(self, finding: Finding) -> str:
        """Return who calls the functions that a finding's advisory names, in words, if that is known."""
        return evidence(finding.package, finding.functions, self.callers, self.own)

    def place(self, finding: Finding) -> Place | None:
        """Return the line of the project that brought a finding's package in, if the project is known."""
        return self.places.of(finding) if self.places else None


async def reported(
    results: Results,
    rules: Rules,
    image: Image,
    time: dt.datetime,
    *,
    architecture: str = "",
    attested: Mapping[str, Any] = MappingProxyType({}),
    baseline: Baseline | None = None,
) -> Report:
    """Judge the results of the scanners.

    Parameters
    ----------
    results
        Of the scanners.
    rules
        What is asked of the image.
    image
        What was scanned.
    time
        Of the verdict, with a zone.
    architecture
        Of the image, if it is one alone: a VEX document may name it.
    attested
        The verdict with which it was published (`findings.json`), of which the image's names and its secrets hold.
    baseline
        An earlier image: what it has too only warns.
    """
    tagged = f"{image.name}:{image.version}" if image.version else image.name
    names = image_names(image.name, image.version, image.digest, architecture)
    names = tuple(dict.fromkeys((*attested.get("image", {}).get("names", ()), *names)))
    verdict = judge(
        results.runs,
        rules.policy,
        now=time,
        statements=(*rules.statements, *(await otp_statements(results.erlang) if rules.otp_vex else ())),
        acceptances=rules.acceptances,
        image=names,
        max_age=rules.max_age,
        secrets=secrets_of(attested),
        ended_on=results.ended_on,
        baseline=baseline,
    )
    notes = (
        ("Docker Scout ran: see scout.sarif; it does not affect the verdict",)
        if results.scout
        else ("Docker Scout did not run: it needs a login (--scout-user, --scout-token)",)
    )
    counts = results.sbom.counts_by_kind() if results.sbom else {}
    told = (*filter(None, [image.remark]), *(remark for run in results.runs for remark in run.told))
    compared = (f"compared with {baseline.image}: findings that it also has only warn",) if baseline else ()
    return Report(
        tagged,
        image.digest,
        time,
        results.runs,
        verdict,
        (*told, *compared, *notes),
        counts,
        rules,
        names,
        packages=results.packages,
        erlang=results.erlang,
    )


def counts(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the table of sightings by severity and run, and of the findings that they come to."""
    joined = collections.Counter(item.finding.severity for item in report.verdict.judged)
    breaking = collections.Counter(item.finding.severity for item in report.verdict.breaking)
    seen = [collections.Counter(run.severities) for run in report.runs]
    header = ("severity", *(f"{run.scanner}\n{run.target}" for run in report.runs), "joined", "breaking")
    rows = [
        (
            severity.name,
            *(
                "?" if run.failure or run.unknown else str(counts[severity])
                for run, counts in zip(report.runs, seen, strict=True)
            ),
            str(joined[severity]),
            str(breaking[severity]),
        )
        for severity in reversed(Severity)
    ]
    return header, rows


def scanners(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the table of the scanners' runs and their databases."""
    header = ("scanner", "target", "version", "result", "database built", "age")
    return header, [_scanner_row(run, report.time) for run in report.runs]


def _scanner_row(run: ScannerRun, time: dt.datetime) -> tuple[str, ...]:
    days = (time - run.database.built).days if run.database else 0
    return (
        run.scanner,
        run.target,
        run.version or "-",
        "FAILED" if run.failure else "INCOMPLETE" if run.unknown else "ran",
        f"{run.database.built:%Y-%m-%d}" if run.database else "-",
        count(days, "day") if run.database else "-",
    )


def databases(report: Report) -> dict[str, Database]:
    """Return the vulnerability databases that were read, by scanner."""
    return {run.database.scanner: run.database for run in report.runs if run.database}


def remarks(report: Report) -> Iterator[str]:
    """Yield further remarks for the reader, a line each."""
    verdict = report.verdict
    for scanner, database in databases(report).items():
        yield f"database of {scanner} ({database.source}):\n  {database.digest}"
    if report.components:
        yield "components: " + ", ".join(f"{number} {kind}" for kind, number in report.components.items())
    for word, items in (
        ("accepted", verdict.accepted),
        ("not affected or fixed, by VEX", verdict.suppressed),
        ("tolerated", verdict.having(Status.TOLERATED)),
    ):
        if items:
            yield f"{word}: {len(items)}"
    for reason, times in sorted(collections.Counter(item.reason for item in verdict.dropped).items()):
        yield f"dropped as false positives: {times} ({reason})"
    for entry in verdict.expired:
        yield f"acceptance expired on {entry.until}: {entry.id} of {entry.package}"
    for entry in verdict.unmatched:
        yield entry.lost
    yield from verdict.unmatched_vex
    yield from report.notes


def rfc3339(time: dt.datetime) -> str:
    """Return a time as the formats want it."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
