import json

import pytest

from pipeline.errors import InputError
from pipeline.project.application import Application

RAW = {
    "name": "greeter",
    "version": "1.2.0",
    "release_apps": ["web", "sasl"],
    "apps": [
        {"name": "base", "dir": "apps/base", "vsn": "1", "needs": []},
        {"name": "core", "dir": "apps/core", "vsn": "1", "needs": ["base"]},
        {"name": "other", "dir": "apps/other", "vsn": "1", "needs": []},
        {"name": "web", "dir": "apps/web", "vsn": "1", "needs": ["core"]},
    ],
    "other_apps": ["broken"],
    "locked": ["cowboy"],
    "checkouts": [],
    "plugins": [{"name": "pc", "pinned": True}, {"name": "gpb", "pinned": False}],
    "dropped_plugins": ["rebar3_hex"],
    "sys_config": None,
    "vm_args": "vm.args",
    "overlay": [],
    "description": "d",
    "licenses": ["Apache-2.0"],
    "links": [{"name": "GitHub", "url": "https://github.com/x/y"}],
}


def test_what_an_application_needs_indirectly_comes_in_order() -> None:
    application = Application.parse(json.dumps(RAW), {})
    web = application.apps[-1]
    assert application.closure(web) == ("base", "core")
    assert application.closure(application.apps[0]) == ()


def test_the_readers_refusal_is_the_users_message() -> None:
    with pytest.raises(InputError, match=r"^rebar\.config: not found$"):
        Application.parse('{"error": "rebar.config: not found"}', {})


def test_the_summary_names_what_is_kept_and_dropped() -> None:
    lines = Application.parse(json.dumps(RAW), {}).summary().splitlines()
    assert "release             greeter 1.2.0" in lines
    assert "not in the release  broken" in lines
    assert "plugins kept        pc, gpb (no version: fetched anew)" in lines
    assert "plugins dropped     rebar3_hex" in lines
