"""What a command line says in direct mode, and what is refused before an engine is asked."""

import base64
import io
import signal
import subprocess
import sys
from pathlib import Path

import dagger
import pytest
import rich.console
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pipeline import direct
from pipeline.__main__ import is_told_here, telling
from pipeline.direct import UsageError, parse, render_help
from pipeline.progress import Progress, short


def test_an_option_belongs_to_the_function_before_it() -> None:
    call = parse(["--flavor=debian", "assess", "--fail-on", "high", "--only-fixed", "verdict"])
    assert call.path == "ci/run --direct assess verdict"
    assert [step.texts for step in call.steps] == [
        {"--flavor": ["debian"]},
        {"--fail-on": ["high"], "--only-fixed": ["true"]},
        {},
    ]


def test_a_file_gets_no_codes_of_colours_even_if_they_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = io.StringIO()
    direct.show('{"severity": "HIGH"}\ta\n', file)
    assert file.getvalue() == '{"severity": "HIGH"}\ta\n'


@pytest.mark.parametrize("words", [["scan", "--help=true"], ["--help=1", "scan"]])
def test_help_that_is_asked_for_with_a_value_is_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert direct.main(words, session, None) == 0
    assert "USAGE\n  ci/run --direct scan" in capsys.readouterr().out


def test_an_engine_that_is_gone_is_told_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(*_: object) -> str:
        raise dagger.TransportError("Unexpected response: 502 Bad Gateway\nFor more: https://example.org")

    monkeypatch.setattr("pipeline.direct._run", run)
    # As a CLI whose connection an engine that is stopping keeps open: the end of its input does not end it.
    with subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert direct.main(["scan"], session, None) == 1
        assert session.returncode == -signal.SIGKILL
    assert capsys.readouterr().err == (
        "Error: the engine no longer answers (Unexpected response: 502 Bad Gateway); see its log, and call again\n"
    )


def test_a_file_that_cannot_be_written_is_told_after_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.direct._outcome", lambda *_: direct.Outcome("PASSED: no findings\n"))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert direct.main(["--output", str(tmp_path), "scan"], session, None) == 1
    said = capsys.readouterr()
    assert said.out == "PASSED: no findings\n"
    assert said.err == f"Error: --output {tmp_path}: Is a directory; give the path of a file that can be written\n"


def test_what_the_api_gives_is_chained() -> None:
    call = parse(["build-runtime", "as-service", "up", "--ports=8080:80", "--ports", "9090:90,9100:91"])
    assert call.steps[-1].texts == {"--ports": ["8080:80", "9090:90,9100:91"]}
    assert parse(["build-runtime", "export-image", "--name=x:1"]).path.endswith("build-runtime export-image")
    assert parse(["sbom", "export", "--path=sbom"]).steps[-1].verb.returns is str


def test_the_clis_own_options_may_stand_anywhere() -> None:
    call = parse(["-o", "x", "--progress", "plain", "sbom", "--json"])
    assert (call.output, call.json) == ("x", True)
    assert telling(["sbom", "--progress", "plain", "-v", "--progress=dots"]) == [
        "-v",
        "--progress=dots",
        "--progress=plain",
    ]


