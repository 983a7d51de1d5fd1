import re
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.project.images import (
    OWN,
    Images,
    default_images,
    images_in_use,
    is_pinned,
    own_table,
    parse_table,
    render_images,
)

PINNED = "@sha256:" + "a" * 64
TABLE = parse_table(own_table(), OWN)


def test_every_image_of_the_own_table_is_pinned_by_digest() -> None:
    entries = [TABLE.images, *TABLE.otp.values()]
    assert [key for table in entries for key, reference in table.items() if not is_pinned(reference)] == []


def test_builders_and_runtimes_come_in_pairs() -> None:
    assert set(TABLE.otp) >= {"29", "28", "27"}
    for version, entries in TABLE.otp.items():
        builders = {key.split("-")[1] for key in entries if key.startswith("builder-")}
        assert builders == {key.split("-")[1] for key in entries if key.startswith("runtime-")}
        assert {f"builder-{flavor}" for flavor in builders} <= set(entries)
        for key, reference in entries.items():
            assert not key.startswith("builder-") or f"erlang:{version}." in reference
    assert set(TABLE.default) == {"alpine", "debian"}
    for flavor, version in TABLE.default.items():
        assert f"builder-{flavor}" in TABLE.otp[version]


def test_the_readme_has_the_erlangs_of_the_table() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    rows = re.findall(r"^\| (\d\d) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    cells = {
        (number, flavor): cell
        for number, *its in rows
        for flavor, cell in zip(("alpine", "debian"), its, strict=True)
        if "none" not in cell
    }
    keys = {(version, key.removeprefix("runtime-")) for version, entries in TABLE.otp.items() for key in entries}
    assert set(cells) == {(version, flavor) for version, flavor in keys if not flavor.startswith("builder-")}
    assert {flavor: version for (version, flavor), cell in cells.items() if "(default)" in cell} == TABLE.default


def test_an_own_digest_stands_in_one_place_or_is_that_of_one_image() -> None:
    references = [reference for table in (TABLE.images, *TABLE.otp.values()) for reference in table.values()]
    digests = {reference.partition("@")[2]: reference for reference in references}
    assert len(digests) == len(set(references))


def test_what_is_shown_can_be_given_again() -> None:
    for version in TABLE.otp:
        images = images_in_use("", {}, version)
        assert images_in_use(render_images(images), {})["builder-debian"] == TABLE.otp[version]["builder-debian"]
        shown = parse_table(render_images(images), "--images")
        assert (shown.images, shown.files) == (images.table, images.files)


def test_what_is_shown_says_of_which_erlang_it_is_and_for_what_there_is_none() -> None:
    lines = render_images(images_in_use("", {}, "28")).splitlines()
    assert lines[1:3] == ["# no Erlang/OTP 28 on alpine", "# Erlang/OTP 28 on debian"]


def test_an_override_replaces_and_unpinned_ones_are_named() -> None:
    images = default_images().override({"trivy": "mirror.example.org/trivy:1"})
    assert images["trivy"] == "mirror.example.org/trivy:1"
    assert "# not pinned by digest: trivy" in render_images(images)


def test_the_choice_of_an_erlang_changes_builder_and_runtime_together() -> None:
    chosen = images_in_use("", {}, "27").table
    assert {key: chosen[key] for key in TABLE.otp["27"]} == TABLE.otp["27"]
    pairs = {
        key: reference
        for flavor, version in TABLE.default.items()
        for key, reference in TABLE.otp[version].items()
        if flavor in key
    }
    assert default_images().table == {**TABLE.images, **pairs}


def test_a_sites_table_has_its_own_pairs_and_its_own_choice() -> None:
    site = f"""
    [otp]
    default-debian = "30"
    [otp.30]
    builder-debian = "m.example.org/erlang:30{PINNED}"
    runtime-debian = "m.example.org/debian:14{PINNED}"
    [otp.28]
    builder-debian = "m.example.org/erlang:28{PINNED}"
    """
    assert images_in_use(site, {})["builder-debian"] == f"m.example.org/erlang:30{PINNED}"
    assert images_in_use(site, {})["trivy"] == TABLE.images["trivy"]
    assert images_in_use(site, {})["builder-alpine"] == default_images()["builder-alpine"]
    other = images_in_use(site, {}, "28")
    assert other["builder-debian"] == f"m.example.org/erlang:28{PINNED}"
    assert other["runtime-debian"] == TABLE.otp["28"]["runtime-debian"]
    # The full image of another builder is none of this one.
    assert "builder-debian-full" not in other.table


