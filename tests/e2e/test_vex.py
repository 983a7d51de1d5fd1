"""What VEX documents mean, and what ours says, judged by Trivy and Grype themselves."""

import dataclasses
import datetime as dt
import json
import os
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import databases
from conftest import InProcess, programs_of, read_archive
from registry import own_architecture

#: A package that is built from a source of another name, and has no dependency that comes back to it.
SOURCE, PACKAGE = "sqlite3", "pkg:deb/debian/libsqlite3-0"
#: The architecture that the image has not.
OTHER = {"amd64": "arm64", "arm64": "amd64"}


def products(name: str, tag: str, digest: str, version: str) -> list[str | dict[str, Any]]:
    """Return the ways to name an image and a package in it that people use, right and wrong."""
    image, own = "pkg:oci/greeter", own_architecture()
    url = f"repository_url={name}"

    def parts(product: str, *texts: str) -> dict[str, Any]:
        return {"@id": product, "subcomponents": [{"@id": text} for text in texts]}

    return [
        PACKAGE,
        f"{PACKAGE}@{version}",
        f"{PACKAGE}@0.1",
        *(f"{PACKAGE}?arch={each}" for each in (own, OTHER[own], "source")),
        *(f"{PACKAGE}?distro={each}" for each in ("debian-12", "debian-13")),
        *(f"{PACKAGE}?upstream={each}" for each in (SOURCE, "openssl")),
        f"{PACKAGE}#usr/lib",
        "libsqlite3-0",
        "pkg:deb/ubuntu/libsqlite3-0",
        f"pkg:deb/debian/{SOURCE}",
        f"pkg:deb/debian/{SOURCE}?arch=source",
        {"@id": "urn:x", "identifiers": {"purl": PACKAGE}},
        parts(PACKAGE, "pkg:otp/ssh"),
        image,
        f"{image}@{digest}",
        f"{image}@sha256:{'5e' * 32}",
        f"{image}?{url}",
        f"{image}?repository_url=ghcr.io/other/greeter",
        *(f"{image}?arch={each}&{url}" for each in (own, OTHER[own])),
        *(f"{image}?{url}&tag={each}" for each in (tag, "0.1")),
        f"{image}@{digest}?tag={tag}",
        f"{image}?arch={own}&tag={tag}",
        f"{image}?flavor=debian",
        f"{name}:{tag}",
        f"{name}@{digest}",
        name,
        digest,
        {"@id": "urn:x", "hashes": {"sha-256": digest.removeprefix("sha256:")}},
        {"@id": "urn:x", "identifiers": {"purl": image}},
        parts(image, PACKAGE),
        parts(image, f"{PACKAGE}?arch={own}"),
        parts(image, f"{PACKAGE}?arch={OTHER[own]}"),
        parts(f"{image}?arch={OTHER[own]}", PACKAGE),
        parts(image, f"pkg:deb/debian/{SOURCE}"),
        parts(image, f"pkg:deb/debian/{SOURCE}?arch=source"),
        parts(image, "pkg:otp/ssh"),
        parts(f"{name}:{tag}", PACKAGE),
    ]


def flaw(index: int) -> str:
    return f"CVE-0000-{1000 + index}"


def advisory(index: int) -> databases.Advisory:
    return databases.parse(
        {
            "id": flaw(index),
            "aliases": [],
            "title": "Made up for the tests",
            "severity": "HIGH",
            "published": "2026-01-01T00:00:00Z",
            "url": f"https://example.org/advisories/{flaw(index)}",
            "affected": [
                {
                    "kind": "debian",
                    "release": "13",
                    "name": SOURCE,
                    "severity": "HIGH",
                    "ranges": [{"introduced": "0", "fixed": "99-1"}],
                }
            ],
        }
    )


