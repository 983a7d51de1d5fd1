"""Reading, dropping and joining; `data/scans/*.json` are recorded by `record_scans.py` from the real scanners."""

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.sbom.component import Kind
from pipeline.sbom.purl import Purl
from pipeline.scan.acceptance import Acceptance
from pipeline.scan.coverage import covered
from pipeline.scan.databases import Database
from pipeline.scan.findings import ScannerRun, Severity, Sighting
from pipeline.scan.grype import read_grype
from pipeline.scan.join import drop_false, join
from pipeline.scan.trivy import read_trivy

SCANS = Path(__file__).parent / "data" / "scans"
TRIVY = (SCANS / "trivy.json").read_text()
GRYPE = (SCANS / "grype.json").read_text()


def sighting(flaw: str = "CVE-2026-0001", scanner: str = "trivy", **changes: Any) -> Sighting:  # noqa: ANN401 # fields
    purl = changes.pop("purl", "pkg:hex/cowlib@2.12.1")
    return dataclasses.replace(
        Sighting(scanner, flaw, (), "cowlib", "2.12.1", purl, Kind.HEX, Severity.HIGH), **changes
    )


def grype_of(artifact: dict[str, Any], own: tuple[str, ...] = ()) -> Sighting:
    raw = json.loads(GRYPE)
    raw["matches"] = raw["matches"][:1]
    raw["matches"][0]["artifact"] |= artifact
    return read_grype(json.dumps(raw), "SBOM", own).sightings[0]


# Reading -------------------------------------------------------------------------------------------------------------


def test_what_trivy_wrote_is_read() -> None:
    scan = read_trivy(TRIVY, "SBOM")
    assert not scan.failure
    assert {(s.id, s.package, s.kind, s.severity) for s in scan.sightings} == {
        ("CVE-2019-1010022", "libc6", Kind.OS, Severity.LOW),
        ("CVE-0000-0001", "libssl3t64", Kind.OS, Severity.HIGH),
        ("CVE-0000-0001", "openssl-provider-legacy", Kind.OS, Severity.HIGH),
        ("CVE-2023-50966", "jose", Kind.HEX, Severity.MEDIUM),
        ("CVE-0000-0002", "tiny_text", Kind.HEX, Severity.HIGH),
    }
    jose = next(s for s in scan.sightings if s.package == "jose")
    assert jose.aliases == ("GHSA-9mg4-v392-8j68",)
    assert jose.fixed == ("1.11.7",)
    assert jose.version == "1.11.1"


def test_what_grype_wrote_is_read() -> None:
    scan = read_grype(GRYPE, "SBOM")
    assert not scan.failure
    assert scan.database is not None
    assert scan.database.built.tzinfo is not None
    assert scan.database.source == "tests/fixtures/advisories"
    by_package = {s.package: s for s in scan.sightings}
    assert by_package["ssh"].id == "GHSA-37cp-fgq5-7wc2"
    assert by_package["ssh"].aliases == ("CVE-2025-32433",)
    assert by_package["ssh"].kind is Kind.OTP
    assert by_package["ssh"].cpes == ()
    assert by_package["Erlang/OTP"].version == "27.3.4.1"
    assert by_package["Erlang/OTP"].kind is Kind.OTP
    assert by_package["libc6"].severity is Severity.NEGLIGIBLE


def test_of_several_fixed_versions_the_one_for_the_version_at_hand_is_kept() -> None:
    ssh = next(s for s in read_grype(GRYPE, "SBOM").sightings if s.package == "ssh")
    assert ssh.fixed == ("5.2.10",)


