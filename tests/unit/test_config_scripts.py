"""Which scripts of a project need nothing but what they are given."""

import pytest

from pipeline.project.config_scripts import is_plain

#: Of real projects (or their kind): cowboy's and jesse's dependants, coveralls in a CI, rebar 2 and 3 in one file.
PLAIN = [
    "CONFIG.",
    '% reads a file:consult("x")\nCONFIG.',
    'case os:getenv("CI") of false -> CONFIG; _ -> lists:keydelete(plugins, 1, CONFIG) end.',
    "case erlang:function_exported(rebar3, main, 1) of true -> CONFIG; false -> [] end.",
    "case list_to_integer(erlang:system_info(otp_release)) of N when N >= 27 -> CONFIG; _ -> [] end.",
    'Url = "https://example.org/x.git", lists:map(fun(D) -> {D, Url} end, CONFIG).',
    "lists:map(fun erlang:atom_to_list/1, CONFIG).",
    "M = #{a => 1}, #{a := A} = M, [{a, A} | CONFIG].",
    "C = $:, [C | CONFIG].",
    'filename:join(filename:dirname(SCRIPT), "priv"), CONFIG.',
    'io:format("hello: ~p~n", [1]), CONFIG.',
]
ASKING = [
    'os:cmd("git describe").',
    '{ok, V} = file:consult("build.config"), V.',
    "file : read_file(SCRIPT).",
    'file:\n  consult("x").',
    "'file':consult(\"x\").",
    'F = file, F:consult("x").',
    '(list_to_atom("file")):consult("x").',
    'F = fun file:consult/1, F("x").',
    'lists:map(fun file:consult/1, ["x"]).',
    'apply(list_to_atom("file"), consult, ["x"]).',
    'erlang:apply(list_to_atom("file"), consult, ["x"]).',
    'A = fun apply/3, A(file, consult, ["x"]).',
    'open_port({spawn, "git"}, []).',
    "spawn(file, delete, [SCRIPT]).",
    'filelib:is_regular("x").',
    'filename:find_src("x").',
    "<<A:8, _/binary>> = <<1, 2>>, A.",
    'rebar_api:info("x", []).',
    "{V, date()}.",
    "calendar:local_time().",
    'lists:member("\\"", []), file:consult("x").',
    "'it''s':x(), CONFIG.",
    'io:get_line("").',
    'X = """\n a " b\n """, file:consult("x").',
    'X = ~S"\\", file:consult("x").',
]


@pytest.mark.parametrize("text", PLAIN)
def test_a_script_that_asks_the_environment_and_its_arguments_is_plain(text: str) -> None:
    assert is_plain(text)


@pytest.mark.parametrize("text", ASKING)
def test_a_script_that_may_ask_for_anything_else_is_not(text: str) -> None:
    assert not is_plain(text)
