"""Registries of Hex, asked by the builder's own rebar3: retired releases, advisories, and answers that are none."""

import dataclasses
import datetime as dt
import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import dagger
import databases
import mirror as mirrors
import pytest
from conftest import FIXTURES, InProcess, session
from dagger import dag
from mirror import ORGANISATION, ORGANISATION_KEY, Mirror

from pipeline.project.images import images_in_use
from pipeline.project.project import Project
from pipeline.scan.findings import ScannerRun, Severity
from pipeline.scan.hex import ask

DAY = "2026-11-24"


@pytest.fixture
def own_mirror() -> Iterator[Mirror]:
    """Serve the dependencies, and what the test makes of their registry."""
    with mirrors.serve() as served:
        yield served


@pytest.fixture
def reached() -> Iterator[Mirror]:
    """Serve them under the machine's own address, as a site's mirror is reached: by no service of a session."""
    with mirrors.serve(host="0.0.0.0") as served, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # noqa: S104 # a container reaches it
        probe.connect(("192.0.2.1", 9))
        yield dataclasses.replace(served, host=probe.getsockname()[0])


def component(name: str = "tiny_text", version: str = "1.0.2", repository: str = "") -> dict:
    properties = [("pipeline:kind", "hex"), *([("pipeline:repository", repository)] if repository else [])]
    organisation = repository.rpartition(":")[2]
    path = f"{organisation}/{name}" if organisation else name
    return {
        "name": name,
        "version": version,
        "purl": f"pkg:hex/{path}@{version}",
        "properties": [{"name": key, "value": value} for key, value in properties],
    }