@pytest.mark.parametrize(
    ("artifact", "own", "expected"),
    [
        ({"purl": "pkg:hex/ts_chatterbox@0.15.1", "name": "chatterbox"}, (), ("ts_chatterbox", Kind.HEX)),
        ({"purl": "pkg:github/joergen7/gen_pnet@f7f9", "name": "gen_pnet"}, (), ("joergen7/gen_pnet", Kind.GIT)),
        ({"purl": "pkg:generic/x@1?vcs_url=git%2Bhttps://a/x.git%401", "name": "x"}, (), ("x", Kind.GIT)),
        ({"purl": "pkg:generic/greeter@1.2.0", "name": "greeter"}, ("greeter",), ("greeter", Kind.OWN)),
        ({"purl": "pkg:generic/greeter@1.2.0", "name": "greeter"}, (), ("greeter", Kind.OTHER)),
        ({"purl": "pkg:deb/debian/greeter@1.2.0", "name": "greeter"}, ("greeter",), ("greeter", Kind.OS)),
        ({"purl": "pkg:generic/erlang@27.3", "name": "erlang", "version": "27.3"}, (), ("Erlang/OTP", Kind.OTP)),
        ({"purl": "", "type": "erlang-otp", "name": "inets"}, (), ("inets", Kind.OTP)),
        ({"purl": "", "type": "erlang-otp", "name": "erlang"}, (), ("Erlang/OTP", Kind.OTP)),
        ({"purl": "", "type": "apk", "name": "libssl3"}, ("libssl3",), ("libssl3", Kind.OS)),
        ({"purl": "", "type": "UnknownPackage", "name": "greeter"}, ("greeter",), ("greeter", Kind.OWN)),
    ],
)
def test_a_package_is_named_and_sorted_alike_whatever_the_scanner_says(
    artifact: dict[str, Any], own: tuple[str, ...], expected: tuple[str, Kind]
) -> None:
    found = grype_of(artifact, own)
    assert (found.package, found.kind) == expected


def test_secrets_of_trivy_are_told_without_their_text() -> None:
    raw = json.loads(TRIVY)
    secret = {"RuleID": "private-key", "Category": "AsymmetricPrivateKey", "StartLine": 3, "Match": "-----BEGIN ****"}
    secret |= {"Severity": "HIGH", "Title": "Asymmetric Private Key"}
    raw["Results"].append({"Target": "/opt/app/key.pem", "Class": "secret", "Secrets": [secret]})
    (found,) = read_trivy(json.dumps(raw), "image").secrets
    assert dataclasses.astuple(found) == ("private-key", "/opt/app/key.pem", 3, Severity.HIGH, "Asymmetric Private Key")


@pytest.mark.parametrize("read", [read_trivy, read_grype])
@pytest.mark.parametrize("text", ["", "FATAL failed to run", "[]", "{}", "null", '{"matches": [{}]}'])
def test_a_report_that_cannot_be_read_is_a_scan_that_failed(read: Callable[[str, str], ScannerRun], text: str) -> None:
    scan = read(text, "image")
    assert scan.failure
    assert not scan.sightings
    assert "\n" not in scan.failure


def test_a_match_without_its_parts_is_a_scan_that_failed() -> None:
    raw = json.loads(GRYPE)
    del raw["matches"][0]["artifact"]
    assert read_grype(json.dumps(raw), "image").failure == "its report cannot be read (no 'artifact')"


# What a scanner must have seen ----------------------------------------------------------------------------------------

EXPECTED = {"deb": 11, "hex": 20, "otp": 12, "generic": 3, "github": 1}


def read_both(target: str = "SBOM", change: Callable[[dict[str, Any]], object] = len) -> tuple[ScannerRun, ScannerRun]:
    """Return the recorded scans, each report changed before it is read."""
    trivy, grype, seen = (
        json.loads((SCANS / name).read_text()) for name in ("trivy.json", "grype.json", "grype.cdx.json")
    )
    for document in (trivy, grype, seen):
        change(document)
    return read_trivy(json.dumps(trivy), target), read_grype(json.dumps(grype), target, seen=json.dumps(seen))


def test_scanners_that_saw_all_of_the_sbom_ran() -> None:
    for run in read_both():
        assert run.system == "debian 13.8"
        assert not run.ended
        assert run.packages["deb"] == 11
        assert covered(run, EXPECTED) == run


