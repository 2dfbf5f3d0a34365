"""``hf-disk:/path?text=..&label=..``: a Hugging Face dataset as ``save_to_disk`` leaves it, read with pyarrow alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.engine.datasets.hf_saved import arrow_files, label_names, saved_features, saved_splits
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.text.datasets import files
from promptgrid.tracks.text.datasets.records import OPTIONS, Records, from_records, refuse_columns

PREFIX = "hf-disk:"
UNKNOWN = -1
"""What hubs write as the label of texts whose label is kept back."""


class HfDisk(DatasetFamily):
    """A folder with ``dataset_dict.json`` and one folder a split, or a single split with ``state.json``.

    ``?text=`` and ``&label=`` name columns, ``&text_b=`` that of the second sentence. Class names are those of the
    features. A split whose labels are all -1 is left out; where no test is left, the validation texts are the test.
    """

    name = "hf-disk"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, options = files.address(dataset, PREFIX, OPTIONS)
        folders, notes = saved_splits(path)
        splits: dict[str, Records] = {}
        classes: list[str] = []
        for split, folder in folders.items():
            table = _table(folder)
            refuse_columns(options, table.column_names, str(folder), dataset)
            columns = [options[key] for key in ("text", "label", "text_b") if key in options]
            records = table.select(list(dict.fromkeys(columns))).to_pylist()
            names = label_names(saved_features(folder), options["label"], str(folder / "dataset_info.json"))
            if names:
                if all(record[options["label"]] in (UNKNOWN, None) for record in records):
                    notes.append(f"{folder.name} has no labels: left out")
                    continue
                if classes and names != classes:
                    raise Refused("two splits name the classes differently", where=str(folder), got=names,
                                  expected=str(classes))  # fmt: skip
                classes = names
                records = [
                    _named(record, options["label"], names, f"{folder} row {at}")
                    for at, record in enumerate(records, 1)
                ]
            splits[split] = [(f"{folder.name} row {at}", record) for at, record in enumerate(records, 1)]
        return from_records(str(path), path.name, splits, options, classes, notes)


def _table(folder: Path) -> pa.Table:
    """The rows of one split."""
    tables = []
    for file in arrow_files(folder):
        try:
            with pa.OSFile(str(file), "rb") as source:
                tables.append(pa.ipc.open_stream(source).read_all())
        except (pa.ArrowException, OSError) as error:
            raise Refused(f"not an Arrow stream: {error}", where=str(file)) from error
    return pa.concat_tables(tables)


def _named(record: dict[str, Any], label: str, names: list[str], place: str) -> dict[str, Any]:
    value = record[label]
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise Refused("a label is none of the classes", where=place, got=value, expected=f"0 to {len(names) - 1}")
    return {**record, label: names[value]}
