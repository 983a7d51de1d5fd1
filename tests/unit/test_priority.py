"""What comes first and what to do about it: known exploits, days of grace, an earlier image, remedies."""

import copy
import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.registry.rescan import compare
from pipeline.report.findings import findings_json
from pipeline.report.junit import junit
from pipeline.report.markdown import markdown
from pipeline.report.places import Places
from pipeline.report.remedies import changes as lines
from pipeline.report.remedies import remedies
from pipeline.report.report import Report
from pipeline.report.sarif import sarif
from pipeline.report.terminal import terminal
from pipeline.sbom.component import Kind
from pipeline.scan.acceptance import Acceptance
from pipeline.scan.baseline import Baseline
from pipeline.scan.findings import ScannerRun, Severity, Sighting, Urgency
from pipeline.scan.grype import read_grype
from pipeline.scan.policy import Given, Policy, Rules, Settings
from pipeline.scan.records import score_of
from pipeline.scan.trivy import read_trivy
from pipeline.scan.verdict import Verdict, judge

SCANS = Path(__file__).parent / "data" / "scans"
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
KEV = dt.date(2025, 6, 9)
FIXED = dt.date(2026, 11, 25)
SSH = Sighting(
    "grype", "CVE-2025-32433", (), "ssh", "5.2.6", "pkg:otp/ssh@5.2.6", Kind.OTP, Severity.MEDIUM, fixed=("5.2.10",)
)
COWLIB = Sighting(
    "eef", "CVE-2026-1", (), "cowlib", "2.12.1", "pkg:hex/cowlib@2.12.1", Kind.HEX, Severity.HIGH, fixed=("2.13.1",)
)
THREATS = {"CVE-2025-32433": Urgency(exploited=KEV, epss=0.6)}


def judged(*sightings: Sighting, policy: Policy | None = None, **rest: Any) -> Verdict:  # noqa: ANN401 # arguments
    run = ScannerRun("grype", "SBOM", sightings=sightings, threats=rest.pop("threats", {}))
    return judge([run], policy or Policy(), now=NOW, **rest)


def made(*sightings: Sighting, **rest: Any) -> Report:  # noqa: ANN401 # arguments
    shown = {name: rest.pop(name) for name in ("places", "erlang", "packages", "rules") if name in rest}
    verdict = judged(*sightings, **rest)
    return Report("example/erlmcp:1", "sha256:" + "5e" * 32, NOW, (), verdict, **shown)


def outcome(verdict: Verdict) -> dict[str, tuple[str, str]]:
    return {item.finding.package: (item.status.value, item.reason) for item in verdict.judged}


def sight(flaw: str, **fields: Any) -> Sighting:  # noqa: ANN401 # arguments
    return dataclasses.replace(COWLIB, id=flaw, **fields)


# What Grype says -----------------------------------------------------------------------------------------------------


def grype_report(**flaw: object) -> str:
    report = json.loads((SCANS / "grype.json").read_text())
    report["matches"] = [match for match in report["matches"] if match["artifact"]["name"] == "tiny_text"][:1]
    report["matches"][0]["vulnerability"] |= flaw
    return json.dumps(report)


def test_grype_tells_what_is_exploited_how_likely_and_since_when_there_is_a_fix() -> None:
    run = read_grype(
        grype_report(
            knownExploited=[
                {"cve": "CVE-0000-0002", "dateAdded": "2025-06-09", "knownRansomwareCampaignUse": "Unknown"},
                {"cve": "CVE-0000-0002", "dateAdded": "2025-06-01", "knownRansomwareCampaignUse": "Unknown"},
                {"cve": "CVE-0000-0009", "knownRansomwareCampaignUse": "Unknown"},
            ],
            epss=[{"cve": "CVE-0000-0002", "epss": 0.125, "percentile": 0.9, "date": "2026-11-29"}],
            fix={
                "versions": ["1.0.3"],
                "state": "fixed",
                "available": [
                    {"version": "1.0.3", "date": "2026-11-25", "kind": "first-observed"},
                    {"version": "2.0.0", "date": "2026-01-01", "kind": "first-observed"},
                ],
            },
            cvss=[{"version": "3.1", "metrics": {"baseScore": 7.5}}, {"version": "2.0", "metrics": {"baseScore": 10}}],
        ),
        "SBOM",
    )
    assert run.failure == ""
    assert run.threats["CVE-0000-0002"] == Urgency(exploited=dt.date(2025, 6, 1), epss=0.125)
    # It is in the catalogue, whatever the day.
    assert run.threats["CVE-0000-0009"].exploited
    [seen] = run.sightings
    # The fix of another line is no fix for the version at hand.
    assert seen.urgency == Urgency(score=7.5, fixed_on=FIXED)


