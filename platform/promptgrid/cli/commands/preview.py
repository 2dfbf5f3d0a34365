"""`promptgrid datasets PATH`: what a folder or a split file would become, before any suite names it."""

from __future__ import annotations

import json
from typing import Any

import typer

NAMED = 12
"""Names that are listed one by one for people; --json has all."""


def show_preview(path: str, track: str, as_json: bool) -> None:
    """Print what ``path`` becomes as a dataset of ``track``."""
    from promptgrid import catalog

    facts = catalog.track(track).preview(path)
    typer.echo(json.dumps(facts, indent=2) if as_json else "\n".join(_lines(facts)))


def _lines(facts: dict[str, Any]) -> list[str]:
    splits = ", ".join(f"{count:,} {split}" for split, count in facts["splits"].items())
    lines = [
        f"{facts['title'] or facts['name']}: {len(facts['classes'])} classes, {splits}",
        f"in a suite: {json.dumps(facts['address'])}",
        f"prompts: {facts['template'].format(facts['classes'][0]['name'].replace('_', ' '))!r}",
        *facts.get("lines", ()),
        "classes (in label order):",
        *_classes(facts["classes"], list(facts["splits"])),
        *_named("left out", facts["left_out"]),
        *_named("cannot be read", facts["unreadable"]),
    ]
    told = [note for note in facts["notes"] if " left out (" not in note]
    return lines + [f"note: {note}" for note in told]


def _classes(rows: list[dict[str, Any]], splits: list[str]) -> list[str]:
    shown_rows = rows if len(rows) <= 2 * NAMED else [*rows[:NAMED], *rows[-3:]]
    lines = [f"  {row['name']}: " + ", ".join(f"{row[split]:,} {split}" for split in splits) for row in shown_rows]
    if len(shown_rows) < len(rows):
        lines.insert(NAMED, f"  ... {len(rows) - len(shown_rows):,} more (--json has all) ...")
    return lines


def _named(what: str, rows: list[dict[str, str]]) -> list[str]:
    if not rows:
        return [f"{what}: nothing"] if what == "left out" else []
    more = [f"  and {len(rows) - NAMED:,} more (--json has all)"] if len(rows) > NAMED else []
    return [f"{what}: {len(rows):,}", *(f"  {row['path']}: {row['why']}" for row in rows[:NAMED]), *more]
