"""`promptgrid groups`: which tasks to learn together, from a finished transfer study."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from promptgrid import api
from promptgrid.cli.suites import AsJson, Command, StoreDir, SuiteFile


def groups(
    suite: SuiteFile,
    store: StoreDir = None,
    label: Annotated[str, typer.Option("--label", metavar="LABEL", help="The method's label in the suite.")] = "CoOp",
    reading: Annotated[str, typer.Option("--reading", help="evaluate or adapt.")] = "adapt",
    over: Annotated[
        str, typer.Option("--over", metavar="LABEL", help="Label of the baseline.", show_default="the same: scratch")
    ] = "",
    size: Annotated[int, typer.Option("--size", min=2, help="Tasks in a group at most.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Recommend groups of tasks that help each other, as `sources` of a multitask suite.

    Example: `promptgrid groups suites/transfer_400.yaml --reading evaluate --over zero_shot`
    """
    from promptgrid.leaderboard.transfer_groups import gains_of, recommended_groups

    tasks, gain = gains_of(api.results(suite, store), label, reading, over or label)
    found = ["+".join(tasks[task] for task in group) for group in recommended_groups(gain, size)]
    if as_json:
        typer.echo(json.dumps({"tasks": len(tasks), "sources": found}))
        return
    typer.echo("\n".join(found) or f"no two of {len(tasks)} tasks gain from each other")


COMMANDS: dict[str, Command] = {"groups": groups}