def test_a_day_that_is_none_makes_the_report_unreadable() -> None:
    run = read_grype(grype_report(knownExploited=[{"cve": "CVE-0000-0002", "dateAdded": "soon"}]), "SBOM")
    assert "its report cannot be read" in run.failure


def test_trivy_tells_the_highest_score_of_version_3_or_4() -> None:
    report = json.loads((SCANS / "trivy.json").read_text())
    [raw, *_] = [flaw for result in report["Results"] for flaw in result.get("Vulnerabilities", ())]
    raw["CVSS"] = {"nvd": {"V2Score": 10, "V3Score": 7.5}, "ghsa": {"V40Score": 8.7}, "old": {"V2Score": 9.9}}
    scores = {seen.id: seen.urgency.score for seen in read_trivy(json.dumps(report), "SBOM").sightings}
    assert scores[raw["VulnerabilityID"]] == 8.7


# Scores by the calculators of FIRST (first.org/cvss/calculator): 3.1 and 4.0.
@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 7.5),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N", 8.7),
        ("CVSS:4.0/AV:N/AC:L", None),
        ("AV:N/AC:L/Au:N/C:N/I:N/A:C", None),
        ("", None),
    ],
)
def test_a_vector_gives_its_score(vector: str, score: float | None) -> None:
    assert score_of(vector) == score


# The order -----------------------------------------------------------------------------------------------------------


def test_what_is_known_to_be_exploited_is_first_then_severity_likelihood_and_score() -> None:
    seen = [
        sight("CVE-2026-1", urgency=Urgency(score=7.1)),
        sight("CVE-2026-2", urgency=Urgency(score=8.9)),
        sight("CVE-2026-3", urgency=Urgency(score=7.0)),
        sight("CVE-2026-4", severity=Severity.CRITICAL),
        sight("CVE-2026-5", severity=Severity.LOW),
    ]
    threats = {"CVE-2026-3": Urgency(epss=0.02), "CVE-2026-5": Urgency(exploited=KEV)}
    order = [item.finding.id[-1] for item in judged(*seen, threats=threats).judged]
    assert order == ["5", "4", "3", "2", "1"]


def test_what_is_known_of_a_flaw_counts_whoever_saw_it_and_never_for_another_one() -> None:
    both = dataclasses.replace(COWLIB, id="GHSA-1", aliases=("CVE-2026-1", "CVE-2026-2"))
    verdict = judged(both, threats={"CVE-2026-2": Urgency(exploited=KEV)})
    exploited = {item.finding.id: item.finding.urgency.exploited for item in verdict.judged}
    assert exploited == {"CVE-2026-2": KEV, "CVE-2026-1": None}


# Known to be exploited -----------------------------------------------------------------------------------------------


def test_what_is_known_to_be_exploited_breaks_whatever_its_severity_with_a_fix_or_without() -> None:
    seen = dataclasses.replace(SSH, fixed=())
    verdict = judged(seen, threats=THREATS, policy=Policy(Severity.CRITICAL, only_fixed=True, grace_days=999))
    status, reason = outcome(verdict)["ssh"]
    assert status == "breaking"
    assert reason.startswith("known to be exploited since 2025-06-09 (CISA KEV), which breaks the policy at any")
    assert verdict.lines == ("POLICY FAILED: 1 finding known to be exploited",)
    both = judged(COWLIB, SSH, threats=THREATS)
    assert both.lines == ("POLICY FAILED: 1 finding known to be exploited, 1 finding of HIGH or worse",)


def test_that_can_be_turned_off_and_it_can_be_accepted() -> None:
    assert outcome(judged(SSH, threats=THREATS, policy=Policy(known_exploited=False)))["ssh"][0] == "tolerated"
    entry = Acceptance("CVE-2025-32433", "ssh", "no daemon is started", dt.date(2026, 12, 31))
    assert outcome(judged(SSH, threats=THREATS, acceptances=[entry]))["ssh"][0] == "accepted"


