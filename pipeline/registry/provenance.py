"""Where an image comes from, as a SLSA v1 provenance predicate (slsa.dev/spec/v1.2/build-provenance)."""

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

import dagger
from dagger import dag

from pipeline.errors import InputError
from pipeline.project.images import is_pinned
from pipeline.project.project import Project

#: What kind of build it is: which names `externalParameters` and `internalParameters` have.
BUILD_TYPE = "https://github.com/banyan-platform/erlmcp/pipeline/build/v1"
#: Loosely RFC 3986: a scheme, and nothing that cannot stand in one.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
#: The builder of an image if nobody said who ran it: nothing can be concluded from it.
UNNAMED_BUILDER = "https://github.com/banyan-platform/erlmcp/pipeline/unnamed-builder"


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Who runs a build: URI of a workflow or a runner, and URI or id of this run; empty if nobody said it."""

    builder: str = ""
    invocation: str = ""

    def __post_init__(self) -> None:
        """Raise `InputError` if the builder is no URI."""
        if self.builder and not _URI.fullmatch(self.builder):
            raise InputError(f"--builder-id {self.builder}: give a URI, such as the URL of the workflow")


@dataclasses.dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of a build."""

    #: The project's repository; empty if it names none.
    source: str
    #: Git commit; empty if it was not given.
    revision: str
    #: Digest of the source as the pipeline saw it, `algorithm:hex`.
    content: str
    #: What the user chose, by argument.
    parameters: Mapping[str, Any]
    #: Images that became part of the result or built it, by key of the table: references with digest.
    images: Mapping[str, str]
    #: Images that looked at it, signed it or sent it.
    tools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origin: Origin = Origin()
    #: Versions of what ran it, by name.
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: When the run began and when the image was there, in RFC 3339.
    started: str = ""
    finished: str = ""

    def predicate(self) -> str:
        """Return the predicate, as JSON; the same for the same build, but for its times."""
        metadata = {
            "invocationId": self.origin.invocation,
            "startedOn": self.started,
            "finishedOn": self.finished,
        }
        document = {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(self.parameters),
                "resolvedDependencies": [self._source(), *map(_image, self.images.items())],
            },
            "runDetails": {
                "builder": {
                    "id": self.origin.builder or UNNAMED_BUILDER,
                    "version": dict(self.versions),
                    "builderDependencies": [_image(item) for item in self.tools.items()],
                },
                "metadata": {key: value for key, value in metadata.items() if value},
            },
        }
        return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"

    def _source(self) -> dict[str, Any]:
        uri = f"git+{self.source}" if self.source else ""
        digest = {"gitCommit": self.revision} if self.revision else {}
        return {
            "name": "source",
            **({"uri": f"{uri}@{self.revision}" if self.revision else uri} if uri else {}),
            **({"digest": digest} if digest else {}),
            # No standard name of a digest fits the engine's: it is over files and their modes, without their times.
            "annotations": {"content": self.content},
        }


def _image(item: tuple[str, str]) -> dict[str, Any]:
    key, reference = item
    _, _, digest = reference.partition("@")
    algorithm, _, value = digest.partition(":")
    return {"name": key, "uri": f"docker://{reference}", **({"digest": {algorithm: value}} if value else {})}


def source_of(predicate: Mapping[str, Any]) -> str:
    """Return the source revision that a predicate names, for people."""
    for dependency in predicate.get("buildDefinition", {}).get("resolvedDependencies", []):
        if dependency.get("name") == "source":
            return str(dependency.get("uri") or dependency.get("digest", {}).get("gitCommit") or "not stated")
    return "not stated"


def builder_of(predicate: Mapping[str, Any]) -> str:
    """Return who built it; empty if nobody said it."""
    builder = str(predicate.get("runDetails", {}).get("builder", {}).get("id", ""))
    return "" if builder == UNNAMED_BUILDER else builder


def lasting(predicate: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a predicate without the run and its times: two that differ in these alone made the same of the same."""
    details = predicate.get("runDetails", {})
    kept = {key: value for key, value in details.items() if key != "metadata"}
    return {**predicate, "runDetails": kept} if details else predicate


async def provenance_of(
    project: Project, origin: Origin, *, source: str, started: dt.datetime | None = None
) -> Provenance:
    """Return where an image of a project comes from; images without digest are looked up.

    Parameters
    ----------
    project
        What the user gave.
    origin
        Who runs the pipeline.
    source
        The project's repository.
    started
        When it began to; it has ended now.
    """
    parameters: dict[str, Any] = {}
    for field in dataclasses.fields(project):
        value = getattr(project, field.name)
        if isinstance(value, dagger.File):
            parameters[field.name] = {"digest": await value.digest()}
        elif value and isinstance(value, str | tuple | bool) and field.name != "revision":
            # A mirror's URL may hold a password; provenance is for everybody.
            plain = list(value) if isinstance(value, tuple) else value
            parameters[field.name] = re.sub(r"//[^/@]*@", "//", plain) if isinstance(plain, str) else plain
    tools = {key: await _with_digest(project.images[key]) for key in ("syft", "trivy", "grype", "crane", "cosign")}
    return Provenance(
        source=source,
        revision=project.revision,
        content=await project.source.digest(),
        parameters=parameters,
        images={"builder": await _with_digest(project.builder), "runtime": await _with_digest(project.runtime)},
        tools=tools,
        origin=origin,
        versions={"dagger": await dag.version()},
        started=_rfc3339(started) if started else "",
        finished=_rfc3339(dt.datetime.now(dt.UTC)) if started else "",
    )


async def _with_digest(reference: str) -> str:
    return reference if is_pinned(reference) else await dag.container().from_(reference).image_ref()


def _rfc3339(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