def test_what_is_in_use_for_any_erlang_wins_unless_one_is_chosen() -> None:
    site = f'[images]\nbuilder-debian = "m.example.org/erlang:x{PINNED}"\n'
    assert images_in_use(site, {})["builder-debian"] == f"m.example.org/erlang:x{PINNED}"
    with pytest.raises(InputError, match='the image table has no "builder-debian-full"; add'):
        images_in_use(site, {})["builder-debian-full"]
    with pytest.raises(InputError, match=r"--images has builder-debian under \[images\]"):
        images_in_use(site, {}, "28")
    tool = '[images]\ncrane = "m.example.org/crane:1"\n'
    assert images_in_use(tool, {}, "28")["crane"] == "m.example.org/crane:1"


@pytest.mark.parametrize(
    ("otp", "given", "why"),
    [
        ("28.5", {}, "--otp=28.5: give a major version"),
        ("26", {}, r"--otp=26: the image table does not have this version, but 29, 28, 27; .*\[otp.26\]"),
        ("28", {"builder-debian": "erlang:27"}, "--otp=28 and --builder-image: .*give only one"),
    ],
)
def test_says_what_is_wrong_with_a_choice(otp: str, given: dict[str, str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        images_in_use("", given, otp)


def test_a_pair_that_is_not_there_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError) as refused:
        images_in_use("", {}, "28")["builder-alpine"]
    alternatives = "give --otp=29 or --otp=27 or --otp=28 --flavor=debian, or add"
    for words in ('"builder-alpine" for Erlang/OTP 28', alternatives, "[otp.28]", "--images"):
        assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = ", "not valid TOML"),
        ("a = 1", "add a table [images]"),
        ("images = 1", "add a table [images]"),
        ("files = 1", "[files] must be a table"),
        ("images = 1\n[otp.28]", "add a table [images]"),
        ('[images]\ncrane = "not a reference"', "is not an image reference"),
        ("[images]\ncrane = 1", "is not an image reference"),
        ('[images]\ncrane = "a:1\\n"', "is not an image reference"),
        ('[images]\ncrane = "a@sha256:12"', "is not an image reference"),
        ("otp = 28", "otp must be a table"),
        (
            '[images]\n[opt.28]\nbuilder-debian = "a:1"',
            "opt: unknown table; use [images], [files]",
        ),
        ('[images]\ncran = "a:1"', "cran: unknown image; use builder-…, runtime-…, trivy, "),
        ('crane = "a:1"\n[images]', "crane: unknown table; use"),
        ("[otp]\ndefault-debian = 28", 'default-debian under [otp] is 28; write a string such as "28"'),
        ("[otp]\ndefault = '28'", 'or write under [otp] default-debian = "28"'),
        ("[otp]\n28 = 1", "[otp.28]: name the table"),
        ("[otp.new]", "[otp.new]: name the table after a major version"),
        ('[otp.28]\ntrivy = "a:1"', "[otp.28]: trivy: only builder-"),
        ("[otp.28]\nbuilder-debian = 1", "[otp.28]: builder-debian: 1 is not an image reference"),
    ],
)
def test_says_what_is_wrong_with_a_table(text: str, why: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_table(text, "--images")
    assert str(refused.value).startswith("--images: ")
    assert why in str(refused.value)


def test_a_default_that_is_not_there_is_named() -> None:
    with pytest.raises(
        InputError, match=r"--images: default-debian under \[otp\]: the image table does not have this version"
    ):
        images_in_use('[otp]\ndefault-debian = "26"\n', {})


def test_says_how_to_give_a_missing_image() -> None:
    with pytest.raises(InputError, match="--images"):
        default_images()["scout"]
    with pytest.raises(InputError, match=r"under \[images\] in a file for --images"):
        Images({})["builder-plan9"]


SHA256 = "ab" * 32


def test_the_default_files_are_those_of_both_platforms() -> None:
    images = default_images()
    assert set(images.files) == {"init-amd64", "init-arm64", "certificates"}
    assert {images.file(key).url[:8] for key in images.files} == {"https://"}


def test_a_sites_own_files_replace_those_of_the_same_key() -> None:
    table = f'[files]\ninit-amd64 = "https://mirror.example.org/tini#sha256={SHA256}"\n'
    images = images_in_use(table, {})
    assert images.file("init-amd64").url == "https://mirror.example.org/tini"
    assert images.file("init-amd64").sha256 == SHA256
    assert images.file("init-arm64") == default_images().file("init-arm64")


@pytest.mark.parametrize(
    "value",
    ['"https://example.org/tini"', f'"https://example.org/tini#sha256={SHA256[1:]}"', f'"tini#sha256={SHA256}"', "1"],
)
def test_a_file_without_its_checksum_is_named(value: str) -> None:
    with pytest.raises(InputError, match=r"^--images: init-amd64: .* is not a file; write https://…#sha256= and 64"):
        parse_table(f"[files]\ninit-amd64 = {value}", "--images")


def test_says_how_to_give_a_missing_file() -> None:
    with pytest.raises(
        InputError, match=r'^the image table has no file "init-riscv64"; give the file with --init, or add'
    ):
        default_images().file("init-riscv64")
