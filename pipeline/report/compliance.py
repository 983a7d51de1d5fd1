"""The compliance report: the result of each check of the image, or that it did not run."""

import collections
import dataclasses
from collections.abc import Sequence

from pipeline.errors import PipelineError, guard
from pipeline.handover import script
from pipeline.image.export import described
from pipeline.image.health import prove
from pipeline.image.size import LIMIT
from pipeline.project.images import is_pinned
from pipeline.report.completeness import completeness
from pipeline.report.markdown import cell, markdown_table
from pipeline.sbom.component import Kind
from pipeline.sbom.containers import Subject
from pipeline.sbom.sbom import Sbom
from pipeline.scan.scanners import Results

_SCRIPT = "/pipeline/compliance.sh"
#: Of the OCI annotations (image-spec 1.1, annotations.md), those that tell what an image is and where it comes from.
_LABELS = tuple(
    f"org.opencontainers.image.{name}"
    for name in (
        "title",
        "description",
        "licenses",
        "source",
        "version",
        "revision",
        "created",
        "base.name",
        "base.digest",
    )
)


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """A check of the image."""

    #: By which `publish` requires it (`pipeline.scan.policy.CHECKS`).
    key: str
    name: str
    #: Nothing if it did not run.
    passed: bool | None
    detail: str = ""


async def checks(subject: Subject, results: Results) -> list[Check]:
    """Run every check on an image.

    Parameters
    ----------
    subject
        The image.
    results
        What the scanners found in it.
    """
    look = subject.container.with_user("root").with_file(_SCRIPT, script("report/resources/compliance.sh"))
    seen = await guard(look.with_exec(["sh", _SCRIPT]).stdout(), "the search of the image's files")
    lines = [line.split("\t", 1) for line in seen.splitlines()]
    privileged = [value for what, value in lines if what == "privileged"]
    packages = next(int(value) for what, value in lines if what == "packages")
    return [
        await _user(subject),
        Check(
            "no-setuid",
            "no setuid or setgid file",
            not privileged,
            ", ".join(privileged) or "in the whole root filesystem",
        ),
        *await _health_check(subject),
        await _labels(subject),
        _secrets(results),
        Check(
            "base-pinned", "base image pinned by digest", is_pinned(subject.project.runtime), subject.project.runtime
        ),
        await _size(subject),
        _sbom(results, packages),
    ]


async def _user(subject: Subject) -> Check:
    name = await subject.container.user()
    uid = (await guard(subject.container.with_exec(["id", "-u"]).stdout(), "the query for the user")).strip()
    return Check("non-root", "runs as a non-root user", uid != "0", f"USER {name}, uid {uid}")


async def _health_check(subject: Subject) -> list[Check]:
    """Start the release once for two checks."""
    present = "health check present and passing"
    writable = "user can write only to /tmp and /var/{log,lib,run}"
    try:
        steps = await prove(subject.container, subject.application)
    except PipelineError as error:
        found = [line for line in str(error).splitlines() if "is writable by the user" in line]
        started = "does not start" not in str(error)
        return [
            Check("health", present, passed=False, detail=str(error)),
            Check("writable", writable, passed=not found if started else None, detail="; ".join(found)),
        ]
    seconds = next(step.seconds for step in steps if step.name == "healthy")
    return [
        Check("health", present, passed=True, detail=f"healthy after {seconds:.1f} s; each level was tested"),
        Check("writable", writable, passed=True, detail="tested as that user, after a run"),
    ]


async def _labels(subject: Subject) -> Check:
    values = {await label.name(): await label.value() for label in await subject.container.labels()}
    missing = [name for name in _LABELS if not values.get(name)]
    return Check(
        "labels",
        "labels complete",
        not missing,
        f"missing: {', '.join(missing)}" if missing else f"{len(_LABELS)} OCI labels",
    )


def _secrets(results: Results) -> Check:
    name = "no secret in the image"
    [scan] = [each for each in results.runs if (each.scanner, each.target) == ("trivy", "image")]
    if scan.failure:
        return Check("no-secret", name, passed=None, detail="Trivy failed")
    places = ", ".join(f"{secret.rule} in {secret.path}:{secret.line}" for secret in scan.secrets)
    return Check("no-secret", name, not scan.secrets, places or "Trivy's secret scanner, in files and configuration")


def _sbom(results: Results, packages: int) -> Check:
    name = "SBOM complete"
    if not results.sbom:
        return Check("sbom", name, passed=None, detail="there is no SBOM")
    counts = results.sbom.counts_by_kind()
    unknown = [part.name for part in results.sbom.components if part.shipped and not part.has_origin]
    versionless = [part.name for part in results.sbom.components if part.shipped and not part.has_version]
    found = counts[Kind.OS]
    detail = f"{found} of {packages} packages of the system"
    if unknown:
        detail += f"; unknown origin: {', '.join(unknown)}"
    if versionless:
        detail += f"; unknown version, which no advisory can match: {', '.join(versionless)}"
    return Check("sbom", name, found == packages and not unknown and not versionless, detail)


async def _size(subject: Subject) -> Check:
    megabytes = sum(layer["size"] for layer in (await described(subject.layout)).layers) / 1e6
    detail = f"{megabytes:.1f} MB compressed, at most {LIMIT:.0f}"
    return Check("size", "size within budget", megabytes <= LIMIT, detail)


def compliance(image: str, digest: str, checks: Sequence[Check], remark: str = "", sbom: Sbom | None = None) -> str:
    """Return the report with the results of the checks and the scores of the SBOM."""
    words = {True: "passed", False: "**FAILED**", None: "*did not run*"}
    counts = collections.Counter(check.passed for check in checks)
    return (
        "\n".join(
            (
                f"# Compliance of `{image}`",
                "",
                f"`{digest}`" + (f" ({remark})" if remark else ""),
                "",
                f"{counts[True]} passed, {counts[False]} failed, {counts[None]} did not run.",
                "",
                *markdown_table(
                    ("check", "result", "details"),
                    [(cell(check.name), words[check.passed], cell(check.detail)) for check in checks],
                ),
                *(["", *completeness(sbom)] if sbom else []),
            )
        )
        + "\n"
    )
