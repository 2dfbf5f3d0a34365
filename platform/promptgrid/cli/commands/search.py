"""`promptgrid search`: hyper-parameters chosen on validation examples, the same budget for every method."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from promptgrid import api
from promptgrid.cli.commands.suites import AsJson, Command, RetryFailed, StallLimit, StoreDir, tell_mirror
from promptgrid.cli.tables import show_table
from promptgrid.spec import Refused, exits
from promptgrid.spec.searched import SearchFound

if TYPE_CHECKING:
    from promptgrid.cluster.search.run import SearchSummary
    from promptgrid.cluster.search.winners import Winner

SHOWN = 40
"""Winners listed one by one; more are left to --json and the report."""


def search(
    suite: Annotated[Path, typer.Argument(metavar="SUITE", help="A suite file; its key `search` sets the defaults.")],
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials", min=1, metavar="N", help="Configurations a method.", show_default="the suite's, or 20"
        ),
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option("--algorithm", help="random, optuna, asha or pbt.", show_default="the suite's, or random"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Names the lists of trials.", show_default="the suite's, or 1")
    ] = None,
    one_setting: Annotated[
        bool | None,
        typer.Option(
            "--one-setting/--per-dataset",
            help="Choose one configuration for all datasets, or one for each.",
            show_default="the suite's, or one for each",
        ),
    ] = None,
    ensemble: Annotated[
        bool | None,
        typer.Option(
            "--ensemble/--no-ensemble",
            help="Choose nothing: the models of all draws answer together; no validation example is read.",
            show_default="the suite's",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", metavar="FILE", help="Write what was chosen as a suite; several where choices differ by place."
        ),
    ] = None,
    store: StoreDir = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="A", help="An existing Ray cluster: HOST:PORT or auto.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Worker processes on this machine.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Run in one process beside this one (random only).")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads a worker; more may change last bits.")] = 1,
    mlflow: Annotated[bool, typer.Option("--mlflow/--no-mlflow", help="Mirror the records to MLflow.")] = True,
    as_json: AsJson = False,
    retry_failed: RetryFailed = False,
    stall_limit: StallLimit = None,
) -> None:
    """Search the knobs of every method of a suite on validation examples, then test what was chosen.

    Three selections share one list of draws, and the report has a row for each: the best of each dataset
    (--per-dataset), the best mean over all datasets (--one-setting), and the ensemble over all draws (--ensemble),
    which averages the probabilities of their models. An ensemble of 12 draws trains, keeps and asks 12 models; a draw
    whose training fails is left out.

    Trial 0 is the configuration as written. Interrupt at any point and run again to go on; more trials later go on
    from fewer. asha and pbt score at 1/9, 1/3 and all epochs, and each time train from the start: what pbt's trials
    inherit are settings, not parameters. Example: `promptgrid search suites/quickstart.yaml --trials 20 --workers 2`
    """
    if write is not None and api.search_entry(suite, ensemble=ensemble).ensemble:
        raise Refused("an ensemble has many settings of a method, and a suite has one", where="--write",
                      hint="write what --per-dataset or --one-setting chose")  # fmt: skip
    summary = api.search(
        suite,
        store,
        trials=trials,
        algorithm=algorithm,
        seed=seed,
        one_setting=one_setting,
        ensemble=ensemble,
        local=local,
        workers=workers,
        address=address,
        device=device,
        threads=threads,
        mlflow=mlflow,
        retry_failed=retry_failed,
        stall_limit=stall_limit,
    )
    if summary.interrupted is not None or summary.found is None:
        sys.stderr.write("interrupted: what is finished is kept; the same command goes on from here\n")
        raise typer.Exit(exits.SIGNALLED + (summary.interrupted or 0))
    for run in filter(None, (summary.searched, summary.tested)):
        tell_mirror(run)
    from promptgrid.cluster.search.winners import winners as winners_of
    from promptgrid.cluster.search.written import write_chosen

    winners = winners_of(summary.found, api.open_store(store))
    if as_json:
        typer.echo(json.dumps(_as_json(summary, winners), indent=2))
    else:
        _print(summary, winners)
        for path in [] if write is None else write_chosen(api.as_suite(suite), summary.found, write):
            typer.echo(f"chosen settings: {path}")
        typer.echo(f"next: promptgrid report {suite}" + (f" --store {store}" if store is not None else ""))
    lacking = [one for one in winners if one.test is None or (one.chosen is None and not summary.found.ensemble)]
    if lacking:
        raise typer.Exit(exits.FAILED)


def _as_json(summary: SearchSummary, winners: list[Winner]) -> dict[str, Any]:
    found = summary.found
    assert found is not None
    runs = [run for run in (summary.searched, summary.tested) if run is not None]
    return {
        "suite": found.suite,
        "algorithm": found.algorithm,
        "trials": found.trials,
        "seed": found.seed,
        "chosen_by": "" if found.ensemble else found.metric,
        "ensemble": found.ensemble,
        "validation_cells": found.cells,
        "cells_run": sum(run.done + run.failed for run in runs),
        "validation_cells_failed": summary.searched.failed,
        "seconds": round(sum(run.seconds for run in runs), 1),
        "choice": str(summary.path),
        "winners": [vars(winner) for winner in winners],
    }


def _print(summary: SearchSummary, winners: list[Winner]) -> None:
    found = summary.found
    assert found is not None
    console = Console(soft_wrap=True)
    if found.ensemble:
        _show_ensembles(summary, found, winners)
    elif len(winners) <= SHOWN:
        _show_winners(summary, found, winners)
        for winner in (one for one in winners if one.settings):
            changed = ", ".join(f"{key} {value:.3g}" for key, value in winner.settings.items())
            place = f"{winner.dataset}, {winner.shots} shots, {winner.backbone}"
            console.print(f"{winner.label} on {place}: {changed}", highlight=False, markup=False)
    failed = f", {summary.searched.failed} of them failed" if summary.searched.failed else ""
    kind = "draws" if found.ensemble else "trials"
    cells = f"{found.cells} cells of draws" if found.ensemble else f"{found.cells} validation cells"
    budget = f"{found.trials} {kind} a method ({found.algorithm}, seed {found.seed})"
    console.print(f"{budget}, {cells}{failed}; {_WRITTEN[found.ensemble]}: {summary.path}", highlight=False)


_WRITTEN = {False: "choice", True: "written down in"}


def _show_ensembles(summary: SearchSummary, found: SearchFound, winners: list[Winner]) -> None:
    rows = (
        (one.label, one.dataset, one.backbone, str(one.shots), str(one.draws), _score(one.test),
         _score(one.test_as_written))
        for one in winners[:SHOWN]
    )  # fmt: skip
    columns = ("method", "dataset", "backbone", "shots", "draws", "test", "test as written")
    title = f"ensembles over draws of {found.suite}: mean probabilities, no validation {summary.examples.one} read"
    show_table(columns, rows, title=title, names=columns)


def _show_winners(summary: SearchSummary, found: SearchFound, winners: list[Winner]) -> None:
    optional = {"backbone": [winner.backbone for winner in winners], "shots": [str(winner.shots) for winner in winners]}
    told = {name: values for name, values in optional.items() if len(set(values)) > 1}
    rows = (
        (
            winner.label,
            winner.dataset,
            *(values[place] for values in told.values()),
            "none" if winner.chosen is None else str(winner.chosen),
            *map(_score, (winner.validation, winner.test, winner.test_as_written)),
        )
        for place, winner in enumerate(winners)
    )
    columns = ("method", "dataset", *told, "trial", "validation", "test", "test as written")
    how = f"by {found.chosen_by.title} on validation {summary.examples.many}"
    title = f"winners of {found.suite}: chosen {how}, then tested"
    show_table(columns, rows, title=title, names=columns)


def _score(value: float | None) -> str:
    return "failed" if value is None else f"{value:.3f}"


COMMANDS: dict[str, Command] = {"search": search}
