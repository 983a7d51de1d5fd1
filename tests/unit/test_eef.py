"""Records of the Erlang Ecosystem Foundation and of OSV: the order of versions, what they match, what they clear.

The facts are the publishers' own, of 3 August 2026 (tests/fixtures/records, see tests/e2e/facts.py).
"""

import dataclasses
import datetime as dt
import json
from typing import Any

import facts
import pytest

from pipeline.errors import InputError
from pipeline.sbom.component import Kind
from pipeline.sbom.purl import Purl
from pipeline.scan.eef import Records, look, published, warning
from pipeline.scan.findings import ERLANG, Absence, Dropped, Finding, ScannerRun, Severity, Sighting
from pipeline.scan.join import drop_false, join
from pipeline.scan.policy import Policy
from pipeline.scan.records import of_cve, of_osv
from pipeline.scan.verdict import judge
from pipeline.scan.versions import includes

DAY = dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC)
RECORDS = Records.parse(facts.database(DAY), "test")

#: The Hex packages that erlmcp locks.
HEX = {
    "acceptor_pool": "1.0.1",
    "bbmustache": "1.12.2",
    "cowboy": "2.10.0",
    "cowlib": "2.12.1",
    "ctx": "0.6.0",
    "gproc": "0.9.0",
    "grpcbox": "0.17.1",
    "gun": "2.0.1",
    "hpack_erl": "0.3.0",
    "jesse": "1.8.1",
    "jose": "1.11.1",
    "opentelemetry": "1.7.0",
    "opentelemetry_api": "1.5.0",
    "opentelemetry_exporter": "1.10.0",
    "poolboy": "1.5.2",
    "ranch": "2.1.0",
    "ssl_verify_fun": "1.1.7",
    "tls_certificate_check": "1.31.0",
    "ts_chatterbox": "0.15.1",
}
#: What applies to those.
OF_HEX = {
    "cowboy": {"CVE-2026-65624", "CVE-2026-8466"},
    "cowlib": {
        "CVE-2026-43966",
        "CVE-2026-43968",
        "CVE-2026-43969",
        "CVE-2026-43970",
        "CVE-2026-59248",
        "CVE-2026-7790",
    },
    "gun": {"CVE-2026-43972", "CVE-2026-43973", "CVE-2026-43974"},
    "jose": {"CVE-2023-50966"},
}
#: The applications of Erlang/OTP in erlmcp's release that a record is about, by release. That of 27.3.4.1 is as Debian
#: has it. The others have the version that a record or a release note names last for them; whichever they really have,
#: no record's fix lies between.
OTP = {
    "27.3": {
        "erts": "15.2.3",
        "kernel": "10.2.2",
        "stdlib": "6.2",
        "inets": "9.3.1",
        "ssl": "11.2.7",
        "public_key": "1.17.1",
    },
    "27.3.4.1": {
        "erts": "15.2.7",
        "kernel": "10.2.7.1",
        "stdlib": "6.2.2.1",
        "inets": "9.3.2",
        "ssl": "11.2.12.1",
        "public_key": "1.17.1",
    },
    "27.3.4.13": {
        "erts": "15.2.7.9",
        "kernel": "10.2.7.4",
        "stdlib": "6.2.2.1",
        "inets": "9.3.2.6",
        "ssl": "11.2.12.9",
        "public_key": "1.17.1.3",
    },
    "27.3.4.18": {
        "erts": "15.2.7.11",
        "kernel": "10.2.7.4",
        "stdlib": "6.2.2.4",
        "inets": "9.3.2.6",
        "ssl": "11.2.12.13",
        "public_key": "1.17.1.5",
    },
}
_AT_13 = {
    "erts": {"CVE-2026-42792", "CVE-2026-54890", "CVE-2026-55737"},
    "stdlib": {"CVE-2026-47078"},
    "ssl": {
        "CVE-2026-54887",
        "CVE-2026-54891",
        "CVE-2026-55950",
        "CVE-2026-55952",
        "CVE-2026-55953",
        "CVE-2026-58227",
    },
    "public_key": {"CVE-2026-59251"},
}
_AT_1 = {
    "erts": _AT_13["erts"] | {"CVE-2026-49759"},
    "kernel": {"CVE-2026-28810"},
    "stdlib": _AT_13["stdlib"],
    "inets": {"CVE-2026-23941", "CVE-2026-28808", "CVE-2026-48856"},
    "ssl": _AT_13["ssl"] | {"CVE-2026-32144", "CVE-2026-48860"},
    "public_key": _AT_13["public_key"] | {"CVE-2026-32144", "CVE-2026-42789", "CVE-2026-42790", "CVE-2026-42791"},
}
#: What applies to those.
OF_OTP: dict[str, dict[str, set[str]]] = {
    "27.3": {**_AT_1, "stdlib": _AT_1["stdlib"] | {"CVE-2025-4748"}},
    "27.3.4.1": _AT_1,
    "27.3.4.13": _AT_13,
    "27.3.4.18": {},
}


