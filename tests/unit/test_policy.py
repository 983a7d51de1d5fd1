"""The verdict: VEX, acceptances, thresholds, failed scans, old databases."""

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.report.findings import findings_json
from pipeline.report.report import Report
from pipeline.sbom.component import Kind
from pipeline.sbom.purl import architecture_of
from pipeline.scan.acceptance import Acceptance, read_acceptances
from pipeline.scan.databases import MAX_AGE, Database, wrong_age
from pipeline.scan.findings import ScannerRun, Secret, Severity, Sighting, Status
from pipeline.scan.policy import Given, Policy, Rules
from pipeline.scan.verdict import Verdict, judge, secrets_of
from pipeline.scan.vex import Statement, image_names, read_vex

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
IMAGE = ("ghcr.io/example/erlmcp:2.1.0", "pkg:oci/erlmcp@sha256:5e5e?repository_url=ghcr.io/example/erlmcp")
SSH = Sighting(
    "grype",
    "GHSA-37cp-fgq5-7wc2",
    ("CVE-2025-32433",),
    "ssh",
    "5.2.6",
    "pkg:otp/ssh@5.2.6",
    Kind.OTP,
    Severity.CRITICAL,
    fixed=("5.2.10",),
)
LIBC = Sighting(
    "trivy",
    "CVE-2026-1",
    (),
    "libc6",
    "2.41-12",
    "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13",
    Kind.OS,
    Severity.HIGH,
)


def verdict(*sightings: Sighting, policy: Policy | None = None, **rest: Any) -> Verdict:  # noqa: ANN401 # arguments
    return judge([ScannerRun("grype", "SBOM", sightings=sightings)], policy or Policy(), now=NOW, **rest)


def statuses(result: Verdict) -> dict[str, str]:
    return {item.finding.package: item.status.value for item in result.judged}


HEAD = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "@id": "https://example.org/vex/1",
    "author": "somebody",
    "timestamp": "2026-06-11T01:54:55.011596443Z",
    "version": 1,
}


def vex(*statements: dict[str, Any], **document: object) -> tuple[Statement, ...]:
    return read_vex(json.dumps(HEAD | {"statements": statements} | document), "a.openvex.json")


def says(status: str, *products: object, flaw: str = "CVE-2025-32433", **more: object) -> dict[str, Any]:
    reason = {"justification": "vulnerable_code_not_present"} if status == "not_affected" else {}
    listed = [{"@id": product} if isinstance(product, str) else product for product in products]
    return {"vulnerability": {"name": flaw}, "status": status, "products": listed} | reason | more


# Thresholds ----------------------------------------------------------------------------------------------------------


def test_nothing_found_passes() -> None:
    result = verdict()
    assert result.passed
    assert result.lines == ("PASSED: no finding of HIGH or worse",)


def test_a_finding_of_the_threshold_breaks() -> None:
    result = verdict(LIBC, SSH)
    assert not result.passed
    assert [item.finding.package for item in result.breaking] == ["ssh", "libc6"]
    assert result.lines == ("POLICY FAILED: 2 findings of HIGH or worse",)


def test_less_than_the_threshold_is_tolerated() -> None:
    result = verdict(LIBC, SSH, policy=Policy(Severity.CRITICAL))
    assert statuses(result) == {"ssh": "breaking", "libc6": "tolerated"}
    assert result.lines == ("POLICY FAILED: 1 finding of CRITICAL",)


def test_what_nobody_can_fix_is_tolerated_if_asked() -> None:
    result = verdict(LIBC, SSH, policy=Policy(only_fixed=True))
    assert statuses(result) == {"ssh": "breaking", "libc6": "tolerated"}
    assert result.judged[1].reason == "no fixed version"
    assert result.lines == ("POLICY FAILED: 1 finding of HIGH or worse with a fix",)


# Scanners that failed ------------------------------------------------------------------------------------------------


def test_a_scanner_that_failed_never_counts_as_clean() -> None:
    failed = ScannerRun("trivy", "image", failure="exit code 1: no such image")
    result = judge([ScannerRun("grype", "SBOM"), failed], Policy(), now=NOW)
    assert not result.passed
    assert result.failures == (failed,)
    (line,) = result.lines
    assert line.startswith("SCANNER FAILED: trivy (image): exit code 1: no such image; there is no verdict")


