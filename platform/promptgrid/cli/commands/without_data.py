"""`promptgrid plan SUITE --no-data`: GPU-hours by method, on a machine that has nothing yet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from promptgrid.cli.tables import show_facts, show_table

if TYPE_CHECKING:
    from promptgrid.cluster.without_data import UnseenPlan


def show_unseen(plan: UnseenPlan, as_json: bool) -> None:
    """Print what ``plan`` says, for people or as JSON."""
    told = plan.to_json()
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    typer.echo(told["said"])
    facts = {"cells": told["cells"], "datasets": len(plan.datasets), "packs": told["packs"]}
    if plan.trials:
        facts["cells of the search"] = plan.trials
    show_facts(
        f"plan of {told['suite']} ({told['protocol']}), without data", facts | {"GPU-hours": _hours(plan.gpu_hours)}
    )
    rows = [[label, f"{cost.cells:,}", _hours(cost.gpu_hours)] for label, cost in plan.methods.items()]
    rows.append(["examples and views through frozen towers, once", "", _hours(plan.looking)])
    if plan.trials:
        rows.append(["the trials of the search", f"{plan.trials:,}", _hours(plan.searching)])
    columns = ("method", "cells", "GPU-hours")
    show_table(columns, rows, names=columns)
    for sentence in plan.basis:
        typer.echo(f"basis: {sentence}")


def _hours(hours: float) -> str:
    return f"{hours:,.2f}" if hours < 100 else f"{hours:,.0f}"