def test_who_tells_what_the_engine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGGER_PROGRESS", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert is_told_here(["scan"])
    assert not is_told_here(["scan", "--progress=plain"])
    assert not is_told_here(["build-runtime", "as-service", "up"])
    monkeypatch.setenv("DAGGER_PROGRESS", "dots")
    assert not is_told_here(["scan"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scan", "--fail-on=high"], 'unknown flag: --fail-on; it is an option of "assess"'),
        (["scan", "--flavor=alpine"], 'unknown flag: --flavor; write it before "scan"'),
        (["--flavour=alpine", "scan"], 'unknown flag: --flavour; did you mean "--flavor"?'),
        (["--nothing-like-it", "scan"], "unknown flag: --nothing-like-it"),
        (["scann"], 'unknown command "scann" for "ci/run --direct"; did you mean "scan"?'),
        (["application", "more"], 'unknown command "more" for "ci/run --direct application"'),
        (["assess", "--fail-on"], "flag needs an argument: --fail-on"),
        (
            ["assess", "--grace-days=soon", "verdict"],
            'invalid argument "soon" for "--grace-days" flag: expected a whole',
        ),
        (
            ["assess", "--only-fixed=maybe", "verdict"],
            'invalid argument "maybe" for "--only-fixed" flag: expected true',
        ),
        (
            ["--flavor=arch", "scan"],
            'invalid argument "arch" for "--flavor" flag: value should be one of ALPINE,DEBIAN',
        ),
        (
            ["build-runtime", "as-service", "up", "--ports=80"],
            'invalid argument "80" for "--ports" flag: expected FRONT',
        ),
        (["published", "digest"], 'required flag(s) "reference" not set'),
        (["build-runtime", "with-env-variable", "sync"], 'required flag(s) "name", "value" not set'),
        (["assess"], "assess has no result to print: call one of its functions (publish, reports, verdict)"),
        (["build-runtime", "env-variables"], "env-variables has no result to print"),
        (["release", "terminal"], "terminal: only the Dagger CLI can open a terminal; call without --direct"),
        (["refresh-images"], "refresh-images: direct mode does not ask before it changes files; give --auto-apply"),
        (["--mod=.", "scan"], "--mod: only the Dagger CLI has this option; call without --direct"),
        (
            ["-o", "x", "build-runtime", "as-service"],
            "--output: the result of as-service cannot be written to a file",
        ),
        (["scan", "-i"], "-i: only the Dagger CLI has this"),
        (
            ["deps", "with-exec", "--args=a\nb"],
            'invalid argument "a\nb" for "--args" flag: expected values separated by',
        ),
        (["deps", "with-exec", '--args=echo "x"'], 'invalid argument "echo "x"" for "--args" flag: expected values'),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_asked(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(words)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        ("ERLMCP_FLAVOR='\"DEBIAN\"'", "--flavor"),
        ("export ERLMCP_TRIVYDB=./db", "--trivy-db"),
        ("erlmcp_assess_failOn=LOW", "--fail-on"),
    ],
)
def test_a_default_that_only_the_module_hears_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, flag: str
) -> None:
    (tmp_path / ".env").write_text(f"OTHER=1\nFLAVOR=2\nERLMCP_ARGUMENTS=--x\n\n{line}\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    name = line.removeprefix("export ").partition("=")[0]
    with pytest.raises(UsageError, match=rf"/\.env: only the module reads the default {name}: give {flag}, or omit"):
        parse(["assess", "verdict"])
    given = ["--flavor=debian", "--trivy-db=x", "assess", "--fail-on=low", "verdict"]
    assert parse(given).steps[1].texts == {"--fail-on": ["low"]}


def test_lists_are_parted_as_csv() -> None:
    assert direct.csv_of(str, 'a,"b,c", d') == ["a", "b,c", " d"]
    assert direct.csv_of(int, "1, 2") == ["1", "2"]
    assert direct.csv_of(str, '"a\nb","say ""hello"""') == ["a\nb", 'say "hello"']
    assert direct.csv_of(str, "") == []


def test_values_are_printed_as_the_cli_prints_them() -> None:
    assert direct.plain(["a", "b"]) == "a\nb\n"
    assert direct.plain("text") == "text"
    assert direct.plain(value=True) == "true"
    assert direct.plain(None) == "<nil>"


def test_a_terminal_shows_verdicts_and_severities_in_colour() -> None:
    said = "Error: PolicyError: POLICY FAILED: 1 finding of HIGH\n\n CRITICAL  CVE-1 [bold] :bug:\nPASSED: no finding\n"
    out = io.StringIO()
    rich.console.Console(file=out, force_terminal=True, color_system="standard", no_color=False, soft_wrap=True).print(
        direct.coloured(said), end=""
    )
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("\x1b[1;31mError: PolicyError: POLICY FAILED:\x1b[0m 1 finding of \x1b[31mHIGH\x1b[0m")
    assert lines[2] == " \x1b[31mCRITICAL\x1b[0m  CVE-1 [bold] :bug:"
    assert lines[3] == "\x1b[1;32mPASSED:\x1b[0m no finding"
    # What it says is the same.
    assert direct.coloured(said).plain == said


def test_what_is_no_terminal_gets_the_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    direct.show("POLICY FAILED: x\t\x1b[0m\n", sys.stdout)
    assert capsys.readouterr().out == "POLICY FAILED: x\t\x1b[0m\n"


def test_help_names_functions_and_arguments_with_their_texts() -> None:
    text = render_help(parse(["published", "--help"]))
    assert text.splitlines()[0] == "Inspect a published image; chain digest, refs, sizes or verified on it."
    assert "\n  ci/run --direct published [arguments] <function>\n" in text
    assert "\n  refs       Show all tags of the repository that point to the image.\n" in text
    assert "\n      --reference string   Image reference, by tag or by digest. [required]\n" in text
    assert max(map(len, text.splitlines())) < 80
    # A default of the signature; those of settings are in the texts, since erlmcp.toml may give another.
    assert "(default true)" in render_help(parse(["assess", "publish", "--help"]))
    assert "(default prod)" in " ".join(render_help(parse(["--help"])).split())


class Process:
    """A session that is never asked."""

    killed = False

    def kill(self) -> None:
        self.killed = True


def test_a_wrong_word_ends_the_session_that_was_started(capsys: pytest.CaptureFixture[str]) -> None:
    process = Process()
    assert direct.main(["nothing"], process, None) == 1  # type: ignore[arg-type]
    assert process.killed
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        'Error: unknown command "nothing" for "ci/run --direct"\nRun \'ci/run --direct --help\' for usage.\n'
    )


