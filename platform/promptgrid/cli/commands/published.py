"""`promptgrid published`: what papers report, with where it stands and how well it is known."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from promptgrid.cli.commands.suites import AsJson, Command
from promptgrid.cli.remembered import remembered
from promptgrid.cli.tables import Wide, show_table
from promptgrid.default_track import DEFAULT_TRACK
from promptgrid.spec import Refused, nearest

Only = Annotated[str | None, typer.Option(metavar="NAME", help="Only this one.")]


def published(
    method: Only = None,
    dataset: Only = None,
    protocol: Only = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also figures from memory (M), derived (D) or proposed (P), marked *.")
    ] = False,
    track: Annotated[str, typer.Option("--track", help="The modality.")] = DEFAULT_TRACK,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List figures that papers report, in percent, each with its source and an evidence mark.

    R authors' README, log or figure; C authors' code; S quoted by others; A abstract. Reports show them beside ours.

    Example: `promptgrid published --method cocoop --protocol base_to_new`
    """
    rows = _all(track)
    for key, wanted in (("method", method), ("dataset", dataset), ("protocol", protocol)):
        rows = _only(rows, key, wanted)
    hidden = 0 if everything else sum(not row["shown"] for row in rows)
    rows = rows if everything else [row for row in rows if row["shown"]]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    _show(rows, wide)
    if hidden:
        typer.echo(
            f"{hidden} more are nobody's published result (memory, derived, proposed): --all lists them", err=True
        )


def _all(track: str) -> list[dict[str, Any]]:
    def ask() -> list[dict[str, Any]]:
        from promptgrid import catalog

        return catalog.track(track).published()

    rows: list[dict[str, Any]] = remembered(f"published of {track}", ask)
    return rows


def _only(rows: list[dict[str, Any]], key: str, wanted: str | None) -> list[dict[str, Any]]:
    if wanted is None:
        return rows
    names = ("method", "label") if key == "method" else (key,)
    found = [row for row in rows if wanted.lower() in {str(row[name]).lower() for name in names}]
    if not found:
        known = {str(row[name]) for row in rows for name in names} - {""}
        raise Refused(f"no published figure of this {key}", got=wanted, hint=nearest(wanted, sorted(known)))
    return found


def _show(rows: list[dict[str, Any]], wide: bool) -> None:
    """A line for each set of numbers that a source prints side by side (base, new and H, say)."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        shots = [] if row["shots"] is None else [f"{row['shots']}-shot"]
        setting = ", ".join(part for part in (row["protocol"], *shots, row["backbone"]) if part)
        mark = row["evidence"] + ("" if row["shown"] else "*")
        name = "" if row["metric"] == "accuracy" else f"{row['metric'].removesuffix('_accuracy')} "
        line = (row["label"], row["dataset"], setting, mark, _source(row))
        lines.setdefault(line, []).append(f"{name}{row['value']:.2f}")
    listed = (
        (label, dataset, setting, ", ".join(values), mark, source)
        for (label, dataset, setting, mark, source), values in lines.items()
    )
    columns = ("method", "dataset", "setting", "percent", "mark", "source")
    show_table(columns, listed, names=("method", "dataset", "percent", "mark"), wide=wide)


def _source(row: dict[str, Any]) -> str:
    return f"{row['source']} ({row['differs']})" if row["differs"] else str(row["source"])


COMMANDS: dict[str, Command] = {"published": published}
