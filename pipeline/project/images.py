"""The one table of image references."""

import dataclasses
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from pipeline.errors import InputError, parse_toml

#: `name[:tag][@sha256:…]` of the distribution specification, loosely: the engine checks the rest.
_REFERENCE = re.compile(r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?", re.IGNORECASE)
#: What depends on Erlang/OTP, and so stands in `[otp.N]`: kind, flavor, and which of that kind.
_OF_OTP = re.compile(r"(builder|runtime)-([a-z0-9]+)(-[a-z0-9-]+)?")
_DEFAULT = "default-"
#: The tables of a file.
_TABLES = ("images", "files", "otp")
#: What else stands in `[images]`.
_TOOLS = ("trivy", "grype", "syft", "cosign", "crane", "git", "scout")

#: A file of the table: its URL, and what its content must be.
_FILE = re.compile(r"(https?://[^\s#]+)#sha256=([0-9a-f]{64})")

#: The table that comes with the module, by the name of its file.
OWN = "pipeline/images.toml"
#: The table that the user gives.
GIVEN = "--images"


@dataclasses.dataclass(frozen=True, slots=True)
class Download:
    """A file that is fetched."""

    url: str
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """An image table, as its file has it."""

    #: `[images]`: in use, whatever the Erlang/OTP.
    images: dict[str, str]
    #: `[otp.N]`: builders and runtimes by the major version of Erlang/OTP.
    otp: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    #: `default-FLAVOR` of `[otp]`, by flavor: the major version that is taken if none is chosen.
    default: dict[str, str] = dataclasses.field(default_factory=dict)
    #: `[files]`: as `URL#sha256=…`.
    files: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Images:
    """The image references in use, by key (`builder-alpine`, `runtime-alpine`, …), and the files that are fetched."""

    table: dict[str, str]
    #: By key (`init-amd64`, `certificates`, …), as `URL#sha256=…`.
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    #: By flavor, the major version of Erlang/OTP whose builder and runtime they are; not if a builder is given for any.
    otp: dict[str, str] = dataclasses.field(default_factory=dict)
    #: Which keys each major version has.
    versions: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)

    def __getitem__(self, key: str) -> str:
        """Return the reference for a key, or say how to give one."""
        try:
            return self.table[key]
        except KeyError:
            raise InputError(self._missing(key)) from None

    def file(self, key: str) -> Download:
        """Return the file for a key, or say how to give one."""
        if key not in self.files:
            argument = f"--{key.partition('-')[0]}"
            raise InputError(
                f'the image table has no file "{key}"; give the file with {argument}, or add '
                f'`{key} = "https://…#sha256=…"` under [files] in a file for --images'
            )
        return parse_file(self.files[key], key)

    def override(self, other: Mapping[str, str], files: Mapping[str, str] | None = None) -> "Images":
        """Return a table in which what is given replaces entries of the same key."""
        # Of which Erlang/OTP another builder is, only the builder knows.
        otp = {flavor: version for flavor, version in self.otp.items() if f"builder-{flavor}" not in other}
        table, files = _replaced(self.table, other), {**self.files, **(files or {})}
        return dataclasses.replace(self, table=table, files=files, otp=otp)

    def _missing(self, key: str) -> str:
        match = _OF_OTP.fullmatch(key)
        version = self.otp.get(match[2], "") if match else ""
        if not match or not version:
            return f'the image table has no "{key}"; add `{key} = "…"` under [images] in a file for {GIVEN}'
        elsewhere = [f"--otp={other}" for other, keys in self.versions.items() if key in keys and other != version]
        if not match[3]:
            same = sorted(self.versions.get(version, ()))
            elsewhere += [
                f"--otp={version} --flavor={other[2]}"
                for other in filter(None, map(_OF_OTP.fullmatch, same))
                if other[1] == match[1] and not other[3]
            ]
        choose = f"give {' or '.join(elsewhere)}, or " if elsewhere else ""
        return (
            f'the image table has no "{key}" for Erlang/OTP {version}; {choose}add `{key} = "…"` under [otp.{version}] '
            f"in a file for {GIVEN}"
        )