def test_what_the_other_scanners_found_is_told_besides() -> None:
    scans = [ScannerRun("grype", "SBOM", sightings=(SSH,)), ScannerRun("trivy", "image", failure="crashed")]
    first, second = judge(scans, Policy(), now=NOW).lines
    assert first.startswith("SCANNER FAILED: trivy")
    assert second == "POLICY FAILED: 1 finding of HIGH or worse"


# Databases -----------------------------------------------------------------------------------------------------------


def test_an_old_database_is_not_passed_over() -> None:
    old = Database("trivy", NOW - dt.timedelta(days=6), "ghcr.io/aquasecurity/trivy-db:2")
    scans = [ScannerRun("trivy", "image", database=old), ScannerRun("trivy", "SBOM", database=old)]
    result = judge(scans, Policy(), now=NOW)
    assert not result.passed
    (line,) = result.lines
    assert line.startswith(
        "DATABASE TOO OLD: trivy's database (ghcr.io/aquasecurity/trivy-db:2) was built on 2026-11-18,"
    )
    assert "6 days ago, but at most 5 days are allowed" in line
    assert judge(scans, Policy(), now=NOW, max_age=None).passed


def test_a_database_of_a_day_to_come_decides_nothing_whatever_is_accepted() -> None:
    ahead = Database("trivy", NOW + dt.timedelta(days=400), "--trivy-db")
    for limit in (dt.timedelta(days=5), None):
        result = judge([ScannerRun("trivy", "image", database=ahead)], Policy(), now=NOW, max_age=limit)
        assert not result.decided
        [line] = result.lines
        assert line == (
            "DATABASE FROM THE FUTURE: trivy's database (--trivy-db) was built on 2027-12-29, 400 days ahead of this "
            "engine's clock: correct the clock, or use another database"
        )
    # A clock that is a little behind is none.
    assert not wrong_age(Database("grype", NOW + dt.timedelta(hours=23)), NOW)


def test_a_database_of_just_that_age_will_do() -> None:
    assert not wrong_age(Database("grype", NOW - dt.timedelta(days=5)), NOW)


# VEX -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        says("not_affected", "pkg:otp/ssh@5.2.6"),
        says("not_affected", "pkg:otp/ssh"),
        says("fixed", "pkg:otp/kernel@1", "pkg:otp/ssh@5.2.6"),
        says("not_affected", "pkg:otp/ssh", flaw="GHSA-37cp-fgq5-7wc2"),
        says("not_affected", "pkg:otp/ssh", flaw="X-1")
        | {"vulnerability": {"name": "X-1", "aliases": ["CVE-2025-32433"]}},
        says("not_affected", {"@id": "urn:x", "identifiers": {"purl": "pkg:otp/ssh@5.2.6"}}),
        says("not_affected", IMAGE[0]),
        says("not_affected", "pkg:oci/erlmcp"),
        says("not_affected", {"@id": "pkg:oci/erlmcp", "subcomponents": [{"@id": "pkg:otp/ssh"}]}),
        says("not_affected", {"@id": IMAGE[0], "subcomponents": ["pkg:otp/ssh@5.2.6"]}),
        says("not_affected", "pkg:otp/ssh") | {"vulnerability": "CVE-2025-32433"},
    ],
)
def test_a_statement_about_the_package_or_the_image_suppresses(statement: dict[str, Any]) -> None:
    result = verdict(SSH, statements=vex(statement), image=IMAGE)
    assert result.passed
    assert len(result.suppressed) == 1


@pytest.mark.parametrize(
    "statement",
    [
        says("not_affected", "pkg:otp/ssh@5.2.5"),
        says("not_affected", "pkg:hex/ssh"),
        says("not_affected", "pkg:otp/ssh", flaw="CVE-2025-1"),
        says("not_affected", "pkg:oci/other"),
        says("not_affected", "ghcr.io/example/erlmcp:2.0.0"),
        says("not_affected", {"@id": IMAGE[0], "subcomponents": [{"@id": "pkg:otp/ssl"}]}),
        says("not_affected", {"@id": "pkg:oci/other", "subcomponents": [{"@id": "pkg:otp/ssh"}]}),
        says("affected", "pkg:otp/ssh@5.2.6"),
        says("under_investigation", "pkg:otp/ssh@5.2.6"),
        says("not_affected"),
    ],
)
def test_a_statement_about_something_else_does_not(statement: dict[str, Any]) -> None:
    assert not verdict(SSH, statements=vex(statement), image=IMAGE).suppressed


