"""Verifiers that others wrote, on an image as `publish` signs and attests it, with a key and with a certificate.

Each runs where it is on PATH: `kyverno` (github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno), `tester` of
github.com/sigstore/policy-controller (cmd/tester), `gh`; no engine is needed for them, but cosign is.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from unittest import mock

import fronts
import pytest
import registry as registries
import sigstores
import yaml
from conftest import _free_port, _is_free

from pipeline.registry.provenance import Origin, Provenance
from pipeline.registry.result import result, tried
from pipeline.registry.signing import (
    CYCLONEDX,
    FINDINGS,
    PREDICATES,
    PROVENANCE,
    RESULT,
    SIGNING,
    SPDX,
    TESTED,
    Signing,
    Sigstore,
)
from pipeline.report.compliance import Check

POLICIES = Path(__file__).parents[2] / "ci" / "kubernetes"
PUBLISHED = "ghcr.io/banyan-platform/erlmcp"
REPOSITORY = "banyan-platform/erlmcp"
VERDICT = {
    "time": "2026-02-04T17:25:56Z",
    "policy": {"fail_on": "HIGH"},
    "verdict": {"passed": True, "decided": True, "lines": ["PASSED"]},
}
#: A verdict that nobody passed.
FAILING = {RESULT: json.dumps({"verifier": {"id": "x"}, "timeCreated": VERDICT["time"], "properties": ["OTHER"]})}
BUILDER = f"https://github.com/{REPOSITORY}/.github/workflows/pipeline.yml@refs/heads/main"
STATED = {
    SPDX: json.dumps({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "erlmcp"}),
    CYCLONEDX: json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}),
    FINDINGS: json.dumps(VERDICT),
    PROVENANCE: Provenance("https://github.com/x/y", "", "sha256:1", {}, {}, origin=Origin(BUILDER, "1")).predicate(),
    RESULT: result(json.dumps(VERDICT)),
    TESTED: tried([Check("health", "healthy", passed=True)], ["health"]),
}


@dataclasses.dataclass(frozen=True)
class Site:
    """A registry, a Sigstore and keys on 127.0.0.1, and cosign."""

    cosign: str
    folder: Path
    port: int
    sigstore: sigstores.Sigstore

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program."""
        known = {"HOME": str(self.folder), "COSIGN_PASSWORD": "", "TUF_ROOT": str(self.folder / "tuf"), **env}
        return subprocess.run(
            words, env=os.environ | known, cwd=self.folder, capture_output=True, text=True, check=False, timeout=180
        )

    def push(self, text: str) -> str:
        """Push an image, another one for each text; return its reference by digest."""
        layout = self.folder / f"layout-{text}"
        digest = fronts.digest_of(layout) if layout.exists() else fronts.layout(layout, text)
        place = f"127.0.0.1:{self.port}/erlmcp"
        copy = ["skopeo", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]
        done = self.run(*copy, f"oci:{layout}", f"docker://{place}:{text}")
        assert done.returncode == 0, done.stderr
        return f"{place}@{digest}"

    def publish(
        self,
        text: str,
        signing: Signing,
        *,
        without: Collection[str] = (),
        instead: Mapping[str, str] = MappingProxyType({}),
        key: str = "right",
    ) -> str:
        """Push an image, sign and attest it as `publish` does; return its reference by digest."""
        image = self.push(text)
        options = [each.replace(f"{SIGNING}/cosign.key", f"{key}.key") for each in signing.options]
        options = [each.replace(f"{SIGNING}/", f"{self.folder}/") for each in options]
        commands = [["sign", *options]]
        for kind, predicate in {**STATED, **instead}.items():
            if PREDICATES[kind] not in without:
                file = self.folder / f"{PREDICATES[kind]}.json"
                file.write_text(predicate)
                commands.append(["attest", *options, f"--type={kind}", f"--predicate={file}"])
        asking = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.sigstore.url}/identity?job=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
        }
        for command in commands:
            done = self.run(self.cosign, *command, image, **asking)
            assert done.returncode == 0, done.stderr
        return image


#: A key, without transparency log; and GitHub's way without a key.
WITH_KEY = Signing(mock.sentinel.key, transparency_log=False)
KEYLESS = Signing(
    identity_url=mock.sentinel.url,
    identity_url_token=mock.sentinel.token,
    sigstore=Sigstore(mock.sentinel.services, mock.sentinel.root),
)
#: `zot` lists what refers to an image itself; distribution leaves that to a tag.
KINDS = ("distribution", "zot")


@pytest.fixture(scope="module")
def cosign(request: pytest.FixtureRequest) -> str:
    """Return cosign: that on PATH, or the one of the image table."""
    return shutil.which("cosign") or str(request.getfixturevalue("programs") / "cosign")