def own_table() -> str:
    """Return the text of the table that comes with the module."""
    return resources.files("pipeline").joinpath("images.toml").read_text(encoding="utf-8")


def default_images() -> Images:
    """Return what is in use when nothing is given: all of it pinned by digest."""
    return images_in_use("", {})


def images_in_use(table: str, overrides: Mapping[str, str], otp: str = "") -> Images:
    """Return the module's table with what the user replaces.

    Parameters
    ----------
    table
        Text of `--images`; empty if it is not given.
    overrides
        References by key that were given by an argument of their own, whose name is `--KIND-image`.
    otp
        `--otp`; empty if it is not given.

    Raises
    ------
    InputError
        If something given is wrong, or contradicts something else that is given.
    """
    own = parse_table(own_table(), OWN)
    given = parse_table(table, GIVEN) if table else Table({})
    overrides = {key: check_reference(reference, _argument(key)) for key, reference in overrides.items() if reference}
    if otp:
        _check_choice(otp, given, overrides)
    by_otp = {
        version: _replaced(own.otp.get(version, {}), given.otp.get(version, {}))
        for version in sorted({*own.otp, *given.otp}, key=int, reverse=True)
    }
    flavors = {match[2] for entries in by_otp.values() for match in map(_OF_OTP.fullmatch, entries) if match}
    chosen = dict.fromkeys(flavors, otp) if otp else {**own.default, **given.default}
    for flavor, version in chosen.items():
        if version not in by_otp:
            name = f"--otp={version}" if otp else f"{GIVEN}: {_DEFAULT}{flavor} under [otp]"
            raise InputError(
                f"{name}: the image table does not have this version, but {', '.join(by_otp)}; choose one of them, or "
                f"add images under [otp.{version}] in a file for {GIVEN}"
            )
    paired = {
        key: reference
        for flavor, version in chosen.items()
        for key, reference in by_otp[version].items()
        if key.split("-")[1] == flavor
    }
    versions = {version: frozenset(entries) for version, entries in by_otp.items()}
    images = Images({**own.images, **paired}, own.files, chosen, versions)
    return images.override(given.images, given.files).override(overrides)


def _check_choice(otp: str, given: Table, overrides: Mapping[str, str]) -> None:
    """Raise `InputError` if an image is given for whatever Erlang/OTP beside the choice of one."""
    if not otp.isascii() or not otp.isdecimal():
        raise InputError(f"--otp={otp}: give a major version of Erlang/OTP, such as 28")
    for key in overrides:
        if key.startswith("builder-"):
            raise InputError(
                f"--otp={otp} and {_argument(key)}: the image determines the Erlang/OTP version; give only one of them"
            )
    for key in sorted(given.images):
        if _OF_OTP.fullmatch(key):
            raise InputError(
                f"--otp={otp}: the file for {GIVEN} has {key} under [images], where it counts for every Erlang/OTP; "
                f"omit --otp, or move {key} to [otp.{otp}]"
            )


def _argument(key: str) -> str:
    return f"--{key.partition('-')[0]}-image"


