"""Commands over one suite: plan, run, status, report, verify."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptgrid import api
from promptgrid.cli.commands.without_data import show_unseen
from promptgrid.cli.tables import show_facts, show_table
from promptgrid.spec import Refused, exits
from promptgrid.spec.sizes import UNITS, shown

if TYPE_CHECKING:
    from promptgrid.cluster import Plan
    from promptgrid.cluster.execution import RunSummary
    from promptgrid.cluster.status import Status

ROUNDS = 3
MESSAGE_LENGTH = 200
Command = Callable[..., None]
SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="A suite file, e.g. suites/quickstart.yaml.")]
StoreDir = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="DIR", help="Folder of the records.", show_default="$PROMPTGRID_STORE or .promptgrid/store"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
OutDir = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder to write.", show_default="results/<suite>")
]
NOTES = 12
"""Lines about the data that a plan prints."""
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Run cells again whose failure is final.")]
StallLimit = Annotated[
    float | None,
    typer.Option(
        "--stall-limit",
        min=1.0,
        metavar="SECONDS",
        help="End a worker that shows no progress for so long; its cell fails with TIMEOUT.",
        show_default="the suite's stall_limit, or half an hour",
    ),
]


def plan(
    suite: SuiteFile,
    store: StoreDir = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, metavar="N", help="Workers to estimate for: one a core by default."),
    ] = None,
    as_json: AsJson = False,
    retry_failed: RetryFailed = False,
    no_data: Annotated[
        bool,
        typer.Option("--no-data", help="Reckon GPU-hours from published sizes; look at no data, weights or store."),
    ] = False,
) -> None:
    """Show what a suite asks for, what the store has of it, and what a run would take. Runs nothing.

    Example: `promptgrid plan suites/quickstart.yaml --json`; on a machine that has nothing yet:
    `promptgrid plan suites/papers/coop_few_shot.yaml --no-data`
    """
    if no_data:
        if store is not None or workers is not None or retry_failed:
            raise Refused("--no-data looks at no store and knows no workers", where="plan",
                          hint="leave out --store, --workers and --retry-failed")  # fmt: skip
        show_unseen(api.plan_without_data(suite), as_json)
        return
    planned = api.plan(suite, store, retry_failed=retry_failed)
    slots = workers or os.cpu_count() or 1
    wall = planned.wall_seconds(slots)
    counts = planned.to_json() | {"workers": slots, "estimated_wall_seconds": round(wall, 1)}
    if as_json:
        _print_json(counts)
        return
    show_facts(
        f"plan of {counts['suite']} ({counts['protocol']})",
        {
            "cells": counts["cells"],
            "finished": counts["finished"],
            "missing": counts["missing"],
            "failed for good": counts["failed"],
            "packs to run": counts["packs"],
            "estimated core time": _duration(counts["estimated_seconds"]),
            f"estimated on {slots} workers": _duration(wall),
        }
        | _states_of(planned),
    )
    _tell_notes(planned.notes)
    named = f"{suite}" + (f" --store {store}" if store is not None else "")
    typer.echo(f"next: promptgrid {'run' if counts['missing'] else 'report'} {named}")


def run(
    suite: SuiteFile,
    store: StoreDir = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="A", help="An existing Ray cluster: HOST:PORT or auto.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Worker processes on this machine.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Run the same packs in one process beside this one, without Ray.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads a worker; more may change last bits.")] = 1,
    mlflow: Annotated[bool, typer.Option("--mlflow/--no-mlflow", help="Mirror the records to MLflow.")] = True,
    as_json: AsJson = False,
    retry_failed: RetryFailed = False,
    stall_limit: StallLimit = None,
) -> None:
    """Run the missing cells of a suite on Ray Tune; interrupt at any point and run again to go on.

    Examples: `promptgrid run suites/quickstart.yaml --workers 2`; on a cluster, from here:
    `promptgrid submit suites/quickstart.yaml --store /shared/store`
    """
    seconds, now = 0.0, None
    for _ in range(ROUNDS):  # what turns out to be damaged when it is read goes to quarantine, and is run again
        planned = api.plan(suite, store, retry_failed=retry_failed and now is None)
        summary = api.execute(
            planned,
            store,
            local=local,
            workers=workers,
            address=address,
            device=device,
            threads=threads,
            mlflow=mlflow,
            stall_limit=stall_limit,
        )
        if summary.interrupted is not None:
            sys.stderr.write("interrupted: what is finished is kept; the same command goes on from here\n")
            raise typer.Exit(exits.SIGNALLED + summary.interrupted)
        tell_mirror(summary)
        seconds, now = seconds + summary.seconds, api.status(planned, store)
        if not now.missing:
            break
        sys.stderr.write(f"{now.missing} cells are missing again: going on with them\n")
    assert now is not None
    if as_json:
        _print_json(dataclasses.asdict(now) | {"seconds": round(seconds, 1)})
    else:
        _print_status(now)
        typer.echo(next_step(now, suite, store))
    if now.failed or now.missing:
        raise typer.Exit(exits.FAILED)


def status(suite: SuiteFile, store: StoreDir = None, as_json: AsJson = False) -> None:
    """Show how far a suite is, and the digest of its scores."""
    now = api.status(suite, api.existing_store(store))
    if as_json:
        _print_json(dataclasses.asdict(now))
    else:
        _print_status(now)
        typer.echo(next_step(now, suite, store))


def _states_of(planned: Plan) -> dict[str, str]:
    """What is learned takes a line of a plan where it takes a large part of a disk."""
    states, told = planned.states, {}
    if states.kept_mb:
        told["states to be kept"] = shown(states.kept_mb * UNITS["MB"])
    if states.left_out:
        told["states left out"] = f"of {states.left_out} cells, each of more than {planned.suite.states_mb:g} MB"
    return told


def next_step(now: Status, suite: Path, store: Path | None) -> str:
    """The line that says which command comes next."""
    named = f"{suite}" + (f" --store {store}" if store is not None else "")
    if now.missing:
        return f"next: promptgrid run {named}"
    if now.failed:
        return f"next: promptgrid report {named} shows why cells failed; promptgrid run {named} --retry-failed"
    return f"next: promptgrid report {named}"


def report(
    suite: Annotated[
        Path | None, typer.Argument(metavar="SUITE", help="A suite file, e.g. suites/quickstart.yaml.")
    ] = None,
    store: StoreDir = None,
    out: OutDir = None,
    index: Annotated[
        Path | None,
        typer.Option("--index", metavar="DIR", help="Write DIR/index.html over the reports in DIR; takes no suite."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="Rows of the leaderboard to print.")] = 8,
    mlflow: Annotated[bool, typer.Option("--mlflow/--no-mlflow", help="Give MLflow the report as an artifact.")] = True,
    examples: Annotated[
        bool,
        typer.Option(
            "--examples/--no-images", help="Show at most 60 small test examples, made from the data, or none."
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write the leaderboard of a suite: report.html, tables, results.parquet. Prints its top.

    `promptgrid export` makes results.csv and SVG files of it. `promptgrid report --index results` writes one page that
    lists all reports there, with who leads.
    """
    if (suite is None) == (index is None):
        raise Refused(
            "a suite, or --index with a folder of reports", where="report", got="both" if suite else "neither"
        )
    if index is not None:
        typer.echo(f"index: {api.index(index)}")
        return
    assert suite is not None
    paths = api.report(suite, store, out, mlflow=mlflow, examples=examples)
    if as_json:
        _print_json({key: _plain(value) for key, value in dataclasses.asdict(paths).items()})
        return
    if top:
        _print_top(paths.leaderboard_csv, top)
    typer.echo(f"report: {paths.html}")