@pytest.fixture(scope="module", params=KINDS)
def site(cosign: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    program = shutil.which("zot") if request.param == "zot" else shutil.which("docker-registry")
    if not program:
        pytest.skip(f"needs {request.param} on the PATH (see docs/tests.md)")
    port = _free_port()
    settings = json.loads(registries.settings(f"127.0.0.1:{port}", folder / "storage"))
    if request.param == "zot":
        address = {"address": "127.0.0.1", "port": f"{port}"}
        settings = {"storage": {"rootDirectory": str(folder / "storage")}, "http": address, "log": {"level": "error"}}
    (folder / "config.json").write_text(json.dumps(settings))
    with (folder / "log").open("w") as log, sigstores.serve(sigstores.Sigstore(sigstores.claims_of(REPOSITORY))) as own:
        own.write(folder)
        server = subprocess.Popen([program, "serve", folder / "config.json"], stdout=log, stderr=log)
        try:
            while _is_free(port):
                time.sleep(0.1)
            made = Site(cosign, folder, port, own)
            for name in ("right", "wrong"):
                made.run(cosign, "generate-key-pair", f"--output-key-prefix={name}")
            yield made
        finally:
            server.terminate()
            server.wait()


@pytest.fixture
def without_services(site: Site) -> Iterator[Site]:
    """Give cosign the files that say that there is no Sigstore, as `publish` does with --transparency-log=false."""
    kept = {name: (site.folder / name).read_text() for name in ("services.json", "root.json")}
    container = mock.Mock()
    container.with_mounted_secret.return_value = container.with_env_variable.return_value = container
    container.with_new_file.side_effect = lambda path, text: (
        (site.folder / Path(path).name).write_text(text) and container
    )
    WITH_KEY.given_to(container)
    yield site
    for name, text in kept.items():
        (site.folder / name).write_text(text)


@pytest.fixture
def named_by_text(site: Site) -> Iterator[None]:
    """Let the log have the name under which policy-controller looks for it."""
    for site.sigstore.named_by_text in (True, False):
        site.sigstore.write(site.folder)
        if site.sigstore.named_by_text:
            yield


def policy(site: Site, name: str) -> dict:
    """Return a policy of ci/kubernetes, for the registry of a site."""
    text = (POLICIES / name).read_text()
    assert PUBLISHED in text
    return dict(yaml.safe_load(text.replace(PUBLISHED, f"127.0.0.1:{site.port}/erlmcp")))


def admitted_by_kyverno(site: Site, *images: str) -> tuple[bool, str]:
    """Tell whether Kyverno's own CLI lets a pod with these images in, by the policy with a key."""
    given = policy(site, "kyverno.yaml")
    key = {"data": (site.folder / "right.pub").read_text()}
    nothing = {"insecureIgnoreTlog": True, "insecureIgnoreSCT": True}
    given["spec"]["attestors"][0]["cosign"] = {"key": key, "ctlog": nothing}
    (site.folder / "policy.yaml").write_text(yaml.safe_dump(given))
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}}
    (site.folder / "pod.yaml").write_text(yaml.safe_dump({**pod, "spec": {"containers": containers}}))
    done = site.run("kyverno", "apply", "policy.yaml", "--resource=pod.yaml", "--registry", "--detailed-results")
    return done.returncode == 0 and "fail: 0, warn: 0, error: 0" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("kyverno"), reason="no kyverno on PATH")
def test_kyverno_admits_what_is_published_with_the_key_and_nothing_less(without_services: Site) -> None:
    site = without_services
    good = site.publish("good", WITH_KEY)
    admitted, said = admitted_by_kyverno(site, good)
    assert admitted, said
    # Another image is not its business; one bad image among good ones is.
    admitted, said = admitted_by_kyverno(site, good, f"127.0.0.1:{site.port}/other:1")
    assert admitted, said
    unsigned = site.push("unsigned")
    of_another_key = site.publish("another", WITH_KEY, key="wrong")
    unproved = site.publish("unproved", WITH_KEY, without={"provenance"})
    failing = site.publish("failing", WITH_KEY, instead=FAILING)
    for image, why in (
        (unsigned, "not signed"),
        (of_another_key, "not signed"),
        (unproved, "no provenance"),
        (failing, "no verdict on the image, by which it passes"),
    ):
        admitted, said = admitted_by_kyverno(site, good, image)
        assert not admitted, said
        assert why in said


