"""Vulnerability databases: where they come from, and how old they may be."""

import dataclasses
import datetime as dt
import json
import posixpath
import re
import zipfile
from typing import Any, Self

import anyio
import dagger
from dagger import dag

from pipeline.errors import InputError, gathered, last_words
from pipeline.handover import working_folder
from pipeline.project.images import Images
from pipeline.table import count

#: The age at which Grype refuses its own database.
MAX_AGE = dt.timedelta(days=5)
#: How far a clock may be behind that of whoever built a database; no age can be told of one that is further ahead.
AHEAD = dt.timedelta(days=1)
#: Where Trivy and Grype look for their own, when nothing else is said.
TRIVY_SOURCE = "mirror.gcr.io/aquasec/trivy-db"
GRYPE_SOURCE = "https://grype.anchore.io/databases"
#: Where the Erlang Ecosystem Foundation publishes CVE records (`index.json` names them), and OSV those on Hex.
EEF_SOURCE = "https://cna.erlef.org/cves"
OSV_SOURCE = "https://osv-vulnerabilities.storage.googleapis.com/Hex/all.zip"
#: The file that holds both.
EEF_FILE = "eef.json"
TRIVY_CACHE, GRYPE_CACHE = "/scan/trivy", "/scan/grype"
TRIVY_FILE, GRYPE_FILE = "trivy.db", "vulnerability.db"
#: Files that are fetched at the same time.
_AT_ONCE = 16
_CVE = re.compile(r"CVE-\d{4}-\d+")


@dataclasses.dataclass(frozen=True, slots=True)
class Database:
    """A vulnerability database."""

    scanner: str
    built: dt.datetime
    source: str = ""
    #: Of its file, as the engine gives it: the SHA-256 of the 32 bytes of its SHA-256; of `eef`, of the records.
    digest: str = ""

    @classmethod
    def from_trivy(cls, metadata: str, source: str = "") -> Self:
        """Read the `metadata.json` of Trivy's database.

        Raises
        ------
        InputError
            If it is not such a file.
        """
        try:
            return cls("trivy", time_of(json.loads(metadata)["UpdatedAt"]), source)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{source or 'trivy database'}: its metadata.json has no build date ({reason_of(error)}); "
                "give the cache directory that `trivy image --download-db-only` wrote"
            ) from None


