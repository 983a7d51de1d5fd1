import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from pipeline._errors import InputError
from pipeline._image import Layer, parse_time, read_layers, set_times
from pipeline._size import components, over_limit, render

TIME = "2026-02-04T17:25:56Z"


def archive(path: Path, built: str, layers: list[dict[str, bytes]]) -> Path:
    """Write an OCI archive as an engine does, at some time."""
    blobs: dict[str, bytes] = {}

    def add(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    descriptors = []
    for files in layers:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as layer:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                layer.addfile(info, io.BytesIO(data))
        descriptors.append({"mediaType": "layer", **add(gzip.compress(out.getvalue(), mtime=0))})
    config = {"created": built, "config": {"User": "1000"}, "history": [{"created": built} for _ in layers]}
    manifest = {
        "schemaVersion": 2,
        "config": {"mediaType": "c", **add(json.dumps(config).encode())},
        "layers": descriptors,
    }
    index = {"schemaVersion": 2, "manifests": [{"mediaType": "m", **add(json.dumps(manifest).encode())}]}
    with tarfile.open(path, "w") as target:
        for name, data in {"index.json": json.dumps(index).encode(), **blobs}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return path


LAYERS = [
    {"etc/os-release": b"ID=x"},
    {"usr/lib/a.so": b"0" * 9000, "usr/lib/.wh.b": b""},
    {"opt/x": b"x"},
    {},
    {"y": b"yy"},
]


def test_two_builds_of_one_content_have_one_digest_and_file(tmp_path: Path) -> None:
    first = archive(tmp_path / "1", "2026-11-24T01:02:03.123456Z", LAYERS)
    second = archive(tmp_path / "2", "2026-11-25T04:05:06Z", LAYERS)
    assert first.read_bytes() != second.read_bytes()
    assert set_times(first, tmp_path / "a", TIME) == set_times(second, tmp_path / "b", TIME)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_layer_is_another_digest(tmp_path: Path) -> None:
    first = archive(tmp_path / "1", TIME, LAYERS)
    second = archive(tmp_path / "2", TIME, [*LAYERS[:-1], {"y": b"yz"}])
    assert set_times(first, tmp_path / "a", TIME) != set_times(second, tmp_path / "b", TIME)


def test_the_result_is_a_whole_archive_with_the_time_throughout(tmp_path: Path) -> None:
    digest = set_times(archive(tmp_path / "1", "2026-11-24T00:00:00Z", LAYERS), tmp_path / "a", TIME)
    with tarfile.open(tmp_path / "a") as done:
        for member in done:
            if member.name.startswith("blobs/"):
                data = done.extractfile(member).read()
                assert member.name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
        manifest = json.load(done.extractfile("blobs/" + digest.replace(":", "/")))
        config = json.load(done.extractfile("blobs/" + manifest["config"]["digest"].replace(":", "/")))
    assert config["created"] == TIME
    assert {step["created"] for step in config["history"]} == {TIME}
    assert config["config"] == {"User": "1000"}


def test_layers_are_measured_without_whiteouts(tmp_path: Path) -> None:
    layers = read_layers(archive(tmp_path / "1", TIME, LAYERS))
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
    parts = components([layer(1), layer(2), layer(3), layer(4), layer(5), layer(6)])
    assert [(part.name, part.compressed) for part in parts] == [
        ("base", 3_000_000),
        ("libraries", 3_000_000),
        ("ERTS and OTP", 4_000_000),
        ("dependencies", 5_000_000),
        ("applications", 6_000_000),
    ]


def test_dependencies_and_applications_share_a_budget() -> None:
    text = render([layer(4), layer(10), layer(30), layer(20, "/opt/big.beam"), layer(11)])
    rows = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    assert rows["base"][-2:] == ["5", "ok"]
    assert rows["applications"][-2:] == ["30", "over"]
    assert rows["in all"][-2:] == ["100", "ok"]
    assert "60.0   /opt/big.beam" in text


def test_only_the_sum_breaks_the_limit() -> None:
    assert not over_limit([layer(50), layer(50)])
    assert over_limit([layer(50), layer(50.1)])
