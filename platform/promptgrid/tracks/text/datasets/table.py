"""``table:/path.csv?text=..&label=..``: texts in a table of CSV, TSV, Parquet or JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.contract.split_names import SPLITS, split_of
from promptgrid.spec import DatasetCard, Refused
from promptgrid.spec.parquet import read_parquet
from promptgrid.tracks.text.datasets import files
from promptgrid.tracks.text.datasets.records import OPTIONS, Records, from_records, refuse_columns

PREFIX = "table:"
SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")


class Table(DatasetFamily):
    """One file, or a folder with ``train.csv``, ``test.csv`` and perhaps ``val.csv`` (or another suffix, one for all).

    ``?text=`` and ``&label=`` name columns, ``&text_b=`` that of the second sentence, ``&split=`` that of the split;
    ``&header=no`` says that a CSV or TSV begins with a row of data: its columns are 0, 1, ... One file without splits
    is divided by content: of each class half to train, a fifth to val, the rest to test. ``&sha256=`` pins the content.
    """

    name = "table"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, options = files.address(dataset, PREFIX, (*OPTIONS, "split", "header"))
        headed = options.pop("header", "yes")
        if headed not in ("yes", "no"):
            raise Refused("unknown value of header", where=dataset, got=headed, expected="yes or no")
        found = _split_files(path) if path.is_dir() else {"": path}
        if path.is_dir() and "split" in options:
            raise Refused("a folder has its splits by file", where=dataset, got="split", expected="no split column")
        notes: list[str] = []
        splits: dict[str, Records] = {}
        for split, file in found.items():
            columns, splits[split], told = _read(file, options, headed == "yes")
            refuse_columns(options, columns, str(file), dataset)
            notes += told
        return from_records(str(path), path.stem, splits, options, notes=notes)


def _split_files(folder: Path) -> dict[str, Path]:
    """{split: file} of the tables in a folder that are called by splits."""
    found: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()):
        split = split_of(entry.stem) if entry.suffix in SUFFIXES else None
        if split is not None:
            if split in found:
                raise Refused(f"two files mean the split {split!r}", where=str(folder),
                              got=[found[split].name, entry.name])  # fmt: skip
            found[split] = entry
    if "train" not in found:
        raise Refused("no table in the folder is called train", where=str(folder),
                      got=sorted(entry.name for entry in folder.iterdir())[:8])  # fmt: skip
    return {split: found[split] for split in SPLITS if split in found}


def _read(path: Path, options: dict[str, str], headed: bool) -> tuple[list[str], Records, tuple[str, ...]]:
    """Columns, records and notes of one file."""
    if path.suffix in (".csv", ".tsv"):
        return _delimited(path, headed)
    if path.suffix == ".parquet":
        return _parquet(path, options)
    if path.suffix in (".jsonl", ".ndjson"):
        rows, notes = files.json_lines(path)
        columns = list(dict.fromkeys(key for _, value in rows for key in value))
        gaps: dict[str, Any] = dict.fromkeys(columns)
        return columns, [(f"{path.name} line {number}", gaps | value) for number, value in rows], notes
    raise Refused("unknown kind of table", where=str(path), got=path.suffix, expected=", ".join(SUFFIXES))


def _delimited(path: Path, headed: bool) -> tuple[list[str], Records, tuple[str, ...]]:
    table, notes = files.table(path, "\t" if path.suffix == ".tsv" else ",", quoted=True)
    if not table:
        raise Refused("the file is empty", where=str(path))
    columns = [name.strip() for name in table[0][1]] if headed else [str(i) for i in range(len(table[0][1]))]
    if len(set(columns)) < len(columns):
        raise Refused("two columns have one name", where=str(path), got=columns)
    for number, fields in table:
        if len(fields) != len(columns):
            raise Refused("a row of another length than the first", where=f"{path} line {number}", got=len(fields),
                          expected=f"{len(columns)} columns")  # fmt: skip
    rows = table[1:] if headed else table
    return columns, [(f"{path.name} line {at}", dict(zip(columns, fields, strict=True))) for at, fields in rows], notes


def _parquet(path: Path, options: dict[str, str]) -> tuple[list[str], Records, tuple[str, ...]]:
    try:
        table = read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"not Parquet: {error}", where=str(path)) from error
    columns = list(table.column_names)
    wanted = [options[key] for key in ("text", "label", "text_b", "split") if options.get(key) in columns]
    records = table.select(list(dict.fromkeys(wanted))).to_pylist()
    return columns, [(f"{path.name} row {number}", record) for number, record in enumerate(records, 1)], ()
