"""Commands that list what the catalogue finds: methods, datasets, backbones, protocols."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from promptgrid.cli.commands import published, taxonomy
from promptgrid.cli.commands.cards import show_card
from promptgrid.cli.commands.data_check import show_check
from promptgrid.cli.commands.preview import show_preview
from promptgrid.cli.commands.suites import AsJson, Command
from promptgrid.cli.remembered import remembered
from promptgrid.cli.tables import Wide, show_table
from promptgrid.default_track import DEFAULT_TRACK
from promptgrid.spec import Noun, Refused, nearest

TrackName = Annotated[str, typer.Option("--track", help="The modality.")]


def methods(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show one method's card.")] = None,
    track: TrackName = DEFAULT_TRACK,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List the methods, or show the card of one: what it learns and costs, where it may take part, its settings."""
    rows = _rows(track, "methods")
    if name is not None:
        rows = [row for row in rows if row["name"] == name] or _unknown(name, rows)
        if not as_json:
            show_card(rows[0], _card(track, name), _examples(track))
            return
    if as_json:
        cards = {row["name"]: _card(track, row["name"]) for row in rows}
        rows = [row | {"parity": cards[row["name"]].get("parity"), "card": cards[row["name"]]} for row in rows]
    _show(rows, as_json, wide, ["name", "kind", "about", "paper"])


def datasets(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH | check NAME]", help="Show what a folder, a list or a name would become; or check NAME."
        ),
    ] = None,
    root: Annotated[str, typer.Option("--root", metavar="DIR", help="With check: the folder to look in.")] = ".",
    track: TrackName = DEFAULT_TRACK,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List the datasets that ship with promptgrid, or show what PATH would become: classes, splits, what is left out.

    It says the name that a suite gives to your own. Example: `promptgrid datasets ~/data/birds`

    `check NAME --root DIR` holds what lies in DIR against what papers say of a dataset: missing (exit 2), wrong
    (exit 1), extra. Example: `promptgrid datasets check coop:dtd --root /data`; `coop` alone checks all of CoOp's.
    """
    if words and words[0] == "check":
        show_check(words[1:], root, track, as_json)
        return
    if words:
        if len(words) > 1:
            raise Refused("more than one path", got=words, expected="[PATH], or check NAME --root DIR")
        show_preview(words[0], track, as_json)
        return
    columns = ["name", "title", "classes", "train", "val", "test", "licence", "family"]
    _show(_rows(track, "datasets"), as_json, wide, columns)


def backbones(track: TrackName = DEFAULT_TRACK, wide: Wide = False, as_json: AsJson = False) -> None:
    """List the backbones: bundled ones, and how others are named."""
    _show(_rows(track, "backbones"), as_json, wide, ["name", "aliases", "about", "image_size", "offers"])


def protocols(track: TrackName = DEFAULT_TRACK, wide: Wide = False, as_json: AsJson = False) -> None:
    """List the protocols."""
    _show(_rows(track, "protocols"), as_json, wide, ["name", "about", "headline"])


def _rows(track: str, what: str) -> list[dict[str, Any]]:
    def ask() -> list[dict[str, Any]]:
        from promptgrid import catalog

        return catalog.track(track).describe(what)

    rows: list[dict[str, Any]] = remembered(f"{what} of {track}", ask)
    return rows


def _card(track: str, method: str) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        from promptgrid import catalog

        return catalog.track(track).card(method)

    card: dict[str, Any] = remembered(f"card of {method} of {track}", ask)
    return card


def _examples(track: str) -> Noun:
    """What ``track`` calls its examples."""

    def ask() -> list[str]:
        from promptgrid import catalog

        said = catalog.track(track).examples
        return [said.one, said.many]

    return Noun(*remembered(f"examples of {track}", ask))


def _unknown(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    raise Refused("unknown method", got=name, hint=nearest(name, [row["name"] for row in rows]))


def _show(rows: list[dict[str, Any]], as_json: bool, wide: bool, columns: list[str]) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    show_table(columns, ([row.get(column) for column in columns] for row in rows), wide=wide)


COMMANDS: dict[str, Command] = {
    "methods": methods,
    "datasets": datasets,
    "backbones": backbones,
    "protocols": protocols,
    **published.COMMANDS,
    **taxonomy.COMMANDS,
}
