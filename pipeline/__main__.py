"""`python -m pipeline FUNCTION …`: the module's functions without the module (see `direct`), for `ci/run --direct`.

The session with the engine starts first: all that has to be imported takes longer, and is imported meanwhile.
"""

import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Sequence

#: The options of the Dagger CLI for how much it prints; they may stand anywhere.
_TELLING = ("-v", "-vv", "-vvv", "--verbose", "-q", "--quiet", "-s", "--silent", "-d", "--debug")


def telling(words: Sequence[str]) -> list[str]:
    """Return the options for how much the CLI prints, in the form that the session takes."""
    found = [word for word in words if word in _TELLING or word.startswith("--progress=")]
    return found + [f"--progress={value}" for name, value in itertools.pairwise(words) if name == "--progress"]


def is_told_here(words: Sequence[str]) -> bool:
    """Tell whether we show the progress; the CLI does if it was told how, and for a service, whose log it has."""
    traced = any(name.startswith("OTEL_") for name in os.environ)
    return not (telling(words) or os.environ.get("DAGGER_PROGRESS") or "up" in words or traced)


def traced_to(listener: socket.socket) -> dict[str, str]:
    """Return the variables by which the CLI passes on what the engine does, while it does it."""
    return {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_LIVE": "1",
    }


def start(words: Sequence[str], listener: socket.socket | None) -> subprocess.Popen[str]:
    """Start a session with the engine: it prints its address to standard output, and ends when its input closes."""
    cli = os.environ.get("_EXPERIMENTAL_DAGGER_CLI_BIN") or "dagger"
    how, environment = telling(words), dict(os.environ)
    if listener:
        how = ["--silent"]
        environment |= traced_to(listener)
    return subprocess.Popen(  # noqa: S603 # the CLI that ci/run chose, and options of a fixed list
        [cli, *how, "session"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment
    )


def main() -> int:
    """Run what the command line says; return the exit code."""
    words = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", 0)) if is_told_here(words) else None
    try:
        session = None if {"-h", "--help"} & set(words) else start(words, listener)
    except OSError as error:
        sys.stderr.write(f"Error: the Dagger CLI, which connects to the engine, cannot be started: {error}\n")
        return 1
    from pipeline import direct  # noqa: PLC0415 # while the session starts

    return direct.main(words, session, listener)


if __name__ == "__main__":
    sys.exit(main())
