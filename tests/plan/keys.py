"""What an engine's cache looks at, as a table: the recorder is tested by it, and so is an engine."""

from collections.abc import Callable

import dagger
from dagger import dag

Made = Callable[[dagger.Directory, Callable[[dagger.Directory], dagger.Directory]], dagger.Directory]

#: The files of an uploaded directory; between two runs the second of them changes.
FILES = ("a/x", "b/y")
#: What is made of it (`e` copies it by a command), and whether a command over that is then answered by the cache.
KEYS: list[tuple[Made, bool]] = [
    (lambda d, _: d.filter(include=["a"]), True),
    (lambda d, _: d.filter(include=["**/x"]), True),
    (lambda d, _: d.filter(gitignore=True).filter(include=["a"]), True),
    (lambda d, _: d.directory("a"), True),
    (lambda d, _: d.filter(include=["a"]).directory("a"), True),
    (lambda d, _: d.filter(exclude=["b"]).filter(include=["a"]), True),
    (lambda d, _: d.filter(include=["a"]).with_timestamps(1), True),
    (lambda d, _: d.filter(include=["a"]).with_new_file("t", "t").directory("a"), True),
    (lambda d, _: d.filter(include=["a"]).without_directory("zz"), True),
    (lambda d, _: dag.directory().with_directory("q", d.filter(include=["a"])), True),
    (lambda d, _: dag.directory().with_file("q", d.with_timestamps(1).file("a/x")), True),
    (lambda d, _: dag.directory().with_file("q", d.with_new_file("t", "t").file("a/x")), True),
    (lambda d, _: dag.directory().with_directory("q", d, include=["a"]), False),
    (lambda d, _: d.without_directory("b"), False),
    (lambda d, _: d.with_timestamps(1).filter(include=["a"]), False),
    (lambda d, _: d.with_new_file("t", "t").filter(include=["a"]), False),
    (lambda d, _: d.filter(include=["a", "b"]).without_file("b/y"), False),
    (lambda d, _: dag.directory().with_directory("q", d).directory("q/a"), False),
    (lambda d, e: e(d).directory("a"), False),
    (lambda d, e: dag.directory().with_file("f", e(d).file("a/x")), True),
]