def test_a_report_without_a_system_is_a_scan_that_failed() -> None:
    def lose(document: dict[str, Any]) -> None:
        document.pop("Metadata", None)
        document.pop("distro", None)

    for run in read_both("SBOM", lose):
        assert covered(run, EXPECTED).failure == "it saw no operating system in the SBOM"


def test_an_empty_report_of_an_image_is_a_scan_that_failed() -> None:
    """As Grype gives it, with success, for an image whose packages it does not find."""

    def empty(document: dict[str, Any]) -> None:
        for key in ("Results", "matches", "components"):
            if key in document:
                document[key] = []
        document.pop("Metadata", None)
        if "distro" in document:
            document["distro"] = {"name": "", "version": "", "idLike": None}

    for expected, wanted in ((EXPECTED, 11), ({}, 1)):
        for run in read_both("image", empty):
            said = covered(run, expected).failure
            assert said == f"it saw no operating system, 0 of {wanted} packages of type deb in the image"


@pytest.mark.parametrize(
    ("kind", "failures"),
    [
        # An SBOM's Hex packages do not stand for those of the system.
        ("deb", ["it saw 0 of 11 packages of type deb in the SBOM"] * 2),
        ("hex", ["it saw 0 of 20 packages of type hex in the SBOM"] * 2),
        # Trivy drops these: they are not asked of it.
        ("otp", ["", "it saw 0 of 12 packages of type otp in the SBOM"]),
    ],
)
def test_a_scanner_that_lost_the_packages_of_a_kind_failed(kind: str, failures: list[str]) -> None:
    lost = [dataclasses.replace(run, packages={**run.packages, kind: 0}) for run in read_both()]
    assert [covered(run, EXPECTED).failure for run in lost] == failures


def test_one_package_too_few_is_too_few() -> None:
    trivy, _ = read_both("image")
    assert covered(trivy, {"deb": 12}).failure == "it saw 11 of 12 packages of type deb in the image"
    assert not covered(trivy, {"deb": 11, "hex": 99}).failure


def test_the_end_of_a_system_is_read() -> None:
    def end(document: dict[str, Any]) -> None:
        if "Metadata" in document:
            document["Metadata"]["OS"]["EOSL"] = True
        if "distro" in document:
            alert = {"type": "distro-eol", "message": "Package is from end-of-life distro: debian 13.8"}
            document["alertsByPackage"] = [{"package": {}, "alerts": [alert]}]

    assert [run.ended for run in read_both("image", end)] == [True, True]


# A severity that nobody gives -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ({}, Severity.UNKNOWN),
        ({"VendorSeverity": {"nvd": 2, "redhat": 4}}, Severity.MEDIUM),
        ({"VendorSeverity": {"nvd": 0, "redhat": 3, "photon": 1}}, Severity.HIGH),
        ({"CVSS": {"nvd": {"V2Score": 10.0, "V3Score": 5.3}}}, Severity.MEDIUM),
        ({"CVSS": {"ghsa": {"V40Score": 9.3}}}, Severity.CRITICAL),
        ({"CVSS": {"ghsa": {"V2Score": 10.0}}}, Severity.UNKNOWN),
        ({"Severity": "LOW", "VendorSeverity": {"nvd": 4}}, Severity.LOW),
    ],
)
def test_trivys_unknown_severity_comes_from_others(more: dict[str, Any], severity: Severity) -> None:
    raw = json.loads(TRIVY)
    first = next(result for result in raw["Results"] if result.get("Vulnerabilities"))
    flaw = first["Vulnerabilities"][0]
    for key in ("VendorSeverity", "CVSS"):
        flaw.pop(key, None)
    flaw |= {"Severity": "UNKNOWN", **more}
    assert read_trivy(json.dumps(raw), "SBOM").sightings[0].severity is severity


