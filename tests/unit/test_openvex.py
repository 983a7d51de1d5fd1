"""The verdict as OpenVEX; against the official schema. What Trivy and Grype make of it: `tests/e2e/test_vex.py`.

`data/openvex/openvex_json_schema.json` is that of github.com/openvex/spec at d29fab0c81cfea04159436d54c3edc32947039ac,
as it is there (CC0 1.0).
"""

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.report.openvex import openvex
from pipeline.report.report import Report
from pipeline.sbom.component import Kind
from pipeline.scan.acceptance import Acceptance
from pipeline.scan.findings import ERLANG, Absence, Cleared, ScannerRun, Secret, Severity, Sighting
from pipeline.scan.policy import Policy
from pipeline.scan.verdict import judge
from pipeline.scan.vex import Statement, image_names, read_vex, speaks_of

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
NAME, DIGEST = "ghcr.io/example/erlmcp", "sha256:" + "5e" * 32
LIBC = Sighting(
    "trivy",
    "CVE-2026-1",
    (),
    "libc6",
    "2.41-12",
    "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13.8",
    Kind.OS,
    Severity.HIGH,
    fixed=("2.41-13",),
)
#: The same, as the other scanner has it.
LIBC_OF_GRYPE = dataclasses.replace(
    LIBC, scanner="grype", purl="pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13&upstream=glibc"
)
COWLIB = Sighting(
    "grype",
    "GHSA-aaaa-bbbb-cccc",
    ("CVE-2026-2",),
    "cowlib",
    "2.12.1",
    "pkg:hex/cowlib@2.12.1",
    Kind.HEX,
    Severity.HIGH,
)
SSL = dataclasses.replace(
    COWLIB, id="CVE-2026-3", aliases=(), package="ssl", version="11.2", purl="pkg:otp/ssl@11.2", kind=Kind.OTP
)
WHOLE = dataclasses.replace(
    SSL,
    package=ERLANG,
    version="27.3.4.1",
    purl="pkg:github/erlang/otp@OTP-27.3.4.1",
    cpes=("cpe:2.3:a:erlang:erlang",),
)
ACCEPTED = Acceptance("CVE-2026-2", "cowlib", "we serve no HTTP/2", dt.date(2026, 12, 31))
SCHEMA = json.loads((Path(__file__).parent / "data" / "openvex" / "openvex_json_schema.json").read_text())


def report(*sightings: Sighting, cleared: tuple[Cleared, ...] = (), **rest: Any) -> Report:  # noqa: ANN401 # arguments
    names = image_names(NAME, "2.1.0", DIGEST, "amd64")
    scan = ScannerRun("grype", "SBOM", sightings=sightings, cleared=cleared)
    verdict = judge([scan], Policy(), now=NOW, image=names, **rest)
    return Report(f"{NAME}:2.1.0", DIGEST, NOW, (scan,), verdict, names=names)


def statements(made: Report) -> list[dict[str, Any]]:
    """Return what is said, proved by the schema."""
    text = openvex(made)
    assert text
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)
    assert openvex(made) == text
    return list(document["statements"])


def about(statement: dict[str, Any]) -> list[str]:
    """Return the packages in the image that a statement is about."""
    product = statement["products"][0]
    assert product["@id"] == f"pkg:oci/erlmcp@{DIGEST}"
    assert product["hashes"] == {"sha-256": "5e" * 32}
    return [part["@id"] for part in product["subcomponents"]]


def anywhere(statement: dict[str, Any]) -> list[str]:
    """Return the packages that a statement is about in whatever image."""
    assert all(set(product) == {"@id"} for product in statement["products"][1:])
    return [product["@id"] for product in statement["products"][1:]]


def given(status: str, flaw: str, *products: object, **more: object) -> tuple[Statement, ...]:
    """Return the statements of a VEX document with one."""
    listed = [{"@id": each} if isinstance(each, str) else each for each in products]
    statement = {"vulnerability": {"name": flaw}, "status": status, "products": listed, **more}
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "a"}
    return read_vex(
        json.dumps({**head, "timestamp": "2026-06-11T01:54:55.011596443Z", "version": 1, "statements": [statement]}),
        "own.openvex.json",
    )


def test_the_document_says_who_when_and_by_what_it_is_known() -> None:
    document = json.loads(openvex(report(COWLIB, acceptances=[ACCEPTED])))
    assert document["@context"] == "https://openvex.dev/ns/v0.2.0"
    assert document["author"] == "ghcr.io/example"
    assert document["timestamp"] == "2026-11-25T12:00:00Z"
    later = dataclasses.replace(report(COWLIB, acceptances=[ACCEPTED]), time=NOW + dt.timedelta(seconds=1))
    assert json.loads(openvex(later))["@id"] != document["@id"]
    assert document["@id"].startswith("https://openvex.dev/docs/public/vex-")


