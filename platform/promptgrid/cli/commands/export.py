"""`promptgrid export`: a report's results as CSV and its pictures as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptgrid.cli.commands.suites import Command


def export(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A report folder, e.g. reports/quickstart.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; not the report's own.")],
) -> None:
    """Write a report's results as CSV and its pictures as SVG files. Needs the report alone, no store.

    Example: `promptgrid export reports/quickstart paper` writes paper/results.csv and paper/figures/*.svg
    """
    from promptgrid.leaderboard.files.export import export_report

    for path in export_report(report, out):
        typer.echo(path)


COMMANDS: dict[str, Command] = {"export": export}