def verify(
    suite: Annotated[Path | None, typer.Argument(metavar="[SUITE]", help="Check only this suite's cells.")] = None,
    store: StoreDir = None,
    as_json: AsJson = False,
) -> None:
    """Read every file again and check its digest; what is damaged goes to quarantine and will be run again.

    Without a suite the whole store is read: records, failed attempts, cached features, choices of searches, and what
    lies among them without belonging there.
    """
    checked = api.verify(suite, store)
    if as_json:
        _print_json(dataclasses.asdict(checked))
    else:
        read = {"cells read": checked.checked}
        if suite is None:
            read |= {"cached features read": checked.features, "searches read": checked.searches}
        show_facts(f"verified {api.open_store(store).root}", read | {"damaged or out of place": len(checked.damaged)})
        for name in checked.beside:
            typer.echo(f"  not of the store, left alone: {name}")
        for key, why in checked.damaged:
            typer.echo(f"  {key[:12]}  {why}")
    if checked.damaged:
        raise typer.Exit(exits.FAILED)


def tell_mirror(summary: RunSummary) -> None:
    """Say on stderr what MLflow was not given, if anything."""
    if summary.mirror is not None and summary.mirror.problem:
        sys.stderr.write(f"MLflow: {summary.mirror.problem}\n")


def _print_status(now: Status) -> None:
    rows: dict[str, Any] = {"cells": now.cells, "finished": now.finished, "missing": now.missing, "failed": now.failed}
    if now.missing:
        rows["packs running"] = now.running
        rows["estimated core time left"] = _duration(now.estimated_seconds)
        when = "" if now.running else ", once it goes on"
        rows["ETA"] = "unknown" if now.eta_seconds is None else f"in {_duration(now.eta_seconds)}{when}"
    show_facts(f"status of {now.suite}", rows)
    for reason, count in sorted(now.reasons.items()):
        typer.echo(f"{reason} {count}: {shortened(now.messages.get(reason, ''))}")
    typer.echo(f"scores digest {now.scores_digest}" if now.finished or now.failed else "no scores yet")


