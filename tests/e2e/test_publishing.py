"""Publish to a registry that asks for a login, and what can be proved of it: real cosign, real crane, a real engine."""

import base64
import dataclasses
import datetime as dt
import gzip
import hashlib
import http.server
import json
import os
import re
import select
import shutil
import socket
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import databases
import pytest
from conftest import FIXTURES, InProcess, LoginRegistry, Module, Result
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2

REVISION = "1356e12d" + "0" * 32
TAGS = {"1.2.0", "1.2", "1", "latest", "sha-1356e12d0000"}
KEY_PASSWORD = "staple-of-the-key"  # noqa: S105 # made up
TYPES = {
    "spdxjson": "https://spdx.dev/Document",
    "cyclonedx": "https://cyclonedx.org/bom",
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "https://github.com/banyan-platform/erlmcp/pipeline/findings/v1": "",
}
#: Of a library in the image; Debian does not count it.
LIBC = "CVE-2019-1010022"


@dataclass(frozen=True)
class Shop:
    """The module, a source, a registry, keys: all that publishing needs."""

    module: Module
    source: Path
    registry: LoginRegistry
    programs: Path
    folder: Path

    def call(
        self,
        *words: str,
        port: int = 0,
        password: str = "",
        repository: str = "greeter",
        platforms: str = "",
        config: str = "",
    ) -> Result:
        """Call functions; the one that asks the registry gets the login, or all get a Docker configuration."""
        port = port or self.registry.port
        (self.folder / "password").write_text(password or self.registry.password)
        login = [f"--user={self.registry.user}", f"--password=file://{self.folder}/password"] if not config else []
        (self.folder / "docker.json").write_text(config)
        known = self.folder / ("advisories" if "--advisories" in words else "none")
        return self.module(
            self.source,
            f"--repository=registry.localhost:{port}/{repository}",
            f"--revision={REVISION}",
            "--created=2026-02-04T17:25:56Z",
            f"--trivy-db={known}/trivy",
            f"--grype-db={known}/grype",
            f"--eef-db={known}/eef",
            f"--registry-service=tcp://127.0.0.1:{port}",
            *([f"--platforms={platforms}"] if platforms else []),
            *([f"--docker-config=file:{self.folder}/docker.json"] if config else []),
            *(
                part
                for word in words
                if word != "--advisories"
                for part in ([word, *login] if word in {"publish", "published"} else [word])
            ),
        )

    def publish(self, *words: str, key_password: str = KEY_PASSWORD, **options: object) -> Result:
        """Publish, signed with the key."""
        (self.folder / "key-password").write_text(key_password)
        return self.call(
            "assess",
            "publish",
            f"--cosign-key=file://{self.folder}/right.key",
            f"--cosign-password=file://{self.folder}/key-password",
            "--transparency-log=false",
            *words,
            **options,
        )

    def verified(self, reference: str, *words: str, key: str = "right", **options: object) -> Result:
        """Call a function of a published image that must be signed with a key."""
        proving = [f"--key=file:{self.folder}/{key}.pub", "--transparency-log=false"]
        return self.call("published", f"--reference={reference}", "verified", *proving, *words, **options)

    def name(self, rest: str = "", repository: str = "greeter") -> str:
        """Return a reference, as the module knows it."""
        return f"registry.localhost:{self.registry.port}/{repository}{rest}"

    def referrers(self, repository: str, digest: str) -> set[str]:
        """Return the digests of what refers to an image, from the list that the tools keep."""
        listed, _ = self.registry.request("GET", f"{repository}/manifests/{digest.replace(':', '-')}")
        return {entry["digest"] for entry in json.loads(listed)["manifests"]}

    def outside(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run cosign or crane here, without the module and without an engine."""
        return subprocess.run(
            [self.programs / program, *words],
            env=os.environ | {"DOCKER_CONFIG": str(self.folder), "COSIGN_PASSWORD": KEY_PASSWORD},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="module")
def shop(
    engine: dict[str, str],
    images: Path,
    programs: Path,
    login_registry: LoginRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    source = folder / "greeter"
    shutil.copytree(FIXTURES / "greeter", source, symlinks=True)
    shutil.copytree(FIXTURES / "packages", source / "_checkouts")
    now = dt.datetime.now(dt.UTC)
    databases.make(folder / "none", now, [])
    databases.make(folder / "advisories", now)
    login = {"auths": {f"127.0.0.1:{login_registry.port}": {"auth": login_registry.basic}}}
    (folder / "config.json").write_text(json.dumps(login))
    made = Shop(InProcess(engine, images), source, login_registry, programs, folder)
    for name in ("right", "wrong"):
        done = made.outside("cosign", "generate-key-pair", f"--output-key-prefix={name}")
        assert done.returncode == 0, done.stderr
    return made


@dataclass(frozen=True)
class Publication:
    """What publishing left."""

    digest: str
    result: Result


@pytest.fixture(scope="module")
def published(shop: Shop, module: Module) -> Publication:
    result = dataclasses.replace(shop, module=module).publish("--version=1.2.0")
    assert result.code == 0, result.err
    return Publication(result.out.strip().rpartition("@")[2], result)


# In the order of a first day: what goes wrong comes before anything is there


def test_a_dry_run_names_everything_and_pushes_nothing(shop: Shop) -> None:
    result = shop.publish("--version=1.2.0", "--dry-run")
    assert result.code == 0, result.err
    assert result.out.startswith("dry run: nothing was pushed")
    for words in (*(f"would tag {tag}\n" for tag in TAGS), "would sign it", "would attest provenance", "linux/"):
        assert words in result.out
    assert shop.registry.tags("greeter") == {}


class _Harbor(http.server.BaseHTTPRequestHandler):
    """A registry that answers as Harbor does of a repository that does not exist yet."""

    def do_GET(self) -> None:
        there = self.path in {"/v2", "/v2/"}
        error = {"errors": [{"code": "NOT_FOUND", "message": "repository p/greeter not found"}]}
        body = b"{}" if there else json.dumps(error).encode()
        self.send_response(200 if there else 404)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_new_repository_of_harbor_is_published_to(shop: Shop) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Harbor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            port = server.server_address[1]
            result = shop.publish("--version=1.2.0", "--dry-run", port=port, repository="p/greeter")
        finally:
            server.shutdown()
    assert result.code == 0, result.err
    assert "would tag 1.2.0\n" in result.out


def test_a_wrong_password_pushes_nothing(shop: Shop) -> None:
    result = shop.publish("--version=1.2.0", password="wrong-password")  # noqa: S106 # made up
    assert result.code != 0
    assert "nothing was pushed" in result.message
    assert "refused the login" in result.message
    assert "wrong-password" not in result.out + result.err
    assert shop.registry.tags("greeter") == {}


def test_a_key_that_cannot_be_read_pushes_nothing(shop: Shop) -> None:
    result = shop.publish("--version=1.2.0", key_password="wrong-password")  # noqa: S106 # made up
    assert result.code != 0
    assert result.message.startswith("failed to read --cosign-key: decrypt")
    assert "not done: push" in result.message
    assert shop.registry.tags("greeter") == {}


def test_bad_names_are_refused_before_anything_is_asked(shop: Shop) -> None:
    result = shop.publish("--tags=not/a/tag", port=9)
    assert "--tags 'not/a/tag': not a tag" in result.message


def test_all_tags_name_the_one_digest_that_is_printed_alone(shop: Shop, published: Publication) -> None:
    assert re.fullmatch(re.escape(shop.name("@")) + r"sha256:[0-9a-f]{64}\n?", published.result.out)
    tags = shop.registry.tags("greeter")
    assert {tag for tag in tags if not tag.startswith("sha256-")} == TAGS
    assert {digest for tag, digest in tags.items() if tag in TAGS} == {published.digest}
    assert shop.outside("crane", "validate", "--remote", f"127.0.0.1:{shop.registry.port}/greeter:1").returncode == 0


def test_cosign_says_the_same_from_outside(shop: Shop, published: Publication) -> None:
    image = f"127.0.0.1:{shop.registry.port}/greeter@{published.digest}"
    flags = ["--key=right.pub", "--insecure-ignore-tlog"]
    signed = shop.outside("cosign", "verify", *flags, image)
    assert signed.returncode == 0, signed.stderr
    predicates = {}
    for kind, uri in TYPES.items():
        done = shop.outside("cosign", "verify-attestation", f"--type={kind}", *flags, image)
        assert done.returncode == 0, done.stderr
        statement = json.loads(base64.b64decode(json.loads(done.stdout)["payload"]))
        assert f"sha256:{statement['subject'][0]['digest']['sha256']}" == published.digest
        assert statement["predicateType"] == (uri or kind)
        predicates[kind] = statement["predicate"]
    read = json_format.ParseDict(predicates["slsaprovenance1"], provenance_pb2.Provenance())
    source, builder, runtime = read.build_definition.resolved_dependencies
    assert dict(source.digest) == {"gitCommit": REVISION}
    # The stand-ins have no digest in the table: it was looked up.
    assert builder.digest["sha256"]
    assert runtime.digest["sha256"]
    assert predicates["cyclonedx"]["metadata"]["component"]["version"] == "1.2.0"
    assert predicates["spdxjson"]["spdxVersion"] == "SPDX-2.3"


def test_cosign_itself_asks_for_an_identity_when_it_signs(shop: Shop, published: Publication) -> None:
    """As GitHub gives it; Sigstore's authority, which is not there, would be next."""
    asked = []

    class Identities(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            claims = {"iss": "https://ci.example.org", "sub": "repo:a/b", "aud": "sigstore", "exp": time.time() + 300}
            parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({"alg": "RS256"}, claims)]
            body = json.dumps({"value": b".".join([*parts, b"c2ln"]).decode().replace("=", "")}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    nowhere = {"url": "http://127.0.0.1:9", "majorApiVersion": 1, "validFor": {"start": "2020-01-01T00:00:00Z"}}
    services = {
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [{**nowhere, "operator": "nobody"}],
        "rekorTlogConfig": {},
        "tsaConfig": {},
    }
    (shop.folder / "services.json").write_text(json.dumps(services))
    root = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
    (shop.folder / "root.json").write_text(json.dumps(root))
    options = ["--yes", "--oidc-provider=github-actions", "--fulcio-auth-flow=token"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Identities) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/token?job=1"
        own = {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job"}
        with mock.patch.dict(os.environ, own):
            image = f"127.0.0.1:{shop.registry.port}/greeter@{published.digest}"
            signing = ["--signing-config=services.json", "--trusted-root=root.json"]
            done = shop.outside("cosign", "sign", *options, *signing, image)
        server.shutdown()
    assert done.returncode != 0
    assert asked == [("/token?job=1&audience=sigstore", "bearer of-the-job")]


def test_no_secret_is_anywhere(shop: Shop, published: Publication) -> None:
    key = [line for line in (shop.folder / "right.key").read_text().splitlines() if "-----" not in line]
    secrets = [shop.registry.password, shop.registry.basic, KEY_PASSWORD, *key]
    said = published.result.out + published.result.err
    assert not [secret for secret in secrets if secret in said]
    searched = 0
    for path in shop.registry.storage.rglob("data"):
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        searched += 1
        assert not [secret for secret in secrets if secret.encode() in content], path
    assert searched > 10


def test_it_is_proved_with_its_key_and_no_other(shop: Shop, published: Publication) -> None:
    right = shop.verified(shop.name(":1.2.0"), "summary")
    assert right.code == 0, right.err
    for words in (published.digest, "attested SPDX", "attested CycloneDX", "attested verdict", REVISION, "PASSED"):
        assert words in right.out
    # There was nothing to say.
    assert "attested VEX" not in right.out
    wrong = shop.verified(shop.name(":1.2.0"), "summary", key="wrong")
    assert wrong.code != 0
    assert "VerificationError: " in wrong.err
    assert "the signature cannot be verified" in wrong.message
    assert not wrong.out.strip()


def test_a_private_key_given_to_verify_is_told(shop: Shop) -> None:
    proving = [f"--key=file:{shop.folder}/right.key", "--transparency-log=false"]
    result = shop.call("published", f"--reference={shop.name(':1.2.0')}", "verified", *proving, "summary")
    assert result.message.startswith("--key: this is a private key; give the public key")


def test_the_users_own_docker_configuration_logs_in(shop: Shop, published: Publication) -> None:
    host = f"registry.localhost:{shop.registry.port}"
    looked = ["published", f"--reference={shop.name(':1.2.0')}", "digest"]
    for auths, said in (({host: {"auth": shop.registry.basic}}, published.digest), ({"other.example.org": {}}, "")):
        result = shop.call(*looked, config=json.dumps({"auths": auths, "credsStore": "desktop"}))
        assert result.out.strip() == said, result.err
    kept = shop.call(*looked, config=json.dumps({"auths": {host: {}}, "credsStore": "desktop"}))
    assert f"docker-credential-desktop stores the login of {host}" in kept.message


def test_a_tampered_image_is_refused_though_it_wears_the_signature(shop: Shop, published: Publication) -> None:
    manifest = json.loads(shop.registry.request("GET", f"greeter/manifests/{published.digest}")[0])
    manifest["annotations"] = {"com.example.evil": "yes"}
    changed = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(changed).hexdigest()}"
    shop.registry.request("PUT", "greeter/manifests/tampered", changed, manifest["mediaType"])
    # Someone who may write there gives it the list of what was signed for the other.
    signatures, _ = shop.registry.request("GET", f"greeter/manifests/{published.digest.replace(':', '-')}")
    kind = json.loads(signatures)["mediaType"]
    shop.registry.request("PUT", f"greeter/manifests/{digest.replace(':', '-')}", signatures, kind)
    result = shop.verified(shop.name(":tampered"), "summary")
    assert result.code != 0
    assert digest in result.message
    assert "VerificationError: " in result.err


def test_an_image_with_attestations_alone_is_not_signed(shop: Shop, published: Publication) -> None:
    # Of all that was made for it, one attestation: cosign verify alone is content with that.
    origin, bare = (f"127.0.0.1:{shop.registry.port}/{name}" for name in ("greeter", "bare"))
    for digest in shop.referrers("greeter", published.digest):
        manifest = json.loads(shop.registry.request("GET", f"greeter/manifests/{digest}")[0])
        if manifest["annotations"]["dev.sigstore.bundle.predicateType"] == TYPES["spdxjson"]:
            shop.outside("crane", "copy", f"{origin}@{digest}", f"{bare}@{digest}")
    shop.outside("crane", "copy", f"{origin}@{published.digest}", f"{bare}:1")
    content = shop.outside(
        "cosign", "verify", "--key=right.pub", "--insecure-ignore-tlog", f"{bare}@{published.digest}"
    )
    assert content.returncode == 0
    result = shop.verified(shop.name(":1", "bare"), "summary")
    assert "there are only attestations" in result.message


def test_the_object_has_digest_refs_and_sizes(shop: Shop, published: Publication) -> None:
    reference = f"--reference={shop.name('@' + published.digest)}"
    assert shop.call("published", f"--reference={shop.name(':1.2.0')}", "digest").out.strip() == published.digest
    listed = shop.call("published", reference, "refs")
    assert listed.code == 0, listed.err
    refs = listed.out.split()
    assert {ref.rpartition(":")[2] for ref in refs} == TAGS
    sizes = shop.call("published", reference, "sizes").out.split()
    platform, size = sizes
    assert platform.startswith("linux/")
    assert 10_000_000 < int(size) < 100_000_000


def test_promotion_keeps_every_byte(shop: Shop, published: Publication) -> None:
    result = shop.verified(
        shop.name("@" + published.digest),
        "promote",
        f"--to={shop.name(repository='production/greeter')}",
        "--tags=1.2.0,stable",
    )
    assert result.code == 0, result.err
    assert "today" in result.out
    tags = shop.registry.tags("production/greeter")
    assert tags["1.2.0"] == tags["stable"] == published.digest
    before, after = (shop.referrers(name, published.digest) for name in ("greeter", "production/greeter"))
    assert before == after
    assert len(after) >= 5
    image = f"127.0.0.1:{shop.registry.port}/production/greeter@{published.digest}"
    assert shop.outside("cosign", "verify", "--key=right.pub", "--insecure-ignore-tlog", image).returncode == 0


def test_two_platforms_are_published_and_promoted_as_one_index(shop: Shop) -> None:
    result = shop.publish("--version=2.0.0", repository="both", platforms="linux/amd64,linux/arm64")
    assert result.code == 0, result.message
    digest = result.out.strip().rpartition("@")[2]
    index = json.loads(shop.registry.request("GET", f"both/manifests/{digest}")[0])
    assert [entry["platform"] for entry in index["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    promoted = shop.verified(
        shop.name("@" + digest, "both"), "promote", f"--to={shop.name(repository='both-live')}", "--tags=2.0.0"
    )
    assert promoted.code == 0, promoted.message
    assert shop.registry.tags("both-live")["2.0.0"] == digest
    live = f"127.0.0.1:{shop.registry.port}/both-live:2.0.0"
    assert shop.outside("crane", "validate", "--remote", live).returncode == 0
    assert shop.outside("cosign", "verify", "--key=right.pub", "--insecure-ignore-tlog", live).returncode == 0


def test_what_would_not_pass_today_stays_where_it_is(shop: Shop, published: Publication) -> None:
    result = shop.verified(
        shop.name("@" + published.digest),
        "promote",
        "--advisories",
        f"--to={shop.name(repository='late/greeter')}",
        "--tags=1.2.0",
    )
    assert result.message.startswith("nothing was promoted: the image does not pass the policy today")
    assert shop.registry.tags("late/greeter") == {}


def test_a_rescan_finds_what_became_known_since(shop: Shop, published: Publication) -> None:
    reference = shop.name("@" + published.digest)
    same = shop.verified(reference, "rescan")
    assert same.code == 0, same.err
    assert "0 new since" in same.out
    later = shop.verified(reference, "rescan", "--advisories")
    assert later.code != 0
    assert "of them break the policy" in later.message
    assert "tiny_text" in later.message


def test_a_change_is_held_against_what_was_published(shop: Shop, published: Publication) -> None:
    main = shop.folder / "main.json"
    proved = shop.verified(shop.name("@" + published.digest), "findings", "export", f"--path={main}")
    assert proved.code == 0, proved.message
    verdict = json.loads(main.read_text())
    assert verdict["image"]["digest"] == published.digest
    # What was published since on packages that are in both is not what a change brings.
    same = shop.call("--advisories", "assess", f"--baseline={main}", "verdict")
    assert same.code == 0, same.message
    assert same.out.rstrip().endswith("PASSED: no new finding of HIGH or worse, but 4 warnings")
    assert f"compared with {verdict['image']['name']}@{published.digest}" in same.out
    # An image that had no tiny_text: the change brings it.
    verdict["packages"] = [purl for purl in verdict["packages"] if "tiny_text" not in purl]
    main.write_text(json.dumps(verdict))
    changed = shop.call("--advisories", "assess", f"--baseline={main}", "verdict")
    assert changed.message.startswith("POLICY FAILED: 1 new finding of HIGH or worse\n")
    assert re.search(r"new findings that break the policy.*\n.*\n.*\n HIGH +CVE-0000-0002 +tiny_text", changed.message)
    assert "rebar.lock: tiny_text 1.0.2 → 1.0.3 (fixes 1 finding)\n" in changed.message
    wrong = shop.call("assess", f"--baseline={shop.folder}/right.pub", "verdict")
    assert wrong.message.startswith("--baseline right.pub: this file is not a verdict to compare with")


def the_document_went_along(shop: Shop, image: str) -> None:
    """Prove that cosign and Trivy find what was said of an image where it is now, in another repository."""
    flags = ["--key=right.pub", "--insecure-ignore-tlog"]
    done = shop.outside("cosign", "verify-attestation", "--type=openvex", *flags, image)
    assert done.returncode == 0, done.stderr
    said = json.loads(base64.b64decode(json.loads(done.stdout)["payload"]))["predicate"]["statements"]
    assert {each["vulnerability"]["name"]: each["status"] for each in said} == {
        "CVE-0000-0001": "affected",
        "CVE-0000-0002": "affected",
        LIBC: "not_affected",
        "CVE-2026-23941": "not_affected",
    }
    offline = ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check", "--quiet"]
    scan = ["image", "--scanners=vuln", f"--cache-dir={shop.folder}/advisories/trivy", *offline, "--format=json"]
    found = []
    for option in ([], ["--vex=oci"]):
        done = shop.outside("trivy", *scan, *option, image)
        assert done.returncode == 0, done.stderr
        parts = json.loads(done.stdout).get("Results", ())
        flaws = [raw for part in parts for raw in part.get("Vulnerabilities") or ()]
        found.append({(raw["VulnerabilityID"], raw["PkgName"]) for raw in flaws})
    assert found[0] - found[1] == {(LIBC, "libc6")}
    # What is accepted is still reported.
    assert ("CVE-0000-0001", "libssl3t64") in found[1]


def test_an_image_is_judged_later_by_what_it_was_published_by(shop: Shop) -> None:
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    packages = (("0000-0001", "libssl3t64"), ("0000-0001", "openssl-provider-legacy"), ("0000-0002", "tiny_text"))
    (shop.folder / "accept.toml").write_text(
        "".join(
            f'[[accept]]\nid = "CVE-{flaw}"\npackage = "{package}"\nreason = "a test"\nuntil = {tomorrow}\n'
            for flaw, package in packages
        )
    )
    statement = {
        "vulnerability": {"name": "CVE-2026-23941"},
        # By its tag, which the reference by digest does not tell.
        "products": [{"@id": shop.name(":1.2.0", "accepted"), "subcomponents": [{"@id": "pkg:otp/inets"}]}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
    }
    of_libc = {**statement, "vulnerability": {"name": LIBC}, "products": [{"@id": "pkg:deb/debian/libc6"}]}
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex", "author": "a", "version": 1}
    vex = {**head, "timestamp": "2026-11-01T00:00:00Z", "statements": [statement, of_libc]}
    (shop.folder / "vex.json").write_text(json.dumps(vex))
    (shop.folder / "key-password").write_text(KEY_PASSWORD)
    result = shop.call(
        *("--advisories", "assess", f"--accept={shop.folder}/accept.toml", f"--vex={shop.folder}/vex.json", "publish"),
        f"--cosign-key=file://{shop.folder}/right.key",
        f"--cosign-password=file://{shop.folder}/key-password",
        *("--transparency-log=false", "--version=1.2.0"),
        repository="accepted",
    )
    assert result.code == 0, result.message
    reference = "@" + result.out.strip().rpartition("@")[2]
    again = shop.verified(shop.name(reference, "accepted"), "rescan", "--advisories")
    assert again.code == 0, again.message
    assert "0 new since" in again.out
    assert "PASSED: no finding of HIGH or worse" in again.out
    live = f"--to={shop.name(repository='accepted-live')}"
    promoted = shop.verified(shop.name(reference, "accepted"), "promote", live, "--tags=1.2.0", "--advisories")
    assert promoted.code == 0, promoted.message
    assert re.search(r"attested VEX +https://openvex\.dev/ns\n", promoted.out)
    the_document_went_along(shop, f"127.0.0.1:{shop.registry.port}/accepted-live{reference}")
    # Unless one says otherwise.
    (shop.folder / "nothing.toml").write_text("")
    nothing = f"--accept={shop.folder}/nothing.toml"
    refused = shop.verified(shop.name(reference, "accepted"), "rescan", nothing, "--advisories")
    assert "3 new since" in refused.message
    assert "POLICY FAILED: 3 findings of HIGH or worse" in refused.message


def test_a_base_without_a_digest_is_not_published(shop: Shop) -> None:
    table = tomllib.loads(shop.module.images.read_text())["images"]
    loose = table["runtime-debian"].partition("@")[0]
    result = shop.call(
        *(f"--runtime-image={loose}", "assess", "publish", "--version=1.2.0", "--unsigned", "--dry-run"),
        repository="loose",
    )
    assert result.message.startswith("nothing was pushed: the image fails checks that the policy requires")
    assert result.message.endswith(f"base-pinned: base image pinned by digest: {loose}")


def test_a_version_keeps_its_image_until_told_so(shop: Shop, published: Publication) -> None:
    page = shop.source / "apps" / "greeter_web" / "src" / "greeter_web.erl"
    code = page.read_text()
    page.write_text(code.replace('"ok"', '"changed"'))
    try:
        refused = shop.publish("--version=1.2.0")
        assert refused.message.startswith(f"nothing was pushed: tag 1.2.0 already points to {published.digest}")
        assert shop.registry.tags("greeter")["1.2.0"] == published.digest
        moved = shop.publish("--tags=1.2.0", "--move", repository="moving")
        assert moved.code == 0, moved.err
    finally:
        page.write_text(code)
    again = shop.publish("--tags=1.2.0", "--move", repository="moving")
    assert again.code == 0, again.err
    assert shop.registry.tags("moving")["1.2.0"] == published.digest
    assert moved.out != again.out


@contextmanager
def dying_front(port: int, last_words: bytes) -> Iterator[tuple[int, threading.Event]]:
    """Forward connections to a port until an answer to a request with these words has passed; then be gone."""
    listener = socket.create_server(("127.0.0.1", 0))
    dead = threading.Event()

    def forward(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            marked = False
            while not dead.is_set():
                for end in select.select([client, server], [], [], 0.1)[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    marked = marked or (end is client and last_words in data)
                    (server if end is client else client).sendall(data)
                    if end is server and marked and b" 201 " in data:
                        dead.set()
                        listener.shutdown(socket.SHUT_RDWR)
                        listener.close()

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=forward, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], dead
    finally:
        if not dead.is_set():
            dead.set()
            listener.close()


def test_a_registry_that_goes_in_the_middle_is_told_and_completed(shop: Shop, published: Publication) -> None:
    with dying_front(shop.registry.port, b"PUT /v2/broken/manifests/sha256:") as (port, dead):
        broken = shop.publish("--version=1.2.0", port=port, repository="broken")
        assert dead.is_set()
    assert broken.code != 0
    assert broken.message.startswith("failed to sign it")
    assert re.search(r"^done: +push \S+@" + published.digest, broken.message, re.MULTILINE)
    assert "not done: tag latest" in broken.message
    assert shop.registry.tags("broken") == {}
    again = shop.publish("--version=1.2.0", repository="broken")
    assert again.out.strip().endswith(f"/broken@{published.digest}")
    assert set(shop.registry.tags("broken")) >= TAGS


def test_a_signature_that_cannot_be_made_is_told_and_completed(shop: Shop, published: Publication) -> None:
    (shop.folder / "token").write_text("no-token-at-all")
    token = f"--identity-token=file://{shop.folder}/token"
    failed = shop.call("assess", "publish", "--version=1.2.0", token, repository="half")
    assert failed.code != 0
    assert "failed to sign it with a certificate for the identity token" in failed.message
    assert "no-token-at-all" not in failed.out + failed.err
    assert shop.registry.tags("half") == {}
    # Twice, so also over an image that is complete.
    for _ in range(2):
        again = shop.publish("--version=1.2.0", repository="half")
        assert again.out.strip().endswith(f"/half@{published.digest}")
    proved = shop.verified(shop.name(":1.2.0", "half"), "summary")
    assert proved.code == 0, proved.err
