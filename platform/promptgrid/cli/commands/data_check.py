"""`promptgrid datasets check NAME`: what of a published dataset is missing, wrong or extra on this disk."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from promptgrid.spec import Refused
from promptgrid.spec.exits import FAILED, REFUSED

if TYPE_CHECKING:
    from promptgrid.contract.findings import Findings


def show_check(names: Sequence[str], root: str, track: str, as_json: bool) -> None:
    """Print what ``track`` finds of the one dataset, or family, in ``names``; leave with 2 or 1 if not all is well."""
    from promptgrid import catalog

    if len(names) != 1:
        raise Refused("check what?", got=list(names), expected="one NAME: check NAME --root DIR")
    found = catalog.track(track).check_data(names[0], root)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
    else:
        typer.echo("\n".join(line for each in found for line in _lines(each)))
    status = REFUSED if any(each.missing for each in found) else FAILED if any(each.wrong for each in found) else 0
    if status:
        raise typer.Exit(status)


def _lines(found: Findings) -> list[str]:
    splits = ", ".join(f"{count:,} {split}" for split, count in found.splits.items())
    state = "something is missing" if found.missing else "not as published" if found.wrong else "as published"
    lines = [f"{found.layout}: {state}" + (f" ({splits})" if splits else "")]
    for kind in ("missing", "wrong", "extra"):
        lines += [f"  {kind}: {sentence}" for sentence in getattr(found, kind)]
    return lines if found.missing else [*lines, f"  in a suite: {json.dumps(found.address)}"]
