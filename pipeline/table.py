"""Tables for people: plain text that needs no colour and fits a terminal of 80 columns."""

import io
import textwrap
from collections.abc import Iterable, Sequence

import rich.box
import rich.console
import rich.table
import rich.text

#: Columns; the engine puts up to four characters before a line of an error.
WIDTH = 76


def table(header: Sequence[str], rows: Iterable[Sequence[str]], width: int = WIDTH) -> str:
    """Return rows as a table.

    Parameters
    ----------
    header
        Names of the columns; a column whose cells are all numbers is set to the right.
    rows
        Cells as text.
    width
        Columns to fit; a longer cell is folded.
    """
    body = [tuple(row) for row in rows]
    result = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for index, name in enumerate(header):
        numbers = all(_is_number(row[index]) for row in body)
        result.add_column(rich.text.Text(name), justify="right" if numbers and body else "left", overflow="fold")
    for row in body:
        # A text is shown as it is: markup and names of pictures (:bug:) mean nothing in what others wrote.
        result.add_row(*map(rich.text.Text, row))
    out = io.StringIO()
    rich.console.Console(file=out, width=width, no_color=True).print(result)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip()) + "\n"


def _is_number(cell: str) -> bool:
    return not cell or cell.replace(".", "", 1).isdecimal()


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def wrapped(text: str) -> str:
    """Return a line as lines that fit, with no word broken."""
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