# Progress -------------------------------------------------------------------------------------------------------------


def message(*fields: tuple[int, bytes]) -> bytes:
    """Encode a message of Protocol Buffers of short fields."""
    return b"".join(bytes([number << 3 | 2, len(value)]) + value for number, value in fields)


def call(*words: str) -> bytes:
    values = message(*((1, message((7, word.encode()))) for word in words))
    return message((3, b"withExec"), (4, message((1, b"args"), (2, message((8, values))))))


def traced(*spans: dict) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for span in spans:
        added = scope.spans.add(name=span["name"], span_id=span["id"])
        added.start_time_unix_nano = 1_000_000_000
        added.end_time_unix_nano = span.get("end", 1_000_000_001)
        for key, value in span.get("attributes", {}).items():
            attribute = added.attributes.add(key=f"dagger.io/dag.{key}")
            attribute.value.string_value = value if isinstance(value, str) else ""
        for link in span.get("links", []):
            added.links.add(span_id=link)
        added.status.code = span.get("status", 0)
    return request.SerializeToString()


def exec_span(name: bytes, digest: str, *words: str, **more: str) -> dict:
    encoded = base64.b64encode(call(*words)).decode()
    return {"name": "Container.withExec", "id": name, "attributes": {"call": encoded, "digest": digest, **more}}


@pytest.fixture
def told() -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress(rich.console.Console(file=out, width=100)), out


def test_what_ran_is_told_and_what_the_cache_answered_is_counted(told: tuple[Progress, io.StringIO]) -> None:
    progress, out = told
    progress.take(
        traced(
            exec_span(b"aaaaaaaa", "x", "sh", "/pipeline/rebar3.sh", "prod", "apps/core", "compile", pending="yes"),
            exec_span(b"bbbbbbbb", "y", "crane", "pull", "an/image", cached="yes"),
            # What is called twice is one step.
            exec_span(b"cccccccc", "y", "crane", "pull", "an/image", cached="yes"),
            {"name": "resume withExec", "id": b"dddddddd", "links": [b"aaaaaaaa"], "end": 3_500_000_000},
            {"name": "filesync", "id": b"eeeeeeee"},
        )
    )
    assert out.getvalue() == "    2.5 s  rebar3 compile in apps/core\n"
    assert progress.summary() == "2 steps: 1 ran, 1 from the cache"


def test_what_failed_is_marked(told: tuple[Progress, io.StringIO]) -> None:
    progress, out = told
    step = {"name": "resume withExec", "id": b"dddddddd", "links": [b"aaaaaaaa"], "end": 2_000_000_000, "status": 2}
    progress.take(traced(exec_span(b"aaaaaaaa", "x", "false", pending="yes"), step, step))
    assert out.getvalue() == "    1.0 s  false  failed\n"


def test_what_runs_is_shown_until_it_ends(told: tuple[Progress, io.StringIO]) -> None:
    progress, out = told
    progress.take(
        traced(
            exec_span(b"aaaaaaaa", "x", "sleep", "9", pending="yes"),
            {"name": "resume withExec", "id": b"dddddddd", "links": [b"aaaaaaaa"], "end": 0},
        )
    )
    console = rich.console.Console(file=out, width=100)
    console.print(progress)
    assert out.getvalue().endswith(" s  sleep 9\n")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["sh", "/pipeline/application.sh", "prod", "apps/core", "core", "lib"], "compile core"),
        (["sh", "/pipeline/fetch.sh", "get", "prod"], "fetch the dependencies"),
        (["sh", "/pipeline/fetch.sh", "compile", "prod"], "compile the dependencies"),
        (["sh", "/pipeline/tags.sh", "put", "host/app", "sha256:1", "1.2.0"], "move the tag 1.2.0 of host/app"),
        (["sh", "/pipeline/tags.sh", "list", "host/app"], "ask for tags of host/app"),
        (["escript", "/pipeline/elf.escript", "static", "amd64"], "check the init program"),
        # What does not say it, and what is none of ours.
        (["escript", "/pipeline/elf.escript", "check", "amd64"], "elf check amd64"),
        (["sh", "/their/script.sh", "a"], "script a"),
        (["sh", "-c", "true && false"], "sh -c true && false"),
        (["sh", "-euc", "true && $1", "try it", "a"], "try it"),
        (["sh", "-c", "echo $1", "sh", "a"], "sh -c echo $1 sh a"),
        (["sh", "-e", "/their/script.sh", "a", "b"], "sh -e /their/script.sh a b"),
        (["sh", "/"], "…"),
    ],
)
def test_a_script_is_shown_as_what_it_does(words: list[str], shown: str) -> None:
    assert short(words) == shown


def test_a_long_command_is_shortened() -> None:
    assert short(["/usr/bin/trivy", "image", *["--option"] * 30]).startswith("trivy image --option")
    assert len(short(["x"] * 300)) <= 90
    assert short([]) == "…"
