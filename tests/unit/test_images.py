import pytest

from pipeline.errors import InputError
from pipeline.project.images import default_images, is_pinned, parse_images, render_images


def test_every_default_image_is_pinned_by_digest() -> None:
    table = default_images().table
    assert {"builder-alpine", "runtime-alpine", "builder-debian", "runtime-debian"} <= set(table)
    assert [key for key, reference in table.items() if not is_pinned(reference)] == []


def test_what_is_shown_can_be_given_again() -> None:
    images = default_images()
    assert parse_images(render_images(images), "--images") == images.table


def test_an_override_replaces_and_unpinned_ones_are_named() -> None:
    images = default_images().override({"trivy": "mirror.example.org/trivy:1"})
    assert images["trivy"] == "mirror.example.org/trivy:1"
    assert "# not pinned by digest: trivy" in render_images(images)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = ", "not TOML"),
        ("a = 1", "no table [images]"),
        ('[images]\nx = "not a reference"', "is no image reference"),
        ("[images]\nx = 1", "is no image reference"),
        ('[images]\nx = "a@sha256:12"', "is no image reference"),
    ],
)
def test_says_what_is_wrong_with_a_table(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why.replace("[", r"\[")):
        parse_images(text, "--images")


def test_says_how_to_give_a_missing_image() -> None:
    with pytest.raises(InputError, match="--images"):
        default_images()["builder-plan9"]