@pytest.mark.parametrize(
    ("flaw", "related", "severity"),
    [
        ({}, [], Severity.UNKNOWN),
        ({}, [{"severity": "High"}], Severity.HIGH),
        ({"cvss": [{"version": "3.1", "metrics": {"baseScore": 9.8}}]}, [{"severity": "Low"}], Severity.LOW),
        ({"cvss": [{"version": "3.1", "metrics": {"baseScore": 9.8}}]}, [{}], Severity.CRITICAL),
        ({"cvss": [{"version": "2.0", "metrics": {"baseScore": 9.8}}]}, [], Severity.UNKNOWN),
        ({}, [{"cvss": [{"version": "4.0", "metrics": {"baseScore": 6.9}}]}], Severity.MEDIUM),
    ],
)
def test_grypes_unknown_severity_comes_from_others(
    flaw: dict[str, Any], related: list[dict[str, Any]], severity: Severity
) -> None:
    raw = json.loads(GRYPE)
    raw["matches"] = raw["matches"][:1]
    raw["matches"][0]["vulnerability"] |= {"severity": "Unknown", "cvss": [], **flaw}
    raw["matches"][0]["relatedVulnerabilities"] = [
        {"id": "CVE-2026-9", "severity": "Unknown", **one} for one in related
    ]
    assert read_grype(json.dumps(raw), "SBOM").sightings[0].severity is severity


def test_another_version_of_trivys_format_is_refused() -> None:
    assert "version 3" in read_trivy(json.dumps({"SchemaVersion": 3, "Results": [{"Class": "os-pkgs"}]}), "i").failure


def test_a_broken_database_of_grype_is_a_failure() -> None:
    raw = json.loads(GRYPE)
    raw["descriptor"]["db"]["status"] |= {"valid": False, "error": "database is corrupt"}
    assert read_grype(json.dumps(raw), "image").failure == "its database: database is corrupt"


def test_the_date_of_trivys_database() -> None:
    text = '{"Version":2,"NextUpdate":"2026-11-25T18:32:02Z","UpdatedAt":"2026-11-24T18:32:02.123456789Z"}'
    database = Database.from_trivy(text, "mirror")
    assert database.built == dt.datetime(2026, 11, 24, 18, 32, 2, 123456, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"UpdatedAt": "yesterday"}', '{"UpdatedAt": 3}'])
def test_a_trivy_database_without_a_date_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"trivy database: its metadata\.json has no build date"):
        Database.from_trivy(text)


def test_severities_are_read_in_any_case_and_others_are_refused() -> None:
    assert Severity.parse(" high ") is Severity.HIGH
    with pytest.raises(InputError, match="severe: not a severity; use CRITICAL, HIGH, MEDIUM, LOW, NEGL"):
        Severity.parse("severe")
    with pytest.raises(InputError):
        Severity.parse("")


# Package URLs --------------------------------------------------------------------------------------------------------


def test_a_package_url_is_taken_apart() -> None:
    purl = Purl.parse("pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1?arch=amd64&distro=debian-13#sub/path")
    assert purl == Purl("deb", "debian", "zlib1g", "1:1.3.dfsg+really1.3.1-1", {"arch": "amd64", "distro": "debian-13"})


def test_a_plus_in_a_qualifier_is_a_plus() -> None:
    for url in ("git+https://a/x.git%401", "git%2Bhttps://a/x.git%401"):
        purl = Purl.parse(f"pkg:generic/x@1+2?vcs_url={url}")
        assert purl == Purl("generic", "", "x", "1+2", {"vcs_url": "git+https://a/x.git@1"})


@pytest.mark.parametrize("text", ["", "pkg:", "pkg:hex", "cowlib", "https://example.org/a@b"])
def test_what_is_no_package_url(text: str) -> None:
    assert Purl.parse(text) is None


