"""OCI image layouts as plain files: setting times, inserting the base layers, measuring layers."""

import dataclasses
import datetime as dt
import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import BuildError, InputError

#: The time of an image whose revision has none. RFC 3339.
NO_TIME = "1980-01-01T00:00:00Z"
#: What each layer of a runtime image above those of its base holds, as its history says.
_LAYERS = ("libraries, user, init", "Erlang runtime system and OTP", "dependencies", "applications and configuration")
OWN_LAYERS = len(_LAYERS)
_WHITEOUT = ".wh."
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
        raise InputError(f"--created {created}: give a time with a time zone, such as 2026-02-04T17:25:56Z")
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image as its manifest and its configuration describe it."""

    media_type: str
    manifest: dict[str, Any]
    config: dict[str, Any]

    @property
    def platform(self) -> str:
        """Its platform, such as `linux/amd64`."""
        return f"{self.config['os']}/{self.config['architecture']}"

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The descriptors of its layers, lowest first."""
        return list(self.manifest["layers"])


def finished(image: Image, time: str, base: Image | None = None) -> Image:
    """Return an image with one time and one history throughout, and with the registry's layers of its base, if given.

    Every time in the configuration that a build wrote is set: of the specification (image-spec 1.1, config.md)
    `created` and `history[].created`. Of a layer that it has from before its last start an engine writes another
    history (`rehydrated persisted snapshot`), so the steps of our layers are written here.

    Raises
    ------
    BuildError
        If the image is not made of the base and our layers.
    """
    manifest, config = dict(image.manifest), dict(image.config)
    history = [{**step, "created": time} for step in (config.get("history") or [])[:-OWN_LAYERS]]
    if base:
        count = len(base.layers)
        if len(image.layers) != count + OWN_LAYERS or image.platform != base.platform:
            raise BuildError(
                f"the image for {image.platform} has {len(image.layers)} layers, but {count} of the base image for "
                f"{base.platform} and {OWN_LAYERS} of the release were expected"
            )
        manifest["layers"] = base.layers + image.layers[count:]
        ids = base.config["rootfs"]["diff_ids"] + config["rootfs"]["diff_ids"][count:]
        config["rootfs"] = {**config["rootfs"], "diff_ids": ids}
        # The engine writes a step for each layer; the base's own say more.
        history = base.config.get("history") or []
    # The specification wants a step for each layer; a base may have none.
    named = sum(not step.get("empty_layer") for step in history) + OWN_LAYERS
    unnamed = [{"created": time}] * (len(manifest["layers"]) - named)
    own = [{"created": time, "created_by": step} for step in _LAYERS]
    config |= {"created": time, "history": [*history, *unnamed, *own]}
    return Image(image.media_type, manifest, config)


def texts_of(images: Iterable[Image]) -> tuple[dict[str, str], str]:
    """Return the files of a layout by path, without the layers; and the digest of its only image, or of the index."""
    texts = {"oci-layout": _encode({"imageLayoutVersion": "1.0.0"})}

    def add(value: object) -> dict[str, Any]:
        text = _encode(value)
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        texts[blob(digest)] = text
        return {"digest": digest, "size": len(text.encode())}

    top = []
    for image in images:
        manifest = {**image.manifest, "config": {**image.manifest["config"], **add(image.config)}}
        platform = {key: image.config[key] for key in ("architecture", "os", "variant") if key in image.config}
        top.append({"mediaType": image.media_type, **add(manifest), "platform": platform})
    if len(top) > 1:
        top = [{"mediaType": _INDEX, **add(_index(top))}]
    texts["index.json"] = _encode(_index(top))
    return texts, str(top[0]["digest"])


def read_layers(path: Path) -> list[Layer]:
    """Return the layers of an image in an OCI archive, lowest first."""
    layers = []
    with tarfile.open(path) as archive:
        manifest = _read_json(archive, blob(_read_json(archive, "index.json")["manifests"][0]["digest"]))
        for descriptor in manifest["layers"]:
            data = archive.extractfile(blob(descriptor["digest"]))
            with tempfile.TemporaryFile() as plain:
                # Through a file, because a layer of ERTS may not fit into memory twice.
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


def blob(digest: str) -> str:
    """Return the path of a blob in a layout."""
    return "blobs/" + digest.replace(":", "/")


def _read_json(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    return json.load(archive.extractfile(name))  # type: ignore[arg-type,no-any-return] # regular files of the format


def _encode(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
