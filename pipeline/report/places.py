"""The lines of the project that add packages to the image, where a pull request shows findings."""

import dataclasses
import itertools
import re

import dagger

from pipeline.project.images import OWN, own_table
from pipeline.project.project import Project
from pipeline.project.source import path_of
from pipeline.sbom.component import Kind
from pipeline.scan.findings import Finding

#: The beginning of an entry of rebar.lock; those of its lists of checksums have no tuple in them.
_ENTRY = re.compile(r'\{\s*<<"(?P<name>[^"]+)">>\s*,\s*\{')
#: Of an image table: a reference, and the header of a section.
_REFERENCE = re.compile(r"""\s*[\w"'-]+\s*=\s*["']([^"']+)["']""")
_SECTION = re.compile(r"\s*\[([\w.-]+)\]")
_LOCK, _CONFIG = "rebar.lock", "rebar.config"


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A line of a file of the project; its path is from the project's root."""

    path: str
    line: int


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """The files that say what gets into the image, as texts; empty if there is none."""

    lock: str = ""
    config: str = ""
    #: Image tables that lie in the project, by path; what the first one has counts.
    tables: tuple[tuple[str, str], ...] = ()
    #: The references of the images in use.
    builder: str = ""
    runtime: str = ""
    #: The major version of Erlang/OTP that chose them; empty if nothing did.
    otp: str = ""

    def of(self, finding: Finding) -> Place:
        """Return the line that adds a finding's package, or else the line of the release.

        A package of Hex or git is in the lock. Erlang/OTP comes with the builder and the system's packages with the
        runtime, whose references are in the image table. A library that is the builder's is shown beside the runtime
        too: the two move together.
        """
        match finding.kind:
            case Kind.OTP:
                found = self._of_image(self.builder)
            case Kind.OS:
                found = self._of_image(self.runtime)
            case _:
                found = self._locked(finding) or self._configured(finding.package)
        return found or self._place_in_config(r"^\{\s*relx\b") or Place(_CONFIG, 1)

    def _of_image(self, reference: str) -> Place | None:
        """Return the line of a reference; one that several sections have is in that of the Erlang/OTP in use."""
        for path, text in self.tables if reference else ():
            section, lines = "", dict[str, int]()
            for number, line in enumerate(text.splitlines(), 1):
                header = _SECTION.match(line)
                section = header[1] if header else section
                if (entry := _REFERENCE.match(line)) and entry[1] == reference:
                    lines.setdefault(section, number)
            if lines:
                return Place(path, lines.get(f"otp.{self.otp}") or next(iter(lines.values())))
        return None

    def _locked(self, finding: Finding) -> Place | None:
        starts = list(_ENTRY.finditer(self.lock))
        for start, after in itertools.zip_longest(starts, starts[1:]):
            source = self.lock[start.end() : after.start() if after else None]
            named = (
                f'<<"{finding.package}">>' in source if finding.kind is Kind.HEX else start["name"] == finding.package
            )
            if named or (finding.kind is Kind.GIT and finding.version and finding.version in source):
                return Place(_LOCK, self.lock.count("\n", 0, start.start()) + 1)
        return None

    def _configured(self, name: str) -> Place | None:
        return self._place_in_config(rf"^[^%\n]*(?<![\w@]){re.escape(name)}(?![\w@])")

    def _place_in_config(self, pattern: str) -> Place | None:
        found = re.search(pattern, self.config, re.MULTILINE)
        return Place(_CONFIG, self.config.count("\n", 0, found.start()) + 1) if found else None


async def read_places(project: Project, source: dagger.Directory, table: dagger.File | None) -> Places:
    """Read them.

    Parameters
    ----------
    project
        What is built.
    source
        The project's root, with what `.dockerignore` excludes.
    table
        The image table that the user gave, if any: it counts if it lies in the project.
    """
    found = set(await source.glob("rebar.*"))
    texts = {name: await source.file(name).contents() for name in (_LOCK, _CONFIG) if name in found}
    tables = []
    if table:
        path = await path_of(table, source)
        if path:
            tables.append((path, await table.contents()))
    if await source.glob(OWN) and await source.file(OWN).contents() == own_table():
        tables.append((OWN, own_table()))
    return Places(
        texts.get(_LOCK, ""),
        # One that is given for a build is no file of the project.
        "" if project.rebar_config else texts.get(_CONFIG, ""),
        tuple(tables),
        project.builder,
        project.runtime,
        project.images.otp.get(project.flavor, ""),
    )
