"""Tables for people and for pipes: no name is ever broken over two lines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Wide = Annotated[bool, typer.Option("--wide", help="Show every column whole, however long the lines.")]
LONGEST_NAME = 48
"""A column of names is as wide as its longest entry, up to here; other columns give way first."""
SHORT = 12
"""So are columns of numbers and of short words."""
NARROW = 8
"""What is left of a column where the terminal is too narrow; lines are then longer than it."""


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    names: Collection[str] = (),
    wrap: Collection[str] = (),
    wide: bool = False,
) -> None:
    """Print ``rows`` under ``columns``: a table on a terminal, else a line of tabbed fields a row, each whole.

    On a terminal an entry that does not fit ends in an ellipsis. Those of ``names`` (by default the first column) are
    the last that do; those of ``wrap`` go on in the next line instead, between words. ``wide`` shows everything.
    """
    console = Console()
    lines = [[shown(value) for value in row] for row in rows]
    if not console.is_terminal:
        listed = [list(columns), *lines]
        typer.echo("\n".join("\t".join(" ".join(cell.split()) for cell in line) for line in listed))
        return
    stacked = list(zip(columns, *lines, strict=True))
    longest = [max(map(len, entries)) for entries in stacked]
    least = [
        min(width, LONGEST_NAME)
        if column in (names or columns[:1]) or width <= SHORT
        else max(len(word) for entry in entries for word in entry.split() or [""])
        if column in wrap
        else max(len(column), NARROW)
        for column, width, entries in zip(columns, longest, stacked, strict=True)
    ]
    widths = longest if wide else _widths(longest, least, console.width - 3 * len(columns) - 1)
    table = Table(title=title or None, title_justify="left")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, no_wrap=wide or column not in wrap, overflow="ellipsis", width=width)
    for line in lines:
        table.add_row(*map(Text, line))
    Console(width=max(console.width, sum(widths) + 3 * len(widths) + 1)).print(table)


def _widths(longest: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """A width for each column between what it asks for and what it must have; small wishes come first."""
    widths, left = list(least), room - sum(least)
    order = sorted(range(len(longest)), key=lambda place: longest[place] - least[place])
    for number, place in enumerate(order):
        more = max(0, min(longest[place] - least[place], left // (len(order) - number)))
        widths[place] += more
        left -= more
    return widths


def show_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print a title and a line a fact, names and values in two columns; nothing is cut or wrapped."""
    wide = max(map(len, facts), default=0)
    typer.echo("\n".join([title, *(f" {name:<{wide}}  {shown(value)}" for name, value in facts.items())]))


def shown(value: Any) -> str:
    """A value as it stands in a table: lists with commas, nothing for None."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