def sbom(release: str, otp: dict[str, str], hexes: dict[str, str]) -> str:
    # Without a record: in the release all the same.
    plain = {"asn1": "5.3.4.1", "crypto": "5.5.3", "mnesia": "4.23.5", "sasl": "4.2.2"}
    parts = [("erlang", release, f"pkg:github/erlang/otp@OTP-{release}")]
    parts += [(name, version, f"pkg:otp/{name}@{version}") for name, version in {**plain, **otp}.items()]
    parts += [(name, version, f"pkg:hex/{name}@{version}") for name, version in hexes.items()]
    return json.dumps(
        {"components": [{"name": name, "version": version, "purl": purl} for name, version, purl in parts]}
    )


def seen(release: str, hexes: dict[str, str] | None = None, **changes: str) -> ScannerRun:
    return look(RECORDS, sbom(release, {**OTP[release], **changes}, HEX if hexes is None else hexes))


def by_package(findings: tuple[Finding, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in findings:
        found.setdefault(finding.package, set()).add(finding.id)
    return found


def of_grype(flaw: str, package: str = ERLANG, version: str = "27.3.4.1") -> Sighting:
    purl = f"pkg:otp/{package}@{version}" if package != ERLANG else f"pkg:generic/erlang@{version}"
    return Sighting("grype", flaw, (), package, version, purl, Kind.OTP, Severity.HIGH)


# What applies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", OTP)
def test_everything_that_applies_is_found_and_nothing_else(release: str) -> None:
    run = seen(release)
    assert not run.failure
    assert by_package(join(run.sightings)) == {**OF_OTP[release], **OF_HEX}


def test_the_number_that_was_aimed_at() -> None:
    findings = join(seen("27.3.4.1").sightings)
    assert len(HEX) == 19
    assert len(findings) == 34
    assert {finding.severity for finding in findings} == {
        Severity.LOW,
        Severity.MEDIUM,
        Severity.HIGH,
        Severity.CRITICAL,
    }


@pytest.mark.parametrize("release", OTP)
def test_applications_and_releases_agree(release: str) -> None:
    """The records say both; what is read of the versions of applications is what they say of the release."""
    shipped = OTP[release].keys()
    # In tftp and in ftp, which left inets at its 7.0: of these two the release alone says too much.
    elsewhere = {"CVE-2026-21620", "CVE-2026-48858"}
    by_release = {
        record.id
        for record in published(RECORDS.known, release)
        if shipped & {each.package.name for each in record.applications}
    }
    assert by_release - elsewhere == set().union(*OF_OTP[release].values())


def test_a_finding_names_the_application_and_what_mends_it() -> None:
    [finding] = [each for each in join(seen("27.3.4.1").sightings) if each.id == "CVE-2026-55953"]
    assert (finding.package, finding.version, finding.kind) == ("ssl", "11.2.12.1", Kind.OTP)
    assert finding.fixed == ("11.2.12.11", "OTP 27.3.4.15")
    assert finding.severity is Severity.CRITICAL
    assert finding.url == "https://cna.erlef.org/cves/CVE-2026-55953.html"
    assert finding.purls[0] == "pkg:otp/ssl@11.2.12.1"


def test_a_flaw_that_has_no_fix_has_none() -> None:
    [finding] = [each for each in join(seen("27.3.4.1").sightings) if each.id == "CVE-2026-43966"]
    # Its severity is in the CVE record alone, its versions are in OSV's.
    assert (finding.fixed, finding.severity) == ((), Severity.MEDIUM)


def test_functions_are_kept() -> None:
    [record] = [each for each in RECORDS.known if each.id == "CVE-2026-48860"]
    assert record.applications[0].functions == ("inet_tls_dist:check_ip/1",)
    assert record.score == 7.5


@pytest.mark.parametrize(
    "purl",
    [
        "pkg:hex/acme/cowlib@2.12.1?repository_url=https:%2F%2Frepo.hex.pm",
        "pkg:hex/cowlib@2.12.1?repository_url=https:%2F%2Fhex.example.com",
        "pkg:generic/cowlib@2.12.1",
        "pkg:otp/cowlib@2.12.1",
    ],
)
def test_another_package_of_the_same_name_is_another_one(purl: str) -> None:
    document = json.loads(sbom("27.3.4.18", {}, {}))
    document["components"].append({"name": "cowlib", "version": "2.12.1", "purl": purl})
    assert look(RECORDS, json.dumps(document)).sightings == ()


def test_an_sbom_without_erlang_is_a_scan_that_failed() -> None:
    run = look(RECORDS, json.dumps({"components": [{"name": "cowlib", "version": "1", "purl": "pkg:hex/cowlib@1"}]}))
    assert run.failure == "the SBOM has no application of Erlang/OTP"


def test_a_version_that_is_none_is_a_scan_that_failed() -> None:
    run = seen("27.3.4.1", ssl="latest")
    assert run.failure == "latest is not a version of Erlang/OTP: records cannot be matched to it"
    # Where no record is about the package, it does not matter.
    assert not seen("27.3.4.1", sasl="latest").failure


def test_a_revision_that_only_a_repository_could_order_is_told() -> None:
    def record(name: str) -> dict[str, Any]:
        raw = facts.cve({**facts.read("cves")[0], "id": name})
        span = {"status": "affected", "versionType": "git", "version": "0" * 40, "lessThan": "1" * 40}
        affected = {"packageURL": "pkg:github/ninenines/cowlib", "defaultStatus": "affected", "versions": [span]}
        raw["containers"]["cna"]["affected"] = [affected]
        return raw

    text = json.loads(facts.database(DAY))
    records = Records.parse(json.dumps({**text, "cves": [record(f"CVE-2026-{n}") for n in range(5)]}), "test")
    document = json.loads(sbom("27.3.4.18", {}, {}))
    revision = "a1b2c3d4e5f6" + "0" * 28
    purl = f"pkg:github/ninenines/cowlib@{revision}"
    document["components"].append({"name": "cowlib", "version": revision, "purl": purl})
    run = look(records, json.dumps(document))
    assert run.sightings == ()
    assert run.remarks == (
        (
            "not known whether ninenines/cowlib a1b2c3d4e5f6 is affected by:\n"
            "  CVE-2026-0, CVE-2026-1, CVE-2026-2 and 2 more"
        ),
    )
    assert look(records, sbom("27.3.4.18", {}, {})).remarks == ()


def test_what_has_no_version_is_told_too() -> None:
    document = json.loads(sbom("27.3.4.18", {}, {}))
    document["components"].append({"name": "cowlib", "purl": "pkg:hex/cowlib"})
    run = look(RECORDS, json.dumps(document))
    assert (run.failure, run.sightings) == ("", ())
    assert "not known whether cowlib of an unknown version is affected by:" in run.remarks[-1]


# What others see of Erlang/OTP as a whole -----------------------------------------------------------------------------


def test_what_is_seen_of_the_whole_is_folded_into_the_application() -> None:
    run = seen("27.3.4.1", hexes={})
    kept, dropped = drop_false((of_grype("CVE-2026-55953"), *run.sightings), run.cleared)
    assert dropped == ()
    [finding] = [each for each in join(kept) if each.id == "CVE-2026-55953"]
    assert (finding.package, set(finding.severities)) == ("ssl", {"eef", "grype"})


@pytest.mark.parametrize(
    ("flaw", "package", "version", "reason"),
    [
        ("CVE-2026-48855", ERLANG, "27.3.4.1", "according to eef it is in ssh, which is not in the image"),
        ("GHSA-pvj7-9652-7h9r", ERLANG, "27.3.4.1", "according to eef it is in ssh, which is not in the image"),
        (
            "CVE-2025-4748",
            ERLANG,
            "27.3.4.1",
            "according to eef it is in stdlib, whose version in the image is not affected",
        ),
        # 6.2.2.1 has the fix of its branch, and is less than 7.0.1.
        ("CVE-2025-4748", "stdlib", "6.2.2.1", "stdlib 6.2.2.1 is not affected according to eef"),
    ],
)
def test_what_is_not_in_the_image_is_dropped_with_the_reason(
    flaw: str, package: str, version: str, reason: str
) -> None:
    other = of_grype(flaw, package, version)
    grype = ScannerRun("grype", "image", sightings=(other,))
    verdict = judge([grype, seen("27.3.4.1", hexes={})], Policy(), now=DAY)
    absence = Absence.COMPONENT if "not in the image" in reason else Absence.CODE
    assert verdict.dropped == (Dropped(other, absence, reason, anywhere=package != ERLANG),)
    assert not any(flaw in item.finding.names for item in verdict.judged)


@pytest.mark.parametrize(
    "other",
    [
        # No record is about it.
        of_grype("CVE-2025-32433"),
        # The record says nothing of a version before the first that it names.
        of_grype("CVE-2026-48859"),
        dataclasses.replace(of_grype("CVE-2026-48855"), package="ssh", kind=Kind.OS),
    ],
)
def test_what_no_record_clears_stays(other: Sighting) -> None:
    run = seen("27.3.4.1", hexes={}, ssh="5.2.11.1")
    assert drop_false([other], run.cleared) == ((other,), ())


def test_without_erlang_of_its_own_nothing_is_known_to_be_away() -> None:
    document = json.loads(sbom("27.3.4.1", OTP["27.3.4.1"], {}))
    del document["components"][0]
    run = look(RECORDS, json.dumps(document))
    assert {each.package for each in run.cleared} == {"inets", "stdlib"}


# Erlang/OTP as a whole ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("27.3.4.1", "Erlang/OTP 27.3.4.1 has 35 advisories (worst CRITICAL); 27.3.4.15 has none"),
        ("27.3.4.14", "Erlang/OTP 27.3.4.14 has 8 advisories (worst CRITICAL); 27.3.4.15 has none"),
        ("28.5", "Erlang/OTP 28.5 has 23 advisories (worst CRITICAL); 28.5.0.4 has none"),
        # Nothing was ever mended on that line.
        (
            "25.3.2.13",
            ("Erlang/OTP 25.3.2.13 has 30 advisories (worst CRITICAL); every later version has some"),
        ),
        ("27.3.4.15", ""),
        ("29.0.4", ""),
    ],
)
def test_what_is_published_on_a_release_is_told_with_the_one_that_has_none(version: str, expected: str) -> None:
    assert warning(RECORDS, version) == expected


