"""`promptgrid taxonomy`: where every method stands, and which places are empty."""

from __future__ import annotations

import json
from typing import Any

import typer

from promptgrid.cli.commands.suites import AsJson, Command
from promptgrid.cli.remembered import remembered
from promptgrid.cli.tables import Wide, show_table


def taxonomy(wide: Wide = False, as_json: AsJson = False) -> None:
    """List the axes of the taxonomy with every value: the methods that have it, or why none has yet.

    The axes follow two surveys (arXiv:2307.12980, arXiv:2312.16602); `promptgrid report` can be sliced by them.
    """
    told = remembered("taxonomy", _told)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    rows = (
        (row["axis"], row["value"].replace("_", " "), row["methods"] or f"none yet: {row['none_yet']}")
        for row in told["values"]
    )
    show_table(("axis", "value", "methods"), rows, names=("axis", "value"), wrap=("methods",), wide=wide)
    if told["not_placed"]:
        typer.echo(f"not placed by their authors: {', '.join(told['not_placed'])}", err=True)


def _told() -> dict[str, Any]:
    """Every value of every axis; every method of every track with its place, empty where its author names none."""
    from promptgrid import catalog
    from promptgrid.contract.taxonomy import taxonomy as values_of

    rows = [row for name in catalog.tracks() for row in catalog.track(name).describe("methods")]
    placed = {row["name"]: row.get("axes", {}) for row in rows}
    nowhere = sorted(name for name, place in placed.items() if not place)
    return {"values": values_of(placed), "methods": placed, "not_placed": nowhere}


COMMANDS: dict[str, Command] = {"taxonomy": taxonomy}
