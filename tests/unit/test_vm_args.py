import pytest

from pipeline.project.vm_args import literal_cookies, problems, release_name_problem, without_cookies, words


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("-name a@b\n", ["-name", "a@b"]),
        ("## x\n  -a#y z\n+K true", ["-a", "+K", "true"]),
        ("%% x", ["%%", "x"]),
        ('-a "b c"d', ["-a", "b cd"]),
        ("-a 'b\"#'", ["-a", 'b"#']),
        (r"-a b\ c\#", ["-a", "b c#"]),
        ('-a ""', ["-a", ""]),
        ('-a "open', ["-a", "open"]),
        ("-a ${X:-b c#d} e", ["-a", "${X:-b c#d}", "e"]),
        ("-a ${X:-${Y}z}", ["-a", "${X:-${Y}z}"]),
        ("-a \\", ["-a", ""]),
        ("", []),
    ],
)
def test_words_are_those_of_the_emulator(text: str, read: list[str]) -> None:
    assert [word.text for word in words(text)] == read


@pytest.mark.parametrize(
    ("text", "lines", "cleaned"),
    [
        ("-setcookie x\n", [1], "-setcookie ${RELX_COOKIE}\n"),
        ("-name a@b -setcookie x # y\n", [1], "-name a@b -setcookie ${RELX_COOKIE} # y\n"),
        ("# -setcookie x\n\n-setcookie\n  x\n", [4], "# -setcookie x\n\n-setcookie\n  ${RELX_COOKIE}\n"),
        ("%% -setcookie x\n", [1], "%% -setcookie ${RELX_COOKIE}\n"),
        ('-setcookie "x y"\n', [1], "-setcookie ${RELX_COOKIE}\n"),
        ("-setcookie ${RELX_COOKIE:-x}\n", [1], "-setcookie ${RELX_COOKIE}\n"),
        ("-setcookie ${A:-${B:-x}}\n", [1], "-setcookie ${RELX_COOKIE}\n"),
        ("-setcookie x${A}\n", [1], "-setcookie ${RELX_COOKIE}\n"),
        ("-setcookie a\n-setcookie b", [1, 2], "-setcookie ${RELX_COOKIE}\n-setcookie ${RELX_COOKIE}"),
        ('-setcookie "${RELX_COOKIE}"\n', [], None),
        ("-setcookie '${OTHER}'\n", [], None),
        ("-setcookie ${A:-${B}}\n", [], None),
        ("-setcookie ${A:-}\n", [], None),
        ("-setcookie -name a@b\n", [], None),
        ("-setcookie\n", [], None),
    ],
)
def test_a_cookie_that_is_written_down_is_found_and_replaced(text: str, lines: list[int], cleaned: str | None) -> None:
    assert [line for line, _ in literal_cookies(text)] == lines
    assert without_cookies(text) == (text if cleaned is None else cleaned)
    assert literal_cookies(without_cookies(text)) == []


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("-name a@b\n-setcookie\n", 2, "-setcookie has no value"),
        ("-setcookie a\n\n-setcookie b", 3, "line 1 already has a cookie"),
        ("-name -setcookie x", 1, "-name has no value"),
        ("-name a@b\n-sname c", 2, "line 1 already has a name"),
        ("-detached", 1, "would end the container"),
        ("-name a@b\n%% Cookie\n-setcookie x", 1, "%% is a second one; a comment begins with #"),
        ("-setcookie a b\n", 1, "b is a second"),
    ],
)
def test_what_never_starts_is_named_by_its_line(text: str, line: int, said: str) -> None:
    [(number, sentence)] = problems(text)
    assert number == line
    assert said in sentence


@pytest.mark.parametrize(
    "text", ["", "+K true\n+A 30", "-name ${N}\n-setcookie ${RELX_COOKIE}", "%% x\n-name a@b\n-extra -name c"]
)
def test_what_may_start_has_no_problems(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize("name", ["demo", "my_app", "my-app2", "Demo"])
def test_a_release_may_be_named(name: str) -> None:
    assert release_name_problem(name) == ""


@pytest.mark.parametrize("name", ["my app", "für", "a@b", "a.b", "", "1a", "-a", "a/b"])
def test_a_release_may_not_be_named(name: str) -> None:
    assert release_name_problem(name).startswith(f"release {name}: ")