CRYPTO = Sighting(
    "grype",
    "CVE-2026-2",
    (),
    "libssl3t64",
    "3.5.9",
    "pkg:deb/debian/libssl3t64@3.5.9?arch=amd64&distro=debian-13.8&upstream=openssl%403.5.9",
    Kind.OS,
    Severity.HIGH,
)
HINT = " (the finding is of libssl3t64, built from openssl: write libssl3t64)"
OWN = "pkg:deb/debian/libssl3t64@3.5.9?arch=amd64&distro=debian-13.8&upstream=openssl%403.5.9"
DIGEST = f"pkg:oci/demo@sha256:{'5e' * 32}"
NO_PACKAGE = f" (the finding is of {OWN}: remove the parts that differ)"
NO_IMAGE = (
    " (the image is pkg:oci/demo?repository_url=ghcr.io/banyan-platform/demo&tag=0.1.0, or "
    f"{DIGEST}?arch=amd64&repository_url=ghcr.io/banyan-platform/demo: remove the parts that differ)"
)
DEMO = image_names("ghcr.io/banyan-platform/demo", "0.1.0", "sha256:" + "5e" * 32, "amd64")


@pytest.mark.parametrize(
    "product",
    [
        # As Trivy names an image, and as Grype does.
        "pkg:oci/demo?arch=amd64&repository_url=ghcr.io%2Fbanyan-platform%2Fdemo",
        f"pkg:oci/demo@sha256%3A{'5e' * 32}?arch=amd64&repository_url=ghcr.io%2Fbanyan-platform%2Fdemo",
        "pkg:oci/demo?repository_url=ghcr.io/banyan-platform/demo&tag=0.1.0",
        "pkg:oci/demo?tag=0.1.0",
        "ghcr.io/banyan-platform/demo:0.1.0",
        f"ghcr.io/banyan-platform/demo@sha256:{'5e' * 32}",
        {"@id": "urn:x", "hashes": {"sha-256": "5e" * 32}},
        {"@id": "pkg:oci/demo", "subcomponents": [{"identifiers": {"purl": "pkg:deb/debian/libssl3t64"}}]},
        # Of the package itself its parts do not matter.
        {"@id": "pkg:deb/debian/libssl3t64", "subcomponents": [{"@id": "pkg:otp/ssh"}]},
        {"@id": "pkg:oci/demo?arch=amd64", "subcomponents": [{"@id": "pkg:deb/debian/libssl3t64?arch=amd64"}]},
    ],
)
def test_vex_matches_as_trivy_and_grype_name_things(product: str | dict[str, Any]) -> None:
    result = verdict(CRYPTO, statements=vex(says("not_affected", product, flaw="CVE-2026-2")), image=DEMO)
    assert len(result.suppressed) == 1
    assert result.unmatched_vex == ()


@pytest.mark.parametrize(
    ("product", "message"),
    [
        ("pkg:oci/demo?arch=arm64", f"CVE-2026-2 of pkg:oci/demo?arch=arm64{NO_IMAGE}"),
        ("pkg:oci/demo?tag=0.2.0", f"CVE-2026-2 of pkg:oci/demo?tag=0.2.0{NO_IMAGE}"),
        # No scanner knows a tag and a digest at once.
        (f"{DIGEST}?tag=0.1.0", f"CVE-2026-2 of {DIGEST}?tag=0.1.0{NO_IMAGE}"),
        ("pkg:oci/other", "CVE-2026-2 of pkg:oci/other"),
        ("pkg:deb/debian/libssl3t64@3.5.8", f"CVE-2026-2 of pkg:deb/debian/libssl3t64@3.5.8{NO_PACKAGE}"),
        (
            {"@id": "pkg:oci/demo", "subcomponents": [{"@id": "pkg:deb/debian/libssl3t64?distro=debian-13"}]},
            f"CVE-2026-2 of pkg:oci/demo (pkg:deb/debian/libssl3t64?distro=debian-13){NO_PACKAGE}",
        ),
        # Both scanners read it as the package of that name, which has not that flaw.
        (
            {"@id": "pkg:oci/demo", "subcomponents": [{"@id": "pkg:deb/debian/openssl"}]},
            f"CVE-2026-2 of pkg:oci/demo (pkg:deb/debian/openssl){HINT}",
        ),
        ("pkg:deb/debian/openssl?arch=source", f"CVE-2026-2 of pkg:deb/debian/openssl?arch=source{HINT}"),
        ("pkg:deb/debian/glibc?arch=source", "CVE-2026-2 of pkg:deb/debian/glibc?arch=source"),
    ],
)
def test_vex_that_matches_nothing_is_told(product: str | dict[str, Any], message: str) -> None:
    result = verdict(CRYPTO, statements=vex(says("not_affected", product, flaw="CVE-2026-2")), image=DEMO)
    assert result.suppressed == ()
    assert result.unmatched_vex == (f"VEX a.openvex.json: 1 of 1 statement matches no finding: {message}",)


