"""Package URLs (github.com/package-url/purl-spec)."""

import dataclasses
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Self

from packageurl import PackageURL


def make(
    kind: str, *path: str, version: str = "", qualifiers: Mapping[str, str] | None = None, subpath: str = ""
) -> str:
    """Make a package URL in its canonical form."""
    *namespace, name = path
    given = {key: value for key, value in (qualifiers or {}).items() if value}
    return PackageURL(kind, "/".join(namespace), name, version, given, subpath).to_string()


def of_image(reference: str, architecture: str = "", inside: str = "") -> str:
    """Return the package URL of an image: `NAME[:TAG][@DIGEST]`, perhaps of one architecture, or of a path in it."""
    tagged, _, digest = reference.partition("@")
    path, slash, last = tagged.rpartition("/")
    name, _, tag = last.partition(":")
    repository = f"{path}/{name}".lower() if slash else ""
    qualifiers = {"repository_url": repository, "tag": tag, "arch": architecture}
    return make("oci", name.lower(), version=digest, qualifiers=qualifiers, subpath=inside.strip("/"))


def of_file(name: str, url: str, sha256: str) -> str:
    """Return the package URL of a file: of its release, if it is fetched from one of GitHub."""
    match = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+)/releases/download/([^/]+)/[^/]+", url)
    if match:
        return make("github", match[1].lower(), match[2].lower(), version=match[3])
    return make("generic", name, qualifiers={"checksum": f"sha256:{sha256}", "download_url": plain_url(url)})


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


#: Where Hex packages come from if nothing else is said (purl-spec, types/hex-definition.json).
HEX = "https://repo.hex.pm"


def of_hex(name: str, version: str, repository: str = "hexpm", url: str = "") -> str:
    """Return the package URL of a Hex package.

    Parameters
    ----------
    name, version
        Of the package.
    repository
        As rebar3 calls it: `hexpm`, `hexpm:ORGANISATION` for that organisation's own packages, or another one's name.
    url
        Of that repository, if it is not hexpm's own.
    """
    main, _, organisation = repository.partition(":")
    if repository == "hexpm":
        return make("hex", name.lower(), version=version)
    if main != "hexpm" and not url:
        # Of an unknown place: under `pkg:hex/NAME` it would be hexpm's.
        return make("generic", name, version=version)
    path = [organisation.lower(), name.lower()] if organisation else [name.lower()]
    return make("hex", *path, version=version, qualifiers={"repository_url": plain_url(url) or HEX})


def plain_url(url: str) -> str:
    """Return a URL without what may be secret in it (login, query), and without a slash at its end."""
    return re.sub(r"(?<=://)[^/]*@", "", re.split(r"[?#]", url)[0]).rstrip("/")


def of_git(url: str, ref: str, name: str, subdir: str = "") -> str:
    """Return the package URL of a revision of a git repository."""
    host, path, clean = repository(url)
    parts = path.lower().split("/")
    known = {"github.com": "github", "bitbucket.org": "bitbucket"}
    if host in known and len(parts) == 2:  # noqa: PLR2004 # owner, repository
        return make(known[host], *parts, version=ref, subpath=subdir)
    return make("generic", name, version=ref, qualifiers={"vcs_url": f"git+{clean}@{ref}"}, subpath=subdir)


#: Architectures as packages of operating systems have them, and as images do.
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def architecture_of(purls: Iterable[str]) -> str:
    """Return the architecture of an image by its packages, as images name it; nothing if they do not agree on one."""
    found = {_ARCHITECTURES.get(purl.qualifiers.get("arch", "")) for purl in parsed(purls)} - {None}
    return str(found.pop()) if len(found) == 1 else ""


@dataclasses.dataclass(frozen=True, slots=True)
class Purl:
    """A package URL; empty parts are empty."""

    type: str
    namespace: str
    name: str
    version: str
    qualifiers: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the parts of a package URL, or nothing if it is not one."""
        try:
            kind, namespace, name, version, qualifiers, _ = PackageURL.from_string(text)
        except ValueError:
            return None
        return cls(kind, namespace or "", name, version or "", dict(qualifiers or {}))

    @property
    def is_erlang(self) -> bool:
        """Tell whether it is Erlang/OTP as a whole, in one of the forms in use."""
        names = {
            "github": ("erlang/otp",),
            "otp": ("erlang", "otp"),
            "generic": ("erlang", "erlang/otp", "erlang-otp", "otp"),
            # Records of the Erlang Ecosystem Foundation, before and since September 2026.
            "sid": ("erlang.org/otp",),
            "software-id": ("erlang.org/otp",),
        }
        return f"{self.namespace}/{self.name}".lstrip("/").lower() in names.get(self.type, ())

    def normal(self) -> Self:
        """Return the same package under one form: Erlang/OTP as a whole has several."""
        if not self.is_erlang:
            return self
        version = self.version.removeprefix("OTP-")
        return dataclasses.replace(self, type="otp", namespace="", name="erlang", version=version, qualifiers={})

    @property
    def upstream(self) -> str:
        """The name of the source package that a package of an operating system was built from."""
        return self.qualifiers.get("upstream", "").partition("@")[0]

    def covers(self, other: Self) -> bool:
        """Tell whether `other` is this package; a version or a qualifier that is not given here is any.

        So do Trivy and Grype (`PurlMatches` of github.com/openvex/go-vex). To both a source package is a package of
        that name, and covers nothing that is built from it.
        """
        mine, theirs = self.normal(), other.normal()
        return (
            self.is_like(other)
            and mine.version in ("", theirs.version)
            and mine.qualifiers.items() <= theirs.qualifiers.items()
        )

    def is_like(self, other: Self) -> bool:
        """Tell whether `other` is this package in some version."""
        mine, theirs = self.normal(), other.normal()
        return (mine.type, mine.namespace.lower(), mine.name.lower()) == (
            theirs.type,
            theirs.namespace.lower(),
            theirs.name.lower(),
        )


def parsed(purls: Iterable[str]) -> list[Purl]:
    """Return those that are package URLs, parsed."""
    return [parsed for purl in purls if (parsed := Purl.parse(purl))]


def matches(text: str, purls: list[Purl]) -> bool:
    """Tell whether a text is a package URL that covers one of some."""
    wanted = Purl.parse(text)
    return wanted is not None and any(map(wanted.covers, purls))
