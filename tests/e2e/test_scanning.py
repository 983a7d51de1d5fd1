"""The real scanners over the fixture, with small databases: what each finds, one verdict, and what fails how."""

import dataclasses
import datetime as dt
import hashlib
import json
import re
import subprocess
import tomllib
import urllib.parse
from pathlib import Path

import anyio
import dagger
import databases
import files
import pytest
from conftest import InProcess, Module, session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dagger import dag
from registry import own_architecture

from pipeline.project.images import images_in_use
from pipeline.sbom.component import Kind
from pipeline.scan.databases import Databases, checked
from pipeline.scan.policy import Policy
from pipeline.scan.scanners import Scanners, scan_document
from pipeline.scan.verdict import Verdict, judge

#: What `reports` writes, whatever the verdict and whichever scanner failed.
ALWAYS = {
    "code-scanning.sarif",
    "compliance.md",
    "findings.json",
    "findings.sarif",
    "github-dependencies.json",
    "gl-container-scanning-report.json",
    "grype.sarif",
    "junit.xml",
    "report.html",
    "report.md",
    "sbom.cdx.json",
    "sbom.spdx.json",
    "sbom.spdx3.json",
    "syft.json",
    "trivy.sarif",
}
RAW = {"trivy.json", "trivy.sbom.json", "grype.json", "grype.sbom.json"}


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> databases.Databases:
    """Return databases that were built now."""
    return databases.make(tmp_path_factory.mktemp("databases"), dt.datetime.now(dt.UTC))


def given(made: databases.Databases) -> list[str]:
    return [f"--trivy-db={made.trivy}", f"--grype-db={made.grype}", f"--eef-db={made.eef}"]


def line_of(source: Path, result: dict) -> str:
    """Return the line of the project beside which a result is shown."""
    place = result["locations"][0]["physicalLocation"]
    lines = (source / urllib.parse.unquote(place["artifactLocation"]["uri"])).read_text().splitlines()
    return lines[place["region"]["startLine"] - 1].strip()


def statuses(folder: Path) -> dict[str, str]:
    findings = json.loads((folder / "findings.json").read_text())["findings"]
    return {f"{finding['id']} {finding['package']['name']}": finding["status"] for finding in findings}