def test_of_many_statements_that_match_nothing_some_are_shown() -> None:
    statements = vex(says("fixed", "pkg:otp/ssh"), *(says("fixed", "pkg:otp/x", flaw=f"CVE-2{n}-1") for n in range(7)))
    [line] = verdict(SSH, statements=statements).unmatched_vex
    assert line.startswith("VEX a.openvex.json: 7 of 8 statements match no finding: CVE-20-1 of pkg:otp/x; ")
    assert line.endswith("CVE-24-1 of pkg:otp/x; and 2 more")
    others = read_vex(json.dumps({**HEAD, "statements": [says("fixed", "pkg:otp/x")]}), "erlang.org", told=False)
    assert verdict(SSH, statements=others).unmatched_vex == ()


def test_an_image_on_docker_hub_has_two_names() -> None:
    names = image_names("docker.io/me/demo", "1", "", "")
    assert {"docker.io/me/demo:1", "index.docker.io/me/demo:1"} < set(names)
    assert "pkg:oci/demo?repository_url=index.docker.io/me/demo&tag=1" in names
    assert "docker.io/library/demo:1" in image_names("docker.io/demo", "1", "")
    assert "index.docker.io/demo:1" in image_names("docker.io/library/demo", "1", "")


def test_the_architecture_is_that_of_the_packages() -> None:
    assert architecture_of(["pkg:deb/debian/a?arch=all", "pkg:deb/debian/b?arch=amd64", "pkg:otp/ssh@1"]) == "amd64"
    assert architecture_of(["pkg:apk/alpine/a?arch=aarch64", "pkg:apk/alpine/b?arch=aarch64"]) == "arm64"
    assert architecture_of(["pkg:apk/alpine/a?arch=aarch64", "pkg:deb/debian/b?arch=amd64"]) == ""


def test_the_reason_and_the_document_are_told() -> None:
    (item,) = verdict(SSH, statements=vex(says("not_affected", "pkg:otp/ssh"))).suppressed
    assert item.status is Status.NOT_AFFECTED
    assert item.reason == "vulnerable code not present (https://example.org/vex/1)"


def test_the_last_statement_counts_in_any_order_of_documents() -> None:
    early = vex(says("not_affected", "pkg:otp/ssh", timestamp="2026-01-01T00:00:00Z"))
    late = vex(says("affected", "pkg:otp/ssh@5.2.6", timestamp="2026-02-01T00:00:00Z"))
    assert not verdict(SSH, statements=early + late).suppressed
    assert not verdict(SSH, statements=late + early).suppressed


def test_of_two_statements_of_one_time_the_one_that_suppresses_nothing_counts() -> None:
    two = [says("affected", "pkg:otp/ssh"), says("not_affected", "pkg:otp/ssh")]
    assert not verdict(SSH, statements=vex(*two)).suppressed
    assert not verdict(SSH, statements=vex(*reversed(two))).suppressed


def test_a_vulnerability_may_be_named_by_its_id_alone() -> None:
    named = says("not_affected", "pkg:otp/ssh") | {"vulnerability": {"@id": "CVE-2025-32433"}}
    assert verdict(SSH, statements=vex(named)).suppressed


