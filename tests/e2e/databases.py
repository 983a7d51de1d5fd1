"""Make small vulnerability databases, in the formats of Trivy and of Grype, of the advisories in tests/fixtures.

The scanners' own databases are some hundred megabytes from the internet and differ from day to day. These have a
handful of advisories, each with what a scanner's own database says of it, so that a scan finds the same every day:

    uv run python tests/e2e/databases.py --out DIR

gives `DIR/trivy` (a cache directory: `trivy --cache-dir DIR/trivy --skip-db-update`) and `DIR/grype`
(`GRYPE_DB_CACHE_DIR=DIR/grype GRYPE_DB_AUTO_UPDATE=false grype`). `DIR/eef` is what the module's `--eef-db` takes (see
facts.py).

An advisory is known to a scanner through the kinds of package that its real database covers: `debian` and `alpine`
(by source package) and `hex` to both; `cpe` (what the National Vulnerability Database has) to Grype alone; `otp` (an
application of Erlang/OTP) to Grype alone too, which looks these up among its Hex packages.
"""

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import facts
import xxhash

ADVISORIES = Path(__file__).resolve().parent.parent / "fixtures" / "advisories"


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Affected versions: from the first on, up to the fixed one without it."""

    introduced: str
    fixed: str
    #: Since when there is the fix; empty if that is not said.
    fixed_on: str = ""

    def constraint(self) -> str:
        """Return the range as both scanners write it."""
        lower = "" if self.introduced == "0" else f">={self.introduced},"
        return f"{lower}<{self.fixed}"


@dataclasses.dataclass(frozen=True, slots=True)
class Affected:
    """A package that an advisory is about; without ranges every version is affected and none is fixed."""

    kind: str
    name: str
    release: str
    severity: str
    ranges: tuple[Range, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Advisory:
    """One file of the advisories."""

    id: str
    aliases: tuple[str, ...]
    title: str
    severity: str
    published: str
    url: str
    affected: tuple[Affected, ...]
    #: Since when CISA's catalogue of known exploited vulnerabilities has it; empty if it has not.
    exploited: str = ""
    #: How likely it is exploited within 30 days, from 0 to 1.
    epss: float | None = None

    @property
    def cve(self) -> str:
        """Return the CVE, by which Trivy, Debian, Alpine and the National Vulnerability Database name it."""
        return self._first("CVE-")

    @property
    def ghsa(self) -> str:
        """Return GitHub's own name for it, by which Grype names what it knows from there."""
        return self._first("GHSA-")

    def _first(self, prefix: str) -> str:
        return next((name for name in (self.id, *self.aliases) if name.startswith(prefix)), self.id)


@dataclasses.dataclass(frozen=True, slots=True)
class Databases:
    """Where the databases are."""

    #: For `trivy --cache-dir`.
    trivy: Path
    #: For `GRYPE_DB_CACHE_DIR`.
    grype: Path
    #: For `--eef-db`.
    eef: Path

    @property
    def files(self) -> tuple[Path, Path]:
        """Return the files that hold the data, for tests that damage them."""
        return self.trivy / "db" / "trivy.db", self.grype / "6" / "vulnerability.db"


def make(folder: Path, built: dt.datetime, advisories: Iterable[Advisory] | None = None, ended: str = "") -> Databases:
    """Write both databases into a folder, as if they were built at that time.

    Parameters
    ----------
    folder
        Where.
    built
        When.
    advisories
        What they know, instead of all that there are.
    ended
        Since when Debian trixie gets no security fixes, if it gets none: Grype's database has that.
    """
    known = list(read(ADVISORIES) if advisories is None else advisories)
    eef = facts.write(folder / "eef", built, [advisory.cve for advisory in known])
    databases = Databases(folder / "trivy", folder / "grype", eef)
    write_trivy(databases.trivy / "db", known, built)
    write_grype(databases.grype / "6", known, built, ended)
    return databases


def spoil(database: Path) -> None:
    """Damage a database as a broken download does: the head is there, the rest is not."""
    database.write_bytes(database.read_bytes()[:64] + b"\xff" * 4096)


