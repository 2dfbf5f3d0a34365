"""`promptgrid`: from a suite to a leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer
from rich.console import Console

from promptgrid.cli import bench, cache, export, groups, listing, maintenance, search, stub, suites
from promptgrid.spec import Refused
from promptgrid.spec.version import __version__

app = typer.Typer(
    name="promptgrid",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Grids of prompt-learning and PEFT experiments over frozen CLIP models.

    Start with `promptgrid plan suites/quickstart.yaml`, then `run`, then `report`. Exit codes: 0 all is well, 1 some
    cells failed, 2 the input was refused before any work, 130/143 interrupted (run again to go on).""",
)
REFUSED = 2


def refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with a refusal printed in one line and exit code 2."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except Refused as error:
            console = Console(stderr=True, highlight=False, soft_wrap=True)
            console.print(f"refused: {error}", style="bold red", markup=False)
            raise typer.Exit(REFUSED) from error

    return guarded


COMMANDS: dict[str, suites.Command] = {
    **suites.COMMANDS,
    **search.COMMANDS,
    **maintenance.COMMANDS,
    **groups.COMMANDS,
    **export.COMMANDS,
    **bench.COMMANDS,
    **cache.COMMANDS,
    **listing.COMMANDS,
}
for name, command in COMMANDS.items():
    app.command(name)(refusing(command))
new = typer.Typer(no_args_is_help=True, help="Write the stub of a plug-in.")
new.command("method")(refusing(stub.new_method))
app.add_typer(new, name="new")


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and leave.", is_eager=True),
) -> None:
    """Grids of prompt-learning and PEFT experiments over frozen CLIP models."""
    if show:
        typer.echo(__version__)
        sys.exit(0)
