"""Images for two platforms, one of which nothing here can run; and the base's layers as the registry has them."""

import dataclasses
import gzip
import hashlib
import io
import json
import shutil
import struct
import subprocess
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import FIXTURES, InProcess, Result, read_archive
from registry import indexed, manifest_of, own_architecture, recompressed

OWN = own_architecture()
OTHER = {"amd64": "arm64", "arm64": "amd64"}[OWN]
MACHINES = {"amd64": 62, "arm64": 183}
BOTH = "--platforms=linux/amd64,linux/arm64"
#: Above the base: what a layer of ours holds.
LIBRARIES, ERTS, DEPENDENCIES, APPLICATIONS = 1, 2, 3, 4


@dataclass(frozen=True)
class Layer:
    """A layer, its regular files by path."""

    digest: str
    files: dict[str, bytes]

    def machines(self) -> dict[str, int]:
        """Return the processor of each ELF file."""
        elf = {path: data for path, data in self.files.items() if data.startswith(b"\x7fELF")}
        return {path: struct.unpack_from("<H", data, 18)[0] for path, data in elf.items()}

    def beams(self) -> dict[str, str]:
        """Return the digest of each BEAM file."""
        found = {path: data for path, data in self.files.items() if path.endswith(".beam")}
        return {path: hashlib.sha256(data).hexdigest() for path, data in found.items()}


@dataclass(frozen=True)
class Image:
    """The image of one platform."""

    config: dict
    layers: list[Layer]


@dataclass(frozen=True)
class Index:
    """An archive of several platforms, read."""

    digest: str
    kind: str
    images: dict[str, Image]


def read_index(path: Path) -> Index:
    with tarfile.open(path) as archive:

        def blob(digest: str) -> bytes:
            return archive.extractfile("blobs/" + digest.replace(":", "/")).read()

        def layer(digest: str) -> Layer:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(digest)))) as files:
                return Layer(
                    digest,
                    {
                        member.name.removeprefix("./"): files.extractfile(member).read()
                        for member in files
                        if member.isreg()
                    },
                )

        [top] = json.load(archive.extractfile("index.json"))["manifests"]
        images = {}
        for entry in json.loads(blob(top["digest"]))["manifests"]:
            manifest = json.loads(blob(entry["digest"]))
            config = json.loads(blob(manifest["config"]["digest"]))
            platform = entry["platform"]
            assert (platform["os"], platform["architecture"]) == (config["os"], config["architecture"])
            images[platform["architecture"]] = Image(config, [layer(each["digest"]) for each in manifest["layers"]])
    return Index(top["digest"], top["mediaType"], images)


def copy_source(target: Path) -> Path:
    """Make what the fixture `source` makes, for longer than one test."""
    shutil.copytree(FIXTURES / "greeter", target, symlinks=True)
    shutil.copytree(FIXTURES / "packages", target / "_checkouts")
    return target


def build(in_process: InProcess, source: Path, target: Path, *words: str) -> Result:
    return in_process(source, *words, "image-tarball", "export", f"--path={target}")


