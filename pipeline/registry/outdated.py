"""Report newer versions of the images in use, and the advisories on their Erlang/OTP."""

import dataclasses
import json
import re
from collections.abc import Sequence

import dagger

from pipeline.errors import InputError, PipelineError, RegistryError, gathered
from pipeline.project.images import Images
from pipeline.registry.lines import Access, Tag, is_malicious, newer, place, reached
from pipeline.registry.reference import Reference
from pipeline.registry.tools import Tools, ask, refusal
from pipeline.scan.databases import Databases
from pipeline.scan.eef import Records, known, published, warning
from pipeline.table import table

_UNKNOWN = "?"
_TAGGED = re.compile(r":([\w.-]+)(?:@|$)")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What is known of one image."""

    key: str
    used: str
    newest: str
    said: str = ""
    #: The version of Erlang/OTP in it; empty for another image, or if it is not known.
    otp: str = ""
    #: Why it is not known.
    error: str = ""


async def outdated(images: Images, access: Access, databases: Databases) -> str:
    """Return a report on the images in use: newer versions, and the advisories on their Erlang/OTP.

    Parameters
    ----------
    images
        In use.
    access
        How their registries are asked.
    databases
        Where the records on Erlang/OTP come from.
    """
    tools = await access.tools(images, images.table)
    rows = await gathered(*(_look(tools, key, reference) for key, reference in sorted(images.table.items())))
    versions = {row.otp: [other.key for other in rows if other.otp == row.otp] for row in rows if row.otp}
    records = await _records(databases)
    told = [_told(version, keys, records) for version, keys in sorted(versions.items())]
    errors = dict.fromkeys(row.error for row in rows if row.error)
    blocks = [
        table(("image", "in use", "newest", ""), [(row.key, row.used, row.newest, row.said) for row in rows]),
        *(["\n".join([*errors, ""])] if errors else []),
        *told,
    ]
    return "\n".join(blocks)


async def _look(tools: Tools, key: str, reference: str) -> Row:
    try:
        image = place(reference, key)
    except PipelineError as error:
        return Row(key, reference, _UNKNOWN, "not known", error=str(error))
    used = image.tag or image.digest
    try:
        there = reached(image, service=bool(tools.service))
        otp = await otp_version(tools, there) if key.startswith("builder-") else ""
        if not image.tag:
            return Row(key, used, _UNKNOWN, "has no tag", otp)
        if is_malicious(key, image.tag):
            return Row(key, used, _UNKNOWN, "MALICIOUS: use another version", otp)
        found = newer(key, image.tag, await tags_of(tools, there))
        if found:
            return Row(key, used, found[0], "newer", otp)
        digest = await digest_of(tools, there)
        moved = "new digest" if image.digest else "not pinned by digest"
        return Row(key, used, image.tag, "" if digest == image.digest else moved, otp)
    except RegistryError as error:
        return Row(key, used, _UNKNOWN, "not known", error=str(error))


async def tags_of(tools: Tools, image: Reference) -> list[str]:
    """Return the tags of an image's repository."""
    return (await asked(tools, ["ls", "--omit-digest-tags", image.repository], image)).split()


async def digest_of(tools: Tools, image: Reference) -> str:
    """Return the digest that a tag names now."""
    return (await asked(tools, ["digest", f"{image.repository}:{image.tag}"], image)).strip()


async def asked(tools: Tools, args: Sequence[str], image: Reference) -> str:
    """Ask the registry of an image."""
    try:
        return await ask(tools.crane(), args)
    except dagger.QueryError as error:
        raise RegistryError(f"cannot query {image.repository}: {refusal(error)}") from None


async def otp_version(tools: Tools, image: Reference) -> str:
    """Return the version of Erlang/OTP in a builder, by what it says of itself, or else by its tag."""
    pinned = image.at(image.digest) if image.digest else str(image)
    config = json.loads(await asked(tools, ["config", "--platform=linux/amd64", pinned], image))
    env = dict(entry.split("=", 1) for entry in config.get("config", {}).get("Env") or () if "=" in entry)
    tag = Tag.parse(image.tag)
    return env.get("OTP_VERSION") or (tag.number if tag else "")


async def _records(databases: Databases) -> Records | str:
    """Return every record that is published, or why they are not known."""
    try:
        return await known(databases)
    except InputError as error:
        return " ".join(str(error).split())


def _told(version: str, keys: Sequence[str], records: Records | str) -> str:
    """Return what is published on a version of Erlang/OTP."""
    images = ", ".join(keys)
    if isinstance(records, str):
        return f"Erlang/OTP {version} ({images}): its advisories are not known: {records}\n"
    try:
        text = warning(records, version) or f"Erlang/OTP {version} has no advisories"
        rows = [
            (
                record.id,
                ", ".join(dict.fromkeys(each.package.name for each in record.applications)),
                ", ".join(fix for each in record.whole for fix in each.fixed(version)),
                record.severity.name,
            )
            for record in published(records.known, version)
        ]
    except ValueError as error:
        return f"Erlang/OTP {version} ({images}): its advisories are not known: {error}\n"
    listed = table(("advisory", "in", "fixed in", "severity"), rows) if rows else ""
    source = f"records of {records.database.built:%Y-%m-%d} from {records.database.source}"
    return f"{text}\n({images}; {source})\n{listed}"


async def warnings(images: Images, databases: Databases) -> str:
    """Return the advisories on the Erlang/OTP of the builders in use, as comments for the table."""
    records = await _records(databases)
    lines = []
    for key, reference in sorted(images.table.items()):
        if not key.startswith("builder-"):
            continue
        # By its tag alone: no registry is asked.
        match = _TAGGED.search(reference)
        tag = Tag.parse(match[1]) if match else None
        if tag is None:
            lines.append(
                f"# {key}: the tag does not name the Erlang/OTP version; the function outdated reads the image"
            )
        elif isinstance(records, str):
            lines.append(f"# {key}: the advisories on Erlang/OTP {tag.number} are not known: {records}")
        elif text := warning(records, tag.number):
            lines.append(f"# WARNING: {key}: {text}")
    return "".join(f"{line}\n" for line in lines)
