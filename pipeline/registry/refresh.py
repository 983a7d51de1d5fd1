"""Update an image table to the newest image of each release line; a builder and its runtime change together."""

import dataclasses
import datetime as dt
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import dagger
from dagger import dag

from pipeline.errors import InputError, PipelineError, RegistryError, gathered, guard
from pipeline.project.images import OWN, Images, Table, parse_table
from pipeline.project.source import path_of
from pipeline.registry.lines import Access, Tag, newer, place, reached
from pipeline.registry.outdated import asked, digest_of, tags_of
from pipeline.registry.reference import Reference
from pipeline.registry.tools import Tools

#: What an image must be there for, unless the one in use is there for less.
_PLATFORMS = frozenset({"linux/amd64", "linux/arm64"})
#: How many of the newest of a line are looked at; the newest may lack a platform.
_TRIED = 5
_SECTION = re.compile(r"\s*\[\s*([\w.-]+)\s*\]")
_ENTRY = re.compile(r'(\s*([\w-]+)\s*=\s*)"[^"]*"(.*)', re.DOTALL)
_SOURCE = "# Source:"
_DEBIAN = re.compile(r"debian\.sh .*'([a-z]+)' '@(\d+)'")

#: A section of a table (`images`, `otp.29`), and a key in it.
_Key = tuple[str, str]