@dataclasses.dataclass(frozen=True)
class Outside:
    """Trivy and Grype here, without the module and without an engine, over the same databases."""

    programs: Path
    known: databases.Databases

    def trivy(self, *words: str | Path) -> set[tuple[str, str]]:
        offline = ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check", "--quiet"]
        options = ["--cache-dir", self.known.trivy, "--scanners=vuln", *offline, "--format=json"]
        results = json.loads(self._run([self.programs / "trivy", words[0], *options, *words[1:]])).get("Results", ())
        return {
            (raw["VulnerabilityID"], raw["PkgName"]) for part in results for raw in part.get("Vulnerabilities") or ()
        }

    def grype(self, *words: str | Path) -> set[tuple[str, str]]:
        matches = json.loads(self._run([self.programs / "grype", "--quiet", "-o=json", *words]))["matches"]
        return {(match["vulnerability"]["id"], match["artifact"]["name"]) for match in matches}

    def _run(self, command: Sequence[str | Path]) -> str:
        env = os.environ | {
            "GRYPE_DB_CACHE_DIR": str(self.known.grype),
            "GRYPE_DB_AUTO_UPDATE": "false",
            "GRYPE_CHECK_FOR_APP_UPDATE": "false",
            "GRYPE_REGISTRY_INSECURE_USE_HTTP": "true",
        }
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def pushed(in_process: InProcess, source: Path, name: str, tag: str, archive: Path) -> str:
    """Build the image, push it, and return its digest."""
    made = in_process(source, f"--repository={name}", "image-tarball", "export", f"--path={archive}")
    assert made.code == 0, made.message
    push = ["skopeo", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]
    subprocess.run([*push, f"oci-archive:{archive}", f"docker://{name}:{tag}"], check=True)
    return read_archive(archive).digest


def document_of(*statements: dict[str, Any]) -> str:
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex", "author": "a"}
    return json.dumps({**head, "timestamp": "2026-11-01T00:00:00Z", "version": 1, "statements": list(statements)})


def test_a_statement_means_what_trivy_or_grype_take_it_to_mean(
    in_process: InProcess, source: Path, registry: str, images: Path, tmp_path: Path
) -> None:
    name, tag = f"{registry}/vex/greeter", "1.2.0"
    archive = tmp_path / "image.tar"
    digest = pushed(in_process, source, name, tag, archive)
    # A daemon's image has tags, a registry's has none to Grype.
    tagged = tmp_path / "tagged.tar"
    subprocess.run(
        ["skopeo", "copy", "--quiet", f"oci-archive:{archive}", f"docker-archive:{tagged}:{name}:{tag}"], check=True
    )

    ways = products(name, tag, digest, "3.46.1-7+deb13u2")
    known = databases.make(tmp_path / "databases", dt.datetime.now(dt.UTC), map(advisory, range(len(ways))))
    document = tmp_path / "own.openvex.json"
    document.write_text(
        document_of(
            *(
                {
                    "vulnerability": {"name": flaw(index)},
                    "products": [way if isinstance(way, dict) else {"@id": way}],
                    "status": "not_affected",
                    "justification": "vulnerable_code_not_present",
                }
                for index, way in enumerate(ways)
            )
        )
    )
    given = [f"--repository={name}", f"--trivy-db={known.trivy}", f"--grype-db={known.grype}"]
    out = tmp_path / "out"
    judged = in_process(source, *given, "assess", f"--vex={document}", "reports", "export", f"--path={out}")
    assert judged.code == 0, judged.message
    findings = json.loads((out / "findings.json").read_text())
    assert {key: findings["image"][key] for key in ("name", "digest")} == {"name": f"{name}:{tag}", "digest": digest}
    ours = {item["id"] for item in findings["findings"] if item["status"] == "not_affected"}
    every = {flaw(index) for index in range(len(ways))}
    assert {item["id"] for item in findings["findings"]} == every

    outside = Outside(programs_of(images, tmp_path, "trivy", "grype"), known)
    option = f"--vex={document}"
    theirs: set[str] = set()
    for found in (
        outside.trivy("image", "--insecure", option, f"{name}:{tag}"),
        outside.trivy("sbom", option, out / "sbom.cdx.json"),
        outside.grype(option, f"registry:{name}:{tag}"),
        outside.grype(option, f"docker-archive:{tagged}"),
        outside.grype(option, f"sbom:{out / 'sbom.cdx.json'}"),
    ):
        assert found
        theirs |= every - {name for name, _ in found}
    taken = {json.dumps(way): (flaw(index) in ours, flaw(index) in theirs) for index, way in enumerate(ways)}
    assert {way: both for way, both in taken.items() if both[0] != both[1]} == {}
    assert 10 < len(ours) < len(ways) - 10
    # What none of them takes is told.
    [line] = findings["vex"]["unmatched"]
    assert f"{len(ways) - len(ours)} of {len(ways)} statements match no finding: {flaw(2)} of {PACKAGE}@0.1" in line


