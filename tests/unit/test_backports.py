"""What a distribution mended in its own Erlang/OTP: the question to the scanners, and what their answers clear."""

import json

import pytest
from test_findings import sighting

from pipeline.sbom.component import Kind
from pipeline.scan.backports import tracked, with_mended
from pipeline.scan.findings import ERLANG, Absence, ScannerRun
from pipeline.scan.join import drop_false

VERSION = "1:27.3.4.1+dfsg-1+deb13u1"
PACKAGE = f"deb erlang {VERSION}"


def sbom(package: str = PACKAGE, *, system: bool = True) -> str:
    own = [{"name": "pipeline:package", "value": package}] if package else []
    erlang = {
        "type": "library",
        "name": "erlang",
        "version": "27.3.4.1",
        "purl": "pkg:github/erlang/otp@OTP-27.3.4.1",
        "properties": [{"name": "pipeline:kind", "value": "otp"}, *own],
    }
    debian = {"type": "operating-system", "bom-ref": "operating-system", "name": "debian", "version": "13"}
    return json.dumps({"bomFormat": "CycloneDX", "components": [*([debian] if system else []), erlang]})


def test_the_distributions_package_is_asked_for_as_it_is_and_before_every_fix() -> None:
    system, own, before = json.loads(tracked(sbom()))["components"]
    assert (system["type"], system["name"], system["version"]) == ("operating-system", "debian", "13")
    assert own["purl"] == "pkg:deb/debian/erlang@1:27.3.4.1%2Bdfsg-1%2Bdeb13u1?distro=debian-13"
    assert before["purl"] == "pkg:deb/debian/erlang@0?distro=debian-13"
    for part in (own, before):
        properties = {each["name"]: each["value"] for each in part["properties"]}
        assert properties == {
            "aquasecurity:trivy:SrcName": "erlang",
            "aquasecurity:trivy:SrcVersion": part["version"],
        }


@pytest.mark.parametrize("document", [sbom(""), sbom(system=False)])
def test_an_erlang_of_no_distribution_is_no_question(document: str) -> None:
    assert tracked(document) == ""
    run = ScannerRun("trivy", "SBOM")
    assert with_mended(run, ScannerRun("trivy", "SBOM"), sbom("")) == run


def test_what_is_reported_of_the_version_before_alone_was_mended() -> None:
    def deb(flaw: str, version: str, *aliases: str) -> object:
        purl = f"pkg:deb/debian/erlang@{version}"
        return sighting(flaw, version=version, package="erlang", purl=purl, kind=Kind.OS, aliases=aliases)

    answer = ScannerRun(
        "trivy",
        "SBOM",
        sightings=(
            deb("CVE-2026-1", "0"),
            deb("CVE-2026-2", "0"),
            deb("CVE-2026-2", VERSION),
            # Under another of its names.
            deb("GHSA-aaaa-bbbb-cccc", "0", "CVE-2026-3"),
            deb("CVE-2026-3", VERSION),
        ),
    )
    run = with_mended(ScannerRun("trivy", "SBOM"), answer, sbom())
    seen = [
        sighting(flaw, scanner="eef", package=package, version="5.2.11.1", purl=f"pkg:otp/{package}", kind=Kind.OTP)
        for flaw, package in (
            ("CVE-2026-1", "ssh"),
            ("CVE-2026-2", "ssh"),
            ("CVE-2026-3", "ssh"),
            ("CVE-2026-1", ERLANG),
        )
    ]
    elsewhere = sighting("CVE-2026-1", package="cowlib", purl="pkg:hex/cowlib", kind=Kind.HEX)
    kept, dropped = drop_false([*seen, elsewhere], run.cleared)
    assert [each.id for each in kept] == ["CVE-2026-2", "CVE-2026-3", "CVE-2026-1"]
    assert [(each.sighting.id, each.sighting.package) for each in dropped] == [
        ("CVE-2026-1", "ssh"),
        ("CVE-2026-1", ERLANG),
    ]
    assert {(each.absence, each.anywhere) for each in dropped} == {(Absence.CODE, False)}
    assert {each.reason for each in dropped} == {
        f"the distribution fixed it in its package erlang {VERSION}, according to trivy"
    }


def test_a_question_that_is_not_answered_is_a_scan_that_failed() -> None:
    answer = ScannerRun("trivy", "SBOM", failure="its report cannot be read")
    run = with_mended(ScannerRun("trivy", "SBOM"), answer, sbom())
    assert run.failure == "the query for the distribution's fixes failed: its report cannot be read"
