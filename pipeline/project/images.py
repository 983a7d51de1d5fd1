"""The one table of image references."""

import dataclasses
import re
from importlib import resources

from pipeline.errors import InputError, parse_toml

#: `name[:tag][@sha256:…]` of the distribution specification, loosely: the engine checks the rest.
_REFERENCE = re.compile(r"^[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?$", re.IGNORECASE)


#: A file of the table: its URL, and what its content must be.
_FILE = re.compile(r"(https?://[^\s#]+)#sha256=([0-9a-f]{64})")


@dataclasses.dataclass(frozen=True, slots=True)
class Download:
    """A file that is fetched."""

    url: str
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class Images:
    """The image references in use, by key (`builder-alpine`, `runtime-alpine`, …), and the files that are fetched."""

    table: dict[str, str]
    #: By key (`init-amd64`, `certificates`, …), as `URL#sha256=…`.
    files: dict[str, str] = dataclasses.field(default_factory=dict)

    def __getitem__(self, key: str) -> str:
        """Return the reference for a key, or say how to give one."""
        try:
            return self.table[key]
        except KeyError:
            msg = f'no image "{key}"; give one as `{key} = "…"` under [images] in a file for --images'
            raise InputError(msg) from None

    def file(self, key: str) -> Download:
        """Return the file for a key, or say how to give one."""
        if key not in self.files:
            argument = f"--{key.partition('-')[0]}"
            raise InputError(
                f'no file "{key}"; give it with {argument}, or as `{key} = "https://…#sha256=…"` under [files] in a '
                "file for --images"
            )
        return parse_file(self.files[key], key)

    def override(self, other: dict[str, str], files: dict[str, str] | None = None) -> "Images":
        """Return a table in which what is given replaces entries of the same key."""
        return Images({**self.table, **other}, {**self.files, **(files or {})})


def default_images() -> Images:
    """Return the table that comes with the module (`pipeline/images.toml`), pinned by digest."""
    text = resources.files("pipeline").joinpath("images.toml").read_text(encoding="utf-8")
    name = "pipeline/images.toml"
    return Images(parse_images(text, name), parse_files(text, name))


def images_in_use(table: str, overrides: dict[str, str]) -> Images:
    """Return the module's table with what the user replaces.

    Parameters
    ----------
    table
        Text of `--images`; empty if it is not given.
    overrides
        References by key that were given by an argument of their own, whose name is `--KIND-image`.
    """
    images = default_images()
    if table:
        images = images.override(parse_images(table, "--images"), parse_files(table, "--images"))
    return images.override(
        {
            key: check_reference(reference, f"--{key.partition('-')[0]}-image")
            for key, reference in overrides.items()
            if reference
        }
    )


def parse_images(text: str, name: str) -> dict[str, str]:
    """Read an image table.

    Parameters
    ----------
    text
        TOML with a table `[images]` of `key = "reference"`; one of `[files]` alone has no images.
    name
        Whose text it is, for the message.

    Raises
    ------
    InputError
        If it is no TOML, has no `[images]`, or a value is no image reference.
    """
    table = parse_toml(text, name)
    images = table.get("images", {} if "files" in table else None)
    if not isinstance(images, dict):
        raise InputError(f'{name}: no table [images]; it holds lines such as builder-alpine = "erlang:…@sha256:…"')
    for key, reference in images.items():
        check_reference(reference, f"{name}: {key}")
    return images


def parse_files(text: str, name: str) -> dict[str, str]:
    """Read the files of an image table: `[files]` of `key = "URL#sha256=…"`, which may be missing.

    Raises
    ------
    InputError
        If a value is none of that form.
    """
    files = parse_toml(text, name).get("files", {})
    if not isinstance(files, dict):
        raise InputError(f'{name}: [files] is no table; it holds lines such as init-amd64 = "https://…#sha256=…"')
    for key, value in files.items():
        parse_file(value, f"{name}: {key}")
    return files


def parse_file(value: object, name: str) -> Download:
    """Return a file's URL and checksum, or raise `InputError` if the value has not that form."""
    match = _FILE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise InputError(f"{name}: {value!r} is no file; expected https://…#sha256= and 64 hexadecimal digits")
    return Download(match[1], match[2])


def check_reference(reference: object, name: str) -> str:
    """Return the reference, or raise `InputError` if it cannot be one."""
    if not isinstance(reference, str) or not _REFERENCE.match(reference):
        raise InputError(f"{name}: {reference!r} is no image reference; expected name:tag@sha256:…")
    return reference


def is_pinned(reference: str) -> bool:
    """Tell whether a reference names one content: has a digest."""
    return "@sha256:" in reference


def render_images(images: Images) -> str:
    """Return the table as TOML: what `--images` reads, and the mirror list of an air-gapped site."""
    lines = [f'{key} = "{reference}"' for key, reference in sorted(images.table.items())]
    unpinned = [key for key, reference in sorted(images.table.items()) if not is_pinned(reference)]
    if unpinned:
        lines.append(f"# not pinned by digest: {', '.join(unpinned)}")
    files = [f'{key} = "{value}"' for key, value in sorted(images.files.items())]
    return "\n".join(["[images]", *lines, "", "[files]", *files, ""])