def test_trivy_and_grype_come_to_our_verdict_by_our_document(
    in_process: InProcess, source: Path, registry: str, images: Path, tmp_path: Path
) -> None:
    name, tag = f"{registry}/vexout/greeter", "1.2.0"
    archive, out = tmp_path / "image.tar", tmp_path / "out"
    digest = pushed(in_process, source, name, tag, archive)
    known = databases.make(
        tmp_path / "databases",
        dt.datetime.now(dt.UTC),
        [*databases.read(databases.ADVISORIES), databases.of_ssh(), advisory(0)],
    )
    # Of one package of OpenSSL somebody answers for it, the other is said not to have it in this image, as libc6 is.
    (source / "accept.toml").write_text(
        '[[accept]]\nid = "CVE-0000-0001"\npackage = "libssl3t64"\nreason = "r"\nuntil = 2099-12-31\n'
    )
    in_image = {
        "@id": f"pkg:oci/greeter?repository_url={name}",
        "subcomponents": [{"@id": f"pkg:deb/debian/{each}"} for each in ("openssl-provider-legacy", "libc6")],
    }
    said = {"status": "not_affected", "justification": "vulnerable_code_not_in_execute_path"}
    (tmp_path / "own.openvex.json").write_text(
        document_of(
            {"vulnerability": {"name": "CVE-0000-0001"}, "products": [in_image], **said},
            {"vulnerability": {"name": "CVE-2019-1010022"}, "products": [in_image], **said},
            {"vulnerability": {"name": "CVE-0000-0002"}, "products": [{"@id": "pkg:hex/tiny_text"}], **said},
            {"vulnerability": {"name": flaw(0)}, "products": [{"@id": PACKAGE}], "status": "fixed"},
        )
    )
    given = [f"--repository={name}", f"--trivy-db={known.trivy}", f"--grype-db={known.grype}", f"--eef-db={known.eef}"]
    vex = f"--vex={tmp_path / 'own.openvex.json'}"
    judged = in_process(source, *given, "assess", vex, "reports", "export", f"--path={out}")
    assert judged.code == 0, judged.message
    findings = json.loads((out / "findings.json").read_text())
    statuses = {(each["id"], each["package"]["name"]): each["status"] for each in findings["findings"]}
    assert statuses[("CVE-0000-0001", "libssl3t64")] == "accepted"
    # What is dropped, and what is said, in the image and in whatever image.
    ssl, libc = ("CVE-0000-0001", "openssl-provider-legacy"), ("CVE-2019-1010022", "libc6")
    sqlite = (flaw(0), "libsqlite3-0")
    tiny, of_ssh = ("CVE-0000-0002", "tiny_text"), ("CVE-2026-48855", "Erlang/OTP")
    away = {pair for pair, status in statuses.items() if status in ("not_affected", "fixed")}
    assert away == {ssl, libc, sqlite, tiny}
    assert {(each["id"], each["package"]) for each in findings["dropped"]} == {of_ssh}

    outside = Outside(programs_of(images, tmp_path, "trivy", "grype"), known)
    pinned, document = f"{name}@{digest}", f"--vex={out / 'vex.openvex.json'}"
    ssh = ("CVE-2026-48855", "erlang")
    tiny_of_grype = ("GHSA-0000-0000-0002", "tiny_text")
    open_ = statuses.keys() - away
    # Grype sees the flaw of inets as one of the whole too.
    open_ |= {("GHSA-w4jc-9wpv-pqh7", "inets"), ("CVE-2026-23941", "erlang")}
    # Trivy reads no archive of OCI.
    layout = tmp_path / "layout"
    with tarfile.open(archive) as packed:
        packed.extractall(layout, filter="data")
    for scan, words, gone, more in (
        # Trivy leaves out nothing for the image's sake of what depends on what depends on it, as libc6 and libgcc-s1.
        (outside.trivy, ["image", "--insecure", pinned], {ssl, sqlite}, {libc}),
        (outside.grype, [f"registry:{pinned}"], {ssl, libc, sqlite, ssh}, set()),
        # Of these neither can tell which image it is: what is said of the package alone counts.
        (outside.trivy, ["image", "--input", layout], {sqlite}, {ssl, libc}),
        (outside.grype, [f"oci-archive:{archive}"], {sqlite}, {ssl, libc, ssh}),
        (outside.trivy, ["sbom", out / "sbom.cdx.json"], {sqlite, tiny}, {ssl, libc}),
        (outside.grype, [f"sbom:{out / 'sbom.cdx.json'}"], {sqlite, tiny_of_grype}, {ssl, libc, ssh}),
    ):
        plain, left = scan(*words), scan(*words, document)
        assert plain - left == gone, words
        assert left - open_ == more, words
        # What is accepted is still reported.
        assert ("CVE-0000-0001", "libssl3t64") in left