def read(folder: Path) -> list[Advisory]:
    """Read the advisories of a folder."""
    return [parse(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]


def parse(document: dict[str, Any]) -> Advisory:
    """Return an advisory from its JSON."""
    return Advisory(
        id=document["id"],
        aliases=tuple(document["aliases"]),
        title=document["title"],
        severity=document["severity"],
        published=document["published"],
        url=document["url"],
        affected=tuple(
            Affected(
                kind=entry["kind"],
                name=entry["name"],
                release=entry.get("release", ""),
                severity=entry.get("severity", document["severity"]),
                ranges=tuple(Range(**limits) for limits in entry.get("ranges", ())),
            )
            for entry in document["affected"]
        ),
        exploited=document.get("exploited", ""),
        epss=document.get("epss"),
    )


def of_ssh() -> Advisory:
    """Return a flaw of ssh, which is not in the image, as the National Vulnerability Database has it: of the whole."""
    return parse(
        {
            "id": "CVE-2026-48855",
            "aliases": [],
            "title": "of ssh",
            "severity": "CRITICAL",
            "published": "2026-06-01T00:00:00Z",
            "url": "https://cna.erlef.org/cves/CVE-2026-48855.html",
            "affected": [
                {"kind": "cpe", "name": "erlang:erlang/otp", "ranges": [{"introduced": "17.0", "fixed": "27.3.4.13"}]}
            ],
        }
    )


# Trivy: schema 2, a file of bbolt with nested buckets of JSON values


_TRIVY_SCHEMA = 2
_TRIVY_SEVERITY = {"UNKNOWN": 0, "NEGLIGIBLE": 1, "LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}
_TRIVY_SOURCES = {
    "debian": {
        "ID": "debian",
        "Name": "Debian Security Tracker",
        "URL": "https://salsa.debian.org/security-tracker-team/security-tracker",
    },
    "alpine": {"ID": "alpine", "Name": "Alpine Secdb", "URL": "https://secdb.alpinelinux.org/"},
    "hex": {
        "ID": "ghsa",
        "Name": "GitHub Security Advisory Erlang",
        "URL": "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Aerlang",
    },
}

#: A bucket of bbolt: values and further buckets by name.
Bucket: TypeAlias = dict[str, "bytes | Bucket"]


def write_trivy(folder: Path, advisories: list[Advisory], built: dt.datetime) -> None:
    """Write Trivy's database: `trivy.db` and `metadata.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trivy.db").write_bytes(bolt(trivy_buckets(advisories)))
    metadata = {
        "Version": _TRIVY_SCHEMA,
        "NextUpdate": timestamp(built + dt.timedelta(days=1)),
        "UpdatedAt": timestamp(built),
        "DownloadedAt": timestamp(built),
    }
    (folder / "metadata.json").write_bytes(encode(metadata))


def trivy_buckets(advisories: list[Advisory]) -> Bucket:
    """Return source -> package -> advisory, the advisories' details, and what the sources are."""
    sources: Bucket = {}
    details: Bucket = {}
    buckets: Bucket = {"data-source": sources, "vulnerability": details}
    for advisory, affected in trivy_pairs(advisories):
        source = _TRIVY_SOURCES[affected.kind]
        is_hex = affected.kind == "hex"
        name = f"erlang::{source['Name']}" if is_hex else f"{affected.kind} {affected.release}"
        sources[name] = encode(source)
        details[advisory.cve] = encode(trivy_detail(advisory))
        packages = nested(buckets, name)
        entry = trivy_hex(advisory, affected) if is_hex else trivy_os(advisory, affected)
        nested(packages, affected.name)[advisory.cve] = encode(entry)
    return buckets


def trivy_pairs(advisories: list[Advisory]) -> Iterator[tuple[Advisory, Affected]]:
    """Give what Trivy's database knows."""
    for advisory in advisories:
        for affected in advisory.affected:
            if affected.kind in _TRIVY_SOURCES:
                yield advisory, affected


def trivy_detail(advisory: Advisory) -> dict[str, Any]:
    """Return what Trivy shows of an advisory, with the severity that the advisory's own authors give."""
    return {
        "Title": advisory.title,
        "Severity": advisory.severity,
        "VendorSeverity": dict.fromkeys(("ghsa", "nvd"), _TRIVY_SEVERITY[advisory.severity]),
        "References": [advisory.url],
        "PublishedDate": advisory.published,
    }


def trivy_os(advisory: Advisory, affected: Affected) -> dict[str, Any]:
    """Return an entry of a distribution; its own severity wins if it gives one."""
    entry: dict[str, Any] = {}
    if affected.ranges:
        entry["FixedVersion"] = affected.ranges[-1].fixed
    if affected.severity != advisory.severity:
        entry["Severity"] = _TRIVY_SEVERITY[affected.severity]
    return entry


def trivy_hex(advisory: Advisory, affected: Affected) -> dict[str, Any]:
    """Return an entry of a Hex package, as GitHub's database gives it."""
    return {
        "VendorIDs": [advisory.ghsa],
        "PatchedVersions": [limits.fixed for limits in affected.ranges],
        "VulnerableVersions": [limits.constraint().replace(",", ", ") for limits in affected.ranges],
    }


def nested(bucket: Bucket, name: str) -> Bucket:
    """Return a bucket in a bucket, a new one if there is none."""
    found = bucket.setdefault(name, {})
    if isinstance(found, bytes):
        raise TypeError(f"{name} is a value, not a bucket")
    return found


# The file format of bbolt (go.etcd.io/bbolt, its page.go, bucket.go and meta.go). Each bucket is one leaf page here, as
# long as it needs to be, which bbolt reads as well as a tree of pages.

_PAGE = 4096
_HEADER = struct.Struct("<QHHI")  # page number, flags, elements, further pages
_ELEMENT = struct.Struct("<IIII")  # flags, where the key is (from here), length of key and of value
_BUCKET = struct.Struct("<QQ")  # first page, sequence number
_META = struct.Struct("<IIIIQQQQQ")  # magic, version, page size, flags, root bucket, free list, pages, transaction
_MAGIC = 0xED0CDAED
_BOLT_VERSION = 2
_IS_LEAF, _IS_META, _IS_FREE_LIST = 0x02, 0x04, 0x10
_IS_BUCKET = 0x01
#: Two copies of the meta page and the list of free pages (an empty one) come first.
_FIRST_LEAF = 3


def bolt(root: Bucket) -> bytes:
    """Return a bbolt file with these buckets."""
    leaves: list[bytes] = []
    first = add_leaf(leaves, root)
    size = _FIRST_LEAF + sum(map(len, leaves)) // _PAGE
    metas = [page(number, _IS_META, 0, meta(first, size, transaction=number)) for number in (0, 1)]
    return b"".join([*metas, page(2, _IS_FREE_LIST, 0, b""), *leaves])


def add_leaf(leaves: list[bytes], bucket: Bucket) -> int:
    """Add a bucket's leaf, after those of the buckets in it; return its page number."""
    elements = []
    for name, value in sorted(bucket.items(), key=lambda item: item[0].encode()):
        if isinstance(value, bytes):
            elements.append((0, name.encode(), value))
        else:
            elements.append((_IS_BUCKET, name.encode(), _BUCKET.pack(add_leaf(leaves, value), 0)))
    number = _FIRST_LEAF + sum(map(len, leaves)) // _PAGE
    leaves.append(page(number, _IS_LEAF, len(elements), leaf(elements)))
    return number


def leaf(elements: list[tuple[int, bytes, bytes]]) -> bytes:
    """Return the body of a leaf page: a table of the elements, then their keys and values."""
    table, content = b"", b""
    for index, (flags, key, value) in enumerate(elements):
        position = (len(elements) - index) * _ELEMENT.size + len(content)
        table += _ELEMENT.pack(flags, position, len(key), len(value))
        content += key + value
    return table + content


def meta(first: int, pages: int, transaction: int) -> bytes:
    """Return the body of a meta page."""
    body = _META.pack(_MAGIC, _BOLT_VERSION, _PAGE, 0, first, 0, 2, pages, transaction)
    return body + struct.pack("<Q", fnv(body))


def page(number: int, flags: int, count: int, body: bytes) -> bytes:
    """Return a page, filled up to whole pages."""
    length = _HEADER.size + len(body)
    further = max(0, -(-length // _PAGE) - 1)
    return (_HEADER.pack(number, flags, count, further) + body).ljust((further + 1) * _PAGE, b"\0")


def fnv(content: bytes) -> int:
    """Return the checksum FNV-1a in 64 bits."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


# Grype: schema 6.1, a file of SQLite


#: The tables and columns that Grype reads (github.com/anchore/grype grype/db/v6/models.go); no indexes, it is small.
_GRYPE_TABLES = """
CREATE TABLE blobs (id integer PRIMARY KEY, value text NOT NULL);
CREATE TABLE db_metadata (build_timestamp datetime NOT NULL, model integer, revision integer, addition integer);
CREATE TABLE providers (
  id text PRIMARY KEY, version text, processor text, date_captured datetime, input_digest text);
CREATE TABLE vulnerability_handles (
  id integer PRIMARY KEY, name text NOT NULL, status text NOT NULL, published_date datetime, modified_date datetime,
  withdrawn_date datetime, provider_id text NOT NULL REFERENCES providers(id), blob_id integer);
CREATE TABLE vulnerability_aliases (name text, alias text NOT NULL, PRIMARY KEY (name, alias));
CREATE TABLE operating_systems (
  id integer PRIMARY KEY, name text, release_id text, major_version text, minor_version text, label_version text,
  codename text, channel text, eol_date datetime, eoas_date datetime);
CREATE TABLE operating_system_specifier_overrides (
  alias text, version text, version_pattern text, codename text, channel text, replacement text,
  replacement_major_version text, replacement_minor_version text, replacement_label_version text,
  replacement_channel text, rolling numeric, applicable_client_db_schemas text);
CREATE TABLE packages (id integer PRIMARY KEY, ecosystem text, name text);
CREATE TABLE package_specifier_overrides (ecosystem text, replacement_ecosystem text);
CREATE TABLE architecture_aliases (alias text PRIMARY KEY, canonical text NOT NULL);
CREATE TABLE affected_package_handles (
  id integer PRIMARY KEY, vulnerability_id integer NOT NULL REFERENCES vulnerability_handles(id),
  operating_system_id integer REFERENCES operating_systems(id), package_id integer REFERENCES packages(id),
  blob_id integer);
CREATE TABLE unaffected_package_handles (
  id integer PRIMARY KEY, vulnerability_id integer NOT NULL, operating_system_id integer, package_id integer,
  blob_id integer);
CREATE TABLE cpes (
  id integer PRIMARY KEY, part text NOT NULL, vendor text, product text NOT NULL, edition text, language text,
  software_edition text, target_hardware text, target_software text, other text);
CREATE TABLE package_cpes (cpe_id integer, package_id integer, PRIMARY KEY (cpe_id, package_id));
CREATE TABLE affected_cpe_handles (
  id integer PRIMARY KEY, vulnerability_id integer NOT NULL REFERENCES vulnerability_handles(id),
  cpe_id integer REFERENCES cpes(id), blob_id integer);
CREATE TABLE unaffected_cpe_handles (
  id integer PRIMARY KEY, vulnerability_id integer NOT NULL, cpe_id integer, blob_id integer);
CREATE TABLE known_exploited_vulnerability_handles (id integer PRIMARY KEY, cve text NOT NULL, blob_id integer);
CREATE TABLE epss_handles (id integer PRIMARY KEY, cve text NOT NULL, epss real NOT NULL, percentile real NOT NULL);
CREATE TABLE epss_metadata (date datetime NOT NULL);
CREATE TABLE cwe_handles (id integer PRIMARY KEY, cve text NOT NULL, cwe text NOT NULL, source text, type text);
"""
_GRYPE_VERSION = (6, 1, 10)
#: Newer than any program that reads it: a program newer than this would want to add its own columns to the file.
_GRYPE_CLIENT = "v6.1.999"
#: The names of packages that Grype looks up under another one: `pkg:otp` is `erlang-otp` to it, and Hex.
_GRYPE_ECOSYSTEMS = (("erlang", "hex"), ("erlang-otp", "hex"), ("otp", "erlang-otp"), ("dpkg", "deb"), ("apkg", "apk"))
_GRYPE_PACKAGE_TYPES = {"debian": "deb", "alpine": "apk", "hex": "hex", "otp": "hex"}
_GRYPE_VERSION_TYPES = {"debian": "dpkg", "alpine": "apk", "hex": "hex", "otp": "", "cpe": ""}
_CODENAMES = {"12": "bookworm", "13": "trixie"}


def write_grype(folder: Path, advisories: list[Advisory], built: dt.datetime, ended: str = "") -> None:
    """Write Grype's database: `vulnerability.db` and `import.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "vulnerability.db"
    database.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(_GRYPE_TABLES)
        insert(connection, "db_metadata", timestamp(built), *_GRYPE_VERSION)
        for names in _GRYPE_ECOSYSTEMS:
            insert(connection, "package_specifier_overrides", *names)
        for advisory in advisories:
            for affected in advisory.affected:
                add_affected(connection, advisory, affected, built)
            add_threats(connection, advisory, built)
        insert(connection, "epss_metadata", timestamp(built))
        # For the end of a system Grype wants its exact version.
        for minor in range(50) if ended else ():
            insert(
                connection, "operating_systems",
                None, "debian", "debian", "13", str(minor), "", "trixie", "", f"{ended}T00:00:00Z", None,
            )  # fmt: skip
    imported = {
        "digest": f"xxh64:{xxhash.xxh64_hexdigest(database.read_bytes())}",
        "source": "tests/fixtures/advisories",
        "client_version": _GRYPE_CLIENT,
    }
    (folder / "import.json").write_bytes(encode(imported))


def add_affected(connection: sqlite3.Connection, advisory: Advisory, affected: Affected, built: dt.datetime) -> None:
    """Add what one provider of Grype's database says of one package."""
    provider = {"hex": "github", "otp": "github", "cpe": "nvd"}.get(affected.kind, affected.kind)
    once(connection, "providers", provider, "1", "tests", timestamp(built), "sha256:0")
    name = advisory.ghsa if provider == "github" else advisory.cve
    vulnerability = once(
        connection, "vulnerability_handles", name, "active", advisory.published, advisory.published, None, provider,
        add_blob(connection, grype_vulnerability(name, advisory, affected)),
    )  # fmt: skip
    blob = add_blob(connection, grype_package(advisory, affected))
    if affected.kind == "cpe":
        cpe = once(connection, "cpes", "a", *affected.name.split(":"), *[""] * 6)
        insert(connection, "affected_cpe_handles", None, vulnerability, cpe, blob)
    else:
        package = once(connection, "packages", _GRYPE_PACKAGE_TYPES[affected.kind], affected.name)
        system = add_system(connection, affected) if affected.release else None
        insert(connection, "affected_package_handles", None, vulnerability, system, package, blob)


def add_threats(connection: sqlite3.Connection, advisory: Advisory, built: dt.datetime) -> None:
    """Add whether a CVE is exploited, and how likely that is, which Grype's database has of any that NVD knows."""
    if not advisory.exploited and advisory.epss is None:
        return
    once(connection, "providers", "nvd", "1", "tests", timestamp(built), "sha256:0")
    told = add_blob(connection, {"id": advisory.cve, "description": advisory.title})
    days = (advisory.published, advisory.published, None)
    once(connection, "vulnerability_handles", advisory.cve, "active", *days, "nvd", told)
    if advisory.exploited:
        # Without a day until which it is to be mended, as each has in the catalogue, Grype's search crashes.
        day = f"{advisory.exploited}T00:00:00Z"
        entry = {"cve": advisory.cve, "date_added": day, "due_date": day, "known_ransomware_campaign_use": "Unknown"}
        insert(connection, "known_exploited_vulnerability_handles", None, advisory.cve, add_blob(connection, entry))
    if advisory.epss is not None:
        insert(connection, "epss_handles", None, advisory.cve, advisory.epss, 0.5)


def add_system(connection: sqlite3.Connection, affected: Affected) -> int:
    """Return the distribution's release, added if it is new."""
    major, _, minor = affected.release.partition(".")
    codename = _CODENAMES.get(affected.release, "")
    return once(
        connection, "operating_systems", affected.kind, affected.kind, major, minor, "", codename, "", None, None
    )


def grype_vulnerability(name: str, advisory: Advisory, affected: Affected) -> dict[str, Any]:
    """Return what Grype shows of an advisory."""
    return {
        "id": name,
        "description": advisory.title,
        "refs": [{"url": advisory.url}],
        "aliases": [] if name == advisory.cve else [advisory.cve],
        "severities": [{"scheme": "CHMLN", "value": affected.severity.lower(), "rank": 1}],
    }


def grype_package(advisory: Advisory, affected: Affected) -> dict[str, Any]:
    """Return which versions of a package are affected."""
    version = _GRYPE_VERSION_TYPES[affected.kind]
    ranges = [
        {
            "version": {"type": version, "constraint": limits.constraint()},
            "fix": {"version": limits.fixed, "state": "fixed"} | grype_fix(limits),
        }
        for limits in affected.ranges
    ]
    unfixed = [{"version": {"type": version, "constraint": ""}, "fix": {"state": "not-fixed"}}]
    return {"cves": [advisory.cve], "ranges": ranges or unfixed}


def grype_fix(limits: Range) -> dict[str, Any]:
    """Return since when there is a fix, as Grype's database says it."""
    available = {"date": limits.fixed_on, "kind": "first-observed"}
    return {"detail": {"available": available}} if limits.fixed_on else {}


def add_blob(connection: sqlite3.Connection, document: dict[str, Any]) -> int:
    """Add a document; return its number."""
    return insert(connection, "blobs", None, encode(document).decode())


def once(connection: sqlite3.Connection, table: str, *values: object) -> int:
    """Return the number of a row with these values, added if it is new; its `id` is a number unless it is given."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")][-len(values) :]
    # A document of its own does not make another row.
    same = [(column, value) for column, value in zip(columns, values, strict=True) if column != "blob_id"]
    wanted = " AND ".join(f"{column} IS ?" for column, _ in same)
    query = f"SELECT rowid FROM {table} WHERE {wanted}"  # noqa: S608 - the names are ours
    found = connection.execute(query, [value for _, value in same]).fetchone()
    if found:
        return int(found[0])
    numbered = [] if table == "providers" else [None]
    return insert(connection, table, *numbered, *values)


def insert(connection: sqlite3.Connection, table: str, *values: object) -> int:
    """Add a row; return its number."""
    marks = ", ".join("?" * len(values))
    row = connection.execute(f"INSERT INTO {table} VALUES ({marks})", values).lastrowid  # noqa: S608 - the names are ours
    return row or 0


def encode(document: object) -> bytes:
    """Return JSON that is the same each time."""
    return json.dumps(document, sort_keys=True).encode()


def timestamp(moment: dt.datetime) -> str:
    """Return a time as both databases write it."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    """Write both databases where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where to write them")
    parser.add_argument(
        "--built",
        type=dt.datetime.fromisoformat,
        default=dt.datetime.now(dt.UTC),
        metavar="TIME",
        help="when they were built, 2026-01-31T12:00:00Z (default: now)",
    )
    arguments = parser.parse_args()
    print(make(arguments.out, arguments.built))  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
