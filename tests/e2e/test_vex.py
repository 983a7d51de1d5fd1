"""What VEX documents mean, judged by Trivy and Grype themselves."""

import datetime as dt
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import databases
from conftest import Module, programs_of, read_archive
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


def seen(report: str) -> set[str]:
    """Return the flaws in a report of Trivy or of Grype."""
    document = json.loads(report)
    of_trivy = {
        raw["VulnerabilityID"] for part in document.get("Results", ()) for raw in part.get("Vulnerabilities") or ()
    }
    return of_trivy | {match["vulnerability"]["id"] for match in document.get("matches", ())}


def test_a_statement_means_what_trivy_or_grype_take_it_to_mean(
    module: Module, source: Path, registry: str, images: Path, tmp_path: Path
) -> None:
    name, tag = f"{registry}/vex/greeter", "1.2.0"
    archive = tmp_path / "image.tar"
    made = module(source, f"--repository={name}", "image-tarball", "export", f"--path={archive}")
    assert made.code == 0, made.message
    digest = read_archive(archive).digest
    push = ["skopeo", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]
    subprocess.run([*push, f"oci-archive:{archive}", f"docker://{name}:{tag}"], check=True)
    # A daemon's image has tags, a registry's has none to Grype.
    tagged = tmp_path / "tagged.tar"
    subprocess.run(
        ["skopeo", "copy", "--quiet", f"oci-archive:{archive}", f"docker-archive:{tagged}:{name}:{tag}"], check=True
    )

    ways = products(name, tag, digest, "3.46.1-7+deb13u2")
    known = databases.make(tmp_path / "databases", dt.datetime.now(dt.UTC), map(advisory, range(len(ways))))
    document = tmp_path / "own.openvex.json"
    document.write_text(
        json.dumps(
            {
                "@context": "https://openvex.dev/ns/v0.2.0",
                "@id": "https://example.org/vex",
                "author": "a",
                "timestamp": "2026-11-01T00:00:00Z",
                "version": 1,
                "statements": [
                    {
                        "vulnerability": {"name": flaw(index)},
                        "products": [way if isinstance(way, dict) else {"@id": way}],
                        "status": "not_affected",
                        "justification": "vulnerable_code_not_present",
                    }
                    for index, way in enumerate(ways)
                ],
            }
        )
    )
    given = [f"--repository={name}", f"--trivy-db={known.trivy}", f"--grype-db={known.grype}"]
    out = tmp_path / "out"
    judged = module(source, *given, "assess", f"--vex={document}", "reports", "export", f"--path={out}")
    assert judged.code == 0, judged.message
    findings = json.loads((out / "findings.json").read_text())
    assert {key: findings["image"][key] for key in ("name", "digest")} == {"name": f"{name}:{tag}", "digest": digest}
    ours = {item["id"] for item in findings["findings"] if item["status"] == "not_affected"}
    every = {flaw(index) for index in range(len(ways))}
    assert {item["id"] for item in findings["findings"]} == every

    programs = programs_of(images, tmp_path, "trivy", "grype")
    env = os.environ | {
        "GRYPE_DB_CACHE_DIR": str(known.grype),
        "GRYPE_DB_AUTO_UPDATE": "false",
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
        "GRYPE_REGISTRY_INSECURE_USE_HTTP": "true",
    }
    offline = ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check", "--quiet"]
    trivy = [programs / "trivy", "--cache-dir", known.trivy]
    options = ["--scanners=vuln", *offline, "--format=json", f"--vex={document}"]
    grype = [programs / "grype", "--quiet", "-o=json", f"--vex={document}"]
    theirs: set[str] = set()
    for command in (
        [*trivy, "image", *options, "--insecure", f"{name}:{tag}"],
        [*trivy, "sbom", *options, out / "sbom.cdx.json"],
        [*grype, f"registry:{name}:{tag}"],
        [*grype, f"docker-archive:{tagged}"],
        [*grype, f"sbom:{out / 'sbom.cdx.json'}"],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        left = seen(done.stdout)
        assert left
        theirs |= every - left
    taken = {json.dumps(way): (flaw(index) in ours, flaw(index) in theirs) for index, way in enumerate(ways)}
    assert {way: both for way, both in taken.items() if both[0] != both[1]} == {}
    assert 10 < len(ours) < len(ways) - 10
    # What none of them takes is told.
    [line] = findings["vex"]["unmatched"]
    assert f"{len(ways) - len(ours)} of {len(ways)} statements match no finding: {flaw(2)} of {PACKAGE}@0.1" in line
