"""Record what a real rebar3 says when a build fails: `python tests/unit/record_builds.py BUILDER`.

BUILDER is an image with Erlang/OTP and rebar3, where an engine answers (see README, Tests). Each project is built as
the pipeline does it: in `/build`, without a terminal, without the network. What is written lies in `data/builds/`.
"""

import json
import sys
from pathlib import Path

import anyio
import dagger
from dagger import dag

_DATA = Path(__file__).parent / "data" / "builds"
_APP = '{{application, {0}, [{{vsn, "1.0.0"}}, {{applications, [kernel, stdlib{1}]}}]}}.\n'
_DEMO = {"apps/demo/src/demo.app.src": _APP.format("demo", ""), "apps/demo/src/demo.erl": "-module(demo).\n"}
_RELX = '{relx, [{release, {demo, "1.0.0"}, [demo]}]}.\n'
_NOWHERE = {"HEX_CDN": "http://127.0.0.1:9"}
_COMPILE = "rebar3 as prod compile"
_RELEASE = "rebar3 as prod release"


def _broken(module: str, functions: int) -> str:
    calls = "".join(f"f{number}() -> Unbound{number}.\n" for number in range(functions))
    return f"-module({module}).\n-compile(export_all).\n{calls}"


#: By name: the command, the files, the variables.
CASES: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "many-errors": (_COMPILE, {**_DEMO, "apps/demo/src/demo_broken.erl": _broken("demo_broken", 60)}, {}),
    "deterministic": (
        _COMPILE,
        {**_DEMO, "apps/demo/src/deep/demo_broken.erl": _broken("demo_broken", 2)},
        {"ERL_COMPILER_OPTIONS": "deterministic"},
    ),
    "many-warnings": (
        _COMPILE,
        {
            **_DEMO,
            "apps/demo/src/demo_a.erl": "-module(demo_a).\n"
            + "".join(f"f{number}() -> X = 1.\n" for number in range(9)),
            "apps/demo/src/demo_b.erl": "-module(demo_b).\n-export([f/0]).\nf() -> oops oops.\n",
        },
        {},
    ),
    "warnings-as-errors": (
        _COMPILE,
        {
            **_DEMO,
            "rebar.config": "{erl_opts, [warnings_as_errors]}.\n",
            "apps/demo/src/demo_a.erl": "-module(demo_a).\nunused() -> ok.\nother(X) -> ok.\n",
        },
        {},
    ),
    "missing-header": (
        _COMPILE,
        {**_DEMO, "apps/demo/src/demo_a.erl": '-module(demo_a).\n-include_lib("gone/include/gone.hrl").\n'},
        {},
    ),
    "missing-transform": (
        _COMPILE,
        {**_DEMO, "rebar.config": "{erl_opts, [{parse_transform, gone_transform}]}.\n"},
        {},
    ),
    "missing-package": (_COMPILE, {**_DEMO, "rebar.config": '{deps, [{cowboy, "2.99.0"}]}.\n'}, _NOWHERE),
    "locked-package": (
        _COMPILE,
        {
            **_DEMO,
            "rebar.config": '{deps, [{cowboy, "2.10.0"}]}.\n',
            "rebar.lock": '{"1.2.0",[{<<"cowboy">>,{pkg,<<"cowboy">>,<<"2.10.0">>},0}]}.\n'
            '[{pkg_hash,[{<<"cowboy">>, <<"AA">>}]},{pkg_hash_ext,[{<<"cowboy">>, <<"BB">>}]}].\n',
        },
        _NOWHERE,
    ),
    "missing-repository": (
        _COMPILE,
        {**_DEMO, "rebar.config": '{deps, [{gone, {git, "https://127.0.0.1:9/gone.git", {branch, "main"}}}]}.\n'},
        {},
    ),
    "missing-plugin": (_COMPILE, {**_DEMO, "rebar.config": '{plugins, [{gone_plugin, "1.0.0"}]}.\n'}, _NOWHERE),
    "failing-hook": (
        _COMPILE,
        {
            **_DEMO,
            "rebar.config": '{pre_hooks, [{compile, "sh c_src/build.sh"}]}.\n',
            # As gcc and make have it.
            "c_src/build.sh": "echo cc -c nif.c\n"
            "echo 'nif.c:3:10: fatal error: gone.h: No such file or directory' >&2\n"
            "echo '    3 | #include <gone.h>' >&2\necho '      |          ^~~~~~~~' >&2\n"
            "echo 'make: *** [Makefile:2: nif.so] Error 1' >&2\nexit 2\n",
        },
        {},
    ),
    "talkative-hook": (
        _COMPILE,
        {
            **_DEMO,
            "rebar.config": '{pre_hooks, [{compile, "sh c_src/build.sh"}]}.\n',
            "c_src/build.sh": "for i in $(seq 40); do echo step $i; done\necho it does not work\nexit 2\n",
        },
        {},
    ),
    "hook-without-program": (_COMPILE, {**_DEMO, "rebar.config": '{pre_hooks, [{compile, "cmake --build ."}]}.\n'}, {}),
    "config-syntax": (_COMPILE, {**_DEMO, "rebar.config": "{erl_opts, [debug_info}.\n"}, {}),
    "app-src-syntax": (_COMPILE, {**_DEMO, "apps/demo/src/demo.app.src": "{application, demo, [{vsn 1}]}.\n"}, {}),
    "release-without-application": (
        _RELEASE,
        {**_DEMO, "rebar.config": '{relx, [{release, {demo, "1.0.0"}, [demo, gone]}]}.\n'},
        {},
    ),
    "application-without-need": (
        _RELEASE,
        {**_DEMO, "rebar.config": _RELX, "apps/demo/src/demo.app.src": _APP.format("demo", ", gone")},
        {},
    ),
    "overlay-without-file": (
        _RELEASE,
        {
            **_DEMO,
            "rebar.config": '{relx, [{release, {demo, "1.0.0"}, [demo]}, {overlay, [{copy, "gone", "gone"}]}]}.\n',
        },
        {},
    ),
    "sys-config-syntax": (
        _RELEASE,
        {
            **_DEMO,
            "rebar.config": '{relx, [{release, {demo, "1.0.0"}, [demo]}, {sys_config, "sys.config"}]}.\n',
            "sys.config": "[{kernel, [{x 1}]}].\n",
        },
        {},
    ),
    "no-release": (_RELEASE, _DEMO, {}),
    "crash": (_COMPILE, {**_DEMO, "rebar.config": "{erl_opts, debug_info}.\n{pre_hooks, oops}.\n"}, {}),
}


async def _record(builder: str) -> None:
    async with dagger.connection(dagger.Config(log_output=sys.stderr)):
        for name, (command, files, variables) in CASES.items():
            container = dag.container().from_(builder).with_workdir("/build")
            settings = {"TERM": "dumb", "REBAR_COLOR": "low", **variables}
            for path, text in {"rebar.config": "", **files}.items():
                container = container.with_new_file(path, text)
            for variable, value in settings.items():
                container = container.with_env_variable(variable, value)
            done = container.with_exec(command.split(), expect=dagger.ReturnType.ANY)
            said = {
                "exitCode": await done.exit_code(),
                "stdout": await done.stdout(),
                "stderr": await done.stderr(),
            }
            _DATA.mkdir(parents=True, exist_ok=True)
            (_DATA / f"{name}.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    anyio.run(_record, sys.argv[1])
