import json

import pytest

from pipeline.errors import InputError
from pipeline.project.application import Application

RAW = {
    "name": "greeter",
    "version": "1.2.0",
    "release_apps": ["web", "sasl"],
    "apps": [
        {"name": name, "dir": f"apps/{name}", "app_file": f"apps/{name}/src/{name}.app.src", "vsn": "1"}
        for name in ("base", "web")
    ],
    "other_apps": [{"name": "broken", "dir": "apps/broken", "app_file": "apps/broken/src/broken.app.src", "vsn": ""}],
    "locked": ["cowboy"],
    "unlocked": ["tiny"],
    "checkouts": [],
    "packages": "",
    "without_checksum": ["old"],
    "repositories": [{"name": "tiny", "url": "https://git.example.org/tiny.git", "commit": "abcdef1", "folder": ""}],
    "native": [],
    "hex": "",
    "plugins": [{"name": "pc", "pinned": True}, {"name": "gpb", "pinned": False}],
    "dropped_plugins": ["rebar3_hex"],
    "sys_config": None,
    "vm_args": {"path": "vm.args"},
    "relx_files": [],
    "description": "d",
    "licenses": ["Apache-2.0"],
    "links": [{"name": "GitHub", "url": "https://github.com/x/y"}],
    "configs": {"rebar.config": "", "rebar.release.config": ""},
}


def test_the_readers_refusal_is_the_users_message() -> None:
    with pytest.raises(InputError, match=r"^rebar\.config: not found$"):
        Application.parse('{"error": "rebar.config: not found"}')


def test_the_summary_names_what_is_kept_and_dropped() -> None:
    lines = Application.parse(json.dumps(RAW)).summary().splitlines()
    assert "release             greeter 1.2.0" in lines
    assert "not in the release  broken" in lines
    assert "compiled            each application in its own stage" in lines
    assert "not locked          tiny (its version may change)" in lines
    assert "no checksum         old (checked by the registry's checksum)" in lines
    assert "sys.config          the pipeline's default" in lines
    assert "plugins kept        pc, gpb (no version: its version may change)" in lines
    assert "plugins dropped     rebar3_hex" in lines


def test_a_root_application_beside_others_is_compiled_with_them() -> None:
    root = {**RAW["apps"][0], "dir": ".", "app_file": "src/base.app.src"}
    application = Application.parse(json.dumps({**RAW, "apps": [root, RAW["apps"][1]]}))
    assert "in one stage: the root of the project is an application, and there are others" in application.summary()


def test_git_is_asked_where_a_version_is_computed_alone() -> None:
    computed = {**RAW["apps"][0], "computed": True}
    asked = "git describe\ngit describe\n"
    assert Application.parse(json.dumps({**RAW, "apps": [computed]}), asked).asks_git
    assert not Application.parse(json.dumps(RAW), asked).asks_git
    assert Application.parse(json.dumps(RAW), asked).asked == ("git describe",)


def test_an_application_needs_what_those_that_it_needs_need() -> None:
    needs = {"base": ["kernel"], "middle": ["base"], "aside": ["kernel"], "web": ["middle", "sasl"]}
    apps = [{**RAW["apps"][0], "name": name, "needs": names} for name, names in needs.items()]
    application = Application.parse(json.dumps({**RAW, "apps": apps}))
    needed = {app.name: application.needed(app) for app in application.apps}
    assert needed == {"base": [], "middle": ["base"], "aside": [], "web": ["base", "middle"]}


def test_the_summary_says_why_each_application_is_compiled_on_top_of_the_one_before() -> None:
    application = Application.parse(json.dumps({**RAW, "executed": ["rebar.config has hooks that run when compiling"]}))
    assert (
        "compiled            each application in its own stage, one after the other: "
        "rebar.config has hooks that run when compiling"
    ) in application.summary()