def test_erlangs_own_documents_speak_of_otp_and_of_applications() -> None:
    """In the form of https://erlang.org/download/vex/otp-27.openvex.json."""
    statements = vex(
        says("affected", "pkg:github/erlang/otp@OTP-27.3.2", "pkg:otp/ssh@5.2.9"),
        says("fixed", "pkg:github/erlang/otp@OTP-27.3.3", "pkg:otp/ssh@5.2.10"),
    )
    whole = dataclasses.replace(SSH, package="Erlang/OTP", version="27.3.3", purl="pkg:github/erlang/otp@OTP-27.3.3")
    assert statuses(verdict(whole, statements=statements)) == {"Erlang/OTP": "fixed"}
    patched = dataclasses.replace(SSH, version="5.2.10", purl="pkg:otp/ssh@5.2.10")
    assert statuses(verdict(patched, statements=statements)) == {"ssh": "fixed"}
    vulnerable = dataclasses.replace(SSH, version="5.2.9", purl="pkg:otp/ssh@5.2.9")
    assert statuses(verdict(vulnerable, statements=statements)) == {"ssh": "breaking"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.json: this file is not an OpenVEX document"),
        ("[]", "a.json: this file is not an OpenVEX document"),
        ("{}", r"a.json: this file is not an OpenVEX document \(no '@context'\)"),
        ('{"@context": "https://schema.org"}', "a.json: its @context is https://schema.org; give an OpenVEX"),
        ('{"@context": "https://openvex.dev/ns/v0.2.0"}', "no 'statements'"),
        ('{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{}]}', "no 'vulnerability'"),
    ],
)
def test_what_is_no_vex_document_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_vex(text, "a.json")


def test_a_status_that_openvex_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="CVE-2025-32433 has the status ignored; use not_affected"):
        vex(says("ignored", "pkg:otp/ssh"))


def test_a_justification_that_openvex_does_not_have_is_refused() -> None:
    message = r"a\.openvex\.json: CVE-2025-32433 has the justification not_reachable; use one of component_not_pre"
    with pytest.raises(InputError, match=message):
        vex(says("not_affected", "pkg:otp/ssh", justification="not_reachable"))


def test_not_affected_without_a_reason_is_refused() -> None:
    statement = says("not_affected", "pkg:otp/ssh")
    del statement["justification"]
    with pytest.raises(InputError, match="is not_affected without a justification"):
        vex(statement)
    assert vex(statement | {"impact_statement": "never called"})[0].reason == "never called"


# Acceptances ---------------------------------------------------------------------------------------------------------


def accept(**changes: Any) -> Acceptance:  # noqa: ANN401 # fields
    return dataclasses.replace(Acceptance("CVE-2025-32433", "ssh", "no daemon", dt.date(2026, 11, 24)), **changes)


@pytest.mark.parametrize(
    "changes",
    [{}, {"id": "GHSA-37cp-fgq5-7wc2"}, {"package": "pkg:otp/ssh"}, {"package": "pkg:otp/ssh@5.2.6"}],
)
def test_an_acceptance_holds_on_its_last_day(changes: dict[str, Any]) -> None:
    result = verdict(SSH, acceptances=[accept(**changes)])
    assert result.passed
    assert [item.reason for item in result.accepted] == ["no daemon (until 2026-11-24)"]
    assert not result.unmatched


def test_an_expired_acceptance_accepts_nothing_and_is_told() -> None:
    entry = accept(until=dt.date(2026, 11, 23))
    result = verdict(SSH, acceptances=[entry])
    assert not result.passed
    assert result.expired == (entry,)
    assert not result.unmatched
    assert result.breaking[0].reason == "its acceptance expired on 2026-11-23"


@pytest.mark.parametrize("changes", [{"id": "CVE-2025-1"}, {"package": "ssl"}, {"package": "pkg:otp/ssh@5.2.5"}])
def test_an_acceptance_that_matches_nothing_is_told(changes: dict[str, Any]) -> None:
    result = verdict(SSH, acceptances=[accept(**changes)])
    assert not result.passed
    assert result.unmatched == (accept(**changes),)


def test_vex_goes_before_an_acceptance_which_is_still_matched() -> None:
    result = verdict(SSH, acceptances=[accept()], statements=vex(says("not_affected", "pkg:otp/ssh")))
    assert statuses(result) == {"ssh": "not_affected"}
    assert not result.unmatched


def test_an_acceptance_file_is_read() -> None:
    text = '[[accept]]\nid = "CVE-1"\npackage = "ssh"\nreason = """no\n daemon"""\nuntil = 2026-12-31\n'
    assert read_acceptances(text, "accept.toml") == (Acceptance("CVE-1", "ssh", "no daemon", dt.date(2026, 12, 31)),)
    assert read_acceptances("", "accept.toml") == ()


