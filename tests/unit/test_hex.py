"""What the registries of Hex say of packages: as hex_core reads it, and what comes of it."""

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_reports import EXPIRED, NOW, STATEMENT, report

from pipeline.report.findings import findings_json
from pipeline.report.gitlab import gitlab
from pipeline.report.junit import junit
from pipeline.report.markdown import markdown
from pipeline.report.openvex import openvex
from pipeline.report.report import counts
from pipeline.report.sarif import sarif
from pipeline.report.terminal import terminal
from pipeline.sbom.component import Kind
from pipeline.scan.acceptance import Acceptance
from pipeline.scan.eef import Part
from pipeline.scan.findings import ScannerRun, Severity, Sighting, Status
from pipeline.scan.hex import HEX, Package, heard
from pipeline.scan.policy import Policy
from pipeline.scan.verdict import judge

PIPELINE = Path(__file__).parents[2] / "pipeline"
REGISTRY = Path(__file__).parents[1] / "fixtures" / "registry"
REASONS = {
    "RETIRED_OTHER": "other",
    "RETIRED_INVALID": "invalid",
    "RETIRED_SECURITY": "security",
    "RETIRED_DEPRECATED": "deprecated",
    "RETIRED_RENAMED": "renamed",
    "7": "reason 7",
}
#: What `pipeline_registry.erl` makes of the fixture; the first test holds it against hex_core.
ANSWER: dict[str, Any] = {
    "retired": {"reason": "security", "message": "take \x1b[31m1.1.0\x1b[0m, | `x` <b>@all</b>\n:bug: grün"},
    "others": ["0.9.0", "1.0.3-rc.1", "1.10.0", "1.1.0"],
    "advisories": [
        {
            "id": "GHSA-0000-0000-0002",
            "summary": "Made up: **bold** | <b>",
            "url": "https://osv.dev/vulnerability/GHSA-0000-0000-0002",
            "severity": "critical",
            "score": "9.1",
            "aliases": ["CVE-0000-0002"],
            "others": ["0.9.0", "1.0.3-rc.1", "1.0.4", "1.10.0", "1.1.0"],
        },
        {
            "id": "EEF-CVE-0000-0009",
            "summary": "Made up: rated by its score alone",
            "url": "https://osv.dev/vulnerability/EEF-CVE-0000-0009",
            "severity": "unknown",
            "score": "5.3",
            "aliases": [],
            "others": ["0.9.0", "1.0.3-rc.1", "1.10.0", "1.1.0"],
        },
    ],
}
NOTHING: dict[str, Any] = {"retired": None, "others": [], "advisories": []}
SAID = """#!/usr/bin/env escript
-mode(compile).
-include("common.hrl").
-compile({nowarn_unused_function, [{text, 1}]}).
main([File, Version]) ->
    code:add_path("."),
    {ok, Payload} = file:read_file(File),
    io:setopts([{encoding, unicode}]),
    try io:put_chars(json(pipeline_registry:said(Payload, list_to_binary(Version))))
    catch throw:{input, Why} -> bad("~ts", [Why])
    end.
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("escript"):
        pytest.skip("needs Erlang: erl on the PATH (Debian: erlang-base, erlang-crypto)")
    folder = tmp_path_factory.mktemp("erlang")
    for name in ("build/resources/pipeline_registry.erl", "project/resources/common.hrl"):
        shutil.copy(PIPELINE / name, folder)
    subprocess.run(["erlc", "-Werror", "pipeline_registry.erl"], cwd=folder, check=True)
    (folder / "said.escript").write_text(SAID)
    return folder / "said.escript"


def said(script: Path, name: str, version: str) -> dict[str, Any]:
    command = ["escript", script, REGISTRY / f"{name}.pb", version]
    done = subprocess.run(command, cwd=script.parent, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["tiny_text", "tiny_reasons"])
def test_an_answer_of_a_registry_is_read_as_hex_core_reads_it(script: Path, name: str) -> None:
    releases = json.loads((REGISTRY / f"{name}.json").read_text())
    for release in releases:
        found = said(script, name, release["version"])
        retired = release["retired"] and {
            "reason": REASONS[release["retired"]["reason"]],
            "message": release["retired"]["message"] or "",
        }
        assert found["retired"] == retired
        advisories = [
            {
                "id": each["id"],
                "summary": each["summary"],
                "url": each["html_url"],
                "severity": each.get("severity", "unknown").removeprefix("SEVERITY_").lower(),
                "score": each["cvss_score"],
                "aliases": each["aliases"],
            }
            for each in release["advisories"]
        ]
        assert [{key: each[key] for key in each if key != "others"} for each in found["advisories"]] == advisories
        for each in found["advisories"]:
            assert each["others"] == [
                other["version"]
                for other in releases
                if not other["retired"] and each["id"] not in {known["id"] for known in other["advisories"]}
            ]


def test_the_answer_of_these_tests_is_one(script: Path) -> None:
    assert said(script, "tiny_text", "1.0.2") == ANSWER


def test_a_version_that_the_registry_does_not_have_is_no_version_that_is_not_retired(script: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        said(script, "tiny_text", "9.9.9")
    assert b"does not have 9.9.9" in caught.value.stderr


def package(name: str = "tiny_text", version: str = "1.0.2", repository: str = "hexpm") -> Package:
    component = {"name": name, "version": version, "purl": f"pkg:hex/{name}@{version}"}
    part = Part.of(component, ())
    assert part
    return Package(part, repository)


def run(**changes: object) -> ScannerRun:
    return heard([package()], [ANSWER | changes])


def test_what_is_said_are_sightings_and_the_first_later_version_without_it_is_the_fix() -> None:
    found = {each.id: each for each in run().sightings}
    assert {name: (each.severity, each.fixed, each.kind) for name, each in found.items()} == {
        "retired": (Severity.HIGH, ("1.1.0",), Kind.HEX),
        # Of a version on the way to another one nobody is told who does not use such.
        "GHSA-0000-0000-0002": (Severity.CRITICAL, ("1.0.4",), Kind.HEX),
        "EEF-CVE-0000-0009": (Severity.MEDIUM, ("1.1.0",), Kind.HEX),
    }
    assert [each.urgency.score for each in found.values()] == [None, 9.1, 5.3]
    assert found["GHSA-0000-0000-0002"].aliases == ("CVE-0000-0002",)
    assert found["EEF-CVE-0000-0009"].aliases == ("CVE-0000-0009",)
    assert {each.scanner for each in found.values()} == {HEX}


def test_an_advisory_of_the_registry_is_the_finding_of_the_other_scanners() -> None:
    other = Sighting(
        "trivy",
        "CVE-0000-0002",
        (),
        "tiny_text",
        "1.0.2",
        "pkg:hex/tiny_text@1.0.2",
        Kind.HEX,
        Severity.HIGH,
        ("1.0.3",),
    )
    verdict = judge([ScannerRun("trivy", "SBOM", sightings=(other,)), run()], Policy(), now=NOW)
    findings = {item.finding.id: item.finding.severities for item in verdict.judged}
    assert findings["CVE-0000-0002"] == {"hex": Severity.CRITICAL, "trivy": Severity.HIGH}
    assert set(findings) == {"CVE-0000-0002", "CVE-0000-0009", "retired"}


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("security", Status.BREAKING),
        ("invalid", Status.TOLERATED),
        ("deprecated", Status.TOLERATED),
        ("renamed", Status.TOLERATED),
        ("other", Status.TOLERATED),
        # Nobody knows how bad that is.
        ("reason 7", Status.BREAKING),
    ],
)
def test_a_retirement_breaks_by_its_reason_and_is_told_by_the_words_of_the_registry(
    reason: str, status: Status
) -> None:
    retired = run(retired={"reason": reason, "message": "take text"}, advisories=[])
    made = report(retired)
    [item] = made.verdict.judged
    assert (item.finding.id, item.status) == ("retired", status)
    assert made.notes[0] == "scout: not asked"
    assert retired.remarks == (f"tiny_text 1.0.2 is retired ({reason}): take text",)
    # `mix hex.audit` fails for any.
    assert judge([retired], Policy(Severity.LOW), now=NOW).breaking


def test_a_retirement_is_accepted_by_name_and_package() -> None:
    entry = Acceptance("retired", "tiny_text", "we have a patch", EXPIRED.until.replace(year=2099))
    verdict = judge([run(advisories=[])], Policy(), now=NOW, acceptances=[entry])
    assert [item.status for item in verdict.judged] == [Status.ACCEPTED]
    # It is no flaw, and no scanner has a use for such a statement.
    assert openvex(report(run(advisories=[]), acceptances=[entry])) == ""
    assert openvex(report(run(), acceptances=[dataclasses.replace(entry, id="CVE-0000-0002")])) != ""
    other = Acceptance("retired", "tiny_word", "another one", entry.until)
    verdict = judge([run(advisories=[])], Policy(), now=NOW, acceptances=[other], statements=[STATEMENT])
    assert [item.status for item in verdict.judged] == [Status.BREAKING]
    assert verdict.unmatched == (other,)


def test_without_a_later_release_that_is_said() -> None:
    [finding] = [item.finding for item in judge([run(others=["0.9.0"], advisories=[])], Policy(), now=NOW).judged]
    assert finding.remedy == "every later release is retired"
    [finding] = [item.finding for item in judge([run(advisories=[])], Policy(), now=NOW).judged]
    assert finding.remedy == "1.1.0 is not retired"


def test_words_of_a_registry_do_nothing_in_a_report() -> None:
    found = run()
    [remark] = found.remarks
    assert "\x1b" not in remark
    assert max(map(len, remark.splitlines())) <= 76
    made = report(found)
    texts = {each.__name__: each(made) for each in (terminal, markdown, sarif, junit, gitlab, findings_json)}
    for name, text in texts.items():
        assert "\x1b" not in text, name
        assert "u001b" not in text, name
    assert "<b>" not in texts["markdown"]
    assert "@all" not in texts["markdown"]
    assert "retired (security): take \ufffd[31m1.1.0\ufffd[0m, | `x` <b>@all</b> :bug: grün" in found.sightings[0].title
    endless = run(retired={"reason": "other", "message": "x\u202e" * 4000}, advisories=[])
    assert len(endless.remarks[0]) < 300
    assert "\u202e" not in endless.remarks[0]


def test_what_is_not_known_stands_in_every_report_and_breaks_nothing() -> None:
    others = [package(name) for name in ("a", "b", "c", "d")]
    lacking = {"unknown": "https://hex.example.org cannot be reached (nxdomain)"}
    found = heard([package(), *others], [NOTHING, *[lacking] * 4])
    assert found.unknown == (
        """not known whether retired: a 1.0.2, b 1.0.2, c 1.0.2 and 1 more:
  https://hex.example.org cannot be reached (nxdomain)""",
    )
    made = report(found)
    assert made.verdict.passed
    assert "hex      SBOM    -        INCOMPLETE" in terminal(made)
    header, rows = counts(made)
    assert {row[header.index("hex\nSBOM")] for row in rows} == {"?"}
    for text in (sarif(made), junit(made)):
        assert "not known whether retired" in text
    assert '<testcase classname="scanners" name="hex scans the SBOM">\n      <skipped' in junit(made)
    [scanner] = json.loads(findings_json(made))["scanners"]
    assert (scanner["failure"], scanner["unknown"]) == (None, list(found.unknown))
    assert heard([package()], [NOTHING]).unknown == ()


def test_a_name_that_would_change_the_question_is_not_asked_for() -> None:
    strange = [package("tiny_text", "1.0.2 other"), package("x", ""), package(repository="hexpm:acme\n")]
    assert not any(each.askable for each in strange)
    found = heard([*strange, package("y")], [NOTHING])
    [told] = found.unknown
    assert "the name or version is not one of Hex" in " ".join(told.split())
    assert package().askable