@pytest.mark.parametrize(
    ("wanted", "given", "covers"),
    [
        ("pkg:otp/ssh@5.2.9", "pkg:otp/ssh@5.2.9", True),
        ("pkg:otp/ssh", "pkg:otp/ssh@5.2.9", True),
        ("pkg:otp/ssh@5.2.9", "pkg:otp/ssh", False),
        ("pkg:otp/ssh@5.2.9", "pkg:otp/ssh@5.2.10", False),
        ("pkg:otp/ssh@5.2.9", "pkg:hex/ssh@5.2.9", False),
        ("pkg:deb/debian/libc6", "pkg:deb/debian/libc6@2.41?arch=amd64", True),
        ("pkg:deb/debian/libc6?arch=arm64", "pkg:deb/debian/libc6@2.41?arch=amd64", False),
        ("pkg:github/erlang/otp@OTP-27.3.4", "pkg:otp/erlang@27.3.4", True),
        ("pkg:otp/erlang@27.3.4", "pkg:github/erlang/otp@OTP-27.3.4", True),
        ("pkg:generic/erlang@27.3.4", "pkg:github/erlang/otp@OTP-27.3.4", True),
        ("pkg:github/erlang/otp@OTP-27.3.3", "pkg:github/erlang/otp@OTP-27.3.4", False),
    ],
)
def test_which_package_url_covers_which(wanted: str, given: str, covers: bool) -> None:  # noqa: FBT001
    first, second = Purl.parse(wanted), Purl.parse(given)
    assert first
    assert second
    assert first.covers(second) is covers


# False matches -------------------------------------------------------------------------------------------------------


def test_the_ftp_daemon_of_1988_is_not_otps_ftp() -> None:
    kept, dropped = drop_false(read_grype(GRYPE, "SBOM").sightings)
    assert [(item.sighting.id, item.sighting.package) for item in dropped] == [("CVE-1999-0082", "ftp")]
    assert dropped[0].reason == "an OTP application matched by the CPE of another vendor's program"
    assert dropped[0].sighting.cpes == ("cpe:2.3:a:ftp:ftp:*:*:*:*:*:*:*:*",)
    # Erlang/OTP as a whole is matched by CPE too, and rightly.
    assert "Erlang/OTP" in {item.package for item in kept}


@pytest.mark.parametrize(
    ("changes", "is_dropped"),
    [
        ({"flaw": "CVE-2002-0013", "kind": Kind.OTP, "package": "snmp"}, True),
        ({"flaw": "GHSA-aaaa-bbbb-cccc", "aliases": ("CVE-2002-0013",), "kind": Kind.OTP}, True),
        ({"flaw": "CVE-2009-0130", "kind": Kind.OTP, "package": "crypto"}, False),
        ({"flaw": "CVE-0000-0001", "kind": Kind.OTP}, False),
        ({"flaw": "CVE-2002-0013", "kind": Kind.OS, "package": "snmpd"}, False),
        ({"kind": Kind.OTP, "cpes": ("cpe:2.3:a:erlang:erlang\\/otp:*:*:*:*:*:*:*:*",)}, False),
        ({"kind": Kind.OTP, "cpes": ("cpe:2.3:a:ssh\\:erlang:ssh:*:*:*:*:*:*:*:*",)}, True),
        ({"kind": Kind.HEX, "cpes": ("cpe:2.3:a:ninenines:cowlib:*:*:*:*:*:*:*:*",)}, False),
    ],
)
def test_which_sightings_are_dropped(changes: dict[str, Any], is_dropped: bool) -> None:  # noqa: FBT001
    _, dropped = drop_false([sighting(**changes)])
    assert bool(dropped) is is_dropped


# Joining -------------------------------------------------------------------------------------------------------------


