"""Start the image, prove its health check level by level, and say why a node did not start."""

import dataclasses
import re
import time

import dagger

from pipeline.errors import BuildError
from pipeline.project.application import Application
from pipeline.scripts import script
from pipeline.table import table

#: Seconds that a node may take to answer for the first time.
START_LIMIT = 60
_MAX_LINES = 12
_MAX_REASON = 200
_SCRIPT = "/tmp/prove_health.sh"  # noqa: S108 # inside the container
_LOG = "/tmp/node.log"  # noqa: S108 # as the script says


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One observation of `prove_health.sh`."""

    name: str
    #: Seconds it took.
    seconds: float
    exit_code: int
    message: str


#: What each step must show: its exit code (None: any of the application's), and a word of its message.
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


def parse_steps(text: str) -> list[Step]:
    """Read the lines of `prove_health.sh`."""
    steps = []
    for line in text.splitlines():
        name, seconds, code, message = line.split("\t", 3)
        steps.append(Step(name, float(seconds), int(code), message))
    return steps


def faults(steps: list[Step], *, endpoint: bool) -> list[str]:
    """Return what the steps show that they must not.

    Parameters
    ----------
    steps
        What was observed.
    endpoint
        Whether the image has a HEALTH_URL: then the first level must be the one that answered.
    """
    by_name = {step.name: step for step in steps}
    found = []
    if endpoint and "HTTP OK" not in by_name["healthy"].message:
        found.append(f"HEALTH_URL is set, but the answer was {by_name['healthy'].message!r}")
    for name, (code, word) in EXPECTED.items():
        step = by_name.get(name)
        if step is None:
            found.append(f"{_TITLES[name]}: not reached")
        elif step.exit_code != code or word not in step.message:
            found.append(f"{_TITLES[name]}: exit code {step.exit_code}, {step.message}")
    found.extend(f"{step.message} is writable by the user of the image" for step in steps if step.name == "writable")
    return found


async def prove(image: dagger.Container, application: Application) -> list[Step]:
    """Start the release as the image does, and prove each level of the image's health check.

    Raises
    ------
    BuildError
        If the node does not start (with its own words why), or a level does not show.
    """
    proof = image.with_new_file(_SCRIPT, script("resources/prove_health.sh")).with_exec(
        ["sh", _SCRIPT, str(START_LIMIT)], expect=dagger.ReturnType.ANY
    )
    steps = parse_steps(await proof.stdout())
    if not steps or steps[0].name != "healthy":
        found = [_not_started(application.name, steps)]
    elif found := faults(steps, endpoint=bool(await image.env_variable("HEALTH_URL"))):
        found.insert(0, f"{application.name} starts, but not all is well:")
    if found:
        raise BuildError("\n".join([*found, "out of its log:", *diagnose(await proof.file(_LOG).contents())]))
    return steps


async def health(image: dagger.Container, application: Application) -> str:
    """Prove the image's health check, and that the engine starts and stops it as a service.

    Raises
    ------
    BuildError
        See `prove`.
    """
    steps = await prove(image, application)
    begin = time.monotonic()
    service = image.as_service(use_entrypoint=True)
    await service.start()
    started = time.monotonic() - begin
    begin = time.monotonic()
    await service.stop()
    rows = [(_TITLES[step.name], f"{step.seconds:.1f}", step.message) for step in steps]
    rows.append(("service: health check passed", f"{started:.1f}", "started by the engine, by the image's HEALTHCHECK"))
    rows.append(("service: stopped", f"{time.monotonic() - begin:.1f}", ""))
    return table(("step", "seconds", "seen"), rows)


def _not_started(name: str, steps: list[Step]) -> str:
    if not steps:
        return f"{name} does not start: the health check did not run"
    step = steps[0]
    if step.name == "died":
        return f"{name} does not start: it ended after {step.seconds:.1f} s with exit code {step.exit_code}"
    return f"{name} does not start: after {step.seconds:.0f} s the answer is {step.message!r}"


#: The last words of an emulator whose kernel gave up; what the parentheses hold is an Erlang term as a string.
_TERMINATED = re.compile(r"(?:Kernel pid terminated|Could not start kernel pid) \(\w+\) \((.*)\)\s*$", re.MULTILINE)
_APPLICATION = re.compile(r"application_start_failure,\s*([a-z]\w*)")
_CHILD = re.compile(r"failed_to_start_child,\s*([^,\s]+),")
_UNDEFINED = re.compile(r"undef,\s*\[\{(\w+),\s*(\w+),\s*(\[[^\]]*\]|\d+)")
_SERVER = re.compile(
    r"(?:Generic server|State machine) (\S+) terminating\.? *\n?\*{0,2} *(?:Reason|Reason for termination)[ =:]*(.*)"
)
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) ")
_RAW = re.compile(r"^(?:Exec: |Root: |/\S+$|Crash dump is being written)")
_STACK = re.compile(r",\s*\[\{\w+,\s*'?[\w\-/]+'?,.*", re.DOTALL)


def diagnose(log: str) -> list[str]:
    """Return the few lines that say which process died and why, out of a node's own output.

    Parameters
    ----------
    log
        Standard output and error of the node.
    """
    words = (_TIME.sub("", line.rstrip()) for line in log.splitlines() if line.strip() and not _RAW.match(line))
    lines = list(dict.fromkeys(words))
    usage = next((index for index, line in enumerate(lines) if line.startswith("Usage:")), 0)
    if usage:
        # The emulator refused a flag of vm.args: it says so, then prints its manual.
        return [f"vm.args: {lines[usage - 1]}"]
    if not (last := _TERMINATED.search(log)):
        return lines[-_MAX_LINES:]
    term = last[1].strip('"').replace('\\"', '"')
    said = []
    if application := _APPLICATION.search(term):
        children = _CHILD.findall(term)
        reason = _reason(term[term.rindex("failed_to_start_child,") :] if children else term[application.end() :])
        said.append(f"application {application[1]} did not start: {reason}")
        if children:
            parents = " < ".join(reversed(children[:-1])) or application[1]
            said.append(f"process {children[-1]} failed; it is a child of {parents}")
    else:
        said.append(term)
        said.extend(line[:_MAX_REASON] for line in lines if line.startswith("error: Failed"))
    died = {match[1]: _reason(match[2]) for match in _SERVER.finditer(log)}
    said.extend(f"process {name} died: {reason}" for name, reason in died.items())
    return said[:_MAX_LINES]


def _reason(term: str) -> str:
    """Return the telling part of an Erlang error term, without its stack."""
    if undefined := _UNDEFINED.search(term):
        module, name, arguments = undefined.groups()
        arity = int(arguments) if arguments.isdigit() else _arity(arguments)
        return f"{module}:{name}/{arity} does not exist"
    _, _, inner = term.partition("failed_to_start_child,")
    text = _STACK.sub("", (inner.partition(",")[2] if inner else term).strip().lstrip(","))
    text = " ".join(text.split()).strip("{},")
    return text[:_MAX_REASON]


def _arity(arguments: str) -> int:
    """Count the elements of a list of terms, `[a,{b,c}]` being two; a log may have cut it short."""
    depth = 0
    commas = 0
    for char in arguments[1:-1]:
        depth += (char in "[{(<") - (char in "]})>")
        commas += char == "," and depth == 0
    return commas + 1 if arguments[1:-1].strip() else 0