def test_each_flaw_is_one_line_found_by_those_that_should(
    in_process: InProcess, source: Path, fresh: databases.Databases, tmp_path: Path
) -> None:
    # The image table lies in the project, under any name and in any folder, where no build needs it.
    (source / "site").mkdir()
    (source / "site" / in_process.images.name).write_text(in_process.images.read_text())
    (source / ".dockerignore").write_text("site\n")
    result = in_process(source, *given(fresh), "assess", "reports", "export", f"--path={tmp_path / 'out'}")
    assert result.code == 0, result.message
    document = json.loads((tmp_path / "out" / "findings.json").read_text())
    lines = [
        (finding["id"], finding["package"]["name"], finding["package"]["kind"], sorted(finding["severities"]))
        for finding in document["findings"]
        if finding["status"] == "breaking"
    ]
    assert sorted(lines) == [
        ("CVE-0000-0001", "libssl3t64", "os", ["grype", "trivy"]),
        ("CVE-0000-0001", "openssl-provider-legacy", "os", ["grype", "trivy"]),
        ("CVE-0000-0002", "tiny_text", "hex", ["grype", "trivy"]),
        # Trivy's database knows nothing of Erlang/OTP.
        ("CVE-2026-23941", "inets", "otp", ["eef", "grype"]),
    ]
    [run] = json.loads((tmp_path / "out" / "code-scanning.sarif").read_text())["runs"]
    shown = {
        result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].partition("@")[0]: line_of(source, result)
        for result in run["results"]
    }
    table = tomllib.loads(in_process.images.read_text())["images"]
    assert shown["tiny_text"] == '{<<"tiny_text">>,{pkg,<<"tiny_text">>,<<"1.0.2">>},0}]}.'
    assert shown["inets"] == f'builder-debian = "{table["builder-debian"]}"'
    assert shown["libssl3t64"] == f'runtime-debian = "{table["runtime-debian"]}"'
    assert {path.name for path in (tmp_path / "out").iterdir()} == ALWAYS | RAW
    ages = [scanner["database"]["built"][:10] for scanner in document["scanners"] if scanner["database"]]
    assert ages == [dt.datetime.now(dt.UTC).date().isoformat()] * 5
    ticks = (tmp_path / "out" / "compliance.md").read_text()
    for check in (
        "runs as a non-root user",
        "no setuid or setgid file",
        "health check",
        "user can write only",
        "SBOM complete",
    ):
        [line] = [line for line in ticks.splitlines() if check in line]
        assert "| passed |" in line, line
    # Nobody gave a revision.
    assert "| labels complete | **FAILED** | missing: org.opencontainers.image.revision" in ticks

    again = in_process(source, "sbom", "export", f"--path={tmp_path / 'sbom'}")
    assert again.code == 0, again.message
    for name in ("sbom.spdx.json", "sbom.spdx3.json", "sbom.cdx.json"):
        assert (tmp_path / "sbom" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    # What is of no package is in it with its checksum.
    components = json.loads((tmp_path / "sbom" / "sbom.cdx.json").read_text())["components"]
    hashes = {part["name"]: {each["alg"]: each["content"] for each in part.get("hashes", ())} for part in components}
    for name, file in (("tini", f"init-{own_architecture()}"), ("ca-certificates", "certificates")):
        content = (files.folder() / file).read_bytes()
        assert hashes[name] == {"SHA-512": hashlib.sha512(content).hexdigest()}


def test_what_is_exploited_breaks_though_grype_does_not_see_it(
    in_process: InProcess, source: Path, fresh: databases.Databases, tmp_path: Path
) -> None:
    # The record of the Erlang Ecosystem Foundation alone sees it; Grype's database knows only that it is exploited.
    known = [
        dataclasses.replace(each, affected=(), exploited="2026-11-01", epss=0.5)
        if each.cve == "CVE-2026-23941"
        else each
        for each in databases.read(databases.ADVISORIES)
    ]
    made = databases.make(tmp_path / "databases", dt.datetime.now(dt.UTC), known)
    result = in_process(source, *given(made), "assess", "--fail-on=CRITICAL", "verdict")
    assert result.message.startswith("POLICY FAILED: 1 finding known to be exploited\n")
    assert re.search(r"\n HIGH +CVE-2026-23941 +inets \S+ .* eef\n", result.message)
    assert "CVE-2026-23941: known to be exploited since 2026-11-01 (CISA KEV)" in result.message
    off = in_process(source, *given(made), "assess", "--fail-on=CRITICAL", "--fail-on-known-exploited=false", "verdict")
    assert off.code == 0, off.message
    # Of those that the others see too it tells how likely it is; since when there is a fix is known of one.
    reports = in_process(
        source, *given(fresh), "assess", "--grace-days=100000", "reports", "export", f"--path={tmp_path / 'out'}"
    )
    assert reports.code == 0, reports.message
    findings = json.loads((tmp_path / "out" / "findings.json").read_text())["findings"]
    urgency = {each["package"]["name"]: (each["status"], each["epss"], each["fixed_on"]) for each in findings}
    assert urgency["tiny_text"] == ("breaking", 0.125, None)
    assert urgency["libssl3t64"] == ("warning", None, "2026-01-15")


def test_records_of_erlang_name_the_application_and_clear_what_is_not_in_the_image(
    in_process: InProcess, source: Path, tmp_path: Path
) -> None:
    known = [*databases.read(databases.ADVISORIES), databases.of_ssh()]
    made = databases.make(tmp_path / "databases", dt.datetime.now(dt.UTC), known)
    result = in_process(source, *given(made), "assess", "reports", "export", f"--path={tmp_path / 'out'}")
    assert result.code == 0, result.message
    document = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert "CVE-2026-48855" not in {finding["id"] for finding in document["findings"]}
    dropped = {(each["id"], each["scanner"], each["reason"]) for each in document["dropped"]}
    assert ("CVE-2026-48855", "grype", "according to eef it is in ssh, which is not in the image") in dropped
    told = "Erlang/OTP 27.3.4.1 has 3 advisories (worst HIGH); 27.3.4.15 has none"
    assert told in document["notes"]


def test_what_a_distribution_mended_in_its_own_erlang_counts(
    engine: dict[str, str], images: Path, tmp_path: Path
) -> None:
    """Of an Erlang/OTP that is a package of the builder's distribution, as no stand-in has it: by the SBOM alone."""
    own = "1:27.3.4.1+dfsg-1+deb13u1"

    def advisory(name: str, ranges: list[dict[str, str]]) -> databases.Advisory:
        affected = {"kind": "debian", "release": "13", "name": "erlang", "ranges": ranges}
        rest = {
            "aliases": [],
            "title": "t",
            "severity": "HIGH",
            "published": "2026-06-01T00:00:00Z",
            "url": "https://x",
        }
        return databases.parse({"id": name, "affected": [affected], **rest})

    known = [
        *databases.read(databases.ADVISORIES),
        advisory("CVE-2026-28808", [{"introduced": "0", "fixed": own}]),
        advisory("CVE-2026-48856", [{"introduced": "0", "fixed": "1:27.3.4.1+dfsg-1+deb13u2"}]),
        # Nobody has mended it yet.
        advisory("CVE-2026-28810", []),
    ]
    made = databases.make(tmp_path / "databases", dt.datetime.now(dt.UTC), known)
    parts = [
        {"type": "operating-system", "bom-ref": "os", "name": "debian", "version": "13"},
        {
            "type": "library",
            "bom-ref": "libc6",
            "name": "libc6",
            "version": "2.41-12",
            "purl": "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13&upstream=glibc",
        },
        {
            "type": "library",
            "bom-ref": "erlang",
            "name": "erlang",
            "version": "27.3.4.1",
            "purl": "pkg:github/erlang/otp@OTP-27.3.4.1",
            "properties": [{"name": "pipeline:package", "value": f"deb erlang {own}"}],
        },
        *(
            {"type": "library", "bom-ref": name, "name": name, "version": version, "purl": f"pkg:otp/{name}@{version}"}
            for name, version in (("inets", "9.3.2"), ("kernel", "10.2.7.1"))
        ),
    ]
    sbom = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": parts})
    table = images_in_use(images.read_text(), {})

    async def look() -> Verdict:
        async with dagger.connection():
            given = [dag.host().directory(str(folder)) for folder in (made.trivy, made.grype, made.eef)]
            scanners = Scanners(table, await checked(Databases("2026-11-25", *given)))
            runs = (await scan_document(scanners, sbom)).runs
            return judge(runs, Policy(), now=dt.datetime.now(dt.UTC))

    with session(engine, tmp_path):
        verdict = anyio.run(look)
    assert verdict.failures == ()
    found = {item.finding.id for item in verdict.judged if item.finding.kind is Kind.OTP}
    assert found == {"CVE-2026-23941", "CVE-2026-28810", "CVE-2026-48856"}
    reasons = {(each.sighting.id, each.sighting.package): each.reason for each in verdict.dropped}
    said = f"the distribution fixed it in its package erlang {own}, according to"
    assert reasons["CVE-2026-28808", "inets"].startswith(said)


def test_the_policy_passes_and_fails(module: Module, source: Path, fresh: databases.Databases) -> None:
    failed = module(source, *given(fresh), "scan")
    assert failed.code != 0
    assert "Error: PolicyError: POLICY FAILED" in failed.err
    assert failed.message.startswith("POLICY FAILED: 4 findings of HIGH or worse\n")
    assert failed.message.endswith("POLICY FAILED: 4 findings of HIGH or worse")
    assert max(map(len, failed.message.splitlines())) <= 76
    passed = module(source, *given(fresh), "assess", "--fail-on=critical", "verdict")
    assert passed.code == 0
    assert passed.out.strip().endswith("PASSED: no finding of CRITICAL")


def test_vex_and_acceptances_change_the_verdict(
    in_process: InProcess, source: Path, fresh: databases.Databases
) -> None:
    vex = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.org/vex",
        "author": "a",
        "timestamp": "2026-11-01T00:00:00Z",
        "version": 1,
        "statements": [
            {
                "vulnerability": {"name": "CVE-2026-23941"},
                "products": [{"@id": "pkg:otp/inets"}],
                "status": "not_affected",
                "justification": "vulnerable_code_not_in_execute_path",
            }
        ],
    }
    # The project's own files count without being named.
    (source / "vex").mkdir()
    (source / "vex" / "own.json").write_text(json.dumps(vex))
    (source / "erlmcp.toml").write_text('[policy]\nonly-fixed = true\nvex = ["vex/own.json"]\n')
    (source / ".dockerignore").write_text("*.toml\nvex\n")
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    entries = [
        *(("CVE-0000-0001", name, tomorrow) for name in ("libssl3t64", "openssl-provider-legacy")),
        ("CVE-0000-0002", "tiny_text", dt.date(2026, 1, 1)),
        ("CVE-0000-0009", "nothing", tomorrow),
    ]
    (source / "accept.toml").write_text(
        "".join(
            f'[[accept]]\nid = "{name}"\npackage = "{package}"\nreason = "a test"\nuntil = {until}\n'
            for name, package, until in entries
        )
    )
    result = in_process(source, *given(fresh), "scan")
    assert "POLICY FAILED: 1 finding of HIGH or worse with a fix" in result.message
    assert "CVE-0000-0002: EPSS 12.5%; its acceptance expired on 2026-01-01" in result.message
    assert "acceptance matches no finding: CVE-0000-0009 of nothing; remove it, or correct it" in result.message
    assert "accepted: 2\n" in result.message
    assert "not affected or fixed, by VEX: 1\n" in result.message
    # An argument overrides what the project says, for one call.
    given_all = ["assess", "--only-fixed=false", "--fail-on=critical", "verdict"]
    assert in_process(source, *given(fresh), *given_all).out.strip().endswith("PASSED: no finding of CRITICAL")


