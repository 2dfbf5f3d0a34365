"""`promptgrid cache`: what the feature cache holds, and how to bound, check or empty it."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Annotated

import typer

from promptgrid import api
from promptgrid.cli.commands.suites import AsJson, Command, StoreDir
from promptgrid.cli.tables import show_table

if TYPE_CHECKING:
    from promptgrid.store import FeatureCache
    from promptgrid.store.features import Entry

SHOWN = 20


def cache(
    store: StoreDir = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="Remove what was not used longest, e.g. 20GB.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check every digest; remove what is damaged.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the frozen features kept beside the records: what, how large, when last used.

    Runs keep the cache below $PROMPTGRID_CACHE_SIZE (20GB where it is not set) by removing what was not used longest.
    Nothing here is lost for good: what is removed is computed again when a run needs it.
    """
    from promptgrid.spec.sizes import bytes_of
    from promptgrid.store import FeatureCache

    bound = bytes_of(max_size, "--max-size") if max_size is not None else None
    kept = FeatureCache(api.open_store(store).root)
    damaged = kept.verify() if verify else []
    freed = kept.clear() if clear else kept.shrink(bound) if bound is not None else 0
    entries = kept.listing()
    if as_json:
        typer.echo(json.dumps(_facts(kept, entries, damaged, freed), indent=2))
    else:
        _show(kept, entries, damaged, freed)
    if damaged:
        raise typer.Exit(1)


def _facts(kept: FeatureCache, entries: list[Entry], damaged: list[Entry], freed: int) -> dict[str, object]:
    rows = [{"what": entry.title, "bytes": entry.bytes, "used": _when(entry)} for entry in entries]
    sizes = {"bytes": sum(entry.bytes for entry in entries), "bound": kept.max_bytes, "freed": freed}
    return {"folder": str(kept.folder), **sizes, "damaged": [entry.title for entry in damaged], "entries": rows}


def _show(kept: FeatureCache, entries: list[Entry], damaged: list[Entry], freed: int) -> None:
    from promptgrid.spec.sizes import shown

    for entry in damaged:
        typer.echo(f"damaged, removed: {entry.title}: {entry.trouble}")
    if freed:
        typer.echo(f"freed {shown(freed)}")
    held = f"{len(entries)} entries, {shown(sum(entry.bytes for entry in entries))} of {shown(kept.max_bytes)}"
    typer.echo(f"{kept.folder}: {held}")
    rows = ((entry.title, shown(entry.bytes), _when(entry)) for entry in reversed(entries[-SHOWN:]))
    show_table(("what", "size", "last used"), rows, names=("what", "size", "last used"))
    if len(entries) > SHOWN:
        typer.echo(f"and {len(entries) - SHOWN} more (--json lists them all)")


def _when(entry: Entry) -> str:
    return datetime.datetime.fromtimestamp(entry.used, datetime.UTC).isoformat(timespec="seconds")


COMMANDS: dict[str, Command] = {"cache": cache}