class Asking:
    """What asks a mirror, in one session for each question."""

    def __init__(self, engine: dict[str, str], images: Path, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.table = images_in_use(images.read_text(), {})

    def __call__(self, mirror: Mirror, *parts: dict, day: str = DAY, url: str = "", key: str = "") -> ScannerRun:
        sbom = json.dumps({"components": parts or [component()]})

        async def run() -> ScannerRun:
            with (self.folder / "log").open("a") as log:
                async with dagger.connection(dagger.Config(log_output=log)):
                    forward = dagger.PortForward(backend=mirror.port, frontend=mirror.port)
                    project = Project(
                        dag.directory(),
                        self.table,
                        "debian",
                        mirror=dag.host().service([forward]) if mirror.host == "mirror" else None,
                        hex_mirror=url or mirror.hex_url,
                        hex_mirror_key=dag.host().file(str(mirror.public_key)),
                        hex_key=dag.set_secret("hex-key", key) if key else None,
                    )
                    [found] = await ask(project, "", day, sbom)
                    return found

        with session(self.engine, self.folder):
            return anyio.run(run)


@pytest.fixture
def asking(engine: dict[str, str], images: Path, tmp_path: Path) -> Asking:
    return Asking(engine, images, tmp_path)


def unknown(run: ScannerRun) -> str:
    """Return what is not known, as one line."""
    assert run.failure == ""
    assert run.sightings == ()
    return " ".join(" ".join(run.unknown).split())


def test_what_hex_core_made_is_what_the_builder_reads(asking: Asking, own_mirror: Mirror) -> None:
    assert asking(own_mirror) == ScannerRun("hex", "SBOM")
    own_mirror.publish("tiny_text")
    own_mirror.publish("tiny_reasons")
    found = asking(own_mirror, component(), component("tiny_reasons", "4.0.0"), component("tiny_reasons", "6.0.0"))
    assert found.unknown == ()
    assert [(each.package, each.id, each.severity, each.fixed) for each in found.sightings] == [
        ("tiny_text", "retired", Severity.HIGH, ("1.1.0",)),
        # Of a rebar3 that knows nothing of advisories too.
        ("tiny_text", "GHSA-0000-0000-0002", Severity.CRITICAL, ("1.0.4",)),
        ("tiny_text", "EEF-CVE-0000-0009", Severity.MEDIUM, ("1.1.0",)),
        ("tiny_reasons", "retired", Severity.LOW, ()),
        ("tiny_reasons", "retired", Severity.UNKNOWN, ()),
    ]
    assert found.remarks[1] == "tiny_reasons 4.0.0 is retired (deprecated): why"


def test_an_answer_that_is_none_is_told_with_its_reason(asking: Asking, own_mirror: Mirror) -> None:
    url = own_mirror.hex_url
    asked = [component(), component(version="9.9.9"), component("nobodys")]
    assert unknown(asking(own_mirror, *asked[1:])) == (
        f"not known whether retired: tiny_text 9.9.9: {url} does not have 9.9.9 "
        f"not known whether retired: nobodys 1.0.2: {url} answers 404"
    )
    own_mirror.publish("tiny_text", mirrors.make_key())
    unsigned = (
        f"{url} gives an answer that is not signed with its key (give the key of a mirror with "
        "--hex-mirror-key), or that is about another package or repository"
    )
    assert unknown(asking(own_mirror)).endswith(unsigned)
    packages = own_mirror.root / "hex" / "packages"
    own_mirror.publish("tiny_text")
    shutil.copy(packages / "tiny_text", packages / "nobodys")
    assert unknown(asking(own_mirror, asked[2])).endswith(unsigned)
    (packages / "tiny_text").write_bytes(b"<html>maintenance</html>")
    assert unknown(asking(own_mirror)).endswith(f"{url} gives an answer that is not a package of a Hex registry")
    broken = url.replace("/hex", "/broken")
    assert unknown(asking(own_mirror, url=broken)).endswith(f"{broken} answers 500")
    nowhere = "http://127.0.0.1:9"
    assert unknown(asking(own_mirror, url=nowhere)).endswith(f"{nowhere} cannot be reached (econnrefused)")


def test_an_organisation_is_asked_with_its_key(asking: Asking, own_mirror: Mirror) -> None:
    part = component(repository=f"hexpm:{ORGANISATION}")
    assert unknown(asking(own_mirror, part)).endswith("answers 401: give the key with --hex-key")
    assert asking(own_mirror, part, key=ORGANISATION_KEY) == ScannerRun("hex", "SBOM")
    assert ORGANISATION_KEY not in (asking.folder / "log").read_text()
    assert unknown(asking(own_mirror, component(repository="mine"))).endswith(
        "rebar.config does not name the repository mine"
    )


def test_what_is_known_is_kept_for_the_day_and_what_is_not_is_asked_again(asking: Asking, reached: Mirror) -> None:
    answer = reached.root / "hex" / "packages" / "tiny_text"
    answer.unlink()
    assert unknown(asking(reached)).endswith("answers 404")
    reached.publish("tiny_text")
    first = asking(reached)
    assert len(first.sightings) == 3
    answer.unlink()
    assert asking(reached) == first
    assert unknown(asking(reached, day="2026-11-25")).endswith("answers 404")


def test_a_retired_release_breaks_the_policy_and_stands_in_every_report(
    in_process: InProcess, own_mirror: Mirror, tmp_path: Path
) -> None:
    made = databases.make(tmp_path / "databases", dt.datetime.now(dt.UTC))
    source = tmp_path / "greeter"
    shutil.copytree(FIXTURES / "greeter", source, symlinks=True)
    given = [*own_mirror.arguments(), f"--trivy-db={made.trivy}", f"--grype-db={made.grype}", f"--eef-db={made.eef}"]
    own_mirror.publish("tiny_text")
    out = tmp_path / "out"
    result = in_process(source, *given, "assess", "reports", "export", f"--path={out}")
    assert result.code == 0, result.message
    document = json.loads((out / "findings.json").read_text())
    findings = {each["id"]: each for each in document["findings"] if each["package"]["name"] == "tiny_text"}
    assert findings["retired"]["status"] == "breaking"
    assert findings["CVE-0000-0002"]["severities"] == {"grype": "HIGH", "hex": "CRITICAL", "trivy": "HIGH"}
    words = "retired (security): take"
    for name in ("findings.json", "report.md", "findings.sarif", "junit.xml", "gl-container-scanning-report.json"):
        text = (out / name).read_text()
        assert words in text, name
        assert not re.search(r"\x1b|u001b", text), name
    assert "<b>" not in (out / "report.md").read_text()
    accepted(source, "retired", "CVE-0000-0002")
    verdict = in_process(source, *given, "assess", "--fail-on=critical", "verdict")
    assert verdict.code == 0, verdict.message
    assert words in verdict.out
    assert "acceptance matches no finding" not in verdict.out
    assert "\x1b" not in verdict.out
    # Nobody says anything of it any more.
    (own_mirror.root / "hex" / "packages" / "tiny_text").unlink()
    accepted(source, "CVE-0000-0002")
    verdict = in_process(source, *given, "assess", "--fail-on=critical", "verdict")
    assert verdict.code == 0, verdict.message
    assert "not known whether retired: tiny_text 1.0.2" in verdict.out
    assert re.search(r"hex +SBOM +- +INCOMPLETE", verdict.out)


def accepted(source: Path, *names: str) -> None:
    entries = [
        f'[[accept]]\nid = "{name}"\npackage = "tiny_text"\nreason = "why"\nuntil = 2099-01-01\n' for name in names
    ]
    (source / "accept.toml").write_text("".join(entries))
