import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from pipeline.errors import BuildError, InputError
from pipeline.image.layout import OWN_LAYERS, Layer, add_image, add_index, pack, parse_time, read_base, read_layers
from pipeline.image.runtime import LAYERS as RELEASE_LAYERS
from pipeline.image.size import over_limit, parts_of, render

TIME = "2026-02-04T17:25:56Z"


def layer_blob(files: dict[str, bytes], level: int = 6) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as layer:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            layer.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), level, mtime=0)


def image_files(built: str, layers: list[bytes], architecture: str = "amd64", step: str = "s") -> dict[str, bytes]:
    """Return the files of an OCI layout with one image, as an engine makes it at some time."""
    files: dict[str, bytes] = {}

    def add(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    config = {
        "architecture": architecture,
        "os": "linux",
        "created": built,
        "config": {"User": "1000"},
        "history": [{"created": built, "created_by": step} for _ in layers],
        "rootfs": {"diff_ids": [hashlib.sha256(gzip.decompress(layer)).hexdigest() for layer in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "config": {"mediaType": "c", **add(json.dumps(config).encode())},
        "layers": [{"mediaType": "layer", **add(layer)} for layer in layers],
    }
    index = {"schemaVersion": 2, "manifests": [{"mediaType": "m", **add(json.dumps(manifest).encode())}]}
    return {"index.json": json.dumps(index).encode(), **files}


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as target:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return path


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def blob(layout: Path, digest: str) -> dict:
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())


FILES = [
    {"etc/os-release": b"ID=x"},
    {"usr/lib/a.so": b"0" * 9000, "usr/lib/.wh.b": b""},
    {"opt/x": b"x"},
    {},
    {"y": b"yy"},
]
LAYERS = [layer_blob(files) for files in FILES]
MORNING, EVENING = "2026-11-24T01:02:03.123456Z", "2026-11-25T18:05:06Z"


def layout(path: Path, files: dict[str, bytes]) -> str:
    """Make a layout of one image; return its digest."""
    path.mkdir()
    return add_index(path / "layout", [add_image(archive(path / "in.tar", files), path / "layout", TIME)])


def test_two_builds_of_one_content_have_one_digest_and_file(tmp_path: Path) -> None:
    first, second = image_files(MORNING, LAYERS), image_files(EVENING, LAYERS)
    assert first != second
    assert layout(tmp_path / "1", first) == layout(tmp_path / "2", second)
    for name in ("1", "2"):
        pack(tmp_path / name / "layout", tmp_path / f"{name}.tar")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_another_layer_is_another_digest(tmp_path: Path) -> None:
    first = image_files(TIME, LAYERS)
    second = image_files(TIME, [*LAYERS[:-1], layer_blob({"y": b"yz"})])
    assert layout(tmp_path / "1", first) != layout(tmp_path / "2", second)


def test_the_result_is_a_whole_archive_with_the_time_throughout(tmp_path: Path) -> None:
    digest = layout(tmp_path / "1", image_files(EVENING, LAYERS))
    pack(tmp_path / "1" / "layout", tmp_path / "a")
    with tarfile.open(tmp_path / "a") as done:
        assert {"oci-layout", "index.json"} < set(done.getnames())
        for member in done:
            if member.name.startswith("blobs/"):
                data = done.extractfile(member).read()
                assert member.name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    manifest = blob(tmp_path / "1" / "layout", digest)
    config = blob(tmp_path / "1" / "layout", manifest["config"]["digest"])
    assert config["created"] == TIME
    assert {step["created"] for step in config["history"]} == {TIME}
    assert config["config"] == {"User": "1000"}


def test_several_platforms_come_under_one_index_and_share_blobs(tmp_path: Path) -> None:
    images = {
        architecture: image_files(TIME, [layer_blob({"sh": architecture.encode()}), *LAYERS[1:]], architecture)
        for architecture in ("amd64", "arm64")
    }
    descriptors = [
        add_image(archive(tmp_path / name, files), tmp_path / "layout", TIME) for name, files in images.items()
    ]
    digest = add_index(tmp_path / "layout", descriptors)
    top = json.loads((tmp_path / "layout" / "index.json").read_bytes())
    assert [entry["digest"] for entry in top["manifests"]] == [digest]
    manifests = blob(tmp_path / "layout", digest)["manifests"]
    assert [entry["platform"] for entry in manifests] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    layers = [
        [layer["digest"] for layer in blob(tmp_path / "layout", entry["digest"])["layers"]] for entry in manifests
    ]
    assert layers[0][0] != layers[1][0]
    assert layers[0][1:] == layers[1][1:]


def test_the_bases_layers_are_the_registrys_whatever_the_engine_packed(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", image_files("2026-01-01T00:00:00Z", LAYERS[:1], step="debian"))
    repacked = layer_blob(FILES[0], 1)
    assert repacked != LAYERS[0]
    digests = set()
    for name, first in (("pulled", LAYERS[0]), ("packed", repacked)):
        source = archive(tmp_path / f"{name}.tar", image_files(TIME, [first, *LAYERS[1:]]))
        target = tmp_path / name
        digest = add_index(target, [add_image(source, target, TIME, read_base(base, "linux/amd64"))])
        manifest = blob(target, digest)
        original = "sha256:" + hashlib.sha256(LAYERS[0]).hexdigest()
        assert manifest["layers"][0]["digest"] == original
        assert (target / "blobs" / original.replace(":", "/")).read_bytes() == LAYERS[0]
        config = blob(target, manifest["config"]["digest"])
        assert [step["created_by"] for step in config["history"]] == ["debian", *["s"] * OWN_LAYERS]
        digests.add(digest)
    assert len(digests) == 1


def test_a_base_of_another_platform_or_of_other_layers_is_refused(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", image_files(TIME, LAYERS[:2]))
    with pytest.raises(BuildError, match="is for linux/amd64, not for linux/arm64"):
        read_base(base, "linux/arm64")
    source = archive(tmp_path / "a.tar", image_files(TIME, LAYERS))
    with pytest.raises(BuildError, match="has 5 layers; expected 2 of the base"):
        add_image(source, tmp_path / "a", TIME, read_base(base, "linux/amd64"))
    other = archive(tmp_path / "b.tar", image_files(TIME, [*LAYERS, LAYERS[0]], "arm64"))
    with pytest.raises(BuildError, match="for linux/arm64 has 6 layers; expected 2 of the base for linux/amd64"):
        add_image(other, tmp_path / "b", TIME, read_base(base, "linux/amd64"))


def test_above_the_base_are_the_libraries_and_the_releases_layers() -> None:
    assert len(RELEASE_LAYERS) + 1 == OWN_LAYERS


def test_layers_are_measured_without_whiteouts(tmp_path: Path) -> None:
    layers = read_layers(archive(tmp_path / "1", image_files(TIME, LAYERS)))
    assert [layer.uncompressed for layer in layers] == [4, 9000, 1, 0, 2]
    assert layers[1].files == {"/usr/lib/a.so": 9000}
    assert layers[1].compressed < 1000


@pytest.mark.parametrize(
    ("given", "time"),
    [
        ("", "1980-01-01T00:00:00Z"),
        ("2026-02-04T17:25:56Z", TIME),
        ("2026-02-04T18:25:56+01:00", TIME),
    ],
)
def test_a_time_is_written_in_utc(given: str, time: str) -> None:
    assert parse_time(given) == time


@pytest.mark.parametrize("given", ["yesterday", "2026-02-04T17:25:56"])
def test_a_time_without_a_zone_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="--created"):
        parse_time(given)


def layer(megabytes: float, path: str = "/f") -> Layer:
    return Layer("sha256:x", int(megabytes * 1e6), {path: int(megabytes * 3e6)})


def test_everything_below_our_four_layers_is_the_base() -> None:
    parts = parts_of([layer(1), layer(2), layer(3), layer(4), layer(5), layer(6)])
    assert [(part.name, part.compressed) for part in parts] == [
        ("base", 3_000_000),
        ("libraries", 3_000_000),
        ("ERTS and OTP", 4_000_000),
        ("dependencies", 5_000_000),
        ("applications", 6_000_000),
    ]


def test_dependencies_and_applications_share_a_budget() -> None:
    web = Layer("sha256:x", 20_000_000, {f"/opt/a/lib/web-1/ebin/{name}.beam": 30_000_000 for name in "ab"})
    text = render([layer(4, "/base"), layer(10), layer(30), web, layer(11)])
    rows = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    assert rows["base"][-2:] == ["5", "ok"]
    assert rows["applications"][-2:] == ["30", "over"]
    assert rows["in all"][-2:] == ["100", "ok"]
    assert "60.0  /opt/a/lib/web-1\n" in text
    # What is in the base nobody here can make smaller.
    assert "/base" not in text


def test_only_the_sum_breaks_the_limit() -> None:
    assert not over_limit([layer(50), layer(50)])
    assert over_limit([layer(50), layer(50.1)])
