"""OCI image layouts as plain files: times set, base layers put in, layers measured."""

import dataclasses
import datetime as dt
import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from pipeline.errors import BuildError, InputError

#: The time of an image whose revision has none. RFC 3339.
NO_TIME = "1980-01-01T00:00:00Z"
#: Layers of a runtime image above those of its base.
OWN_LAYERS = 4
_WHITEOUT = ".wh."
_BLOBS = "blobs/sha256"
_INDEX = "application/vnd.oci.image.index.v1+json"


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


def parse_time(created: str) -> str:
    """Return a time as the image specification wants it (RFC 3339 in UTC), or raise `InputError`."""
    try:
        time = dt.datetime.fromisoformat(created or NO_TIME)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InputError(f"--created {created}: not a time with a zone; expected such as 2026-02-04T17:25:56Z")
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclasses.dataclass(frozen=True, slots=True)
class Base:
    """A base image as its registry has it."""

    blobs: Path
    platform: str
    layers: list[dict[str, Any]]
    diff_ids: list[str]
    history: list[dict[str, Any]]


def read_base(folder: Path, platform: str) -> Base:
    """Read the one image in an OCI layout.

    Raises
    ------
    BuildError
        If it is for another platform.
    """
    index = json.loads((folder / "index.json").read_bytes())
    manifest = json.loads((folder / _blob(index["manifests"][0]["digest"])).read_bytes())
    config = json.loads((folder / _blob(manifest["config"]["digest"])).read_bytes())
    found = f"{config['os']}/{config['architecture']}"
    if found != platform:
        raise BuildError(f"the registry's base image is for {found}, not for {platform}; choose one that has it")
    return Base(folder, found, manifest["layers"], config["rootfs"]["diff_ids"], config.get("history", []))


def add_image(source: Path, folder: Path, time: str, base: Base | None = None) -> dict[str, Any]:
    """Copy the image of an OCI archive into a layout; return the descriptor of its manifest.

    The layers stay as they are, but for the base's, if given. Every time in the configuration that a build wrote is
    set to one: of the specification (image-spec 1.1, config.md) `created` and `history[].created`.

    Raises
    ------
    BuildError
        If the image is not made of the base and our layers.
    """
    (folder / _BLOBS).mkdir(parents=True, exist_ok=True)
    with tarfile.open(source) as archive:
        descriptor = _read_json(archive, "index.json")["manifests"][0]
        manifest = _read_json(archive, _blob(descriptor["digest"]))
        config = _read_json(archive, _blob(manifest["config"]["digest"]))
        config["created"] = time
        for step in config.get("history", []):
            step["created"] = time
        if base:
            _set_base(manifest, config, base)
        for layer in manifest["layers"]:
            target = folder / _blob(layer["digest"])
            if base and layer in base.layers:
                shutil.copyfile(base.blobs / _blob(layer["digest"]), target)
            elif not target.exists():
                with target.open("wb") as out:
                    shutil.copyfileobj(archive.extractfile(_blob(layer["digest"])), out)  # type: ignore[arg-type] # a blob is a regular file
    manifest["config"] |= _add_blob(folder, config)
    platform = {key: config[key] for key in ("architecture", "os", "variant") if key in config}
    return {"mediaType": descriptor["mediaType"], **_add_blob(folder, manifest), "platform": platform}


def _set_base(manifest: dict[str, Any], config: dict[str, Any], base: Base) -> None:
    """Put the registry's layers in place of those that the engine packed."""
    count = len(base.layers)
    found = f"{config['os']}/{config['architecture']}"
    if len(manifest["layers"]) != count + OWN_LAYERS or found != base.platform:
        raise BuildError(
            f"the image for {found} has {len(manifest['layers'])} layers; expected {count} of the base for "
            f"{base.platform} and {OWN_LAYERS} above them"
        )
    manifest["layers"][:count] = base.layers
    config["rootfs"]["diff_ids"][:count] = base.diff_ids
    # The engine writes a step for each layer; the base's own say more.
    config["history"] = base.history + config["history"][-OWN_LAYERS:]


def add_index(folder: Path, descriptors: list[dict[str, Any]]) -> str:
    """Write what makes a folder of blobs a layout; return the digest of its one image, or of the index of several."""
    top = descriptors
    if len(descriptors) > 1:
        top = [{"mediaType": _INDEX, **_add_blob(folder, _index(descriptors))}]
    (folder / "index.json").write_bytes(_encode(_index(top)))
    (folder / "oci-layout").write_bytes(_encode({"imageLayoutVersion": "1.0.0"}))
    return str(top[0]["digest"])


def pack(folder: Path, target: Path) -> None:
    """Write a layout as an archive whose bytes depend on its content alone."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size = path.stat().st_size
            with path.open("rb") as data:
                out.addfile(info, data)


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


def _index(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": _INDEX, "manifests": descriptors}


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _read_json(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    return json.load(archive.extractfile(name))  # type: ignore[arg-type,no-any-return] # regular files of the format


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _add_blob(folder: Path, value: object) -> dict[str, Any]:
    """Write JSON as a blob; return its digest and size."""
    blob = _encode(value)
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    (folder / _blob(digest)).write_bytes(blob)
    return {"digest": digest, "size": len(blob)}