def wrong_age(database: Database, now: dt.datetime, limit: dt.timedelta | None = MAX_AGE) -> str:
    """Return a message if a database is older than the limit, or from the future; otherwise an empty text."""
    age = now - database.built
    source = f" ({database.source})" if database.source else ""
    built = f"{database.scanner}'s database{source} was built on {database.built:%Y-%m-%d}"
    if age < -AHEAD:
        return (
            f"DATABASE FROM THE FUTURE: {built}, {count((-age).days, 'day')} ahead of this engine's clock: "
            "correct the clock, or use another database"
        )
    if limit is None or age <= limit:
        return ""
    return (
        f"DATABASE TOO OLD: {built}, {count(age.days, 'day')} ago, but at most {count(limit.days, 'day')} are allowed: "
        "use a newer one, or allow it with --accept-old-db"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Databases:
    """The sources of the vulnerability databases."""

    #: On which they are fetched: a new day is a new fetch.
    date: str
    #: Directories with a database, instead of a fetch.
    trivy: dagger.Directory | None = None
    grype: dagger.Directory | None = None
    eef: dagger.Directory | None = None
    #: An OCI repository, and a URL, instead of the makers' own.
    trivy_repository: str = ""
    grype_url: str = ""


async def checked(databases: Databases) -> Databases:
    """Return them with the given directories in the form that the scanners read.

    Raises
    ------
    InputError
        If one holds no database, or several.
    """
    trivy, grype = databases.trivy, databases.grype
    if trivy:
        path = await _only("--trivy-db", trivy, TRIVY_FILE, "trivy image --download-db-only --cache-dir DIR")
        # Either the cache directory, which holds it as `db`, or that one itself.
        trivy = trivy.directory(posixpath.dirname(path) or ".")
    if grype:
        command = "GRYPE_DB_CACHE_DIR=DIR grype db update"
        path = await _only("--grype-db", grype, GRYPE_FILE, command)
        # Grype wants the folder above it, whose name is the schema's.
        folder, _, schema = posixpath.dirname(path).rpartition("/")
        if not schema:
            raise InputError(
                f"--grype-db: this directory is inside Grype's cache; give the DIR above it that `{command}` filled"
            )
        grype = grype.directory(folder or ".")
    if databases.eef:
        await _records_in(databases.eef)
    return dataclasses.replace(databases, trivy=trivy, grype=grype)


async def _only(option: str, directory: dagger.Directory, file: str, command: str) -> str:
    found = await directory.glob(f"**/{file}")
    if not found:
        raise InputError(f"{option}: this directory has no {file}; give the DIR that `{command}` filled")
    if len(found) > 1:
        raise InputError(
            f"{option}: this directory has {len(found)} databases ({', '.join(sorted(found))}); give one with only one"
        )
    return found[0]


async def _records_in(directory: dagger.Directory) -> dagger.File:
    return directory.file(await _only("--eef-db", directory, EEF_FILE, "dagger call advisories export --path=DIR"))


async def digest_of(database: dagger.Directory, file: str) -> str:
    """Return the digest of the content of a database's file."""
    paths = await database.glob(f"**/{file}")
    if len(paths) != 1:
        raise InputError(f"its database has {count(len(paths), 'file')} {file}; expected one")
    return await database.file(paths[0]).digest(exclude_metadata=True)


async def fetched(database: dagger.Directory) -> dagger.Directory:
    """Wait for a database, so that a failed download does not look like a failed scan."""
    try:
        return await database.sync()
    except dagger.QueryError as error:
        raise InputError(f"its database could not be downloaded: {last_words(error)}") from None


def trivy_database(images: Images, databases: Databases) -> dagger.Directory:
    """Return the directory with `trivy.db` and `metadata.json`."""
    if databases.trivy:
        return databases.trivy
    repository = ["--db-repository", databases.trivy_repository] if databases.trivy_repository else []
    return (
        dag.container()
        .from_(images["trivy"])
        .with_env_variable("DB_DATE", databases.date)
        .with_exec(
            ["image", "--download-db-only", "--no-progress", "--cache-dir", TRIVY_CACHE, *repository],
            use_entrypoint=True,
        )
        .directory(f"{TRIVY_CACHE}/db")
    )


def grype_database(images: Images, databases: Databases) -> dagger.Directory:
    """Return Grype's cache directory with its database."""
    if databases.grype:
        return databases.grype
    container = grype_settings(dag.container().from_(images["grype"])).with_env_variable("DB_DATE", databases.date)
    if databases.grype_url:
        container = container.with_env_variable("GRYPE_DB_UPDATE_URL", databases.grype_url)
    return container.with_exec(["db", "update"], use_entrypoint=True).directory(GRYPE_CACHE)


def grype_settings(container: dagger.Container) -> dagger.Container:
    """Return a container of Grype with a fixed place for its database and without the check for updates."""
    return container.with_env_variable("GRYPE_CHECK_FOR_APP_UPDATE", "false").with_env_variable(
        "GRYPE_DB_CACHE_DIR", GRYPE_CACHE
    )


async def eef_database(databases: Databases) -> str:
    """Return the records of the Erlang Ecosystem Foundation and of OSV as JSON: the given ones, or those of today."""
    if databases.eef:
        return await (await _records_in(databases.eef)).contents()
    try:
        return await _fetched_records()
    except dagger.QueryError as error:
        said = last_words(error)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        said = f"an answer has the wrong form ({reason_of(error)})"
    raise InputError(f"its database could not be downloaded: {said}; give one with --eef-db")


async def _fetched_records() -> str:
    # No step that is kept for a day: the engine asks whether a file is another one, as it does for all that it fetches.
    limit = anyio.Semaphore(_AT_ONCE)

    async def record(name: str) -> Any:  # noqa: ANN401 # JSON
        if not _CVE.fullmatch(name):
            raise ValueError(f"{name} is not a CVE")
        async with limit:
            return json.loads(await dag.http(f"{EEF_SOURCE}/{name}.json").contents())

    names = [each["id"] for each in json.loads(await dag.http(f"{EEF_SOURCE}/index.json").contents())]
    archive = working_folder() / "all.zip"
    _, *cves = await gathered(dag.http(OSV_SOURCE).export(str(archive)), *map(record, names))
    with zipfile.ZipFile(archive) as files:
        osv = [json.loads(files.read(name)) for name in sorted(files.namelist()) if name.endswith(".json")]
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return json.dumps({"fetched": now, "cves": cves, "osv": osv})


def time_of(text: str) -> dt.datetime:
    """Return a time of ISO 8601, in UTC if it has no zone."""
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def reason_of(error: Exception) -> str:
    """Return why a report cannot be read."""
    return f"no {error}" if isinstance(error, KeyError) else str(error)
