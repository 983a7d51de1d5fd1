"""Every program, BEAM file and script of an image is of a component of its SBOM: read out of the image alone.

Which package of the system has a file, say the lists of dpkg in the image.
"""

import collections
import dataclasses
import functools
import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import FIXTURES, InProcess

OURS = ("/usr/local/bin/entrypoint", "/usr/local/bin/healthcheck", "/usr/local/share/entrypoint/finish.awk")


def read_files(path: Path) -> dict[str, bytes]:
    """Return the files of the image in an OCI archive, by path."""
    found: dict[str, bytes] = {}
    with tarfile.open(path) as archive:

        def blob(digest: str) -> bytes:
            return archive.extractfile("blobs/" + digest.replace(":", "/")).read()

        [top] = json.load(archive.extractfile("index.json"))["manifests"]
        for layer in json.loads(blob(top["digest"]))["layers"]:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(layer["digest"])))) as files:
                for member in files:
                    name = "/" + member.name.removeprefix("./")
                    folder, _, last = name.rpartition("/")
                    if last.startswith(".wh."):
                        found.pop(f"{folder}/{last.removeprefix('.wh.')}", None)
                    elif member.isreg():
                        found[name] = files.extractfile(member).read()
    return found


def merged(path: str) -> str:
    return f"/usr{path}" if path.split("/")[1] in {"bin", "lib", "lib64", "sbin"} else path


def packages(files: dict[str, bytes]) -> dict[str, str]:
    """Return by path the package of dpkg that has it: of the base, or with an entry of the builder's."""
    owners = {}
    for name, data in files.items():
        package = Path(name).name.split(":")[0].removesuffix(".list").removesuffix(".md5sums")
        if name.startswith("/var/lib/dpkg/info/") and name.endswith(".list"):
            owners |= {merged(line): package for line in data.decode().splitlines() if line != "/."}
        elif name.startswith("/var/lib/dpkg/status.d/") and name.endswith(".md5sums"):
            owners |= {merged(f"/{line.split(maxsplit=1)[1]}"): package for line in data.decode().splitlines()}
    return owners


def kind(name: str, data: bytes) -> str:
    if data.startswith(b"\x7fELF"):
        return "ELF"
    return "BEAM" if name.endswith(".beam") else "script" if data.startswith(b"#!") else ""


@dataclasses.dataclass
class Image:
    """The fixture's image, and its SBOM."""

    files: dict[str, bytes]
    document: dict

    @property
    def components(self) -> dict[str, dict]:
        return {part["name"]: part for part in self.document["components"]}

    def owner(self, name: str) -> str:
        """Return the name of the component that has a file; nothing if none has it."""
        steps = name.split("/")
        if merged(name) in self.owners:
            return self.owners[merged(name)]
        if name.startswith("/opt/greeter/"):
            # relx writes what is in bin and in releases.
            return self.folders.get(
                steps[4] if steps[3] == "lib" else steps[3], "relx" if steps[3] == "releases" else ""
            )
        if name.startswith("/var/lib/dpkg/info/"):
            return steps[-1].rpartition(".")[0].split(":")[0]
        return "erlmcp-pipeline" if name in OURS else self.folders.get(steps[-1], "")

    @functools.cached_property
    def owners(self) -> dict[str, str]:
        return packages(self.files)

    @functools.cached_property
    def folders(self) -> dict[str, str]:
        """Return by the name of a file or folder the component that it is."""
        return {
            each["value"]: name
            for name, part in self.components.items()
            for each in part.get("properties", ())
            if each["name"] == "bsi:component:filename" and each["value"] not in {"beam.smp", "unicode_util.beam"}
        }


@pytest.fixture(scope="module")
def image(in_process: InProcess, tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("every-file")
    source = folder / "greeter"
    shutil.copytree(FIXTURES / "greeter", source, symlinks=True)
    shutil.copytree(FIXTURES / "packages", source / "_checkouts")
    for words in (
        ["image-tarball", "export", f"--path={folder / 'image.tar'}"],
        ["sbom", "export", f"--path={folder}"],
    ):
        result = in_process(source, *words)
        assert result.code == 0, result.err
    return Image(read_files(folder / "image.tar"), json.loads((folder / "sbom.cdx.json").read_text()))


def test_every_file_that_runs_is_of_a_component(image: Image) -> None:
    seen = collections.Counter(kind(name, data) for name, data in image.files.items())
    assert seen["ELF"] > 100
    assert seen["BEAM"] > 100
    assert seen["script"] > 10
    lost = [
        name for name, data in image.files.items() if kind(name, data) and image.owner(name) not in image.components
    ]
    assert lost == []


@pytest.mark.skipif(not shutil.which("readelf"), reason="needs binutils")
def test_what_native_code_loads_is_what_its_component_needs(image: Image, tmp_path: Path) -> None:
    needs = {edge["ref"]: set(edge.get("dependsOn", ())) for edge in image.document["dependencies"]}
    refs = {name: part["bom-ref"] for name, part in image.components.items()}
    libraries = {Path(name).name: owner for name, owner in image.owners.items() if ".so" in name}
    checked = 0
    for name, data in image.files.items():
        if not name.startswith("/opt/greeter/") or kind(name, data) != "ELF":
            continue
        (tmp_path / "elf").write_bytes(data)
        said = subprocess.run(["readelf", "-d", tmp_path / "elf"], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"\(NEEDED\).*\[(.+)\]", said):
            assert refs[libraries[library]] in needs[refs[image.owner(name)]], (name, library)
            checked += 1
    assert checked > 10


def test_a_hash_is_of_the_files_that_it_names(image: Image) -> None:
    for name in ("stdlib", "crypto", "greeter_web"):
        part = image.components[name]
        [folder] = [
            each["value"].removeprefix("the files of ")
            for each in part["properties"]
            if each["name"] == "pipeline:hash-of"
        ]
        lines = sorted(
            f"{hashlib.sha256(data).hexdigest()}  .{path.removeprefix(folder)}\n"
            for path, data in image.files.items()
            if path.startswith(f"{folder}/")
        )
        lines.sort(key=lambda line: line.split("  ", 1)[1].encode())
        assert lines
        assert part["hashes"] == [{"alg": "SHA-512", "content": hashlib.sha512("".join(lines).encode()).hexdigest()}]
