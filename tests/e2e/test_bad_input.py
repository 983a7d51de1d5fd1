"""Each wrong input gets one short message that names it and says what to do; no traceback, exit code not 0."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import InProcess, Result

RELX = "{relx,\n"


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def check(result: Result, message: str) -> None:
    assert result.code != 0
    assert message in result.message
    assert "Traceback" not in result.err
    assert len(result.message.splitlines()) <= 30


def no_config(source: Path) -> None:
    (source / "rebar.config").unlink()


def no_relx(source: Path) -> None:
    edit(source / "rebar.config", "{relx,\n", "{not_relx,\n")


def syntax(source: Path) -> None:
    edit(source / "rebar.config", "{tiny_text, ", "{tiny_text ")


def two_releases(source: Path) -> None:
    edit(source / "rebar.config", RELX, RELX + ' [{release, {other, "1.0.0"}, [greeter_core]}]},\n{ignored,\n')
    edit(source / "rebar.config", "{ignored,\n [", "{ignored, [")
    text = (source / "rebar.config").read_text()
    text = text.replace(
        '[{release, {other, "1.0.0"}, [greeter_core]}]},\n{ignored, [',
        '[{release, {other, "1.0.0"}, [greeter_core]},\n ',
    )
    (source / "rebar.config").write_text(text)


def git_version(source: Path) -> None:
    edit(source / "rebar.config", '{greeter, "1.2.0"}', "{greeter, git}")


def stale_lock(source: Path) -> None:
    edit(source / "rebar.config", '{tiny_text, "1.0.2"}', '{tiny_text, "1.1.0"}')
    for package in (source / "_checkouts").iterdir():
        package.rename(source / f"gone_{package.name}")


def missing_lock(source: Path) -> None:
    (source / "rebar.lock").unlink()
    for package in (source / "_checkouts").iterdir():
        package.rename(source / f"gone_{package.name}")


def unlocked(source: Path) -> None:
    edit(source / "rebar.config", '{tiny_text, "1.0.2"},', '{tiny_text, "1.0.2"}, {cowboy, "2.10.0"},')


def circle(source: Path) -> None:
    edit(source / "apps/greeter_core/src/greeter_core.app.src", "tiny_math]", "tiny_math, greeter_web]")


def overlay(source: Path) -> None:
    (source / "config" / "motd.txt").unlink()


def release_name(source: Path) -> None:
    edit(source / "rebar.config", "{release, {greeter,", "{release, {'grüße',")


def no_sys_config(source: Path) -> None:
    edit(source / "rebar.config", "{dev_mode, true},", '{sys_config, "config/none.config"},')


def other_profile(source: Path) -> None:
    edit(source / "rebar.config", RELX, "{not_relx,\n")
    edit(
        source / "rebar.config",
        "{test, [",
        '{docker, [{relx, [{release, {greeter, "1.0"}, [greeter_web]}]}]}, {test, [',
    )


def dockerignore(source: Path) -> None:
    (source / ".dockerignore").write_text("docs\n[oops\n")


def link_in(source: Path, path: str) -> None:
    (source / "elsewhere").mkdir()
    name = Path(path).name
    (source / path).rename(source / "elsewhere" / name)
    (source / path).symlink_to(f"../elsewhere/{name}")


def linked_checkout(source: Path) -> None:
    link_in(source, "_checkouts/tiny_text")


def linked_application(source: Path) -> None:
    link_in(source, "apps/greeter_core")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (no_config, "rebar.config: not found; give the root of a rebar3 project with --source"),
        (no_relx, "rebar.config: relx has no {release, {Name, Version}, Applications}"),
        (syntax, 'Error reading file rebar.config: 9: syntax error before: "1.0.2"'),
        (two_releases, "rebar.config: there are several releases (greeter, other); choose one with --release"),
        (
            git_version,
            "rebar.config: the version of release greeter is git, which gave no version",
        ),
        (
            stale_lock,
            "rebar.lock: it has tiny_text 1.0.2, but rebar.config asks for 1.1.0; run `rebar3 upgrade tiny_text`",
        ),
        (missing_lock, "rebar.lock: not found, but rebar.config asks for tiny_math, tiny_text; run `rebar3 lock`"),
        (unlocked, "rebar.lock: it does not have cowboy, which rebar.config asks for; run `rebar3 lock`"),
        (
            circle,
            (
                "rebar.config: these applications depend on each other in a circle; remove one dependency: "
                "greeter_core -> greeter_web -> greeter_core"
            ),
        ),
        (
            release_name,
            "rebar.config: release grüße: this name cannot be the name of a user, a folder, a command and a node",
        ),
        (other_profile, "rebar.config: this profile has no release, but docker has one: choose it with --profile"),
        (linked_checkout, "_checkouts/tiny_text: this is a symbolic link, which the build does not follow"),
        (linked_application, "apps/greeter_core: this is a symbolic link, which the build does not follow"),
        (dockerignore, ".dockerignore:2: '[oops' is not a valid pattern: a [ has no closing ]"),
    ],
)
def test_a_broken_project_is_named(
    in_process: InProcess, source: Path, break_it: Callable[[Path], None], message: str
) -> None:
    break_it(source)
    check(in_process(source, "application"), message)


def test_a_missing_file_of_the_overlay_is_named(in_process: InProcess, source: Path) -> None:
    overlay(source)
    check(in_process(source, "release"), "config/motd.txt")


def link_out(source: Path) -> None:
    (source / "apps" / "greeter_core" / "priv").mkdir()
    (source / "apps" / "greeter_core" / "priv" / "users").symlink_to("/etc/passwd")


def syntax_of_sys_config(source: Path) -> None:
    no_sys_config(source)
    (source / "config" / "none.config").write_text("[{kernel,\n [oops oops]}].\n")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (no_sys_config, "rebar.config: relx names config/none.config as sys.config, but that file is not in --source"),
        (link_out, "priv/users: a symbolic link to /etc/passwd, which is outside of the project"),
        (syntax_of_sys_config, "config/none.config"),
        (syntax_of_sys_config, "2: syntax error before: oops"),
    ],
)
def test_what_cannot_become_a_release_is_named(
    in_process: InProcess, source: Path, break_it: Callable[[Path], None], message: str
) -> None:
    break_it(source)
    check(in_process(source, "release"), message)


def test_code_that_does_not_compile_is_shown_by_its_compiler(in_process: InProcess, source: Path) -> None:
    edit(source / "apps/greeter_web/src/greeter_web.erl", "reply(Text) ->", "reply(Text) -> oops oops,")
    result = in_process(source, "compile")
    check(result, "compiling failed:")
    assert "greeter_web.erl" in result.message
    assert "syntax error before: oops" in result.message


def test_other_distributions_for_builder_and_runtime_are_refused(in_process: InProcess, source: Path) -> None:
    bookworm = tomllib.loads(in_process.images.read_text())["images"]["runtime-bookworm"]
    result = in_process(source, f"--runtime-image={bookworm}", "build-runtime")
    check(result, "builder and runtime differ")
    assert "is debian 13" in result.message
    assert "is debian 12" in result.message


def test_a_cookie_in_vm_args_is_refused(in_process: InProcess, source: Path, tmp_path: Path) -> None:
    (tmp_path / "vm.args").write_text("-name a@127.0.0.1\n-setcookie secret\n")
    check(
        in_process(source, f"--vm-args={tmp_path}/vm.args", "release"),
        "--vm-args:2: this cookie would be readable in the image",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--flavor=plan9", "build-runtime"), "plan9"),
        (("--release=nope", "application"), "--release nope: rebar.config has no such release, but greeter"),
        (("--runtime-image=Not An Image", "images"), "--runtime-image: 'Not An Image' is not an image reference"),
        (("--created=yesterday", "image-tarball"), "--created yesterday: give a time with a time zone"),
        (("--labels=oops", "build-runtime"), "--labels oops: expected KEY=VALUE"),
    ],
)
def test_a_wrong_argument_is_named(in_process: InProcess, source: Path, words: tuple[str, ...], message: str) -> None:
    check(in_process(source, *words), message)


def test_a_node_that_does_not_start_says_why(in_process: InProcess, source: Path, tmp_path: Path) -> None:
    (tmp_path / "vm.args").write_text("-name a@127.0.0.1\n-setcookie ${RELX_COOKIE}\n+Muacul true\n")
    check(in_process(source, f"--vm-args={tmp_path}/vm.args", "health"), 'vm.args: bad "Muacul" value: true')


def test_an_emulator_that_aborts_is_shown_as_it_is(in_process: InProcess, source: Path) -> None:
    # As on musl and processors with AMX (github.com/erlang/otp issues 11248 and 11349).
    words = "sys/unix/sys_signal_stack.c:103:sys_sigaltstack(): Internal error: Failed to set alternate signal stack"
    (source / "config/erlexec").write_text(f"#!/bin/sh\necho '{words}' >&2\nkill -ABRT $$\n")
    (source / "config/erlexec").chmod(0o755)
    config = source / "rebar.config"
    overlay = '{copy, "config/erlexec", "erts-{{erts_vsn}}/bin/erlexec"}'
    config.write_text(config.read_text().replace("{overlay, [", f"{{overlay, [{overlay}, "))
    result = in_process(source, "health")
    assert result.code == 1
    assert result.message.splitlines()[1:] == ["from its log:", words]
    assert result.message.splitlines()[0].endswith("with exit code 134")
