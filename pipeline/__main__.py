"""`python -m pipeline FUNCTION …`: the module's functions without the module (see `direct`); what `ci/run --direct` calls.

The session with the engine starts first: all that has to be imported takes longer, and is imported meanwhile.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

#: The Dagger CLI's own options, which may stand anywhere, on how much it tells.
_TELLING = ("-v", "-vv", "-vvv", "--verbose", "-q", "--quiet", "-s", "--silent", "-d", "--debug")


def telling(words: Sequence[str]) -> list[str]:
    """Return those of the words that say how much the CLI tells, as the session takes them."""
    found = [word for word in words if word in _TELLING or word.startswith("--progress=")]
    return found + [f"--progress={value}" for name, value in zip(words, words[1:], strict=False) if name == "--progress"]


def start(words: Sequence[str]) -> subprocess.Popen[str]:
    """Start a session with the engine: it says on its standard output how it is reached, and ends with its input."""
    cli = os.environ.get("_EXPERIMENTAL_DAGGER_CLI_BIN") or "dagger"
    return subprocess.Popen(
        [cli, *telling(words), "session"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )


def main() -> int:
    """Run what the command line says; return the exit code."""
    words = sys.argv[1:]
    try:
        session = None if {"-h", "--help"} & set(words) else start(words)
    except OSError as error:
        sys.stderr.write(f"Error: no Dagger CLI to reach the engine with: {error}\n")
        return 1
    from pipeline import direct  # noqa: PLC0415 # while the session starts

    return direct.main(words, session)


if __name__ == "__main__":
    sys.exit(main())