def test_without_anything_to_say_there_is_no_document() -> None:
    """A document without a statement is none: the schema says so."""
    assert openvex(report(LIBC, COWLIB)) == ""
    empty = json.loads(openvex(report(COWLIB, acceptances=[ACCEPTED]))) | {"statements": []}
    with pytest.raises(jsonschema.ValidationError, match="non-empty"):
        jsonschema.Draft202012Validator(SCHEMA).validate(empty)


def test_what_is_accepted_is_affected_and_says_why_and_until_when() -> None:
    (statement,) = statements(report(COWLIB, LIBC, acceptances=[ACCEPTED]))
    assert statement["status"] == "affected"
    assert statement["action_statement"] == "accepted: we serve no HTTP/2 (until 2026-12-31)"
    assert statement["vulnerability"] == {"name": "CVE-2026-2", "aliases": ["GHSA-aaaa-bbbb-cccc"]}
    assert about(statement) == ["pkg:hex/cowlib@2.12.1"]
    assert anywhere(statement) == []


def test_an_acceptance_that_expired_or_of_a_secret_is_not_in_it() -> None:
    past = dataclasses.replace(ACCEPTED, until=dt.date(2026, 11, 24))
    secret = Secret("private-key", "/opt/erlmcp/key.pem", 1)
    of_secret = Acceptance("private-key", "/opt/erlmcp/key.pem", "of a test", dt.date(2026, 12, 31))
    made = report(COWLIB, acceptances=[past, of_secret], secrets=[secret])
    assert [item.finding.id for item in made.verdict.accepted] == ["private-key"]
    assert openvex(made) == ""


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        (
            "not_affected",
            {"justification": "vulnerable_code_not_in_execute_path", "impact_statement": "no locale is read"},
            {"justification": "vulnerable_code_not_in_execute_path", "impact_statement": "no locale is read"},
        ),
        ("not_affected", {"impact_statement": "no locale is read"}, {"impact_statement": "no locale is read"}),
        ("fixed", {}, {}),
        ("under_investigation", {}, {}),
        ("affected", {"action_statement": "wait"}, {"action_statement": "wait"}),
        # OpenVEX wants an action; a document may have none.
        ("affected", {}, {"action_statement": "fixed in 2.41-13"}),
    ],
)
def test_a_given_statement_is_passed_on_as_it_is_for_this_image(
    status: str, fields: dict[str, str], expected: dict[str, str]
) -> None:
    vex = given(status, "CVE-2026-1", "pkg:deb/debian/libc6", **fields)
    (statement,) = statements(report(LIBC, LIBC_OF_GRYPE, COWLIB, statements=vex))
    assert about(statement) == sorted([LIBC.purl, LIBC_OF_GRYPE.purl])
    rest = {key: value for key, value in statement.items() if key not in ("vulnerability", "products", "status")}
    assert statement["status"] == status
    assert rest == expected | {
        "status_notes": "as https://example.org/vex/1 says",
        "timestamp": "2026-06-11T01:54:55Z",
    }


def test_a_statement_on_a_package_stays_one_and_does_not_grow() -> None:
    """Scanners know by it what they cannot tell the image of: Grype an SBOM, both an archive."""
    image = f"pkg:oci/erlmcp?repository_url={NAME}"
    for product, expected in (
        ("pkg:otp/ssl", ["pkg:otp/ssl@11.2"]),
        (image, []),
        ({"@id": image, "subcomponents": [{"@id": "pkg:otp/ssl"}]}, []),
    ):
        vex = given("not_affected", "CVE-2026-3", product, impact_statement="i")
        (statement,) = statements(report(SSL, WHOLE, statements=vex))
        assert about(statement) == [WHOLE.purl, "pkg:otp/ssl@11.2"]
        assert anywhere(statement) == expected


def test_of_several_statements_the_one_that_counts_is_passed_on() -> None:
    """Of several Trivy takes the last one, and Grype the first."""
    first = given("not_affected", "CVE-2026-1", "pkg:deb/debian/libc6", impact_statement="so it seemed")
    then = given("affected", "CVE-2026-1", "pkg:deb/debian/libc6", timestamp="2026-07-01T00:00:00Z")
    (statement,) = statements(report(LIBC, statements=[*then, *first]))
    assert statement["status"] == "affected"


def test_what_is_said_and_accepted_is_both() -> None:
    vex = given("under_investigation", "CVE-2026-2", "pkg:hex/cowlib")
    found = statements(report(COWLIB, statements=vex, acceptances=[ACCEPTED]))
    assert sorted(each["status"] for each in found) == ["affected", "under_investigation"]


