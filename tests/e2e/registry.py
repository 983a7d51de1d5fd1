"""Read a registry on 127.0.0.1, and put images there that differ in one thing from others."""

import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

OCI = "application/vnd.oci.image"
#: Where `standins` keeps its images, and the registry of them its content.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "erlmcp-standins"
#: What the machine calls its processor, and what an image does.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def own_architecture() -> str:
    """Return this machine's architecture, as an image names it."""
    return _ARCHITECTURES[platform.machine()]


def settings(address: str, storage: Path) -> str:
    """Return the configuration of a registry (distribution) that stores its content in a folder."""
    return json.dumps(
        {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(storage)}},
            "http": {"addr": address},
        }
    )


def manifest_of(reference: str, architecture: str) -> tuple[str, dict]:
    """Return digest and manifest of an image for one architecture."""
    repository, digest = _split(reference)
    manifest = json.loads(_get(f"{repository}/manifests/{digest}"))
    if "manifests" not in manifest:
        return digest, manifest
    [found] = [entry for entry in manifest["manifests"] if entry["platform"]["architecture"] == architecture]
    return found["digest"], json.loads(_get(f"{repository}/manifests/{found['digest']}"))


def layers_of(reference: str, architecture: str) -> Iterator[bytes]:
    """Give the layers of an image for one architecture, as they are stored."""
    repository, _ = _split(reference)
    for layer in manifest_of(reference, architecture)[1]["layers"]:
        yield _get(f"{repository}/blobs/{layer['digest']}")


def republished(reference: str, author: str) -> str:
    """Push this machine's image again by another author; return its reference: other digest, same content."""
    repository, _ = _split(reference)
    _, manifest = manifest_of(reference, own_architecture())
    config = json.loads(_get(f"{repository}/blobs/{manifest['config']['digest']}"))
    config["author"] = author
    manifest["config"] |= _push_blob(repository, json.dumps(config).encode())
    return _push_manifest(repository, manifest)


def recompressed(reference: str) -> tuple[str, str]:
    """Push this machine's image again, its one layer compressed otherwise; return reference and layer's digest."""
    repository, _ = _split(reference)
    _, manifest = manifest_of(reference, own_architecture())
    [layer] = manifest["layers"]
    plain = gzip.decompress(_get(f"{repository}/blobs/{layer['digest']}"))
    layer |= _push_blob(repository, gzip.compress(plain, 1, mtime=0))
    return _push_manifest(repository, manifest), layer["digest"]


def with_busybox(reference: str, busybox: str) -> str:
    """Push this machine's image again with busybox's commands in front of all others; return its reference.

    Alpine has these commands and no others. Debian's busybox knows fewer options than Alpine's does.

    Parameters
    ----------
    reference
        The image.
    busybox
        The program, on this machine.
    """
    repository, _ = _split(reference)
    _, manifest = manifest_of(reference, own_architecture())
    config = json.loads(_get(f"{repository}/blobs/{manifest['config']['digest']}"))
    folder = "opt/busybox"
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        program = tarfile.TarInfo(f"{folder}/busybox")
        data = Path(busybox).read_bytes()
        program.size, program.mode = len(data), 0o755
        archive.addfile(program, io.BytesIO(data))
        for name in subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split():
            if name != "busybox":
                link = tarfile.TarInfo(f"{folder}/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
    layer = _push_blob(repository, held.getvalue())
    variables = dict(each.split("=", 1) for each in config["config"].get("Env", []))
    path = variables.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    config["config"]["Env"] = [f"{name}={value}" for name, value in {**variables, "PATH": f"/{folder}:{path}"}.items()]
    config["rootfs"]["diff_ids"].append(layer["digest"])
    config.pop("history", None)
    manifest["layers"].append({"mediaType": f"{OCI}.layer.v1.tar", **layer})
    manifest["config"] |= _push_blob(repository, json.dumps(config).encode())
    return _push_manifest(repository, manifest)


def indexed(repository: str, images: dict[str, str]) -> str:
    """Push an index of images in one repository, by architecture; return its reference."""
    entries = []
    for architecture, digest in images.items():
        body = _get(f"{_api(repository)}/manifests/{digest}")
        entries.append(
            {
                "mediaType": f"{OCI}.manifest.v1+json",
                "digest": digest,
                "size": len(body),
                "platform": {"os": "linux", "architecture": architecture},
            }
        )
    kind = f"{OCI}.index.v1+json"
    return _push_manifest(_api(repository), {"schemaVersion": 2, "mediaType": kind, "manifests": entries})


def small(
    repository: str, tag: str, release: str, otp: str = "", architectures: tuple[str, ...] = ("amd64", "arm64")
) -> str:
    """Push an image of nothing but /etc/os-release under a tag; return the digest of its index.

    Parameters
    ----------
    repository
        With the registry's host.
    tag
        That it gets.
    release
        Text of the file.
    otp
        The version of Erlang/OTP that its environment names, if any.
    architectures
        Of its platforms.
    """
    api = _api(repository)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        entry = tarfile.TarInfo("etc/os-release")
        entry.size = len(release.encode())
        archive.addfile(entry, io.BytesIO(release.encode()))
    layer = {"mediaType": f"{OCI}.layer.v1.tar", **_push_blob(api, held.getvalue())}
    digests = {}
    for architecture in architectures:
        config = {
            "os": "linux",
            "architecture": architecture,
            "config": {"Env": [f"OTP_VERSION={otp}"] if otp else []},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        }
        blob = {"mediaType": f"{OCI}.config.v1+json", **_push_blob(api, json.dumps(config).encode())}
        manifest = {"mediaType": f"{OCI}.manifest.v1+json", "config": blob, "layers": [layer]}
        digests[architecture] = _push_manifest(api, {"schemaVersion": 2, **manifest}).partition("@")[2]
    index = indexed(repository, digests)
    _request("PUT", f"{api}/manifests/{tag}", _get(f"{api}/manifests/{_digest(index)}"), f"{OCI}.index.v1+json")
    return _digest(index)


def _digest(reference: str) -> str:
    return reference.partition("@")[2]


def _api(repository: str) -> str:
    host, _, name = repository.partition("/")
    return f"http://{host}/v2/{name}"


def _split(reference: str) -> tuple[str, str]:
    """Return the URL of a repository, and the digest in it."""
    name, _, digest = reference.partition("@")
    return _api(name if name.count(":") < 2 else name.rpartition(":")[0]), digest


def _get(url: str) -> bytes:
    return _request("GET", url)[1]


def _push_blob(repository: str, data: bytes) -> dict[str, object]:
    blob = {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}
    location = _request("POST", f"{repository}/blobs/uploads/")[0]["Location"]
    _request("PUT", f"{location}&digest={blob['digest']}", data, "application/octet-stream")
    return blob


def _push_manifest(repository: str, manifest: dict) -> str:
    body = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    _request("PUT", f"{repository}/manifests/{digest}", body, manifest["mediaType"])
    return f"{repository.removeprefix('http://').replace('/v2/', '/', 1)}@{digest}"


def _request(method: str, url: str, data: bytes | None = None, kind: str = "") -> tuple[dict[str, str], bytes]:
    accept = f"{OCI}.manifest.v1+json, {OCI}.index.v1+json"
    headers = {"Accept": accept} | ({"Content-Type": kind} if kind else {})
    request = urllib.request.Request(url, data=data, method=method, headers=headers)  # noqa: S310 # our own registry
    with urllib.request.urlopen(request) as answer:  # noqa: S310 # as above
        return dict(answer.headers), answer.read()