ENTRY = '[[accept]]\nid = "CVE-1"\npackage = "ssh"\nreason = "x"\nuntil = 2026-12-31\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[accept", "accept.toml: this file is not valid TOML: "),
        ("[accept]\n", "accept.toml: unknown key accept"),
        ('accept = ["CVE-1"]', "accept.toml: unknown key accept"),
        ('[[ignore]]\nid = "CVE-1"\n', "accept.toml: unknown key ignore"),
        ("[[accept]]\n", r"entry 1 \(without an id\): id must be a non-empty string"),
        (ENTRY.replace('"x"', '" "'), r"entry 1 \(CVE-1\): reason must be a non-empty string"),
        (ENTRY.replace('"ssh"', "5"), "package must be a non-empty string"),
        (ENTRY.replace("2026-12-31", '"2026-12-31"'), "until must be a date without quotes"),
        (ENTRY.replace("2026-12-31", "2026-12-31T00:00:00Z"), "until must be a date"),
        (ENTRY.replace("until", "expires"), "unknown key expires; an entry has id, package, reason and until"),
        (ENTRY + ENTRY, "accept.toml: CVE-1 of ssh has 2 entries"),
    ],
)
def test_an_acceptance_file_that_is_not_complete_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_acceptances(text, "accept.toml")


def test_false_matches_are_dropped_and_counted() -> None:
    ftp = dataclasses.replace(
        SSH, id="CVE-1999-0082", aliases=(), package="ftp", cpes=("cpe:2.3:a:ftp:ftp:*:*:*:*:*:*:*:*",)
    )
    result = verdict(ftp)
    assert result.passed
    assert not result.judged
    assert len(result.dropped) == 1


# Secrets, and a system that ended -------------------------------------------------------------------------------------

KEY = Secret("private-key", "/opt/demo/lib/demo-1/priv/key.pem", 3, Severity.MEDIUM, "Asymmetric Private Key")
SECRET = Acceptance("private-key", "opt/demo/lib/demo-1/priv/key.pem", "made up", dt.date(2026, 12, 31))
TRIVY = ScannerRun("trivy", "image", secrets=(KEY, dataclasses.replace(KEY, line=9)), system="debian 13.8")


@pytest.mark.parametrize("policy", [Policy(), Policy(Severity.CRITICAL), Policy(only_fixed=True)])
def test_a_secret_breaks_every_policy(policy: Policy) -> None:
    result = judge([TRIVY], policy, now=NOW)
    assert result.lines == ("POLICY FAILED: 1 secret in the image",)
    [item] = result.breaking
    assert (item.finding.id, item.finding.package, item.finding.version) == (KEY.rule, KEY.path, "line 3, 9")
    both = judge([TRIVY, ScannerRun("grype", "SBOM", sightings=(SSH,))], Policy(), now=NOW)
    assert both.lines == ("POLICY FAILED: 1 finding of HIGH or worse, 1 secret in the image",)


def test_a_secret_is_accepted_by_rule_and_path_until_a_day() -> None:
    assert judge([TRIVY], Policy(), now=NOW, acceptances=[SECRET]).passed
    for other in ({"id": "aws-access-key-id"}, {"package": "/opt/demo/other.pem"}):
        result = judge([TRIVY], Policy(), now=NOW, acceptances=[dataclasses.replace(SECRET, **other)])
        assert not result.passed
        assert len(result.unmatched) == 1
    [item] = judge([TRIVY], Policy(), now=NOW + dt.timedelta(days=60), acceptances=[SECRET], max_age=None).breaking
    assert item.reason == "its acceptance expired on 2026-12-31"


def test_a_secret_that_was_published_is_still_there() -> None:
    attested = json.loads(findings_json(Report("demo", "", NOW, (TRIVY,), judge([TRIVY], Policy(), now=NOW))))
    secrets = secrets_of(attested)
    assert [(secret.rule, secret.path) for secret in secrets] == [(KEY.rule, KEY.path)]
    of_sbom = [ScannerRun("trivy", "SBOM")]
    assert judge(of_sbom, Policy(), now=NOW, secrets=secrets).lines == ("POLICY FAILED: 1 secret in the image",)
    assert judge(of_sbom, Policy(), now=NOW, secrets=secrets, acceptances=[SECRET]).passed


