"""A store of somebody else, read without changing it: what is damaged is told and stays where it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptgrid.spec import Record
from promptgrid.store.attempts import Attempts
from promptgrid.store.files import encoding
from promptgrid.store.files.manifest import FILES, read_checked, read_manifest
from promptgrid.store.records import Store

if TYPE_CHECKING:
    from promptgrid.contract import Predictions


@dataclass(frozen=True)
class Inspected:
    """One cell of a store.

    Attributes:
        key: by which it is kept.
        record: finished or failed; None where it cannot be read.
        predictions: its answers, none of a failed one.
        trouble: why it cannot be read; empty where it can.
    """

    key: str
    record: Record | None = None
    predictions: tuple[Predictions, ...] = ()
    trouble: str = ""


def inspected(store: Store) -> Iterator[Inspected]:
    """Every finished cell of ``store`` by its key, then the latest attempt of every cell that only failed."""
    finished = list(store.keys())
    yield from (inspect(store, key) for key in finished)
    for key in sorted(store.attempts.keys() - set(finished)):
        yield _failed(store.attempts, key)


def inspect(store: Store, key: str) -> Inspected:
    """The finished cell of ``key``, every file of it decoded; its trouble where there is none, or it is damaged."""
    folder = store.folder(key)
    try:
        files = read_manifest(folder, key)
        raw = {name: read_checked(folder / name, files[name]) for name in FILES}
        record = encoding.record_of(raw["record.json"])
        if record.cell.key != key:
            raise ValueError(f"record.json is about cell {record.cell.key}")
        if record.status != "done":
            raise ValueError("record.json is not about a finished cell")
        return Inspected(key, record, encoding.predictions_of(raw["predictions.parquet"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Inspected(key, trouble=" ".join(str(error).split())[:300])


def _failed(attempts: Attempts, key: str) -> Inspected:
    folder = attempts.base / key[:2] / key
    last = max(attempts.numbers(folder), default=0)
    try:
        return Inspected(key, attempts.one(folder / f"{last}.json", key))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        return Inspected(key, trouble=f"failed attempt {last}: {' '.join(str(error).split())[:300]}")
