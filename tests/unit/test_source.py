import pytest

from pipeline.errors import InputError
from pipeline.project.source import parse_dockerignore


def test_reads_lines_as_docker_does() -> None:
    text = "\ufeff# a comment\n\n  docs  \n/top\n!docs/keep.md\n./a/../b/\n  # no comment: only column one is\n"
    assert parse_dockerignore(text) == ["docs", "top", "!docs/keep.md", "b", "# no comment: only column one is"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[a", "a [ without its ]"),
        ("x/[]", "a [ without its ]"),
        ("a\\", "it ends in a backslash"),
        ("!", "nothing after the exclamation mark"),
    ],
)
def test_names_the_broken_line(line: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_dockerignore(f"docs\n{line}\n")
    assert str(caught.value).startswith(f".dockerignore:2: {line!r}")
    assert why in str(caught.value)


@pytest.mark.parametrize("line", ["[a-c]", "[^x]y", "\\[a", "**/*.md", "a?c"])
def test_takes_every_pattern_of_go(line: str) -> None:
    assert parse_dockerignore(line) == [line]