def test_recorded_scans_are_joined_into_one_line_each() -> None:
    kept, _ = drop_false(read_trivy(TRIVY, "SBOM").sightings + read_grype(GRYPE, "SBOM").sightings)
    assert [(f.id, f.package, f.severity.name, tuple(f.severities)) for f in join(kept)] == [
        ("CVE-2025-32433", "ssh", "CRITICAL", ("grype",)),
        ("CVE-0000-0002", "tiny_text", "HIGH", ("grype", "trivy")),
        ("CVE-0000-0001", "libssl3t64", "HIGH", ("grype", "trivy")),
        ("CVE-0000-0001", "openssl-provider-legacy", "HIGH", ("grype", "trivy")),
        ("CVE-2026-23941", "inets", "HIGH", ("grype",)),
        ("CVE-2023-50966", "jose", "MEDIUM", ("grype", "trivy")),
        ("CVE-2019-1010022", "libc6", "LOW", ("grype", "trivy")),
    ]


def test_a_flaw_of_an_otp_application_and_of_otp_as_a_whole_is_one_finding() -> None:
    kept, _ = drop_false(read_grype(GRYPE, "SBOM").sightings)
    inets = next(finding for finding in join(kept) if finding.package == "inets")
    assert inets.fixed == ("9.3.2.3", "OTP 27.3.4.9")
    assert inets.purls == ("pkg:otp/inets@9.3.2", "pkg:github/erlang/otp@OTP-27.3.4.1")


def test_a_flaw_of_otp_as_a_whole_alone_stays() -> None:
    (whole,) = [s for s in read_grype(GRYPE, "SBOM").sightings if s.is_erlang]
    (finding,) = join([whole])
    assert (finding.package, finding.fixed) == ("Erlang/OTP", ("27.3.4.9",))


def test_aliases_are_folded_through_a_chain_of_scanners() -> None:
    (finding,) = join(
        [
            sighting("EEF-CVE-2026-1", "trivy", aliases=("CVE-2026-1",)),
            sighting("GHSA-aaaa-bbbb-cccc", "grype"),
            sighting("OSV-2026-7", "scout", aliases=("GHSA-aaaa-bbbb-cccc", "EEF-CVE-2026-1")),
        ]
    )
    assert finding.id == "CVE-2026-1"
    assert finding.aliases == ("EEF-CVE-2026-1", "GHSA-aaaa-bbbb-cccc", "OSV-2026-7")
    assert list(finding.severities) == ["grype", "scout", "trivy"]


def test_an_alias_learned_of_one_package_says_nothing_of_another() -> None:
    findings = join(
        [
            # Of one package the advisory is two flaws, of the other each scanner has one of them.
            sighting("GHSA-aaaa-bbbb-cccc", "grype", aliases=("CVE-2026-1", "CVE-2026-2"), package="ranch"),
            sighting("CVE-2026-1"),
            sighting("CVE-2026-2", "grype"),
        ]
    )
    assert {(finding.package, finding.id, tuple(finding.severities)) for finding in findings} == {
        ("cowlib", "CVE-2026-1", ("trivy",)),
        ("cowlib", "CVE-2026-2", ("grype",)),
        ("ranch", "CVE-2026-1", ("grype",)),
        ("ranch", "CVE-2026-2", ("grype",)),
    }


def test_two_cves_are_two_findings_whoever_speaks_of_both() -> None:
    findings = join(
        [
            sighting("GHSA-aaaa-bbbb-cccc", "grype", aliases=("CVE-2026-1", "CVE-2026-2")),
            sighting("CVE-2026-1", "trivy", aliases=("GHSA-aaaa-bbbb-cccc",)),
            sighting("OSV-2026-7", "scout", aliases=("GHSA-aaaa-bbbb-cccc",)),
        ]
    )
    assert [(finding.id, finding.aliases, tuple(finding.severities)) for finding in findings] == [
        ("CVE-2026-1", ("GHSA-aaaa-bbbb-cccc", "OSV-2026-7"), ("grype", "scout", "trivy")),
        ("CVE-2026-2", ("GHSA-aaaa-bbbb-cccc", "OSV-2026-7"), ("grype", "scout")),
    ]
    one = Acceptance("CVE-2026-1", "cowlib", "a test", dt.date(2026, 12, 31))
    assert [one.matches(finding) for finding in findings] == [True, False]


