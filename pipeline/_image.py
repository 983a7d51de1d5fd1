"""The image as an OCI archive: exported once; its times set, its layers measured."""

import contextlib
import dataclasses
import datetime as dt
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import dagger
from dagger import dag

from pipeline._errors import InputError

#: The time of an image whose revision has none. RFC 3339.
NO_TIME = "1980-01-01T00:00:00Z"
_WHITEOUT = ".wh."


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """A layer: its compressed digest, bytes pushed and pulled, and its files' bytes by path."""

    digest: str
    compressed: int
    files: dict[str, int]

    @property
    def uncompressed(self) -> int:
        """Bytes of its files, unpacked."""
        return sum(self.files.values())


@contextlib.asynccontextmanager
async def exported(image: dagger.Container) -> AsyncGenerator[Path]:
    """Export an image to a local OCI archive (layers gzipped) for as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.tar")
        await image.as_tarball(
            forced_compression=dagger.ImageLayerCompression.Gzip,
            media_types=dagger.ImageMediaTypes.OCIMediaTypes,
        ).export(str(path))
        yield path


async def tarball(image: dagger.Container, created: str) -> dagger.File:
    """Return the image as an OCI archive with one digest per content.

    Parameters
    ----------
    image
        The image.
    created
        The time to write into its configuration, RFC 3339; the engine writes the time of the build.
    """
    target, _ = await _archive(image, created)
    return await dag.current_module().workdir_file(str(target)).sync()


async def layout(image: dagger.Container, created: str) -> tuple[dagger.Directory, str]:
    """Return the image as an OCI image layout, and its digest: the archive of `tarball`, unpacked.

    Parameters
    ----------
    image
        The image.
    created
        The time to write into its configuration, RFC 3339.
    """
    packed, digest = await _archive(image, created)
    target = packed.with_name("layout")
    with tarfile.open(packed) as archive:
        archive.extractall(target, filter="data")
    return await dag.current_module().workdir(str(target)).sync(), digest


async def _archive(image: dagger.Container, created: str) -> tuple[Path, str]:
    """Write the archive with its times set; return where it is, and the image's digest."""
    time = parse_time(created)
    # A module hands files over from its own working directory.
    target = Path(Path(tempfile.mkdtemp(dir=".")).name, "image.tar")
    async with exported(image) as path:
        return target, set_times(path, target, time)


def parse_time(created: str) -> str:
    """Return a time as the image specification wants it (RFC 3339 in UTC), or raise `InputError`."""
    try:
        time = dt.datetime.fromisoformat(created or NO_TIME)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InputError(f"--created {created}: not a time with a zone; expected such as 2026-02-04T17:25:56Z")
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def set_times(source: Path, target: Path, time: str) -> str:
    """Copy an OCI archive with every time in the image's configuration set to one; return the manifest's digest.

    The layers stay as they are. Of the specification (image-spec 1.1, config.md): `created` and `history[].created`.
    """
    with tarfile.open(source) as archive:
        index = _read_json(archive, "index.json")
        descriptor = index["manifests"][0]
        manifest = _read_json(archive, _blob(descriptor["digest"]))
        config = _read_json(archive, _blob(manifest["config"]["digest"]))
        config["created"] = time
        for step in config.get("history", []):
            step["created"] = time
        config_blob = _encode(config)
        manifest["config"] |= _describe(config_blob)
        manifest_blob = _encode(manifest)
        entry = {"mediaType": descriptor["mediaType"], **_describe(manifest_blob)}
        if platform := descriptor.get("platform"):
            entry["platform"] = platform
        blobs: dict[str, bytes] = {
            "oci-layout": _encode({"imageLayoutVersion": "1.0.0"}),
            "index.json": _encode({"schemaVersion": 2, "mediaType": index.get("mediaType"), "manifests": [entry]}),
            _blob(_describe(config_blob)["digest"]): config_blob,
            _blob(entry["digest"]): manifest_blob,
        }
        layers = {_blob(layer["digest"]): layer["size"] for layer in manifest["layers"]}
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out:
            for name in sorted({*blobs, *layers}):
                info = tarfile.TarInfo(name)
                info.size = len(blobs[name]) if name in blobs else layers[name]
                data = io.BytesIO(blobs[name]) if name in blobs else archive.extractfile(name)
                out.addfile(info, data)
    return str(entry["digest"])


def read_layers(path: Path) -> list[Layer]:
    """Return the layers of an image in an OCI archive, lowest first."""
    layers = []
    with tarfile.open(path) as archive:
        manifest = _read_json(archive, _blob(_read_json(archive, "index.json")["manifests"][0]["digest"]))
        for descriptor in manifest["layers"]:
            data = archive.extractfile(_blob(descriptor["digest"]))
            with tempfile.TemporaryFile() as plain:
                # Streaming through a file: a layer of ERTS does not fit everybody's memory twice.
                with gzip.open(data) as packed:  # type: ignore[arg-type] # a blob is a regular file
                    shutil.copyfileobj(packed, plain)
                plain.seek(0)
                with tarfile.open(fileobj=plain) as layer:
                    files = {
                        "/" + member.name.removeprefix("./"): member.size
                        for member in layer
                        if member.isreg() and not Path(member.name).name.startswith(_WHITEOUT)
                    }
            layers.append(Layer(descriptor["digest"], descriptor["size"], files))
    return layers


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _read_json(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    return json.load(archive.extractfile(name))  # type: ignore[arg-type,no-any-return] # regular files of the format


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _describe(blob: bytes) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}