def test_an_entry_for_a_secret_is_read() -> None:
    text = '[[accept]]\nrule = "private-key"\npath = "/opt/a.pem"\nreason = "made up"\nuntil = 2026-12-31\n'
    assert read_acceptances(text, "accept.toml") == (
        Acceptance("private-key", "/opt/a.pem", "made up", dt.date(2026, 12, 31)),
    )
    for wrong, message in (
        (
            text.replace("path", "package"),
            r"entry 1 \(private-key\): unknown key package; an entry has rule, path, reason",
        ),
        (text.replace('rule = "private-key"\n', ""), r"entry 1 \(without an id\): rule must be a non-empty string"),
        (text + text, "private-key of /opt/a.pem has 2 entries"),
    ):
        with pytest.raises(InputError, match=message):
            read_acceptances(wrong, "accept.toml")


@pytest.mark.parametrize(("day", "since"), [("2026-10-01", "since 2026-10-01"), ("", "any more")])
def test_a_system_that_ended_breaks_every_policy(day: str, since: str) -> None:
    runs = [ScannerRun(scanner, "image", system="alpine 3.20.3", ended=True) for scanner in ("trivy", "grype")]
    result = judge(runs, Policy(Severity.CRITICAL, only_fixed=True), now=NOW, ended_on=day)
    assert result.lines == (f"POLICY FAILED: alpine 3.20.3 gets no security fixes {since}",)
    assert set(result.breaking[0].finding.severities) == {"trivy", "grype"}
    entry = Acceptance("end-of-life", "alpine", "the last week", dt.date(2026, 12, 1))
    assert judge(runs, Policy(), now=NOW, acceptances=[entry]).passed


# Severities that nobody gives -----------------------------------------------------------------------------------------


def test_a_finding_without_a_severity_counts_as_the_threshold() -> None:
    nobody = dataclasses.replace(LIBC, severity=Severity.UNKNOWN)
    for threshold in (Severity.CRITICAL, Severity.HIGH, Severity.LOW):
        [item] = verdict(nobody, policy=Policy(threshold)).breaking
        assert item.reason == f"no source rates the severity, which counts as {threshold.name} (--unknown-as)"
    assert verdict(nobody, policy=Policy(Severity.HIGH, unknown_as=Severity.MEDIUM)).passed
    assert not verdict(nobody, policy=Policy(Severity.HIGH, unknown_as=Severity.CRITICAL)).passed
    # One scanner's word is enough.
    low = dataclasses.replace(LIBC, scanner="grype", severity=Severity.LOW)
    assert verdict(nobody, low).passed


def test_unknown_is_no_severity_that_can_be_asked_for() -> None:
    with pytest.raises(InputError, match="unknown: not a severity"):
        Severity.parse("unknown")


# What is attested -----------------------------------------------------------------------------------------------------


def test_what_an_image_was_judged_by_can_be_taken_from_its_verdict() -> None:
    rules = Rules(
        Policy(Severity.CRITICAL, only_fixed=True, unknown_as=Severity.LOW),
        vex(
            says("not_affected", {"@id": IMAGE[0], "subcomponents": ["pkg:otp/ssh@5.2.6"]}, impact_statement="i"),
            says("affected", "pkg:otp/x", action_statement="wait"),
            says("fixed", "pkg:otp/x"),
        ),
        (SECRET, accept()),
        otp_vex=True,
        max_age=None,
        require=("non-root",),
    )
    attested = json.loads(json.dumps(rules.attested()))
    assert Rules.from_attested(attested) == rules
    # A verdict of before has the reason of a statement in words alone.
    for statement in attested["vex"]:
        del statement["justification"], statement["impact"], statement["action"]
    before = [(each.status, each.reason) for each in Rules.from_attested(attested).statements]
    assert before == [("not_affected", "vulnerable code not present"), ("affected", "affected"), ("fixed", "fixed")]
    assert Rules.from_attested({"fail_on": "LOW", "only_fixed": False}) == Rules(Policy(Severity.LOW))
    # A command overrides what it names, alone.
    changed = Given(fail_on=Severity.LOW, acceptances=()).over(rules)
    assert changed == dataclasses.replace(
        rules, policy=dataclasses.replace(rules.policy, fail_on=Severity.LOW), acceptances=()
    )
    assert Given().over(rules) == rules
    assert Given(accept_old_db=False).over(rules).max_age == MAX_AGE
