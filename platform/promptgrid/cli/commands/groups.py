"""`promptgrid groups`: which tasks to learn together, from a finished transfer study."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from promptgrid import api
from promptgrid.cli.commands.suites import AsJson, Command, StoreDir, SuiteFile
from promptgrid.spec import read_suite


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
    from promptgrid.leaderboard.transfer.groups import gains_of, recommended_groups

    tasks, gain = gains_of(api.results(suite, store), label, reading, over or label)
    found = ["+".join(tasks[task] for task in group) for group in recommended_groups(gain, size)]
    forms = _forms(read_suite(suite).track)
    if as_json:
        typer.echo(json.dumps({"tasks": len(tasks), "sources": found, "learned_by": forms}))
        return
    typer.echo("\n".join(found) or f"no two of {len(tasks)} tasks gain from each other")
    for form, methods in forms.items():
        typer.echo(f"as `sources`, learned together by {', '.join(methods)} with {form}", err=True)


def _forms(track: str) -> dict[str, list[str]]:
    """In which form the multitask methods of a track learn a group by default: that form, and who has it.

    A form is what a method chooses between beside the choices of single-task methods: which classes compete, how
    batches are filled.
    """
    from promptgrid import catalog

    rows = catalog.track(track).describe("methods")
    several = [row for row in rows if row.get("axes", {}).get("supervision") == "multi_task"]
    others = {name for row in rows if row not in several for name in row.get("choices", {})}
    found: dict[str, list[str]] = {}
    for row in several:
        own = [f"{name}: {row['settings'][name]}" for name in row.get("choices", {}) if name not in others]
        found.setdefault(", ".join(own), []).append(row["name"])
    return found


COMMANDS: dict[str, Command] = {"groups": groups}
