"""Start the image, test each level of its health check, and say why a node did not start."""

import dataclasses
import time

import dagger

from pipeline.errors import BuildError
from pipeline.handover import script
from pipeline.image.crash import diagnose
from pipeline.image.runtime import Built
from pipeline.project.application import Application
from pipeline.table import table

#: Seconds that a node may take to answer for the first time.
START_LIMIT = 60
#: Seconds that it may take to end after SIGTERM; after that it is killed, and the test fails.
STOP_LIMIT = 30
_SCRIPT = "/tmp/prove_health.sh"  # noqa: S108 # inside the container
_LOG = "/tmp/node.log"  # noqa: S108 # as the script says


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """One observation of `prove_health.sh`."""

    name: str
    #: Seconds it took.
    seconds: float
    exit_code: int
    message: str


#: What each step must show: its exit code, and a word of its message.
EXPECTED = {
    "node": (0, "Node OK"),
    "endpoint": (1, "Degraded"),
    "process": (1, "Degraded"),
    "stopped": (0, "SIGTERM"),
    "none": (1, "Down"),
}
_TITLES = {
    "healthy": "started: healthy",
    "node": "node answers: healthy",
    "endpoint": "endpoint fails: degraded",
    "process": "node hangs: degraded",
    "stopped": "SIGTERM: clean stop",
    "none": "no process: down",
}


def parse_observations(text: str) -> list[Observation]:
    """Read the lines of `prove_health.sh`."""
    steps = []
    for line in text.splitlines():
        name, seconds, code, message = line.split("\t", 3)
        steps.append(Observation(name, float(seconds), int(code), message))
    return steps


def faults(steps: list[Observation], *, endpoint: bool) -> list[str]:
    """Return the steps' deviations from what is expected.

    Parameters
    ----------
    steps
        What was observed.
    endpoint
        Whether the image has a HEALTH_URL: if so, the HTTP level must have answered.
    """
    by_name = {step.name: step for step in steps}
    found = []
    if endpoint and "HTTP OK" not in by_name["healthy"].message:
        found.append(f"HEALTH_URL is set, but the health check answered {by_name['healthy'].message!r}")
    for name, (code, word) in EXPECTED.items():
        step = by_name.get(name)
        if step is None:
            found.append(f"{_TITLES[name]}: not reached")
        elif step.exit_code != code or word not in step.message:
            found.append(f"{_TITLES[name]}: exit code {step.exit_code}, {step.message}")
    found.extend(f"{step.message} is writable by the user of the image" for step in steps if step.name == "writable")
    return found


async def prove(image: dagger.Container, application: Application) -> list[Observation]:
    """Start the release as the image does, and test each level of the image's health check.

    Raises
    ------
    BuildError
        If the node does not start (with the reason from its log), or a level gives the wrong answer.
    """
    proof = image.with_file(_SCRIPT, script("image/resources/prove_health.sh")).with_exec(
        ["sh", _SCRIPT, str(START_LIMIT), str(STOP_LIMIT)], expect=dagger.ReturnType.ANY
    )
    steps = parse_observations(await proof.stdout())
    if not steps or steps[0].name != "healthy":
        found = [_not_started(application.name, steps)]
    elif found := faults(steps, endpoint=bool(await image.env_variable("HEALTH_URL"))):
        found.insert(0, f"{application.name} starts, but its health check fails the test:")
    if found:
        raise BuildError("\n".join([*found, "from its log:", *diagnose(await proof.file(_LOG).contents())]))
    return steps


async def health(built: Built) -> str:
    """Test the image's health check, and that the engine starts and stops the image as a service.

    Raises
    ------
    BuildError
        See `prove`.
    """
    steps = await prove(built.image, built.application)
    begin = time.monotonic()
    service = built.image.as_service(use_entrypoint=True)
    await service.start()
    started = time.monotonic() - begin
    begin = time.monotonic()
    await service.stop()
    rows = [(_TITLES[step.name], f"{step.seconds:.1f}", step.message) for step in steps]
    rows.append(("service: healthy", f"{started:.1f}", "the engine started it and ran its HEALTHCHECK"))
    rows.append(("service: stopped", f"{time.monotonic() - begin:.1f}", ""))
    return table(("step", "seconds", "observed"), rows)


def _not_started(name: str, steps: list[Observation]) -> str:
    if not steps:
        return f"{name} does not start: the health check did not run"
    step = steps[0]
    if step.name == "died":
        return f"{name} does not start: it ended after {step.seconds:.1f} s with exit code {step.exit_code}"
    return f"{name} does not start: after {step.seconds:.0f} s its health check still answers {step.message!r}"
