"""`promptgrid`: from a suite to a leaderboard."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer
from rich.console import Console

from promptgrid import tracks
from promptgrid.cli.commands import (
    bench,
    cache,
    compare,
    contributed,
    export,
    groups,
    listing,
    maintenance,
    search,
    stub,
    suites,
)
from promptgrid.cli.exits import told
from promptgrid.spec import exits
from promptgrid.spec.version import __version__

app = typer.Typer(
    name="promptgrid",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=f"""Grids of prompt-learning and PEFT experiments over frozen models.

    Start with `promptgrid plan suites/quickstart.yaml`, then `run`, then `report`. {exits.HELP}""",
)


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with whatever it raises said in one line, and an exit code that tells what it was."""

    @wraps(command)
    def guarding(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError as error:  # who reads has enough: `promptgrid methods | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(exits.SIGNALLED + signal.SIGPIPE) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(exits.SIGNALLED + signal.SIGINT) from error
        except Exception as error:
            line, status = told(error)
            console = Console(stderr=True, highlight=False, soft_wrap=True)
            console.print(line, style="bold red", markup=False)
            raise typer.Exit(status) from error

    return guarding


def track_commands() -> dict[str, suites.Command]:
    """What the tracks that ship with promptgrid add: ``COMMANDS`` of a module ``commands`` in a track's folder."""
    found: dict[str, suites.Command] = {}
    for item in pkgutil.iter_modules(tracks.__path__):
        name = f"{tracks.__name__}.{item.name}.commands"
        if item.ispkg and importlib.util.find_spec(name) is not None:
            found |= importlib.import_module(name).COMMANDS
    return found


COMMANDS: dict[str, suites.Command] = {
    **suites.COMMANDS,
    **search.COMMANDS,
    **maintenance.COMMANDS,
    **groups.COMMANDS,
    **export.COMMANDS,
    **compare.COMMANDS,
    **bench.COMMANDS,
    **cache.COMMANDS,
    **listing.COMMANDS,
    **track_commands(),
}
for name, command in COMMANDS.items():
    app.command(name)(guarded(command))
new = typer.Typer(no_args_is_help=True, help="Write the stub of a plug-in.")
new.command("method")(guarded(stub.new_method))
app.add_typer(new, name="new")
results = typer.Typer(no_args_is_help=True, help="Check results that are handed in, and add them to a board.")
for name, command in contributed.COMMANDS.items():
    results.command(name)(guarded(command))
app.add_typer(results, name="results")


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and leave.", is_eager=True),
) -> None:
    """Grids of prompt-learning and PEFT experiments over frozen models."""
    if show:
        typer.echo(__version__)
        sys.exit(0)