def _tell_notes(notes: Mapping[str, tuple[str, ...]]) -> None:
    """What people should know of the data, a line each."""
    lines = [f"note: {dataset}: {note}" for dataset, some in notes.items() for note in some]
    for line in lines[:NOTES]:
        typer.echo(line)
    if len(lines) > NOTES:
        typer.echo(f"and {len(lines) - NOTES} more notes: --json shows all")


def _print_top(leaderboard: Path, top: int) -> None:
    import pandas as pd

    frame = pd.read_csv(leaderboard)
    for (backbone, shots), part in frame.groupby(["backbone", "shots"], sort=False):
        if shots != frame["shots"].max():
            continue
        columns = ("", "method", "mean", "95 % interval", "difference")
        rows = [_line_of(row) for row in part.head(top).to_dict("records")]
        typer.echo(f"top of the leaderboard: {backbone}, {shots} shots")
        show_table(columns, rows, names=columns)


def _line_of(row: Mapping[Any, Any]) -> list[str]:
    """A row of the printed leaderboard; a method that is not finished has no place."""
    import pandas as pd

    if pd.isna(row["mean"]):
        return ["", str(row["method"]), "", "not finished", ""]
    known = pd.notna(row["mean_low"])
    interval = f"{row['mean_low']:.3f} to {row['mean_high']:.3f}" if known else "one seed: none"
    gain = "reference" if row["reference"] else f"{row['difference']:+.3f}" if pd.notna(row["difference"]) else ""
    place = f"{row['place']:g}" if pd.notna(row["place"]) else "cut" if row["recipe"] == "cut" else "as written"
    return [place, str(row["method"]), f"{row['mean']:.3f}", interval, gain]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def shortened(message: str) -> str:
    """``message`` in one line that a terminal shows as it is."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in message)
    return plain if len(plain) <= MESSAGE_LENGTH else f"{plain[: MESSAGE_LENGTH - 3]}..."


def _plain(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, tuple) else str(value)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


COMMANDS: dict[str, Command] = {
    "plan": plan,
    "run": run,
    "status": status,
    "report": report,
    "verify": verify,
}