@pytest.mark.parametrize("whole", ["pkg:sid/erlang.org/otp", "pkg:software-id/erlang.org/otp"])
def test_erlang_has_another_name_since_september(whole: str) -> None:
    """Of CVE-2026-89422, fixed on 22 September 2026."""

    def entry(package: str, start: str, *fixed: str) -> dict[str, Any]:
        spans = [{"scheme": "otp", "from": start, "before": "*", "fixed": fixed}]
        return {"package": package, "default": "unaffected", "functions": [], "ranges": spans}

    facts_of = {
        "id": "CVE-2026-89422",
        "ghsa": "GHSA-rgxr-4g4w-j875",
        "score": 9.3,
        "severity": "CRITICAL",
        "affected": [
            entry("pkg:otp/ssl", "9.5", "11.2.12.13", "11.6.0.6", "11.7.7"),
            entry(whole, "22.2", "27.3.4.18", "28.5.0.7", "29.1.1"),
        ],
    }
    records = Records.parse(facts.database(DAY, [facts_of]), "test")
    [finding] = join(look(records, sbom("27.3.4.1", OTP["27.3.4.1"], {})).sightings)
    assert finding.fixed == ("11.2.12.13", "OTP 27.3.4.18")
    assert warning(records, "29.1") == ("Erlang/OTP 29.1 has 1 advisory (worst CRITICAL); 29.1.1 has none")
    assert look(records, sbom("27.3.4.18", OTP["27.3.4.18"], {})).sightings == ()