def test_settings_and_what_was_attested_say_it() -> None:
    said = Settings.parse("[policy]\nfail-on-known-exploited = false\ngrace-days = 7\n").over(Rules())
    assert said.policy == Policy(known_exploited=False, grace_days=7)
    assert Rules.from_attested(said.attested()).policy == said.policy
    # What was published before knew nothing of it.
    assert Rules.from_attested({"fail_on": "LOW"}).policy == Policy(Severity.LOW)
    assert Given(grace_days=0, fail_on_known_exploited=True).over(said).policy == Policy()
    for wrong in ("grace-days = -1", "grace-days = true", 'grace-days = "7"', "fail-on-known-exploited = 1"):
        with pytest.raises(InputError, match=r"erlmcp\.toml: policy\."):
            Settings.parse(f"[policy]\n{wrong}\n")


# Days of grace -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "status", "reason"),
    [
        (0, "breaking", ""),
        (5, "breaking", ""),
        (6, "warning", "fixed since 2026-11-25, so it will break the policy from 2026-12-01 (--grace-days)"),
    ],
)
def test_a_fix_that_is_young_gives_days_of_grace(days: int, status: str, reason: str) -> None:
    seen = dataclasses.replace(COWLIB, urgency=Urgency(fixed_on=FIXED))
    assert outcome(judged(seen, policy=Policy(grace_days=days)))["cowlib"] == (status, reason)


def test_without_a_day_of_the_fix_there_is_no_grace() -> None:
    assert outcome(judged(COWLIB, policy=Policy(grace_days=99)))["cowlib"][0] == "breaking"


def test_warnings_pass_and_are_told() -> None:
    report = made(dataclasses.replace(COWLIB, urgency=Urgency(fixed_on=FIXED)), policy=Policy(grace_days=6))
    assert report.verdict.lines == ("PASSED: no finding of HIGH or worse, but 1 warning",)
    assert "findings that only warn\n" in terminal(report)
    assert "fixed since 2026-11-25" in terminal(report)
    assert "<summary>Only warns: 1</summary>" in markdown(report)
    assert "warning: fixed since" in junit(report)
    assert "<failure" not in junit(report)
    [result] = json.loads(sarif(report))["runs"][0]["results"]
    assert result["properties"]["status"] == "warning"
    assert "suppressions" not in result


# An earlier image ----------------------------------------------------------------------------------------------------


def earlier(*sightings: Sighting, packages: tuple[str, ...] = (), **rest: Any) -> Baseline:  # noqa: ANN401 # arguments
    rules = Rules(acceptances=tuple(rest.get("acceptances", ())))
    return Baseline.parse(findings_json(made(*sightings, packages=packages, rules=rules, **rest)), "findings.json")


def test_what_was_there_before_only_warns_and_what_is_new_breaks() -> None:
    verdict = judged(COWLIB, dataclasses.replace(SSH, severity=Severity.HIGH), baseline=earlier(COWLIB))
    assert outcome(verdict) == {
        "cowlib": ("warning", f"also in example/erlmcp:1@sha256:{'5e' * 32}"),
        "ssh": ("breaking", ""),
    }
    assert verdict.lines == ("POLICY FAILED: 1 new finding of HIGH or worse",)
    assert judged(COWLIB, baseline=earlier(COWLIB)).lines == ("PASSED: no new finding of HIGH or worse, but 1 warning",)


def test_a_package_that_is_not_changed_brings_nothing_new_whatever_was_published_since() -> None:
    # As the SBOM has it, and as a scanner does.
    before = earlier(packages=("pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13.5", "pkg:hex/cowlib@2.12.1"))
    libc = sight(
        "CVE-2026-7", package="libc6", version="2.41-12", kind=Kind.OS,
        purl="pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13",
    )  # fmt: skip
    assert [status for status, _ in outcome(judged(COWLIB, libc, baseline=before)).values()] == ["warning", "warning"]
    other = dataclasses.replace(COWLIB, version="2.12.0", purl="pkg:hex/cowlib@2.12.0")
    assert outcome(judged(other, baseline=before))["cowlib"][0] == "breaking"


