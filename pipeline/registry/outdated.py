"""What there is that is newer than the images in use, and what is known of their Erlang/OTP."""

import dataclasses
import json
from collections.abc import Iterable, Sequence

import dagger
from dagger import dag

from pipeline.errors import PipelineError, RegistryError, gathered
from pipeline.project.images import Images
from pipeline.registry.lines import Access, Tag, is_malicious, newer, place, reached
from pipeline.registry.reference import Reference
from pipeline.registry.tools import Tools, ask, refusal
from pipeline.sbom.purl import Purl
from pipeline.scan.vex import Statement, otp_document, read_vex
from pipeline.table import table

_UNKNOWN = "?"


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


@dataclasses.dataclass(frozen=True, slots=True)
class Advisory:
    """A published vulnerability of a version of Erlang/OTP."""

    name: str
    status: str
    applications: tuple[str, ...]
    #: The first version of the same major one that is fixed; empty if there is none.
    fixed: str


async def outdated(images: Images, access: Access, vex: Sequence[dagger.File]) -> str:
    """Return a report on the images in use: whether there are newer ones, and what their Erlang/OTP suffers from.

    Parameters
    ----------
    images
        In use.
    access
        How their registries are asked.
    vex
        OpenVEX documents of Erlang/OTP; its own are fetched, if there are none.
    """
    tools = await access.tools(images, images.table)
    rows = await gathered(*(_look(tools, key, reference) for key, reference in sorted(images.table.items())))
    versions = {row.otp: [other.key for other in rows if other.otp == row.otp] for row in rows if row.otp}
    given = [read_vex(await file.contents(), await file.name()) for file in vex]
    told = await gathered(*(_known(version, keys, given) for version, keys in sorted(versions.items())))
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
        return Row(key, reference, _UNKNOWN, "cannot be asked", error=str(error))
    used = image.tag or image.digest
    try:
        there = reached(image, service=bool(tools.service))
        otp = await otp_version(tools, there) if key.startswith("builder-") else ""
        if not image.tag:
            return Row(key, used, _UNKNOWN, "no tag beside the digest", otp)
        if is_malicious(key, image.tag):
            return Row(key, used, _UNKNOWN, "MALICIOUS: take another version", otp)
        found = newer(key, image.tag, await tags_of(tools, there))
        if found:
            return Row(key, used, found[0], "newer", otp)
        digest = await digest_of(tools, there)
        moved = "another digest now" if image.digest else "not pinned by digest"
        return Row(key, used, image.tag, "" if digest == image.digest else moved, otp)
    except RegistryError as error:
        return Row(key, used, _UNKNOWN, "cannot be asked", error=str(error))


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
        raise RegistryError(f"{image.repository} cannot be asked: {refusal(error)}") from None


async def otp_version(tools: Tools, image: Reference) -> str:
    """Return the version of Erlang/OTP in a builder, by what it says of itself, or else by its tag."""
    pinned = image.at(image.digest) if image.digest else str(image)
    config = json.loads(await asked(tools, ["config", "--platform=linux/amd64", pinned], image))
    env = dict(entry.split("=", 1) for entry in config.get("config", {}).get("Env") or () if "=" in entry)
    tag = Tag.parse(image.tag)
    return env.get("OTP_VERSION") or (tag.number if tag else "")


async def _known(version: str, keys: Sequence[str], given: Sequence[Sequence[Statement]]) -> str:
    """Return what is published on a version of Erlang/OTP."""
    about = f"Erlang/OTP {version} ({', '.join(keys)})"
    statements = [statement for document in given for statement in document]
    sources = list(dict.fromkeys(statement.file for statement in statements)) or ["what --vex gives"]
    if not given:
        url = otp_document(version)
        try:
            statements, sources = list(read_vex(await dag.http(url).contents(), url)), [url]
        except dagger.QueryError as error:
            reason = str(error).splitlines()[0]
            return f"{about}: not known, {url} cannot be fetched ({reason}); give it as a file with --vex\n"
    told = max((statement.time.date().isoformat() for statement in statements), default="")
    if not any(_names(statement, version) for statement in statements):
        # A document names every version that it was written for; this one came later, or is of another line.
        until = f", which ends with {told}," if told else ""
        return f"{about}: not known, no statement of {', '.join(sources)}{until} names this version\n"
    found = advisories(statements, version)
    number = f"{len(found)} published {'advisory' if len(found) == 1 else 'advisories'}"
    rows = [(each.name, ", ".join(each.applications), each.fixed, each.status) for each in found]
    listed = table(("advisory", "in", "fixed in", ""), rows) if rows else ""
    return f"{about}: {number}, by what Erlang/OTP said until {told}\n{listed}"


def advisories(statements: Iterable[Statement], version: str) -> list[Advisory]:
    """Return the vulnerabilities that a version of Erlang/OTP has, or may have, by its makers' word.

    Parameters
    ----------
    statements
        Of OpenVEX documents; of several on one vulnerability the last counts.
    version
        Such as `27.3.4.13`.
    """
    last: dict[str, Statement] = {}
    fixed: dict[str, set[str]] = {}
    for statement in sorted(statements, key=lambda each: each.time):
        for name in statement.names:
            if statement.status == "fixed":
                fixed.setdefault(name, set()).update(_erlangs(statement))
            if _names(statement, version):
                last[name] = statement
    major = version.partition(".")[0]
    return [
        Advisory(
            name,
            statement.status.replace("_", " "),
            tuple(dict.fromkeys(part.name for part in _parsed(statement) if part.type == "otp" and not part.is_erlang)),
            min((each for each in fixed.get(name, ()) if each.partition(".")[0] == major), key=_number, default=""),
        )
        for name, statement in sorted(last.items())
        if statement.status in ("affected", "under_investigation")
    ]


def _number(version: str) -> tuple[int, ...]:
    """Return a version of Erlang/OTP as numbers; what comes after them (`-rc1`) does not count."""
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdecimal())


def _erlangs(statement: Statement) -> list[str]:
    """Return the versions of Erlang/OTP as a whole that a statement is about; an empty one is any."""
    return [part.normal().version for part in _parsed(statement) if part.is_erlang]


def _names(statement: Statement, version: str) -> bool:
    return not {version, ""}.isdisjoint(_erlangs(statement))


def _parsed(statement: Statement) -> list[Purl]:
    return [part for product, _ in statement.products if (part := Purl.parse(product))]
