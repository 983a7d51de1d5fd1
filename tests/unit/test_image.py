import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from pipeline.errors import BuildError, InputError
from pipeline.image.layout import OWN_LAYERS, Image, Layer, blob, finished, parse_time, read_layers, texts_of
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


def image_files(layers: list[bytes]) -> dict[str, bytes]:
    """Return the files of an OCI layout with one image."""
    files: dict[str, bytes] = {}

    def add(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    manifest = {"layers": [{"mediaType": "layer", **add(layer)} for layer in layers]}
    index = {"schemaVersion": 2, "manifests": [{"mediaType": "m", **add(json.dumps(manifest).encode())}]}
    return {"index.json": json.dumps(index).encode(), **files}


def image(built: str, layers: list[bytes], architecture: str = "amd64", step: str = "s") -> Image:
    """Return what an image says of itself, as an engine makes it at some time."""
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
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
        "config": {"mediaType": "c", "digest": "sha256:of-the-engine", "size": 1},
        "layers": [{"mediaType": "layer", "digest": f"sha256:{digest}", "size": 1} for digest in digests],
    }
    return Image("m", manifest, config)


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as target:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return path


def read(texts: dict[str, str], digest: str) -> dict:
    """Read a blob, whose name is that of its content."""
    text = texts[blob(digest)]
    assert digest == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return json.loads(text)


FILES = [
    {"etc/os-release": b"ID=x"},
    {"usr/lib/a.so": b"0" * 9000, "usr/lib/.wh.b": b""},
    {"opt/x": b"x"},
    {},
    {"y": b"yy"},
]
LAYERS = [layer_blob(files) for files in FILES]
MORNING, EVENING = "2026-11-24T01:02:03.123456Z", "2026-11-25T18:05:06Z"


def test_two_builds_of_one_content_have_one_digest() -> None:
    base = image("2026-01-01T00:00:00Z", LAYERS[:1], step="debian")
    first, second = image(MORNING, LAYERS), image(EVENING, LAYERS)
    assert first != second
    texts = [texts_of([finished(made, TIME)]) for made in (first, second)]
    assert texts[0] == texts[1]
    # What an engine says of layers that it has from before its last start.
    restarted = image(EVENING, LAYERS, step="rehydrated persisted snapshot")
    assert finished(restarted, TIME, base) == finished(first, TIME, base)


def test_another_layer_is_another_digest() -> None:
    other = [*LAYERS[:-1], layer_blob({"y": b"yz"})]
    _, first = texts_of([finished(image(TIME, LAYERS), TIME)])
    _, second = texts_of([finished(image(TIME, other), TIME)])
    assert first != second


def test_the_result_is_a_whole_layout_with_the_time_throughout() -> None:
    made = image(EVENING, LAYERS)
    texts, digest = texts_of([finished(made, TIME)])
    assert json.loads(texts["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    [entry] = json.loads(texts["index.json"])["manifests"]
    assert (entry["digest"], entry["mediaType"]) == (digest, "m")
    assert entry["size"] == len(texts[blob(digest)])
    manifest = read(texts, digest)
    assert manifest["layers"] == made.layers
    config = read(texts, manifest["config"]["digest"])
    assert config["created"] == TIME
    assert {step["created"] for step in config["history"]} == {TIME}
    assert config["config"] == {"User": "1000"}
    # What was given is as it was.
    assert made == image(EVENING, LAYERS)


def test_several_platforms_come_under_one_index_and_share_layers() -> None:
    images = [
        finished(image(TIME, [layer_blob({"sh": name.encode()}), *LAYERS[1:]], name), TIME)
        for name in ("amd64", "arm64")
    ]
    texts, digest = texts_of(images)
    assert [entry["digest"] for entry in json.loads(texts["index.json"])["manifests"]] == [digest]
    manifests = read(texts, digest)["manifests"]
    assert [entry["platform"] for entry in manifests] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    layers = [[layer["digest"] for layer in read(texts, entry["digest"])["layers"]] for entry in manifests]
    assert layers[0][0] != layers[1][0]
    assert layers[0][1:] == layers[1][1:]


def test_the_bases_layers_are_the_registrys_whatever_the_engine_packed() -> None:
    base = image("2026-01-01T00:00:00Z", LAYERS[:1], step="debian")
    repacked = layer_blob(FILES[0], 1)
    assert repacked != LAYERS[0]
    made = [finished(image(TIME, [first, *LAYERS[1:]]), TIME, base) for first in (LAYERS[0], repacked)]
    assert made[0] == made[1]
    assert made[0].layers[0] == base.layers[0]
    steps = [step["created_by"] for step in made[0].config["history"]]
    assert len(steps) == len(LAYERS)
    assert [steps[0], steps[-1]] == ["debian", "applications and configuration"]
    assert made[0].config["history"][0]["created"] == "2026-01-01T00:00:00Z"
    ids = [hashlib.sha256(gzip.decompress(layer)).hexdigest() for layer in LAYERS]
    assert made[0].config["rootfs"]["diff_ids"] == ids


def test_each_layer_has_its_step_in_the_history() -> None:
    base = image(TIME, LAYERS[:1])
    base.config["history"].append({"created": TIME, "created_by": "CMD sh", "empty_layer": True})
    without = image(TIME, LAYERS[:1])
    without.config["history"] = None
    for given in (base, without, None):
        steps = finished(image(TIME, LAYERS), TIME, given).config["history"]
        assert len([step for step in steps if "empty_layer" not in step]) == len(LAYERS)
        assert [step.get("created_by", "")[:9] for step in steps[-OWN_LAYERS:]] == [
            *("libraries", "Erlang ru", "dependenc", "applicati"),
        ]


def test_a_base_of_another_platform_or_of_other_layers_is_refused() -> None:
    base = image(TIME, LAYERS[:2])
    with pytest.raises(BuildError, match="has 5 layers, but 2 of the base image"):
        finished(image(TIME, LAYERS), TIME, base)
    with pytest.raises(BuildError, match="for linux/arm64 has 6 layers, but 2 of the base image for linux/amd64"):
        finished(image(TIME, [*LAYERS, LAYERS[0]], "arm64"), TIME, base)


def test_layers_are_measured_without_whiteouts(tmp_path: Path) -> None:
    layers = read_layers(archive(tmp_path / "1", image_files(LAYERS)))
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
    assert rows["total"][-2:] == ["100", "ok"]
    assert "60.0  /opt/a/lib/web-1\n" in text
    # What is in the base nobody here can make smaller.
    assert "/base" not in text


def test_only_the_sum_breaks_the_limit() -> None:
    assert not over_limit([layer(50), layer(50)])
    assert over_limit([layer(50), layer(50.1)])