def test_a_package_that_is_changed_and_keeps_its_flaw_brings_nothing_new() -> None:
    before = earlier(dataclasses.replace(COWLIB, id="GHSA-1", aliases=("CVE-2026-1",)), packages=(COWLIB.purl,))
    changed = dataclasses.replace(COWLIB, version="2.12.2", purl="pkg:hex/cowlib@2.12.2")
    assert outcome(judged(changed, baseline=before))["cowlib"][0] == "warning"
    second = dataclasses.replace(changed, id="CVE-2026-2")
    assert outcome(judged(second, baseline=before))["cowlib"][0] == "breaking"


def test_an_answer_that_is_taken_back_is_new_but_one_whose_time_has_come_is_not() -> None:
    entry = Acceptance("CVE-2026-1", "cowlib", "why", dt.date(2026, 12, 31))
    before = earlier(COWLIB, packages=(COWLIB.purl,), acceptances=[entry])
    assert outcome(judged(COWLIB, baseline=before))["cowlib"][0] == "breaking"
    gone = dataclasses.replace(before, accepted=(dataclasses.replace(entry, until=dt.date(2026, 11, 29)),))
    assert outcome(judged(COWLIB, baseline=gone))["cowlib"][0] == "warning"
    # The time of an answer for another package says nothing.
    other = dataclasses.replace(gone.accepted[0], package="cowboy")
    assert (
        outcome(judged(COWLIB, baseline=dataclasses.replace(gone, accepted=(entry, other))))["cowlib"][0] == "breaking"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"packages": [], "image": {}}'])
def test_a_baseline_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--baseline old\.json: this file is not a verdict to compare with"):
        Baseline.parse(text, "--baseline old.json")


# What to change ------------------------------------------------------------------------------------------------------


def otp(flaw: str, *fixed: str, package: str = "ssh") -> Sighting:
    return dataclasses.replace(SSH, id=flaw, package=package, severity=Severity.HIGH, fixed=fixed)


def changes(*sightings: Sighting, **rest: Any) -> list[str]:  # noqa: ANN401 # arguments
    return list(map(str, remedies(made(*sightings, **rest))))


def test_one_change_is_one_line_and_what_mends_most_is_first() -> None:
    lock = '{"1.2.0",\n[{<<"cowlib">>,{pkg,<<"cowlib">>,<<"2.12.1">>},0}]}.\n'
    places = Places(lock=lock, tables=(("ci/images.toml", '[otp.27]\nbuilder = "b"\n'),), builder="b", otp="27")
    seen = [
        sight("CVE-2026-1"),
        sight("CVE-2026-2", fixed=("2.16.0",)),
        sight("CVE-2026-3", fixed=("2.13.0",)),
        sight("CVE-2026-4", fixed=()),
        otp("CVE-2026-5", "5.2.10", "OTP 27.3.4.9", "OTP 28.1"),
        otp("CVE-2026-6", "9.3.2.3", "OTP 27.3.4.13", package="inets"),
    ]
    report = made(*seen, places=places, erlang="27.3.4.1")
    assert list(map(str, remedies(report))) == [
        "rebar.lock: cowlib 2.12.1 → 2.16.0 (fixes 3 findings)",
        "ci/images.toml: Erlang/OTP 27.3.4.1 → 27.3.4.13 (fixes 2 findings)",
    ]
    assert lines(report)[-1] == "1 finding without a known fix: see docs/policy.md on accept.toml"
    text = terminal(report)
    assert text.index("what to change\n") < text.index(" severity ")
    assert "  rebar.lock: cowlib 2.12.1 → 2.16.0 (fixes 3 findings)\n" in text
    assert "### What to change\n\n- rebar.lock: cowlib 2.12.1 → 2.16.0 (fixes 3 findings)\n" in markdown(report)
    document = json.loads(findings_json(report))
    assert document["remedies"][0] == {"change": "rebar.lock: cowlib 2.12.1 → 2.16.0", "mends": 3}


