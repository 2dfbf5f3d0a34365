"""`promptgrid results`: check results that are handed in, add them to a board, write its page again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from promptgrid.cli.commands.suites import AsJson, Command
from promptgrid.spec.exits import FAILED

Handed = Annotated[Path, typer.Argument(metavar="DIR", help="A report folder, a store, or a board.")]
OfSuite = Annotated[
    Path | None, typer.Option("--suite", metavar="SUITE", help="What the results must be of, every seed of it.")
]
Answers = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="Where a report's answers lie, to compute metrics again.")
]
SHOWN = 12


def check(folder: Handed, suite: OfSuite = None, store: Answers = None, as_json: AsJson = False) -> None:
    """Check results: digests, schema, ranges, repeats, seeds, keys from settings, metrics from kept answers.

    A line for each finding, with its row. Exit 1 where there is one. What cannot be looked at on this machine, such as
    the key of a cell whose data is elsewhere, is said and is no finding. Nothing in DIR is changed.

    Example: `promptgrid results check results/quickstart --store .promptgrid/store`
    """
    from promptgrid.api.contributing import check_results

    found = check_results(folder, suite, store)
    if as_json:
        told = {"kind": found.kind, "cells": found.cells, "wrong": [dataclasses.asdict(one) for one in found.wrong]}
        typer.echo(json.dumps(told | {"unchecked": list(found.unchecked)}, indent=2))
    else:
        for one in found.wrong:
            typer.echo(one.line)
        for line in found.unchecked:
            typer.echo(f"not checked: {line}")
        typer.echo(f"{folder}: a {found.kind} of {found.cells} cells, {len(found.wrong)} findings")
    if found.wrong:
        raise typer.Exit(FAILED)


def add(
    folder: Handed,
    board: Annotated[Path, typer.Option("--board", metavar="DIR", help="Folder of the board, in its repository.")],
    suite: OfSuite = None,
    store: Answers = None,
    as_json: AsJson = False,
) -> None:
    """Check results and merge them into a board: results.csv, and the page and table made of it.

    A cell that is there with another result is refused, one with the same is skipped, and nothing is written unless all
    of it can be. A new board needs `--suite`, which becomes its board.yaml.

    Example: `promptgrid results add results/mine --board boards/few-shot`
    """
    from promptgrid.api.contributing import add_results

    done = add_results(folder, board, suite, store)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(done) | {"board": str(done.board)}, indent=2))
        return
    for verb, names in (("added", done.added), ("skipped, there already with the same result", done.skipped)):
        for name in names[:SHOWN]:
            typer.echo(f"{verb}: {name}")
        if len(names) > SHOWN:
            typer.echo(f"{verb}: {len(names) - SHOWN} more")
    for line in done.unchecked:
        typer.echo(f"not checked: {line}")
    typer.echo(f"{done.board}: {len(done.added)} cells added, {len(done.skipped)} skipped")


def page(board: Annotated[Path, typer.Argument(metavar="BOARD", help="Folder of the board.")]) -> None:
    """Write the page and the table of a board again from its board.yaml and results.csv, as this version draws them.

    Rows stay as they are. For after an upgrade, when `results check` says that another version wrote the page.

    Example: `promptgrid results page boards/few-shot`
    """
    from promptgrid.api.contributing import write_page

    for path in write_page(board):
        typer.echo(f"written: {path}")


COMMANDS: dict[str, Command] = {"check": check, "add": add, "page": page}
"""Under `promptgrid results`."""
