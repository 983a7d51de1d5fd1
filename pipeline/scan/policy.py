"""What an image may not have."""

import dataclasses

import dagger
from dagger import dag

from pipeline.errors import InputError
from pipeline.sbom.sbom import Sbom
from pipeline.scan.acceptance import ACCEPTANCES, Acceptance, read_acceptances
from pipeline.scan.findings import Severity
from pipeline.scan.vex import Statement, read_vex


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What an image may not have."""

    fail_on: Severity = Severity.HIGH
    #: Count only findings for which there is a fixed version.
    only_fixed: bool = False

    def __str__(self) -> str:
        """Name what breaks it."""
        return f"{_or_worse(self.fail_on)}{' with a fix' if self.only_fixed else ''}"


def _or_worse(severity: Severity) -> str:
    return severity.name if severity is Severity.CRITICAL else f"{severity.name} or worse"


@dataclasses.dataclass(frozen=True, slots=True)
class Criteria:
    """What the user asks of an image, as given."""

    fail_on: str = "HIGH"
    only_fixed: bool = False
    vex: tuple[dagger.File, ...] = ()
    otp_vex: bool = False
    accept: dagger.File | None = None
    accept_old_db: bool = False

    def __post_init__(self) -> None:
        """Raise `InputError` if the severity is none."""
        _ = self.policy

    @property
    def policy(self) -> Policy:
        """What breaks it."""
        try:
            return Policy(Severity.parse(self.fail_on), self.only_fixed)
        except InputError as error:
            raise InputError(f"--fail-on: {error}") from None


async def statements(criteria: Criteria, sbom: Sbom | None) -> tuple[Statement, ...]:
    """Return what the VEX documents say, those given and that of Erlang/OTP."""
    given = [(await file.contents(), f"--vex {await file.name()}") for file in criteria.vex]
    if criteria.otp_vex and sbom:
        version = next((part.version for part in sbom.components if part.name == "erlang"), "")
        url = f"https://erlang.org/download/vex/otp-{version.partition('.')[0]}.openvex.json"
        given.append((await _get(url), url))
    return tuple(statement for text, name in given for statement in read_vex(text, name))


async def _get(url: str) -> str:
    try:
        return await dag.http(url).contents()
    except dagger.QueryError as error:
        raise InputError(f"--otp-vex: {url} cannot be fetched ({error}); give it as a file with --vex") from None


async def acceptances(criteria: Criteria, source: dagger.Directory | None) -> tuple[Acceptance, ...]:
    """Return the acceptances given, or else the project's own."""
    if criteria.accept:
        return read_acceptances(await criteria.accept.contents(), f"--accept {await criteria.accept.name()}")
    if source and await source.glob(ACCEPTANCES):
        return read_acceptances(await source.file(ACCEPTANCES).contents(), ACCEPTANCES)
    return ()
