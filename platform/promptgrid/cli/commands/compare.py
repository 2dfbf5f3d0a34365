"""`promptgrid compare`: two methods, two suites or two stores, cell against cell."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from promptgrid import api
from promptgrid.cli.commands.suites import AsJson, Command, StoreDir
from promptgrid.cli.tables import show_table

if TYPE_CHECKING:
    from promptgrid.leaderboard.analysis.versus import OnClass, OnExample, Versus

R = TypeVar("R", "OnClass", "OnExample")


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A row's label or method, a suite file, or a store.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The same of the other side.")],
    suite: Annotated[
        Path | None, typer.Option("--suite", metavar="SUITE", help="The suite of two methods, or of two stores.")
    ] = None,
    store: StoreDir = None,
    shots: Annotated[int | None, typer.Option("--shots", help="Where the suite has several.")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="Where the suite has several.")] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help="Rows of classes and examples a side.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Show where A beats B: by dataset with a test, by class, and example by example.

    Cells are paired by dataset, backbone, shots and seed. An example counts once a dataset: it is won by the side that
    has it right in more seeds; `p` is the exact sign test over examples (McNemar's with one seed), `Holm` is corrected
    over the datasets. Nothing is run.

    Examples: `promptgrid compare "CoOp, 4 tokens" taskres --suite suites/quickstart.yaml --shots 16`;
    `promptgrid compare old/store new/store --suite suites/quickstart.yaml --shots 16`;
    `promptgrid compare suites/methods.yaml suites/methods_longer.yaml --shots 16`
    """
    found = api.compare(first, second, suite, store, shots=shots, backbone=backbone)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), indent=2))
        return
    _show(found, examples)


def _show(found: Versus, examples: int) -> None:
    from promptgrid.leaderboard.numbers import p_value, points, signed, span

    metric = found.metric
    typer.echo(f"A: {found.first}\nB: {found.second}\n{metric.title}{metric.axis}, {found.pairs} pairs of cells")
    gap = f"A - B {signed(found.seeds.value, metric=metric)}{metric.steps}"
    seeds = span(found.seeds, sign=True, metric=metric) if found.seeds.firm else ""
    typer.echo(f"{gap}{f', {seeds} for new seeds on these datasets' if seeds else ''}")
    if found.datasets is not None and found.datasets.p is not None:
        told = span(found.datasets, sign=True, metric=metric) if found.datasets.firm else ""
        typer.echo(f"on new datasets: p {p_value(found.datasets.p)} (paired t){f', {told}' if told else ''}")
    show_table(
        ["dataset", "A", "B", "A - B", "seeds won/tied/lost", "only A right", "only B right", "p", "Holm"],
        [
            [
                row.dataset,
                points(row.first, metric=metric),
                points(row.second, metric=metric),
                signed(row.gap, metric=metric),
                "/".join(map(str, row.seeds)),
                *(("", "") if row.alone is None else row.alone),
                p_value(row.p),
                p_value(row.p_holm),
            ]
            for row in found.by_dataset
        ],
        title="by dataset",
    )
    if not found.by_class or not examples:
        return
    classes = _ends(sorted(found.by_class, key=lambda row: row.second - row.first), examples)
    show_table(
        ["dataset", "class", "examples", "A", "B", "A - B"],
        [
            [row.dataset, row.name, row.examples, points(row.first), points(row.second), signed(row.first - row.second)]
            for row in classes
        ],
        title="the classes that each side leads on most",
        names=("dataset", "class"),
    )
    singles = _ends(sorted(found.by_example, key=lambda row: (row.second - row.first) / row.seeds), examples)
    show_table(
        ["dataset", "example", "class", "A right", "B right"],
        [
            [row.dataset, row.name, row.label, f"{row.first} of {row.seeds}", f"{row.second} of {row.seeds}"]
            for row in singles
        ],
        title="examples that one side has right in more of the seeds",
        names=("example",),
    )


def _ends(rows: Sequence[R], each: int) -> list[R]:
    """The first rows where A leads and the last where B does, ``each`` at most."""
    ahead = [row for row in rows[:each] if row.first > row.second]
    return ahead + [row for row in rows[max(0, len(rows) - each) :] if row.first < row.second]


COMMANDS: dict[str, Command] = {"compare": compare}