class _UnfitError(PipelineError):
    """An image that cannot take the place of another: that one stays, and the reason is told."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """An image that may take the place of another."""

    #: With tag and digest, as the table has it.
    image: Reference
    #: The first layer by platform: of which distribution it is, if another begins with the same.
    bases: dict[str, str]
    #: Its configuration for one of the platforms.
    config: dict[str, Any]


async def changes(
    images: Images, access: Access, source: dagger.Directory, given: dagger.File | None
) -> dagger.Changeset:
    """Return what is to change in an image table: the one given, or the module's own, if the source has it.

    Parameters
    ----------
    images
        In use; crane is one of them.
    access
        How the registries of the table are asked.
    source
        The user's project.
    given
        The table of the user.

    Raises
    ------
    InputError
        If the table is none, or is not written line by line.
    RegistryError
        If a registry cannot be asked: nothing is known then, and nothing changes.
    """
    path, text = await _table(source, given)
    before = dag.directory()
    if not path:
        # This goes to the log of the run.
        sys.stderr.write(f"nothing to update: the project has no {OWN}, and --images is not given\n")
        return before.changes(before)
    every = {" ".join(key): reference for key, reference in _flat(parse_table(text, path)).items()}
    tools = await access.tools(images, every)
    after, notes = await refreshed(tools, text, path, dt.datetime.now(dt.UTC).date())
    sys.stderr.writelines(f"{note}\n" for note in notes)
    before = before.with_new_file(path, text)
    return before.with_new_file(path, after).changes(before)


async def _table(source: dagger.Directory, given: dagger.File | None) -> tuple[str, str]:
    if given:
        return await path_of(given, source) or await given.name(), await given.contents()
    if await source.glob(OWN):
        return OWN, await source.file(OWN).contents()
    return "", ""


async def refreshed(tools: Tools, text: str, name: str, today: dt.date) -> tuple[str, list[str]]:
    """Return the text of a table with the newest images, and what stays though there may be a newer one, and why."""
    steps = []
    for section, entries in _sections(parse_table(text, name)).items():
        paired = {key for key in entries if key.startswith(("builder-", "runtime-"))}
        steps += [_pair(tools, section, entries, flavor) for flavor in sorted({key.split("-")[1] for key in paired})]
        steps += [_single(tools, section, key, entries[key]) for key in entries if key not in paired]
    moves: dict[_Key, Reference] = {}
    notes: list[str] = []
    for moved, stays in await gathered(*steps):
        moves |= moved
        notes += stays
    return rewritten(text, name, moves, today), notes


async def _single(tools: Tools, section: str, key: str, reference: str) -> tuple[dict[_Key, Reference], list[str]]:
    try:
        found, notes = await _newest(tools, key, place(reference, key))
    except _UnfitError as error:
        return {}, [f"{key} is not updated: {error}"]
    return ({(section, key): found.image} if found else {}), [f"{key}: {note}" for note in notes]


async def _pair(
    tools: Tools, section: str, entries: Mapping[str, str], flavor: str
) -> tuple[dict[_Key, Reference], list[str]]:
    """Move builders and runtime of a flavor: a runtime moves with its builder alone."""
    builder, full, runtime = (f"builder-{flavor}", f"builder-{flavor}-full", f"runtime-{flavor}")
    used = {key: place(entries[key], key) for key in (builder, full, runtime) if key in entries}
    if not {builder, runtime} <= set(used):
        return {}, [
            f"[{section}] {', '.join(used)} is not updated: its builder or runtime is missing; update it by hand"
        ]
    try:
        found, notes = await _newest(tools, builder, used[builder])
        notes = [f"[{section}] {builder}: {note}" for note in notes]
        if not found:
            return {}, notes
        moved = {builder: found, runtime: await _runtime(tools, used[runtime], found)}
        if full in used:
            moved[full] = await _full(tools, used[full], found)
    except _UnfitError as error:
        return {}, [f"[{section}] {', '.join(used)} are not updated: {error}"]
    return {(section, key): each.image for key, each in moved.items() if each.image != used[key]}, notes


async def _newest(tools: Tools, key: str, image: Reference) -> tuple[Found | None, list[str]]:
    """Return the newest image of a line, and why newer ones are none; nothing, if that is the one in use."""
    if not image.tag:
        raise _UnfitError(f"{image} has no tag, so its release line is not known")
    there = reached(image, service=bool(tools.service))
    wanted = await _wanted(tools, image)
    notes: list[str] = []
    for tag in [*newer(key, image.tag, await tags_of(tools, there))[:_TRIED], image.tag]:
        digest = await digest_of(tools, dataclasses.replace(there, tag=tag))
        if (tag, digest) == (image.tag, image.digest):
            return None, notes
        try:
            return await _find(tools, dataclasses.replace(image, tag=tag, digest=digest), wanted), notes
        except _UnfitError as error:
            notes.append(str(error))
    return None, notes


async def _wanted(tools: Tools, image: Reference) -> frozenset[str]:
    """Return the platforms that an image in the place of this one must be there for."""
    if not image.digest:
        return _PLATFORMS
    try:
        return frozenset(await _manifests(tools, image)) & _PLATFORMS or _PLATFORMS
    except RegistryError:
        # A registry need not keep what no tag names any more.
        return _PLATFORMS


async def _find(tools: Tools, image: Reference, wanted: frozenset[str]) -> Found:
    manifests = await _manifests(tools, image)
    if missing := wanted - set(manifests):
        raise _UnfitError(f"{image.repository}:{image.tag} is not available for {', '.join(sorted(missing))}")
    there = reached(image, service=bool(tools.service))
    bases = {}
    for platform in sorted(wanted):
        manifest = json.loads(await asked(tools, ["manifest", there.at(manifests[platform])], there))
        bases[platform] = manifest["layers"][0]["digest"] if manifest.get("layers") else ""
    config = json.loads(await asked(tools, ["config", there.at(manifests[min(wanted)])], there))
    return Found(image, bases, config)


async def _manifests(tools: Tools, image: Reference) -> dict[str, str]:
    """Return the digests of an image by platform."""
    there = reached(image, service=bool(tools.service))
    manifest = json.loads(await asked(tools, ["manifest", there.at(image.digest)], there))
    if "manifests" in manifest:
        return {
            f"{entry['platform']['os']}/{entry['platform']['architecture']}": entry["digest"]
            for entry in manifest["manifests"]
            if "platform" in entry
        }
    config = json.loads(await asked(tools, ["config", there.at(image.digest)], there))
    return {f"{config['os']}/{config['architecture']}": image.digest}


async def _runtime(tools: Tools, image: Reference, builder: Found) -> Found:
    """Return the runtime that is of the distribution of a builder."""
    there = reached(image, service=bool(tools.service))
    release = await _release(builder.image, min(builder.bases))
    tags = await tags_of(tools, there)
    for tag in runtime_tags(image.tag, tags, release, _built_on(builder.config)):
        digest = await digest_of(tools, dataclasses.replace(there, tag=tag))
        found = await _find(tools, dataclasses.replace(image, tag=tag, digest=digest), frozenset(builder.bases))
        if await _agree(builder, found):
            return found
    raise _UnfitError(
        f"{image.repository} has no image of {release.get('ID', '?')} {release.get('VERSION_ID', '?')} for "
        f"{', '.join(builder.bases)}, the distribution of {builder.image.repository}:{builder.image.tag}"
    )


def runtime_tags(tag: str, tags: Sequence[str], release: Mapping[str, str], built_on: str) -> list[str]:
    """Return the tags of a runtime that may be of the same distribution as a builder, the likeliest first.

    Parameters
    ----------
    tag
        In use.
    tags
        Those of the repository.
    release
        The builder's `/etc/os-release`.
    built_on
        The tag of the Debian that the builder was made on, without its ending, such as `trixie-20260918`; or empty.
    """
    own = Tag.parse(tag)
    if not own:
        return [tag]
    likely = [f"{release.get('VERSION_ID', '')}{own.suffix}"]
    if own.prefix:
        prefix = f"{release.get('VERSION_CODENAME', '')}-"
        dated = [other for other in map(Tag.parse, tags) if other]
        dated = [other for other in dated if (other.prefix, other.suffix) == (prefix, own.suffix)]
        newest = sorted(dated, key=lambda other: other.version, reverse=True)[:1]
        likely = [f"{built_on}{own.suffix}", *map(str, newest)]
    return [each for each in dict.fromkeys([*likely, tag]) if each in tags]


async def _full(tools: Tools, image: Reference, builder: Found) -> Found:
    """Return the full image of the Erlang/OTP of a builder."""
    there = reached(image, service=bool(tools.service))
    of_builder, own = Tag.parse(builder.image.tag), Tag.parse(image.tag)
    tag = str(dataclasses.replace(own, version=of_builder.version)) if own and of_builder else image.tag
    if tag not in await tags_of(tools, there):
        raise _UnfitError(f"{image.repository} has no {tag}")
    digest = await digest_of(tools, dataclasses.replace(there, tag=tag))
    found = await _find(tools, dataclasses.replace(image, tag=tag, digest=digest), frozenset(builder.bases))
    if _otp(found.config) != _otp(builder.config):
        raise _UnfitError(f"{image.repository}:{tag} has another Erlang/OTP than {builder.image.tag}")
    if not await _agree(builder, found):
        raise _UnfitError(f"{image.repository}:{tag} has another distribution than {builder.image.tag}")
    return found


async def _agree(one: Found, other: Found) -> bool:
    """Tell whether two images are of one release of one distribution, on each platform."""
    for platform, base in one.bases.items():
        if base and base == other.bases.get(platform):
            continue
        if await _release(one.image, platform) != await _release(other.image, platform):
            return False
    return True


async def _release(image: Reference, platform: str) -> dict[str, str]:
    """Return `/etc/os-release` of an image."""
    container = dag.container(platform=dagger.Platform(platform)).from_(image.at(image.digest))
    text = await guard(container.file("/etc/os-release").contents(), f"{image}: reading /etc/os-release")
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key: value.strip("'\"") for key, value in fields.items()}


def _built_on(config: Mapping[str, Any]) -> str:
    """Return the tag of the Debian image that an image was made on, as its history has it."""
    for step in config.get("history") or []:
        if match := _DEBIAN.search(str(step.get("created_by", ""))):
            return f"{match[1]}-{dt.datetime.fromtimestamp(int(match[2]), dt.UTC):%Y%m%d}"
    return ""


def _otp(config: Mapping[str, Any]) -> str:
    env: list[str] = (config.get("config") or {}).get("Env") or []
    return next((entry for entry in env if entry.startswith("OTP_VERSION=")), "")


def rewritten(text: str, name: str, moves: Mapping[_Key, Reference], today: dt.date) -> str:
    """Return the text of a table with other images; of a comment above one, what follows `# Source:` is replaced.

    Raises
    ------
    InputError
        If the table is not written line by line.
    """
    section, left = "", dict(moves)
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if match := _SECTION.match(line):
            section = match[1]
        if (match := _ENTRY.fullmatch(line)) and (image := left.pop((section, match[2]), None)):
            _drop_source(lines)
            lines.append(f"{_SOURCE} crane digest {image.repository}:{image.tag}, {today}\n")
            lines.append(f'{match[1]}"{image}"{match[3]}')
        else:
            lines.append(line)
    new = "".join(lines)
    if left or not _as_meant(parse_table(text, name), parse_table(new, name), moves):
        raise InputError(f'{name}: this table cannot be updated: write each image on a line of its own, as key = "…"')
    return new


def _drop_source(lines: list[str]) -> None:
    """Drop what the comment right above says of a digest."""
    above = len(lines)
    while above and lines[above - 1].startswith("#"):
        above -= 1
    for index in range(above, len(lines)):
        if lines[index].startswith(_SOURCE):
            del lines[index:]
            return


def _as_meant(before: Table, after: Table, moves: Mapping[_Key, Reference]) -> bool:
    return _flat(after) == {**_flat(before), **{key: str(image) for key, image in moves.items()}}


def _sections(table: Table) -> dict[str, dict[str, str]]:
    return {"images": table.images, **{f"otp.{version}": entries for version, entries in table.otp.items()}}


def _flat(table: Table) -> dict[_Key, str]:
    return {(section, key): value for section, entries in _sections(table).items() for key, value in entries.items()}
