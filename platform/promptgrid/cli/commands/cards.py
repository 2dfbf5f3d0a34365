"""A method's card on the screen: what it learns and costs, where it may take part, how it stands to its original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from promptgrid.cli.tables import show_table
from promptgrid.engine.cards.lines import card_lines
from promptgrid.spec import Noun


def show_card(row: Mapping[str, Any], card: Mapping[str, Any], examples: Noun) -> None:
    """Print the card of ``row``, a method, and its settings; a track without cards shows the settings alone.

    ``examples`` is what the track calls its examples.
    """
    typer.echo(f"{row['name']} ({row['kind']}): {row['about']}\n{row['paper']}\n")
    _show_lines(
        [(title, line) for title, lines in (card_lines(card, examples) if card else {}).items() for line in lines]
    )
    _show_settings(row)


def _show_lines(lines: list[tuple[str, str]]) -> None:
    """Title and line side by side, on a terminal each title once; elsewhere a tab between them, every line whole."""
    console = Console()
    if not console.is_terminal:
        typer.echo("\n".join(f"{title}\t{line.replace('``', '`')}" for title, line in lines))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    last = ""
    for title, line in lines:
        table.add_row("" if title == last else title, Text(line.replace("``", "`")))
        last = title
    console.print(table)


def _show_settings(row: Mapping[str, Any]) -> None:
    rows = []
    for key, default in row["settings"].items():
        knob = row["knobs"].get(key)
        spread = f"{knob['low']:g} to {knob['high']:g}{' (log)' if knob['log'] else ''}" if knob else ""
        if key == "epochs" and not default:
            spread = "0: as published for the shots and the dataset"
        spread = spread or ", ".join(str(choice) for choice in row.get("choices", {}).get(key, ()))
        rows.append((key, str(default), spread))
    show_table(("setting", "default", "range or choices"), rows, title="settings")
