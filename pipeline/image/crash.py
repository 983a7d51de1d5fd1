"""Find in the output of a node why it did not start."""

import re

_MAX_LINES = 12
_MAX_REASON = 200
#: The last line of an emulator whose kernel terminated; the parentheses contain an Erlang term as a string.
_TERMINATED = re.compile(r"(?:Kernel pid terminated|Could not start kernel pid) \(\w+\) \((.*)\)\s*$", re.MULTILINE)
_APPLICATION = re.compile(r"application_start_failure,\s*([a-z]\w*)")
_CHILD = re.compile(r"failed_to_start_child,\s*([^,\s]+),")
_UNDEFINED = re.compile(r"undef,\s*\[\{(\w+),\s*(\w+),\s*(\[[^\]]*\]|\d+)")
_SERVER = re.compile(
    r"(?:Generic server|State machine) (\S+) terminating\.? *\n?\*{0,2} *(?:Reason|Reason for termination)[ =:]*(.*)"
)
#: What net_kernel says of it may be below the level of the release's logger.
_NO_DISTRIBUTION = (
    "Erlang's distribution did not start: a name without a host (-name NAME in vm.args) gets the container's host "
    "name, which has no domain; write -name NAME@127.0.0.1"
)
_REFUSED = re.compile(r"\beacces\b|permission denied", re.IGNORECASE)
_WRITABLE = (
    "If the permission is one to write a file: the release may write to log/ and data/ of its folder, to /var/run/NAME "
    "and to /tmp; configure the application to write there"
)
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) ")
_RAW = re.compile(r"^(?:Exec: |Root: |/\S+$|Crash dump is being written)")
_STACK = re.compile(r",\s*\[\{\w+,\s*'?[\w\-/]+'?,.*", re.DOTALL)


def diagnose(log: str) -> list[str]:
    """Return the few lines that say which process died and why, from the output of a node.

    Parameters
    ----------
    log
        Standard output and error of the node.
    """
    return [*_said(log), *([_WRITABLE] if _REFUSED.search(log) else [])]


def _said(log: str) -> list[str]:
    words = (_TIME.sub("", line.rstrip()) for line in log.splitlines() if line.strip() and not _RAW.match(line))
    lines = list(dict.fromkeys(words))
    usage = next((index for index, line in enumerate(lines) if line.startswith("Usage:")), 0)
    if usage:
        # The emulator refused a flag of vm.args: it says so, then prints its usage.
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
        if application[1] == "kernel" and "nodistribution" in term:
            said.insert(0, _NO_DISTRIBUTION)
    else:
        said.append(term)
        said.extend(line[:_MAX_REASON] for line in lines if line.startswith("error: Failed"))
    died = {match[1]: _reason(match[2]) for match in _SERVER.finditer(log)}
    said.extend(f"process {name} died: {reason}" for name, reason in died.items())
    return said[:_MAX_LINES]


def _reason(term: str) -> str:
    """Return the meaningful part of an Erlang error term, without its stack."""
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
