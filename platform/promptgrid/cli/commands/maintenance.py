"""Commands around the grid: submit to a cluster, mirror to MLflow, check the machine."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from promptgrid import api
from promptgrid.cli.commands.suites import AsJson, Command, StoreDir, SuiteFile
from promptgrid.cli.tables import show_facts


def submit(
    suite: SuiteFile,
    address: Annotated[str, typer.Option("--address", help="The cluster's job address.")] = "http://127.0.0.1:8265",
    store: Annotated[
        str | None, typer.Option("--store", metavar="DIR", help="Folder of the records, as the cluster sees it.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job's log until it ends.")] = True,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="More options of `promptgrid run`.")
    ] = None,
) -> None:
    """Submit a suite to a running Ray cluster as a job: the working folder goes along, secrets and data stay here.

    Example: `promptgrid submit suites/few_shot.yaml --store /shared/store -- --workers 32 --device cuda`
    """
    from promptgrid.cluster.on_ray.submit import submit as send

    raise typer.Exit(send(suite, address, store=store, wait=wait, arguments=tuple(arguments or ())))


def sync(
    suite: SuiteFile,
    store: StoreDir = None,
    uri: Annotated[
        str | None, typer.Option("--uri", help="MLflow; default: MLFLOW_TRACKING_URI, or a file in the store.")
    ] = None,
) -> None:
    """Bring the MLflow mirror of a suite up to date (it is never the truth: the records are)."""
    from promptgrid.store.mirror.mirror import sync as mirror
    from promptgrid.store.mirror.submission import Submission

    found = api.open_store(store)
    planned = api.plan(suite, found)
    done = mirror(found, Submission("sync", planned.suite, planned.grid, uri, titles=planned.titles))
    counts = {"written": done.written, "unchanged": done.unchanged, "replaced": done.replaced, "failed": done.failed}
    show_facts(f"MLflow at {done.uri}", counts)
    if done.failed or done.problem:
        typer.echo(done.problem, err=True)
        raise typer.Exit(1)


def doctor(as_json: AsJson = False) -> None:
    """Check that this machine can run grids: packages, memory, disk, Ray's token, GPU, the bundled files."""
    from promptgrid.cluster.doctor import examine

    found = examine()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(line) for line in found], indent=2))
    else:
        for line in found:
            typer.echo(f"{'ok  ' if line.ok else 'BAD '} {line.check}: {line.detail}")
    if not all(line.ok for line in found):
        raise typer.Exit(1)


COMMANDS: dict[str, Command] = {"submit": submit, "sync": sync, "doctor": doctor}