def test_names_without_a_cve_are_joined_in_any_order() -> None:
    chain = [
        sighting("GHSA-aaaa-bbbb-cccc", "trivy"),
        sighting("GHSA-dddd-eeee-ffff", "grype"),
        sighting("OSV-2026-7", "scout", aliases=("GHSA-aaaa-bbbb-cccc", "GHSA-dddd-eeee-ffff")),
    ]
    for order in (chain, chain[::-1], [chain[0], chain[2], chain[1]]):
        (finding,) = join(order)
        assert finding.id == "GHSA-aaaa-bbbb-cccc"
        assert finding.aliases == ("GHSA-dddd-eeee-ffff", "OSV-2026-7")


def test_otp_as_a_whole_keeps_the_flaw_that_no_application_has() -> None:
    whole = {"kind": Kind.OTP, "package": "Erlang/OTP", "version": "27.3.4", "purl": "pkg:github/erlang/otp@OTP-27.3.4"}
    ssh = {"kind": Kind.OTP, "package": "ssh", "version": "5.2.6", "purl": "pkg:otp/ssh@5.2.6"}
    findings = join(
        [
            sighting("CVE-2026-1", "grype", aliases=("GHSA-aaaa-bbbb-cccc",), **whole),
            sighting("CVE-2026-2", "grype", aliases=("GHSA-aaaa-bbbb-cccc",), **whole),
            sighting("CVE-2026-1", "trivy", **ssh),
            sighting("CVE-2026-2", "trivy"),
            sighting("GHSA-dddd-eeee-ffff", "grype", **whole),
            sighting("GHSA-dddd-eeee-ffff", "trivy", **ssh),
        ]
    )
    assert {(finding.package, finding.id) for finding in findings} == {
        ("ssh", "CVE-2026-1"),
        ("Erlang/OTP", "CVE-2026-2"),
        ("cowlib", "CVE-2026-2"),
        ("ssh", "GHSA-dddd-eeee-ffff"),
    }


def test_the_name_of_the_erlang_foundation_says_the_cve() -> None:
    raw = json.loads(TRIVY)
    (flaw,) = [v for r in raw["Results"] for v in r["Vulnerabilities"] if v["PkgName"] == "jose"]
    flaw |= {"VulnerabilityID": "EEF-CVE-2023-50966", "VendorIDs": None}
    found = [s for s in read_trivy(json.dumps(raw), "SBOM").sightings if s.package == "jose"]
    assert found[0].aliases == ("CVE-2023-50966",)


def test_a_bulletin_of_a_distribution_does_not_join_its_flaws() -> None:
    raw = json.loads(TRIVY)
    for flaw in raw["Results"][0]["Vulnerabilities"]:
        flaw |= {"VendorIDs": ["DSA-1234-1"], "PkgName": "one", "InstalledVersion": "1", "PkgIdentifier": {}}
    findings = [f for f in join(read_trivy(json.dumps(raw), "image").sightings) if f.package == "one"]
    assert [(f.id, f.aliases) for f in findings] == [("CVE-0000-0001", ()), ("CVE-2019-1010022", ())]


def test_the_highest_severity_counts_and_each_is_kept() -> None:
    (finding,) = join(
        [
            sighting(severity=Severity.LOW),
            sighting(severity=Severity.MEDIUM),
            sighting(scanner="grype", severity=Severity.CRITICAL),
        ]
    )
    assert finding.severity is Severity.CRITICAL
    assert finding.severities == {"grype": Severity.CRITICAL, "trivy": Severity.MEDIUM}


def test_versions_of_a_package_are_apart() -> None:
    assert len(join([sighting(), sighting(version="2.13.0")])) == 2


def test_the_order_of_the_scans_does_not_matter() -> None:
    both = read_trivy(TRIVY, "SBOM").sightings + read_grype(GRYPE, "SBOM").sightings
    assert join(both) == join(both[::-1])


def test_nothing_seen_is_nothing_found() -> None:
    assert join([]) == ()
