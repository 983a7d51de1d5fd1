"""The real scanners over the fixture, with small databases: what each finds, one verdict, and what fails how."""

import datetime as dt
import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import databases
import files
import pytest
from conftest import Module
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from registry import own_architecture

#: What `reports` writes, whatever the verdict and whichever scanner failed.
ALWAYS = {
    "compliance.md",
    "findings.json",
    "findings.sarif",
    "gl-container-scanning-report.json",
    "grype.sarif",
    "junit.xml",
    "report.md",
    "sbom.cdx.json",
    "sbom.spdx.json",
    "syft.json",
    "trivy.sarif",
}
RAW = {"trivy.json", "trivy.sbom.json", "grype.json", "grype.sbom.json"}


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> databases.Databases:
    """Return databases that were built now."""
    return databases.make(tmp_path_factory.mktemp("databases"), dt.datetime.now(dt.UTC))


def given(made: databases.Databases) -> list[str]:
    return [f"--trivy-db={made.trivy}", f"--grype-db={made.grype}"]


def statuses(folder: Path) -> dict[str, str]:
    findings = json.loads((folder / "findings.json").read_text())["findings"]
    return {f"{finding['id']} {finding['package']['name']}": finding["status"] for finding in findings}


def test_each_flaw_is_one_line_found_by_those_that_should(
    module: Module, source: Path, fresh: databases.Databases, tmp_path: Path
) -> None:
    result = module(source, *given(fresh), "assess", "reports", "export", f"--path={tmp_path / 'out'}")
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
        ("CVE-2026-23941", "inets", "otp", ["grype"]),
    ]
    assert {path.name for path in (tmp_path / "out").iterdir()} == ALWAYS | RAW
    ages = [scanner["database"]["built"][:10] for scanner in document["scanners"]]
    assert ages == [dt.datetime.now(dt.UTC).date().isoformat()] * 4
    ticks = (tmp_path / "out" / "compliance.md").read_text()
    for check in (
        "runs as a user who is not root",
        "no setuid or setgid file",
        "health check",
        "nothing writable",
        "SBOM complete",
    ):
        [line] = [line for line in ticks.splitlines() if check in line]
        assert "| passed |" in line, line
    # Nobody gave a revision.
    assert "| labels complete | **FAILED** | missing: org.opencontainers.image.revision" in ticks

    again = module(source, "sbom", "export", f"--path={tmp_path / 'sbom'}")
    assert again.code == 0, again.message
    for name in ("sbom.spdx.json", "sbom.cdx.json"):
        assert (tmp_path / "sbom" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    # What is of no package is in it with its checksum.
    components = json.loads((tmp_path / "sbom" / "sbom.cdx.json").read_text())["components"]
    hashes = {part["name"]: part["hashes"][0]["content"] for part in components if "hashes" in part}
    for name, file in (("tini", f"init-{own_architecture()}"), ("ca-certificates", "certificates")):
        assert hashes[name] == hashlib.sha256((files.folder() / file).read_bytes()).hexdigest()


def test_the_policy_passes_and_fails(module: Module, source: Path, fresh: databases.Databases) -> None:
    failed = module(source, *given(fresh), "scan")
    assert failed.code != 0
    assert "Error: PolicyError: POLICY FAILED" in failed.err
    assert failed.message.startswith("POLICY FAILED: 4 findings of HIGH or worse\n")
    assert failed.message.endswith("POLICY FAILED: 4 findings of HIGH or worse")
    assert max(map(len, failed.message.splitlines())) <= 80
    passed = module(source, *given(fresh), "assess", "--fail-on=critical", "verdict")
    assert passed.code == 0
    assert passed.out.strip().endswith("PASSED: no finding of CRITICAL")


def test_vex_and_acceptances_change_the_verdict(module: Module, source: Path, fresh: databases.Databases) -> None:
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
    result = module(source, *given(fresh), "scan")
    assert "POLICY FAILED: 1 finding of HIGH or worse with a fix" in result.message
    assert "CVE-0000-0002: its acceptance expired on 2026-01-01" in result.message
    assert "acceptance matches no finding: CVE-0000-0009 of nothing; remove it" in result.message
    assert "accepted: 2\n" in result.message
    assert "not affected or fixed by VEX: 1\n" in result.message
    # An argument overrides what the project says, for one call.
    given_all = ["assess", "--only-fixed=false", "--fail-on=critical", "verdict"]
    assert module(source, *given(fresh), *given_all).out.strip().endswith("PASSED: no finding of CRITICAL")


def test_a_scanner_that_crashes_is_not_clean_and_the_others_finish(
    module: Module, source: Path, fresh: databases.Databases, tmp_path: Path
) -> None:
    table = tomllib.loads(module.images.read_text())["images"]
    # A program that does not know Trivy's arguments.
    changed = tmp_path / "images.toml"
    changed.write_text(module.images.read_text().replace(f'trivy = "{table["trivy"]}"', f'trivy = "{table["crane"]}"'))
    broken = Module(module.env, changed)
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


def test_databases_that_are_corrupt_old_or_missing(module: Module, source: Path, tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    corrupt = databases.make(tmp_path / "corrupt", now)
    databases.spoil(corrupt.trivy / "db" / "trivy.db")
    databases.spoil(corrupt.grype / "6" / "vulnerability.db")
    result = module(source, *given(corrupt), "assess", "--fail-on=critical", "verdict")
    assert result.message.count("SCANNER FAILED: trivy") == 3  # the first line is there twice
    assert result.message.count("SCANNER FAILED: grype") == 2
    assert "PASSED" not in result.message

    old = databases.make(tmp_path / "old", now - dt.timedelta(days=30, hours=1))
    result = module(source, *given(old), "assess", "--fail-on=critical", "verdict")
    assert result.message.startswith("DATABASE TOO OLD: trivy's database (--trivy-db) was built on ")
    assert "30 days ago; at most 5 days are allowed: take a newer one, or accept it with --accept-old-db" in (
        " ".join(result.message.split())
    )
    accepted = module(source, *given(old), "assess", "--fail-on=critical", "--accept-old-db", "verdict")
    assert accepted.code == 0, accepted.message

    (tmp_path / "empty").mkdir()
    result = module(source, f"--trivy-db={tmp_path / 'empty'}", f"--grype-db={old.grype}", "scan")
    assert result.message.startswith("--trivy-db: no trivy.db in it")


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
    module: Module, source: Path, tmp_path: Path
) -> None:
    # A folder that Trivy would pass over by its name.
    folder = source / "apps" / "greeter_core" / "priv" / "test"
    folder.mkdir(parents=True)
    (folder / "example.pem").write_text(private_key())
    made = databases.make(tmp_path / "db", dt.datetime.now(dt.UTC), [UNRATED], ended="2026-10-01")
    critical = [*given(made), "assess", "--fail-on=critical"]
    result = module(source, *critical, "reports", "export", f"--path={tmp_path / 'out'}")
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

    failed = module(source, *critical, "verdict")
    assert re.match(
        r"POLICY FAILED: 1 finding of CRITICAL, 1 secret in the image, debian 13\.\d+ gets no\s+security fixes since "
        r"2026-10-01\n",
        failed.message,
    ), failed.message
    assert "nobody gives it a severity, so it counts as CRITICAL" in " ".join(failed.message.split())

    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    entries = [("rule", "private-key", "path", key["name"]), ("id", "end-of-life", "package", "debian")]
    (source / "accept.toml").write_text(
        "".join(
            f'[[accept]]\n{kind} = "{name}"\n{where} = "{place}"\nreason = "a test"\nuntil = {tomorrow}\n'
            for kind, name, where, place in entries
        )
    )
    passed = module(source, *critical, "--unknown-as=low", "verdict")
    assert passed.code == 0, passed.message
    assert "accepted: 2\n" in passed.out


def test_a_scanner_without_a_report_or_an_image_failed_and_the_others_finish(
    module: Module, source: Path, programs: Path, fresh: databases.Databases, tmp_path: Path
) -> None:
    table = tomllib.loads(module.images.read_text())["images"]
    # One that says that all is well and leaves nothing, and one that nobody has.
    registry = table["grype"].partition("/")[0]
    silent, missing = f"{registry}/silent:1", f"{registry}/missing:1"
    mutated = [programs / "crane", "mutate", table["runtime-bookworm"], "--entrypoint=/bin/true", f"--tag={silent}"]
    subprocess.run(mutated, check=True, capture_output=True)
    changed = tmp_path / "images.toml"
    text = module.images.read_text().replace(table["grype"], silent).replace(table["trivy"], missing)
    changed.write_text(text)
    broken = Module(module.env, changed)
    result = broken(source, *given(fresh), "assess", "reports", "export", f"--path={tmp_path / 'out'}")
    assert result.code == 0, result.message
    assert {path.name for path in (tmp_path / "out").iterdir()} == ALWAYS
    runs = json.loads((tmp_path / "out" / "findings.json").read_text())["scanners"]
    failures = {(run["name"], run["target"]): run["failure"] for run in runs}
    assert set(failures) == {(name, target) for name in ("trivy", "grype") for target in ("image", "SBOM")}
    assert all("missing:1" in failures["trivy", target] for target in ("image", "SBOM"))
    assert all("grype.json" in failures["grype", target] for target in ("image", "SBOM"))


def test_databases_of_no_time_two_and_without_metadata(module: Module, source: Path, tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    ahead = databases.make(tmp_path / "ahead", now + dt.timedelta(days=400, hours=1))
    (ahead.trivy / "db" / "metadata.json").unlink()
    result = module(source, *given(ahead), "assess", "--accept-old-db", "--fail-on=critical", "verdict")
    said = " ".join(result.message.split())
    assert "SCANNER FAILED: trivy (image): --trivy-db: its metadata.json, which says when trivy.db was built" in said
    assert "DATABASE NOT OF THIS TIME: grype's database (--grype-db) was built on " in said
    assert "400 days ahead of this engine's clock: mend the clock, or take another database" in said
    assert "PASSED" not in said

    two = databases.make(tmp_path / "two" / "a", now)
    databases.make(tmp_path / "two" / "b", now)
    result = module(source, f"--trivy-db={tmp_path / 'two'}", f"--grype-db={two.grype}", "scan")
    assert result.message.startswith("--trivy-db: 2 databases in it (a/trivy/db/trivy.db, b/trivy/db/trivy.db)")


def test_a_severity_that_is_none(module: Module, source: Path) -> None:
    result = module(source, "assess", "--fail-on=severe", "verdict")
    assert result.message == (
        "--fail-on: severe: not a severity; expected one of CRITICAL, HIGH, MEDIUM, LOW, NEGLIGIBLE"
    )
