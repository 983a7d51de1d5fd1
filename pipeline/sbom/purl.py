"""Package URLs (github.com/package-url/purl-spec)."""

import re
import urllib.parse
from collections.abc import Mapping


def make(
    kind: str, *path: str, version: str = "", qualifiers: Mapping[str, str] | None = None, subpath: str = ""
) -> str:
    """Make a package URL in its canonical form."""
    text = "/".join([f"pkg:{kind}", *(urllib.parse.quote(part, safe="") for part in path)])
    if version:
        text += "@" + urllib.parse.quote(version, safe="")
    if given := {key: value for key, value in (qualifiers or {}).items() if value}:
        text += "?" + "&".join(f"{key}={urllib.parse.quote(given[key], safe=':/')}" for key in sorted(given))
    return text + ("#" + urllib.parse.quote(subpath.strip("/")) if subpath else "")


def of_image(reference: str) -> str:
    """Return the package URL of an image: `NAME[:TAG][@DIGEST]`."""
    tagged, _, digest = reference.partition("@")
    path, slash, last = tagged.rpartition("/")
    name, _, tag = last.partition(":")
    repository = f"{path}/{name}".lower() if slash else ""
    return make("oci", name.lower(), version=digest, qualifiers={"repository_url": repository, "tag": tag})


def repository(url: str) -> tuple[str, str, str]:
    """Take the URL of a git repository apart: host, path, and the URL without what must not be published."""
    scp = re.fullmatch(r"(?:[^@/:]+@)?([^/:@]+):(?!//)(.+)", url)
    if scp:
        # git@github.com:owner/repo.git
        host, path, scheme, port = scp[1], scp[2], "ssh", None
    else:
        parts = urllib.parse.urlsplit(url)
        # A user name in front of the host may be a token.
        host, path, scheme, port = parts.hostname or "", parts.path, parts.scheme or "file", parts.port
    path = path.strip("/").removesuffix(".git")
    return host.lower(), path, f"{scheme}://{host}{f':{port}' if port else ''}/{path}.git"


def of_git(url: str, ref: str, name: str, subdir: str = "") -> str:
    """Return the package URL of a revision of a git repository."""
    host, path, clean = repository(url)
    parts = path.lower().split("/")
    known = {"github.com": "github", "bitbucket.org": "bitbucket"}
    if host in known and len(parts) == 2:  # noqa: PLR2004 # owner, repository
        return make(known[host], *parts, version=ref, subpath=subdir)
    return make("generic", name, version=ref, qualifiers={"vcs_url": f"git+{clean}@{ref}"}, subpath=subdir)