@pytest.mark.skipif(not shutil.which("kyverno"), reason="no kyverno on PATH")
@pytest.mark.parametrize("key", ["right", "wrong"])
def test_kyvernos_older_policies_take_each_attestation_as_a_bundle(without_services: Site, key: str) -> None:
    site = without_services
    image = site.publish("good", WITH_KEY)
    nothing = {"rekor": {"ignoreTlog": True, "url": "https://rekor.sigstore.dev"}, "ctlog": {"ignoreSCT": True}}
    entry = {"keys": {"publicKeys": (site.folder / f"{key}.pub").read_text(), **nothing}}
    attestors = [{"entries": [entry]}]
    attestations = [{"type": kind, "attestors": attestors} for kind in STATED]
    rule = {
        "name": "published",
        "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
        "verifyImages": [
            {"imageReferences": ["*"], "type": "SigstoreBundle", "attestors": attestors, "attestations": attestations}
        ],
    }
    kind = {"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy"}
    kind["metadata"] = {"name": "older", "annotations": {"pod-policies.kyverno.io/autogen-controllers": "none"}}
    spec = {"background": False, "validationFailureAction": "Enforce", "rules": [rule]}
    (site.folder / "policy.yaml").write_text(yaml.safe_dump({**kind, "spec": spec}))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}}
    containers = [{"name": "c", "image": image}]
    (site.folder / "pod.yaml").write_text(yaml.safe_dump({**pod, "spec": {"containers": containers}}))
    done = site.run("kyverno", "apply", "policy.yaml", "--resource=pod.yaml", "--registry", "--detailed-results")
    assert (done.returncode == 0) == (key == "right"), done.stdout
    # The signature and the attestations.
    counts = "pass: 2, fail: 0" if key == "right" else "pass: 0, fail: 2"
    assert f"{counts}, warn: 0, error: 0" in done.stdout


def admitted_by_policy_controller(site: Site, image: str) -> tuple[bool, str]:
    """Tell whether policy-controller's tester lets an image in, by the policy and the Sigstore of a site."""
    given = policy(site, "policy-controller.yaml")
    [authority] = given["spec"]["authorities"]
    # What it has of a TrustRoot does not lead it to the log of certificates (see sigstores.py).
    authority["keyless"] |= {"url": site.sigstore.url, "trustRootRef": "own", "insecureIgnoreSCT": True}
    authority["ctlog"] |= {"url": site.sigstore.url, "trustRootRef": "own"}
    (site.folder / "policy.yaml").write_text(yaml.safe_dump(given))
    (site.folder / "trust.yaml").write_text(yaml.safe_dump(site.sigstore.trust_root("own")))
    done = site.run("tester", "-policy=policy.yaml", "-trustroot=trust.yaml", f"-image={image}", "-log-level=warn")
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("tester"), reason="no tester of policy-controller on PATH")
@pytest.mark.usefixtures("named_by_text")
def test_policy_controller_admits_what_a_workflow_published_and_nothing_less(site: Site) -> None:
    admitted, said = admitted_by_policy_controller(site, site.publish("keyless", KEYLESS))
    assert admitted, said
    unproved = site.publish("keyless-unproved", KEYLESS, without={"provenance"})
    failing = site.publish("keyless-failing", KEYLESS, instead=FAILING)
    with mock.patch.dict(site.sigstore.claims, sigstores.claims_of(REPOSITORY, "other.yml")):
        of_others = site.publish("by-others", KEYLESS)
    for image, why in (
        (unproved, "no matching attestations with type https://slsa.dev/provenance/v1"),
        (failing, "failed evaluating cue policy for result"),
        (of_others, "no matching CertificateIdentity found"),
    ):
        admitted, said = admitted_by_policy_controller(site, image)
        assert not admitted
        assert why in said


@pytest.mark.skipif(not shutil.which("gh"), reason="no gh on PATH")
def test_gh_attestation_verify_takes_what_a_workflow_published(site: Site) -> None:
    (site.folder / "root.jsonl").write_text((site.folder / "root.json").read_text())
    image = site.publish("for-gh", KEYLESS)

    def verify(image: str, *words: str) -> subprocess.CompletedProcess[str]:
        common = [f"oci://{image}", "--bundle-from-oci", "--custom-trusted-root=root.jsonl", *words]
        return site.run("gh", "attestation", "verify", *common, GH_TOKEN="none")  # noqa: S106 # nothing is asked

    signer = f"--signer-workflow=github.com/{REPOSITORY}/.github/workflows/pipeline.yml"
    for kind in PREDICATES:
        if kind in STATED:
            done = verify(image, f"--repo={REPOSITORY}", signer, f"--predicate-type={kind}", "--format=json")
            assert done.returncode == 0, done.stderr
            [found] = [each["verificationResult"]["statement"] for each in json.loads(done.stdout)]
            # Under the one name or the other, as the version has it.
            assert kind in (found.get("predicateType"), found.get("predicate_type"))
    other = verify(image, "--repo=banyan-platform/another", f"--predicate-type={PROVENANCE}")
    assert other.returncode != 0


def test_cosign_takes_what_a_workflow_published(site: Site) -> None:
    image = site.publish("for-cosign", KEYLESS)
    asked = list(site.sigstore.asked)
    # An identity and a certificate for each signature, when it is made.
    assert asked.count("POST /api/v2/signingCert") == asked.count("GET /identity") >= 1 + len(STATED)
    who = [
        f"--certificate-identity={BUILDER}",
        f"--certificate-oidc-issuer={sigstores.GITHUB}",
        "--trusted-root=root.json",
    ]
    for words in (["verify"], *(["verify-attestation", f"--type={kind}"] for kind in STATED)):
        done = site.run(site.cosign, *words, *who, image)
        assert done.returncode == 0, done.stderr
    other = [each.replace("pipeline.yml", "other.yml") for each in who]
    assert site.run(site.cosign, "verify", *other, image).returncode != 0