def test_a_version_of_another_line_is_not_said_to_have_a_fix() -> None:
    # 28.0.1 is later than 27.3.4.9, and was published before it.
    seen = [otp("CVE-2026-5", "OTP 27.3.4.9", "OTP 28.3"), otp("CVE-2026-6", "OTP 28.0.1")]
    assert changes(*seen, erlang="27.3.4.1") == ["image table: Erlang/OTP 27.3.4.1 → 28.3 (fixes 2 findings)"]
    seen = [otp("CVE-2026-5", "OTP 27.3.4.9"), otp("CVE-2026-6", "OTP 28.0.1")]
    assert changes(*seen, erlang="27.3.4.1") == [
        "image table: Erlang/OTP 27.3.4.1 → 27.3.4.9 (fixes 1 finding)",
        "image table: Erlang/OTP 27.3.4.1 → 28.0.1 (fixes 1 finding)",
    ]
    # 2.13.0 is later than 2.12.5, and of a line that was mended later.
    seen = [sight("CVE-2026-1", fixed=("2.12.5", "2.14.0")), sight("CVE-2026-2", fixed=("2.13.0",))]
    assert changes(*seen) == ["rebar.lock: cowlib 2.12.1 → 2.14.0 (fixes 2 findings)"]
    # 3.0.0 is later than 2.12.5, and has not what 3.0.1 mends.
    seen = [sight("CVE-2026-1", fixed=("2.12.5", "3.0.1")), sight("CVE-2026-2", fixed=("3.0.0",))]
    assert changes(*seen) == ["rebar.lock: cowlib 2.12.1 → 3.0.1 (fixes 2 findings)"]


def test_a_base_is_named_by_the_day_of_the_last_fix_or_by_what_it_must_have() -> None:
    libc = {"package": "libc6", "version": "2.41-12", "kind": Kind.OS}
    dated = [
        sight("CVE-2026-1", fixed=("2.41-13",), urgency=Urgency(fixed_on=FIXED), **libc),
        sight("CVE-2026-2", fixed=("2.41-14",), urgency=Urgency(fixed_on=dt.date(2026, 11, 28)), **libc),
    ]
    assert changes(*dated) == ["image table: a base image built on 2026-11-28 or later (fixes 2 findings)"]
    assert changes(sight("CVE-2026-3", fixed=("2.41-15",), **libc)) == [
        "image table: a base image with libc6 2.41-15 (fixes 1 finding)"
    ]


# The nightly scan ----------------------------------------------------------------------------------------------------


def verdict_of(*sightings: Sighting, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 # arguments
    return dict(json.loads(findings_json(made(*sightings, **rest))))


def test_what_has_come_to_be_exploited_alarms_though_it_was_accepted_before_and_names_the_law() -> None:
    entry = Acceptance("CVE-2025-32433", "ssh", "no daemon is started", dt.date(2026, 12, 31))
    rules = Rules(acceptances=(entry,))
    before = verdict_of(SSH, acceptances=[entry], rules=rules)
    now = verdict_of(SSH, acceptances=[entry], threats=THREATS, rules=rules)
    text, alarming = compare(before, now)
    assert alarming
    assert text.startswith("CVE-2025-32433 of ssh: known to be exploited since 2025-06-09\n")
    assert "within 24 hours" in text
    assert "Cyber Resilience Act of the EU (article 14)" in text
    # It is told once: the next one that is published knows it.
    assert compare(now, now) == (
        "0 new since 2026-11-30T12:00:00Z, 0 of them break the policy\n" + now_lines(now),
        False,
    )
    # Who answers for it since knows of it.
    again = dataclasses.replace(entry, reason="patched by hand")
    known = verdict_of(SSH, acceptances=[again], threats=THREATS, rules=Rules(acceptances=(again,)))
    assert not compare(before, known)[1]
    # Who answers for another package with that flaw does not.
    elsewhere = dataclasses.replace(again, package="inets")
    both = Rules(acceptances=(entry, elsewhere))
    assert compare(before, verdict_of(SSH, acceptances=[entry, elsewhere], threats=THREATS, rules=both))[1]
    # Those that were published before did not say.
    old = copy.deepcopy(before)
    for finding in old["findings"]:
        del finding["exploited"]
    assert compare(old, now)[1]


def now_lines(now: dict[str, Any]) -> str:
    return "".join(f"{line}\n" for line in now["verdict"]["lines"])


def test_the_nightly_scan_says_what_to_change() -> None:
    text, alarming = compare(verdict_of(), verdict_of(COWLIB))
    assert alarming
    assert text.startswith("what to change\n  rebar.lock: cowlib 2.12.1 → 2.13.1 (fixes 1 finding)\n")