# Orders of versions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "other", "expected"),
    [
        ("27.3.4.9", "27.3.4", True),
        ("27.3.4.9", "27.3.4.9", True),
        ("27.3.4.10", "27.3.4.9", True),
        ("27.3.4.9", "27.3.4.10", False),
        ("27.3.4.9", "27.3.3", True),
        # A later normal version need not have what a branch got.
        ("27.3.5", "27.3.4.9", False),
        ("28.0", "27.3.4.9", False),
        ("27.3.4.9", "27.3.5", False),
        # 28.5.0.1 is the first on the branch of 28.5.
        ("28.5.0.1", "28.5", True),
        ("28.5", "28.5.0.1", False),
        ("28.5.1", "28.5.0.1", False),
        # The second branch of 6.0.2, and a branch of a branch.
        ("6.0.2.0.1", "6.0.2", True),
        ("6.0.2.0.1", "6.0.2.1", False),
        ("6.0.2.2", "6.0.2.0.1", False),
        ("18.3.4.1.1", "18.3.4.1", True),
        ("18.3.4.1.1", "18.3.4.2", False),
        ("18.3.4.2", "18.3.4.1.1", False),
        # Before 17.0; candidates; the beginning.
        ("17.0", "R16B03-1", True),
        ("R16B03-1", "R16B03", True),
        ("R16B03", "R16B03-1", False),
        ("R13B03", "17.0", False),
        ("29.0-rc1", "29.0", False),
        ("29.0-rc2", "29.0-rc1", True),
        ("29.0", "29.0-rc3", True),
        ("R13B03", "0", True),
        ("OTP-27.3", "27.3", True),
        # As a record has it, for 3.1.
        ("3.1", "3.01", True),
    ],
)
def test_versions_of_erlang_are_ordered_in_part(version: str, other: str, *, expected: bool) -> None:
    assert includes(version, other, "otp") is expected


