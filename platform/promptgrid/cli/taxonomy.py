"""`promptgrid taxonomy`: where every method stands, and which places are empty."""

from __future__ import annotations

import json
from collections.abc import Mapping

import typer
from rich.console import Console
from rich.table import Table

from promptgrid.cli.suites import AsJson, Command


def taxonomy(as_json: AsJson = False) -> None:
    """List the axes of the taxonomy with every value: the methods that have it, or why none has yet.

    The axes follow two surveys (arXiv:2307.12980, arXiv:2312.16602); `promptgrid report` can be sliced by them.
    """
    from promptgrid.contract import taxonomy as axes

    placed = _placed()
    rows = axes.taxonomy(placed)
    nowhere = sorted(name for name, place in placed.items() if not place)
    if as_json:
        typer.echo(json.dumps({"values": rows, "methods": placed, "not_placed": nowhere}, indent=2))
        return
    table = Table()
    for column in ("axis", "value", "methods"):
        table.add_column(column, overflow="fold")
    last = ""
    for row in rows:
        listed = ", ".join(row["methods"]) or f"none yet: {row['none_yet']}"
        table.add_section() if row["axis"] != last else None
        table.add_row(row["axis"] if row["axis"] != last else "", row["value"].replace("_", " "), listed)
        last = row["axis"]
    Console().print(table)
    if nowhere:
        typer.echo(f"not placed by their authors: {', '.join(nowhere)}")


def _placed() -> dict[str, Mapping[str, str]]:
    """{method: its place} of every track; empty where a third party's method names none."""
    from promptgrid import catalog

    rows = [row for name in catalog.tracks() for row in catalog.track(name).describe("methods")]
    return {row["name"]: row.get("axes", {}) for row in rows}


COMMANDS: dict[str, Command] = {"taxonomy": taxonomy}