@pytest.mark.parametrize("absence", Absence)
def test_what_a_record_clears_is_not_affected(absence: Absence) -> None:
    cleared = Cleared(frozenset({"CVE-2026-3"}), ERLANG, absence, "it is in ssl, which is not in the image")
    elsewhere = dataclasses.replace(WHOLE, purl="pkg:generic/erlang@27.3.4.1")
    (statement,) = statements(report(WHOLE, elsewhere, cleared=(cleared,)))
    assert statement["status"] == "not_affected"
    assert statement["justification"] == absence.value
    assert statement["impact_statement"] == "it is in ssl, which is not in the image"
    # Of the SBOM and of the image.
    assert about(statement) == ["pkg:generic/erlang@27.3.4.1", "pkg:github/erlang/otp@OTP-27.3.4.1"]
    # Which applications an image has is of the image.
    assert anywhere(statement) == []


def test_what_a_distribution_mended_is_mended_in_this_image_alone() -> None:
    """And what a record says of a version of an application is true of it everywhere."""
    for package, expected in (("", []), ("ssl", [SSL.purl])):
        cleared = Cleared(frozenset({"CVE-2026-3"}), package, Absence.CODE, "mended")
        (statement,) = statements(report(SSL, cleared=(cleared,)))
        assert about(statement) == [SSL.purl]
        assert anywhere(statement) == expected


def test_another_vendors_program_is_not_present() -> None:
    ftp = dataclasses.replace(SSL, id="CVE-2011-1", package="ftp", cpes=("cpe:2.3:a:ftp:ftp:1.2:*:*:*:*:*:*:*",))
    (statement,) = statements(report(ftp))
    assert (statement["status"], statement["justification"]) == ("not_affected", "component_not_present")
    # Whatever image it is in.
    assert anywhere(statement) == [ftp.purl]


def test_an_advisory_that_names_two_flaws_is_left_to_the_one_that_stands() -> None:
    """Grype knows both by the advisory's name alone."""
    both = dataclasses.replace(COWLIB, aliases=("CVE-2026-2", "CVE-2026-4"))
    vex = given("not_affected", "CVE-2026-2", "pkg:hex/cowlib", impact_statement="i")
    (statement,) = statements(report(both, statements=vex))
    assert statement["vulnerability"] == {"name": "CVE-2026-2"}
    (one, other) = statements(report(both, statements=[*vex, *given("fixed", "CVE-2026-4", "pkg:hex/cowlib")]))
    assert one["vulnerability"]["aliases"] == other["vulnerability"]["aliases"] == ["GHSA-aaaa-bbbb-cccc"]


def test_erlang_as_a_whole_is_left_to_the_application_that_stands() -> None:
    """Grype sees a flaw of two applications as one of the whole."""
    crypto = dataclasses.replace(SSL, package="crypto", version="5.5", purl="pkg:otp/crypto@5.5")
    vex = given("not_affected", "CVE-2026-3", "pkg:otp/ssl", impact_statement="i")
    made = report(SSL, crypto, WHOLE, statements=vex)
    assert all(WHOLE.purl in item.finding.purls for item in made.verdict.judged)
    (statement,) = statements(made)
    assert about(statement) == ["pkg:otp/ssl@11.2"]
    # Alone it speaks for the whole too.
    (statement,) = statements(report(SSL, WHOLE, statements=vex))
    assert about(statement) == [WHOLE.purl, "pkg:otp/ssl@11.2"]


def test_our_own_reading_of_it_comes_to_the_same_verdict() -> None:
    vex = given("not_affected", "CVE-2026-1", "pkg:deb/debian/libc6", impact_statement="i")
    made = report(LIBC, LIBC_OF_GRYPE, COWLIB, SSL, statements=vex, acceptances=[ACCEPTED])
    again = report(
        LIBC, LIBC_OF_GRYPE, COWLIB, SSL, statements=read_vex(openvex(made), "vex.openvex.json"), acceptances=[ACCEPTED]
    )
    assert [item.status for item in again.verdict.judged] == [item.status for item in made.verdict.judged]
    assert again.verdict.suppressed
    assert not again.verdict.unmatched_vex
    # It speaks of this image, in whichever repository, and of no other.
    of_image = given("not_affected", "CVE-2026-1", f"{NAME}:2.1.0", impact_statement="i")
    text = openvex(report(LIBC, LIBC_OF_GRYPE, COWLIB, statements=of_image, acceptances=[ACCEPTED]))
    (one,) = [each for each in read_vex(text, "x") if each.status == "not_affected"]
    (finding,) = [item.finding for item in made.verdict.suppressed]
    assert speaks_of(one, finding, image_names("prod.example/x/erlmcp", "9", DIGEST))
    assert not speaks_of(one, finding, image_names(NAME, "2.1.0", "sha256:" + "6f" * 32))
