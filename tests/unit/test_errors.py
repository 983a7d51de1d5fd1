from dataclasses import dataclass

from pipeline.errors import BuildError, excerpt


@dataclass
class Failure:
    stdout: str
    stderr: str
    exit_code: int = 1


def test_a_compilers_message_is_kept_and_noise_is_not() -> None:
    out = """\x1b[0;32m===> Verifying dependencies...\x1b[0m
===> Analyzing applications...
===> Compiling greeter_core
src/other.erl:3:1: Warning: function f/0 is unused
===> Compiling apps/greeter_core/src/greeter.erl failed
src/greeter.erl:7:3: syntax error before: 'end'
"""
    assert excerpt(Failure(out, out)) == (
        "===> Compiling apps/greeter_core/src/greeter.erl failed\nsrc/greeter.erl:7:3: syntax error before: 'end'"
    )


def test_a_silent_failure_has_its_exit_code() -> None:
    assert excerpt(Failure("", "\n", 137)) == "exit code 137, without a word"


def test_a_command_that_only_warned_is_shown() -> None:
    assert excerpt(Failure("a.erl:1: Warning: odd\n", "")) == "a.erl:1: Warning: odd"


def test_the_users_message_has_no_path_of_ours() -> None:
    assert f"{BuildError.__module__}.{BuildError.__qualname__}" == "builtins.BuildError"