def test_versions_of_hex_packages_are_ordered() -> None:
    order = ["0", "0.0.1-a", "0.0.1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2"]
    order += ["1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.10", "1.2.0+build", "2.0.0-pre.4", "2.0.0"]
    for index, version in enumerate(order):
        for at, other in enumerate(order):
            assert includes(version, other, "semver") is (at <= index), (version, other)


# Records --------------------------------------------------------------------------------------------------------------


def test_a_record_that_was_taken_back_is_none() -> None:
    [first, *_] = facts.read("cves")
    assert of_cve(facts.cve(first)) is not None
    assert of_cve(facts.cve({**first, "state": "REJECTED"})) is None
    [known, *_] = facts.read("osv")
    assert of_osv({**facts.osv(known), "withdrawn": "2026-08-03T00:00:00Z"}) is None


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([["introduced", "0"], ["fixed", "1.2.0"]], ["0.1.0", "1.1.9", "1.2.0-rc.1"], ["1.2.0"]),
        ([["introduced", "1.0.0"], ["last_affected", "1.2.0"]], ["1.0.0", "1.2.0"], ["0.9.0", "1.2.1"]),
        ([["introduced", "1.0.0"]], ["1.0.0", "9.0.0"], ["0.9.0"]),
        # In whatever order they stand.
        (
            [["fixed", "3.0.0"], ["introduced", "2.0.0"], ["introduced", "0"], ["fixed", "1.0.0"]],
            ["0.5.0", "2.5.0"],
            ["1.5.0", "3.0.0"],
        ),
    ],
)
def test_events_of_osv(events: list[list[str]], inside: list[str], outside: list[str]) -> None:
    record = of_osv(facts.osv({"id": "OSV-1", "aliases": [], "severity": "LOW", "package": "x", "ranges": [events]}))
    assert record is not None
    [affected] = record.affected
    assert {version: affected.status_of(version) for version in inside} == dict.fromkeys(inside, "affected")
    assert {version: affected.status_of(version) for version in outside} == dict.fromkeys(outside, "unaffected")


def test_versions_that_osv_lists_are_affected_too() -> None:
    raw = facts.osv({"id": "OSV-1", "aliases": [], "severity": "LOW", "package": "x", "ranges": []})
    raw["affected"][0]["versions"] = ["1.0.0", "1.1.0"]
    record = of_osv(raw)
    assert record is not None
    assert [record.affected[0].status_of(version) for version in ("1.0.0", "1.0.1")] == ["affected", "unaffected"]


def test_every_version_is_affected_where_the_record_says_so() -> None:
    raw = facts.cve(facts.read("cves")[0])
    raw["containers"]["cna"]["affected"] = [{"packageURL": "pkg:hex/x", "defaultStatus": "affected", "versions": []}]
    record = of_cve(raw)
    assert record is not None
    assert record.affected[0].covers(Purl("hex", "", "x", "1.0.0", {}))
    assert record.affected[0].status_of("1.0.0") == "affected"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "db: the file cannot be read"),
        ("{", "db: the file cannot be read"),
        ('{"cves": [], "osv": []}', "db: the file cannot be read (no 'fetched')"),
        ('{"fetched": "2026-08-03T00:00:00Z", "cves": [], "osv": []}', "db: it has no records under cves"),
        (
            '{"fetched": "2026-08-03T00:00:00Z", "cves": [{"cveMetadata": {"cveId": "CVE-1"}}], "osv": []}',
            "db: CVE-1 cannot be read (no 'state')",
        ),
        (
            '{"fetched": "2026-08-03T00:00:00Z", "cves": [], "osv": [{"id": "A", "affected": 1}]}',
            "db: A cannot be read",
        ),
    ],
)
def test_a_database_that_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Records.parse(text, "db")
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("write it again with the function advisories")


def test_the_digest_is_that_of_the_records_whenever_they_were_fetched() -> None:
    again = Records.parse(facts.database(DAY + dt.timedelta(days=1)), "test")
    assert again.database.digest == RECORDS.database.digest
    assert again.database.built != RECORDS.database.built
    other = Records.parse(facts.database(DAY, facts.read("cves")[1:]), "test")
    assert other.database.digest != RECORDS.database.digest
