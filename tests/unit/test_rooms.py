"""The house: which room may use which, that none is empty, and where the folder listing says a thing is."""

import ast
from pathlib import Path

import pytest

PIPELINE = Path(__file__).parents[2] / "pipeline"
#: From the ground up: a room uses those before it, and what stands beside the rooms.
ROOMS = ("project", "build", "image", "sbom", "scan", "report", "registry")
#: Beside the rooms; these use no room.
GROUND = {"errors", "handover", "output", "sdk", "steps", "table"}
#: Above them.
TOP = {"__init__", "__main__", "arguments", "direct", "main", "progress"}
FILES = sorted(PIPELINE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return what a file is part of: its room, or itself."""
    parts = path.relative_to(PIPELINE).parts
    return parts[0] if parts[1:] else path.stem


def used(path: Path) -> set[str]:
    """Return what of the pipeline a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pipeline":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if parts[1:] else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("pipeline.")}
    return found


def upward(name: str, uses: set[str]) -> set[str]:
    """Return what a part uses though it stands above it, or beside it without need."""
    allowed = {
        **dict.fromkeys(GROUND, GROUND),
        **{room: GROUND | set(ROOMS[: at + 1]) for at, room in enumerate(ROOMS)},
        **dict.fromkeys(TOP, GROUND | set(ROOMS) | TOP),
    }
    return uses - allowed[name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PIPELINE)))
def test_no_arrow_runs_upward(path: Path) -> None:
    assert {f"{path.relative_to(PIPELINE)} -> {target}" for target in upward(name_of(path), used(path))} == set()


def test_an_arrow_upward_is_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from pipeline.scan.vex import read_vex\n\nfrom pipeline import handover, main\n")
    assert used(wrong) == {"scan", "handover", "main"}
    assert upward("sbom", used(wrong)) == {"scan", "main"}
    assert upward("scan", used(wrong)) == {"main"}
    assert upward("errors", {"table", "project"}) == {"project"}


def test_every_room_is_known_and_says_what_it_is_for() -> None:
    folders = {path.name for path in PIPELINE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ROOMS)
    assert {path.stem for path in PIPELINE.glob("*.py")} == GROUND | TOP
    for room in ROOMS:
        assert ast.get_docstring(ast.parse((PIPELINE / room / "__init__.py").read_text()))


def test_what_runs_at_the_same_time_is_gathered() -> None:
    # A task group raises an ExceptionGroup: `errors.gathered` takes the one error out of it.
    groups = {str(path.relative_to(PIPELINE)) for path in FILES if "create_task_group" in path.read_text()}
    assert groups == {"errors.py"}


def test_names_have_no_underscore_in_front() -> None:
    assert [path.name for path in FILES if path.name.startswith("_") and not path.name.startswith("__")] == []


def test_a_script_lies_in_the_room_that_uses_it() -> None:
    for path in PIPELINE.glob("*/resources/*"):
        room, name = path.parts[-3], path.name
        texts = "".join(file.read_text() for file in (PIPELINE / room).glob("*.py"))
        # Two are made of a kind and an ending.
        assert name in texts or path.stem.removesuffix(".src") in texts or path.suffix == ".hrl", path


#: Where one looks by the folder listing, and a word of the code that is there and in no other file.
PLACES = {
    "image/labels.py": "org.opencontainers.image",
    "registry/tags.py": "no character of it is allowed in a tag",
    "scan/databases.py": "MAX_AGE =",
    "project/source.py": "SOURCE_IGNORE =",
    "build/configuration.py": "give --cookie-from-environment",
    "project/vm_args.py": "def literal_cookies",
    "image/crash.py": "Kernel pid terminated",
    "scan/acceptance.py": '"accept.toml"',
    "registry/signing.py": "PREDICATES = {",
    "image/health.py": "EXPECTED = {",
    "sbom/licence.py": "_SPELLINGS =",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_thing_is_where_its_name_says(place: str) -> None:
    holding = {str(path.relative_to(PIPELINE)) for path in FILES if PLACES[place] in path.read_text()}
    assert place in holding
    assert holding - {place} <= {"report/compliance.py", "report/completeness.py", "project/source.py"}, holding
