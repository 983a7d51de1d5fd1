"""Each wrong input gets one short message that names it and says what to do; no traceback, exit code not 0."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Module, Result

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
        (no_config, "rebar.config: not found; --source must be the root of a rebar3 project"),
        (no_relx, "rebar.config: no {release, {Name, Version}, Applications} in its relx"),
        (syntax, 'Error reading file rebar.config: 9: syntax error before: "1.0.2"'),
        (two_releases, "rebar.config: several releases (greeter, other); choose one with --release"),
        (
            git_version,
            "rebar.config: the version of release greeter is git, and nothing answered",
        ),
        (
            stale_lock,
            "rebar.lock: it locks tiny_text at 1.0.2, but rebar.config asks for 1.1.0; run `rebar3 upgrade tiny_text`",
        ),
        (missing_lock, "rebar.lock: not found, but rebar.config asks for tiny_math, tiny_text; run `rebar3 lock`"),
        (unlocked, "rebar.lock: it does not lock cowboy, which rebar.config asks for; run `rebar3 lock`"),
        (circle, "applications that need each other in a circle: greeter_core -> greeter_web -> greeter_core"),
        (release_name, "rebar.config: release grüße: its name is that of a user, a folder, a command and a node"),
        (other_profile, "rebar.config: the profile has no release; docker has one: choose with --profile"),
        (linked_checkout, "_checkouts/tiny_text: a link, which is not followed here"),
        (linked_application, "apps/greeter_core: a link, which is not followed here"),
        (dockerignore, ".dockerignore:2: '[oops' is no pattern: a [ without its ]"),
    ],
)
def test_a_broken_project_is_named(
    module: Module, source: Path, break_it: Callable[[Path], None], message: str
) -> None:
    break_it(source)
    check(module(source, "application"), message)


def test_a_missing_file_of_the_overlay_is_named(module: Module, source: Path) -> None:
    overlay(source)
    check(module(source, "release"), "config/motd.txt")


def link_out(source: Path) -> None:
    (source / "apps" / "greeter_core" / "priv").mkdir()
    (source / "apps" / "greeter_core" / "priv" / "users").symlink_to("/etc/passwd")


def syntax_of_sys_config(source: Path) -> None:
    no_sys_config(source)
    (source / "config" / "none.config").write_text("[{kernel,\n [oops oops]}].\n")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (no_sys_config, "rebar.config: its sys.config is config/none.config, which is not in --source"),
        (link_out, "priv/users: a link that leads out of the project, to /etc/passwd"),
        (syntax_of_sys_config, "config/none.config"),
        (syntax_of_sys_config, "2: syntax error before: oops"),
    ],
)
def test_what_cannot_become_a_release_is_named(
    module: Module, source: Path, break_it: Callable[[Path], None], message: str
) -> None:
    break_it(source)
    check(module(source, "release"), message)


def test_code_that_does_not_compile_is_shown_by_its_compiler(module: Module, source: Path) -> None:
    edit(source / "apps/greeter_web/src/greeter_web.erl", "reply(Text) ->", "reply(Text) -> oops oops,")
    result = module(source, "compile")
    check(result, "compiling failed:")
    assert "greeter_web.erl" in result.message
    assert "syntax error before: oops" in result.message


def test_other_distributions_for_builder_and_runtime_are_refused(module: Module, source: Path) -> None:
    bookworm = tomllib.loads(module.images.read_text())["images"]["runtime-bookworm"]
    result = module(source, f"--runtime-image={bookworm}", "build-runtime")
    check(result, "builder and runtime differ")
    assert "is debian 13" in result.message
    assert "is debian 12" in result.message


def test_a_cookie_in_vm_args_is_refused(module: Module, source: Path, tmp_path: Path) -> None:
    (tmp_path / "vm.args").write_text("-name a@127.0.0.1\n-setcookie secret\n")
    check(module(source, f"--vm-args={tmp_path}/vm.args", "release"), "--vm-args:2: a cookie written down here")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--flavor=plan9", "build-runtime"), "plan9"),
        (("--release=nope", "application"), "--release nope: rebar.config has only greeter"),
        (("--runtime-image=Not An Image", "images"), "--runtime-image: 'Not An Image' is no image reference"),
        (("--created=yesterday", "image-tarball"), "--created yesterday: not a time with a zone"),
        (("--labels=oops", "build-runtime"), "--labels oops: expected KEY=VALUE"),
    ],
)
def test_a_wrong_argument_is_named(module: Module, source: Path, words: tuple[str, ...], message: str) -> None:
    check(module(source, *words), message)


def test_a_node_that_does_not_start_says_why(module: Module, source: Path, tmp_path: Path) -> None:
    (tmp_path / "vm.args").write_text("-name a@127.0.0.1\n-setcookie ${RELX_COOKIE}\n+Muacul true\n")
    check(module(source, f"--vm-args={tmp_path}/vm.args", "health"), 'vm.args: bad "Muacul" value: true')


def test_an_emulator_that_aborts_is_shown_as_it_is(module: Module, source: Path) -> None:
    # As on musl and processors with AMX (github.com/erlang/otp issues 11248 and 11349).
    words = "sys/unix/sys_signal_stack.c:103:sys_sigaltstack(): Internal error: Failed to set alternate signal stack"
    (source / "config/erlexec").write_text(f"#!/bin/sh\necho '{words}' >&2\nkill -ABRT $$\n")
    (source / "config/erlexec").chmod(0o755)
    config = source / "rebar.config"
    overlay = '{copy, "config/erlexec", "erts-{{erts_vsn}}/bin/erlexec"}'
    config.write_text(config.read_text().replace("{overlay, [", f"{{overlay, [{overlay}, "))
    result = module(source, "health")
    assert result.code == 1
    assert result.message.splitlines()[1:] == ["out of its log:", words]
    assert result.message.splitlines()[0].endswith("with exit code 134")