def _replaced(entries: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Return entries with others in their place; a full image goes with the builder that it is the full image of."""
    gone = {f"{key}-full" for key in other if key.startswith("builder-")}
    return {**{key: value for key, value in entries.items() if key not in gone}, **other}


def parse_table(text: str, name: str) -> Table:
    """Read an image table.

    Parameters
    ----------
    text
        TOML with `[images]` of `key = "reference"`, and `[otp.N]` of the same for Erlang/OTP N, of which
        `default-FLAVOR` under `[otp]` chooses one, and `[files]` of `key = "URL#sha256=…"`.
    name
        Whose text it is, for the message.

    Raises
    ------
    InputError
        If it is no TOML, has no images or something else, or a value is no image reference.
    """
    table = parse_toml(text, name)
    images, otp, files = table.get("images"), table.get("otp", {}), table.get("files", {})
    if not isinstance(images, dict) and ("images" in table or not (otp or "files" in table)):
        raise InputError(f'{name}: add a table [images] with lines such as builder-alpine = "erlang:…@sha256:…"')
    if unknown := sorted(table.keys() - set(_TABLES)):
        raise InputError(f"{name}: {unknown[0]}: unknown table; use [images], [files] and [otp.N], such as [otp.28]")
    if not isinstance(files, dict):
        raise InputError(f'{name}: [files] must be a table with lines such as init-amd64 = "https://…#sha256=…"')
    for key, value in files.items():
        parse_file(value, f"{name}: {key}")
    if not isinstance(otp, dict):
        raise InputError(f"{name}: otp must be a table for each version, such as [otp.28]")
    for key in images or {}:
        if key not in _TOOLS and not _OF_OTP.fullmatch(key):
            raise InputError(f"{name}: {key}: unknown image; use builder-…, runtime-…, {', '.join(_TOOLS)}")
    default = {key.removeprefix(_DEFAULT): value for key, value in otp.items() if key.startswith(_DEFAULT)}
    for flavor, version in default.items():
        if not isinstance(version, str):
            raise InputError(f'{name}: {_DEFAULT}{flavor} under [otp] is {version!r}; write a string such as "28"')
    return Table(
        _entries(images or {}, name),
        {
            version: _of_otp(version, entries, name)
            for version, entries in otp.items()
            if not version.startswith(_DEFAULT)
        },
        default,
        files,
    )


def parse_file(value: object, name: str) -> Download:
    """Return a file's URL and checksum, or raise `InputError` if the value has not that form."""
    match = _FILE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise InputError(f"{name}: {value!r} is not a file; write https://…#sha256= and 64 hexadecimal digits")
    return Download(match[1], match[2])


def _of_otp(version: str, entries: object, name: str) -> dict[str, str]:
    section = f"{name}: [otp.{version}]"
    if not version.isascii() or not version.isdecimal() or not isinstance(entries, dict):
        raise InputError(
            f"{section}: name the table after a major version of Erlang/OTP, such as [otp.28], or write under [otp] "
            f'{_DEFAULT}debian = "28"'
        )
    for key in entries:
        if not _OF_OTP.fullmatch(key):
            raise InputError(f"{section}: {key}: only builder-… and runtime-… belong here; move it to [images]")
    return _entries(entries, section)


def _entries(entries: Mapping[str, Any], name: str) -> dict[str, str]:
    return {key: check_reference(reference, f"{name}: {key}") for key, reference in entries.items()}


def check_reference(reference: object, name: str) -> str:
    """Return the reference, or raise `InputError` if it cannot be one."""
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise InputError(f"{name}: {reference!r} is not an image reference; write name:tag@sha256:…")
    return reference


def is_pinned(reference: str) -> bool:
    """Tell whether a reference has a digest, and so always names the same content."""
    return "@sha256:" in reference


def render_images(images: Images) -> str:
    """Return the images in use as TOML, for `--images` and as the mirror list of an air-gapped site."""
    lines = [
        f"# {'' if f'builder-{flavor}' in images.table else 'no '}Erlang/OTP {version} on {flavor}"
        for flavor, version in sorted(images.otp.items())
    ]
    lines += [f'{key} = "{reference}"' for key, reference in sorted(images.table.items())]
    unpinned = [key for key, reference in sorted(images.table.items()) if not is_pinned(reference)]
    if unpinned:
        lines.append(f"# not pinned by digest: {', '.join(unpinned)}")
    files = [f'{key} = "{value}"' for key, value in sorted(images.files.items())]
    return "\n".join(["[images]", *lines, "", "[files]", *files, ""])