def test_a_scanner_that_crashes_is_not_clean_and_the_others_finish(
    in_process: InProcess, source: Path, fresh: databases.Databases, tmp_path: Path
) -> None:
    table = tomllib.loads(in_process.images.read_text())["images"]
    # A program that does not know Trivy's arguments.
    changed = tmp_path / "images.toml"
    changed.write_text(
        in_process.images.read_text().replace(f'trivy = "{table["trivy"]}"', f'trivy = "{table["crane"]}"')
    )
    broken = InProcess(in_process.env, changed)
    result = broken(source, *given(fresh), "assess", "--fail-on=critical", "verdict")
    assert result.code != 0
    assert "Error: ScannerError: SCANNER FAILED" in result.err
    assert result.message.startswith("SCANNER FAILED: trivy (image): ")
    assert "unknown command" in result.message
    assert "POLICY" not in result.message
    written = broken(source, *given(fresh), "assess", "reports", "export", f"--path={tmp_path / 'out'}")
    assert written.code == 0, written.message
    assert {path.name for path in (tmp_path / "out").iterdir()} == ALWAYS | {"grype.json", "grype.sbom.json"}
    assert "CVE-2026-23941 inets" in statuses(tmp_path / "out")
    assert "| no secret in the image | *did not run* |" in (tmp_path / "out" / "compliance.md").read_text()


