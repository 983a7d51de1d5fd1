"""Tables for people: plain text that needs no colour and fits 80 columns where its content does."""

import io
from collections.abc import Iterable, Sequence

import rich.box
import rich.console
import rich.table


def table(header: Sequence[str], rows: Iterable[Sequence[str]], width: int = 100) -> str:
    """Return rows as a table.

    Parameters
    ----------
    header
        Names of the columns; a column whose cells are all numbers is set to the right.
    rows
        Cells as text.
    width
        Columns of the terminal to fit, in characters.
    """
    body = [tuple(row) for row in rows]
    result = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        numbers = all(_is_number(row[index]) for row in body)
        result.add_column(name, justify="right" if numbers and body else "left", overflow="fold")
    for row in body:
        result.add_row(*(cell.replace("[", "\\[") for cell in row))
    out = io.StringIO()
    rich.console.Console(file=out, width=width, no_color=True).print(result)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip()) + "\n"


def _is_number(cell: str) -> bool:
    return not cell or cell.replace(".", "", 1).isdecimal()


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