@pytest.fixture(scope="module")
def index(in_process: InProcess, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Return the fixture's image for both platforms."""
    folder = tmp_path_factory.mktemp("platforms")
    result = build(in_process, copy_source(folder / "greeter"), folder / "image.tar", BOTH)
    assert result.code == 0, result.err
    return read_index(folder / "image.tar")


def test_one_index_holds_an_image_for_each_platform(index: Index) -> None:
    assert index.kind == "application/vnd.oci.image.index.v1+json"
    assert sorted(index.images) == ["amd64", "arm64"]
    for image in index.images.values():
        assert len(image.layers) == len(image.config["rootfs"]["diff_ids"]) == APPLICATIONS + 1
    amd64, arm64 = (index.images[name].config["config"] for name in ("amd64", "arm64"))
    assert amd64 == arm64
    assert amd64["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/healthcheck"]


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_every_native_file_is_for_its_platform(index: Index, architecture: str) -> None:
    for number, layer in enumerate(index.images[architecture].layers):
        machines = layer.machines()
        assert set(machines.values()) <= {MACHINES[architecture]}
        # Among the libraries: programs of the base that lost their setuid bit.
        assert bool(machines) == (number in (0, LIBRARIES, ERTS))
    native = index.images[architecture].layers[ERTS].machines()
    assert {path.rpartition("/")[2] for path in native} >= {"beam.smp", "erlexec", "epmd", "crypto.so"}


def test_erts_has_the_same_files_on_both_platforms(index: Index) -> None:
    amd64, arm64 = (index.images[name].layers[ERTS] for name in ("amd64", "arm64"))
    assert amd64.files.keys() == arm64.files.keys()
    assert amd64.machines().keys() == arm64.machines().keys()
    differing = {path for path in amd64.files if amd64.files[path] != arm64.files[path]}
    assert differing == amd64.machines().keys()


def test_every_beam_file_is_the_same_on_both_platforms(index: Index) -> None:
    beams = [
        {path: digest for layer in image.layers for path, digest in layer.beams().items()}
        for image in index.images.values()
    ]
    assert beams[0] == beams[1]
    names = {path.rpartition("/")[2] for path in beams[0]}
    assert names >= {"greeter.beam", "tiny_math.beam", "gen_server.beam", "crypto.beam"}


def test_platforms_share_the_layers_without_native_code(index: Index) -> None:
    amd64, arm64 = ([layer.digest for layer in index.images[name].layers] for name in ("amd64", "arm64"))
    same = [one == other for one, other in zip(amd64, arm64, strict=True)]
    assert same == [False, False, False, True, True]


def test_users_and_folders_are_the_same_on_both_platforms(index: Index) -> None:
    for image in index.images.values():
        files = image.layers[LIBRARIES].files
        assert b"greeter:x:1000:1000::/opt/greeter:/bin/sh" in files["etc/passwd"]
        assert files["usr/local/bin/entrypoint"].startswith(b"#!/bin/sh")
    amd64, arm64 = (
        {path.replace("aarch64", "x86_64"): data for path, data in index.images[name].layers[LIBRARIES].files.items()}
        for name in ("amd64", "arm64")
    )
    assert set(amd64) == set(arm64)
    differing = {path for path, data in amd64.items() if arm64[path] != data}
    # Programs of the base that lost their setuid bit, of its own packages; a library of the builder, with its entries.
    entries = {f"var/lib/dpkg/status.d/libsctp1{ending}" for ending in ("", ".md5sums")}
    machines = {path.replace("aarch64", "x86_64") for path in index.images["amd64"].layers[LIBRARIES].machines()}
    assert differing == machines | entries
    assert "usr/bin/su" in differing


def test_the_order_of_platforms_and_the_time_of_the_build_change_no_digest(
    in_process: InProcess, source: Path, index: Index, tmp_path: Path
) -> None:
    result = build(in_process, source, tmp_path / "image.tar", "--platforms=linux/arm64,linux/amd64")
    assert result.code == 0, result.err
    assert read_archive_top(tmp_path / "image.tar") == index.digest


def read_archive_top(path: Path) -> str:
    with tarfile.open(path) as archive:
        return json.load(archive.extractfile("index.json"))["manifests"][0]["digest"]


def test_one_platform_has_no_index_around_it(in_process: InProcess, source: Path, index: Index, tmp_path: Path) -> None:
    result = build(in_process, source, tmp_path / "image.tar", f"--platforms=linux/{OTHER}")
    assert result.code == 0, result.err
    image = read_archive(tmp_path / "image.tar")
    assert image.config["architecture"] == OTHER
    assert image.layers == [layer.digest for layer in index.images[OTHER].layers]


def test_native_code_of_an_application_is_refused_for_another_platform(
    in_process: InProcess, source: Path, tmp_path: Path
) -> None:
    add_native_library(source, elf(needed="libc.so.6"))
    result = build(in_process, source, tmp_path / "image.tar", BOTH)
    assert result.code != 0
    assert result.message.startswith("greeter_web has native code (lib/greeter_web-1.2.0/priv/native.so)")
    assert f"--platforms=linux/{OTHER}" in result.message
    assert not (tmp_path / "image.tar").exists()
    # What it needs is there: its own platform's image is made.
    own = build(in_process, source, tmp_path / "image.tar")
    assert own.code == 0, own.err


def test_what_the_image_lacks_for_native_code_is_named(in_process: InProcess, source: Path) -> None:
    add_native_library(source, elf(needed="libnothing.so.9"), "a.so")
    add_native_library(source, elf(needed="libc.so.6", version="GLIBC_9.9"), "b.so")
    add_native_library(source, elf(needed="libc.so.6", architecture=OTHER), "c.so")
    result = in_process(source, "build-runtime", "sync")
    assert result.code != 0
    priv = "/opt/greeter/lib/greeter_web-1.2.0/priv"
    table = tomllib.loads(in_process.images.read_text())["images"]
    builder, runtime = table["builder-debian"], table["runtime-debian"]
    first, nothing, old, other = result.message.splitlines()
    assert first == f"copying libraries into {runtime} failed:"
    where = f"{priv}/a.so: its library libnothing.so.9 is neither in {builder} nor in {runtime}; "
    assert nothing.startswith(where)
    assert old == f"{priv}/b.so: libc.so.6 of {runtime} has no GLIBC_9.9"
    assert other == f"{priv}/c.so: is not for this platform"


def test_a_builder_of_one_platform_alone_is_refused(in_process: InProcess, source: Path) -> None:
    reference = tomllib.loads(in_process.images.read_text())["images"]["builder-debian"]
    alone = f"{reference.partition('@')[0]}@{manifest_of(reference, OWN)[0]}"
    result = in_process(source, f"--builder-image={alone}", f"--platforms=linux/{OTHER}", "image-tarball")
    assert result.message.startswith(f"{alone}: its image for linux/{OTHER} is wrong: ")
    assert "--builder-image" in result.message


def test_a_builder_whose_platforms_differ_is_refused(in_process: InProcess, source: Path, registry: str) -> None:
    table = tomllib.loads(in_process.images.read_text())["images"]
    builder, runtime = (table[f"{kind}-debian"] for kind in ("builder", "runtime"))
    # An image without Erlang in place of the other platform's builder.
    bare = f"{runtime.partition('@')[0].rpartition(':')[0]}@{manifest_of(runtime, OTHER)[0]}"
    command = ["skopeo", "copy", "--quiet", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
    subprocess.run([*command, f"docker://{bare}", f"docker://{registry}/erlang:bare"], check=True)
    mixed = indexed(f"{registry}/erlang", {OWN: manifest_of(builder, OWN)[0], OTHER: bare.partition("@")[2]})
    result = in_process(source, f"--builder-image={mixed}", f"--platforms=linux/{OTHER}", "image-tarball")
    assert result.message.startswith(
        f"{mixed}: its image for linux/{OTHER} has another version of Erlang/OTP: no erts-"
    )


def test_the_bases_layers_are_those_of_the_registry(in_process: InProcess, source: Path, tmp_path: Path) -> None:
    # The engine knows this content under another compression, and writes the layer as it was there, or packs it anew.
    base = tomllib.loads(in_process.images.read_text())["images"]["runtime-debian"]
    reference, layer = recompressed(base)
    layers = {}
    for name, call in (("engine", dataclasses.replace(in_process, bases=False)), ("registry", in_process)):
        result = call(
            source, f"--runtime-image={reference}", "image-tarball", "export", f"--path={tmp_path}/{name}.tar"
        )
        assert result.code == 0, result.err
        layers[name] = read_archive(tmp_path / f"{name}.tar").layers
    assert layers["engine"][0] != layer
    assert layers["registry"] == [layer, *layers["engine"][1:]]


def add_native_library(source: Path, library: bytes, name: str = "native.so") -> None:
    priv = source / "apps" / "greeter_web" / "priv"
    priv.mkdir(exist_ok=True)
    (priv / name).write_bytes(library)


def elf(needed: str, version: str = "", architecture: str = OWN) -> bytes:
    """Return a shared object that needs a library, perhaps in some version of it, and holds nothing else."""
    # ELF header, two program headers, dynamic section, version needs, strings: one segment, loaded where it lies.
    strings = f"\0{needed}\0{version}\0".encode()
    head, program, entry, wants = 64, 56, 16, 32
    dynamic_at = head + 2 * program
    count = 6 if version else 4
    wants_at = dynamic_at + count * entry
    strings_at = wants_at + (wants if version else 0)
    size = strings_at + len(strings)
    entries = [(1, 1), (5, strings_at), (10, len(strings))]  # DT_NEEDED, DT_STRTAB, DT_STRSZ
    verneed = b""
    if version:
        entries += [(0x6FFFFFFE, wants_at), (0x6FFFFFFF, 1)]
        verneed = struct.pack("<HHIII", 1, 1, 1, 16, 0) + struct.pack("<IHHII", 0, 0, 2, len(needed) + 2, 0)
    dynamic = b"".join(struct.pack("<qQ", *each) for each in [*entries, (0, 0)])
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 3, MACHINES[architecture], 1, 0, head, 0, 0, head, program, 2, 0, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 4096)
    dynamic_header = struct.pack("<IIQQQQQQ", 2, 4, *[dynamic_at] * 3, len(dynamic), len(dynamic), 8)
    return header + load + dynamic_header + dynamic + verneed + strings


def test_each_platform_has_an_sbom_of_its_own_image(
    in_process: InProcess, source: Path, index: Index, tmp_path: Path
) -> None:
    result = in_process(source, BOTH, "sbom", "export", f"--path={tmp_path}")
    assert result.code == 0, result.err
    documents = {
        name: json.loads((tmp_path / f"sbom.linux-{name}.cdx.json").read_text()) for name in ("amd64", "arm64")
    }
    for name, document in documents.items():
        system = {part["purl"] for part in document["components"] if part.get("purl", "").startswith("pkg:deb/")}
        architectures = {purl.partition("arch=")[2].partition("&")[0] for purl in system}
        assert architectures & {"amd64", "arm64"} == {name}
        # Native code of a platform loads that platform's libraries. Of the other platform's base the stand-in has no
        # lists of files; what comes from the builder has.
        [erts] = [edge for edge in document["dependencies"] if edge["ref"].startswith("pkg:otp/erts@")]
        [sctp] = [need for need in erts["dependsOn"] if need.startswith("pkg:deb/debian/libsctp1@")]
        assert f"arch={name}" in sctp
    roots = {document["metadata"]["component"]["hashes"][0]["content"] for document in documents.values()}
    assert len(roots) == 2
    assert index.digest.removeprefix("sha256:") not in roots