def test_databases_that_are_corrupt_old_or_missing(in_process: InProcess, source: Path, tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    corrupt = databases.make(tmp_path / "corrupt", now)
    databases.spoil(corrupt.trivy / "db" / "trivy.db")
    databases.spoil(corrupt.grype / "6" / "vulnerability.db")
    result = in_process(source, *given(corrupt), "assess", "--fail-on=critical", "verdict")
    assert result.message.count("SCANNER FAILED: trivy") == 3  # the first line is there twice
    assert result.message.count("SCANNER FAILED: grype") == 2
    assert "PASSED" not in result.message

    old = databases.make(tmp_path / "old", now - dt.timedelta(days=30, hours=1))
    result = in_process(source, *given(old), "assess", "--fail-on=critical", "verdict")
    assert result.message.startswith("DATABASE TOO OLD: trivy's database (--trivy-db) was built on ")
    assert "30 days ago, but at most 5 days are allowed: use a newer one, or allow it with --accept-old-db" in (
        " ".join(result.message.split())
    )
    accepted = in_process(source, *given(old), "assess", "--fail-on=critical", "--accept-old-db", "verdict")
    assert accepted.code == 0, accepted.message

    (tmp_path / "empty").mkdir()
    result = in_process(source, *given(dataclasses.replace(old, trivy=tmp_path / "empty")), "scan")
    assert result.message.startswith("--trivy-db: this directory has no trivy.db")


def private_key() -> str:
    """Return a private key of nobody's."""
    key = ec.generate_private_key(ec.SECP256R1())
    kind = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


#: Of which no source says how bad it is.
UNRATED = databases.Advisory(
    "CVE-0000-0009",
    ("GHSA-0000-0000-0009",),
    "Made up for the tests: nobody rated it",
    "UNKNOWN",
    "2026-11-01T00:00:00Z",
    "https://example.org/CVE-0000-0009",
    (databases.Affected("hex", "tiny_text", "", "UNKNOWN", (databases.Range("0", "1.0.3"),)),),
)


def test_secrets_ended_systems_and_unrated_flaws_break_whatever_the_threshold(
    in_process: InProcess, source: Path, tmp_path: Path
) -> None:
    # A folder that Trivy would pass over by its name.
    folder = source / "apps" / "greeter_core" / "priv" / "test"
    folder.mkdir(parents=True)
    (folder / "example.pem").write_text(private_key())
    made = databases.make(tmp_path / "db", dt.datetime.now(dt.UTC), [UNRATED], ended="2026-10-01")
    critical = [*given(made), "assess", "--fail-on=critical"]
    result = in_process(source, *critical, "reports", "export", f"--path={tmp_path / 'out'}")
    assert result.code == 0, result.message
    document = json.loads((tmp_path / "out" / "findings.json").read_text())
    breaking = {item["id"]: item for item in document["findings"] if item["status"] == "breaking"}
    assert set(breaking) == {"private-key", "end-of-life", "CVE-0000-0009"}
    key = breaking["private-key"]["package"]
    assert key["kind"] == "secret"
    assert key["name"].endswith("/priv/test/example.pem")
    for name in ("findings.sarif", "junit.xml", "report.md"):
        text = (tmp_path / "out" / name).read_text()
        assert key["name"] in text, name
        assert "gets no security fixes since 2026-10-01" in text, name
        assert "sha256:" in text, name
    assert document["scanners"][0]["database"]["digest"].startswith("sha256:")

    failed = in_process(source, *critical, "verdict")
    assert re.match(
        r"POLICY FAILED: 1 finding of CRITICAL, 1 secret in the image, debian 13\.\d+ gets no\s+security fixes since "
        r"2026-10-01\n",
        failed.message,
    ), failed.message
    assert "no source rates the severity, which counts as CRITICAL" in " ".join(failed.message.split())

    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    entries = [("rule", "private-key", "path", key["name"]), ("id", "end-of-life", "package", "debian")]
    (source / "accept.toml").write_text(
        "".join(
            f'[[accept]]\n{kind} = "{name}"\n{where} = "{place}"\nreason = "a test"\nuntil = {tomorrow}\n'
            for kind, name, where, place in entries
        )
    )
    passed = in_process(source, *critical, "--unknown-as=low", "verdict")
    assert passed.code == 0, passed.message
    assert "accepted: 2\n" in passed.out


def test_a_scanner_without_a_report_or_an_image_failed_and_the_others_finish(
    in_process: InProcess, source: Path, programs: Path, fresh: databases.Databases, tmp_path: Path
) -> None:
    table = tomllib.loads(in_process.images.read_text())["images"]
    # One that says that all is well and leaves nothing, and one that nobody has.
    registry = table["grype"].partition("/")[0]
    silent, missing = f"{registry}/silent:1", f"{registry}/missing:1"
    mutated = [programs / "crane", "mutate", table["runtime-bookworm"], "--entrypoint=/bin/true", f"--tag={silent}"]
    subprocess.run(mutated, check=True, capture_output=True)
    changed = tmp_path / "images.toml"
    text = in_process.images.read_text().replace(table["grype"], silent).replace(table["trivy"], missing)
    changed.write_text(text)
    broken = InProcess(in_process.env, changed)
    result = broken(source, *given(fresh), "assess", "reports", "export", f"--path={tmp_path / 'out'}")
    assert result.code == 0, result.message
    assert {path.name for path in (tmp_path / "out").iterdir()} == ALWAYS
    runs = json.loads((tmp_path / "out" / "findings.json").read_text())["scanners"]
    failures = {(run["name"], run["target"]): run["failure"] for run in runs if run["failure"]}
    assert set(failures) == {(name, target) for name in ("trivy", "grype") for target in ("image", "SBOM")}
    assert all("missing:1" in failures["trivy", target] for target in ("image", "SBOM"))
    assert all("grype.json" in failures["grype", target] for target in ("image", "SBOM"))


def test_databases_of_no_time_two_and_without_metadata(in_process: InProcess, source: Path, tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    ahead = databases.make(tmp_path / "ahead", now + dt.timedelta(days=400, hours=1))
    (ahead.trivy / "db" / "metadata.json").unlink()
    result = in_process(source, *given(ahead), "assess", "--accept-old-db", "--fail-on=critical", "verdict")
    said = " ".join(result.message.split())
    assert "SCANNER FAILED: trivy (image): --trivy-db: metadata.json, which has the build date of trivy.db" in said
    assert "DATABASE FROM THE FUTURE: grype's database (--grype-db) was built on " in said
    assert "400 days ahead of this engine's clock: correct the clock, or use another database" in said
    assert "PASSED" not in said

    two = databases.make(tmp_path / "two" / "a", now)
    databases.make(tmp_path / "two" / "b", now)
    result = in_process(source, f"--trivy-db={tmp_path / 'two'}", f"--grype-db={two.grype}", "scan")
    assert result.message.startswith(
        "--trivy-db: this directory has 2 databases (a/trivy/db/trivy.db, b/trivy/db/trivy.db)"
    )


def test_a_severity_that_is_none(in_process: InProcess, source: Path) -> None:
    result = in_process(source, "assess", "--fail-on=severe", "verdict")
    assert result.message == ("--fail-on: severe: not a severity; use CRITICAL, HIGH, MEDIUM, LOW, NEGLIGIBLE")
