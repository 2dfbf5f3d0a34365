"""``hf-disk:/path?text=..&label=..``: a Hugging Face dataset as ``save_to_disk`` leaves it, read with pyarrow alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.contract.split_names import SPLITS, split_of
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
        folders, notes = _splits(path)
        splits: dict[str, Records] = {}
        classes: list[str] = []
        for split, folder in folders.items():
            table = _table(folder)
            refuse_columns(options, table.column_names, str(folder), dataset)
            columns = [options[key] for key in ("text", "label", "text_b") if key in options]
            records = table.select(list(dict.fromkeys(columns))).to_pylist()
            names = _names(folder, options["label"])
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


def _splits(path: Path) -> tuple[dict[str, Path], list[str]]:
    """{split: folder}, ``""`` for a single one, and notes on folders that are no split of ours."""
    if (path / "state.json").is_file():
        return {"": path}, []
    if not (path / "dataset_dict.json").is_file():
        raise Refused("no saved dataset: neither dataset_dict.json nor state.json", where=str(path),
                      expected="a folder that save_to_disk wrote")  # fmt: skip
    value = files.read_json(path / "dataset_dict.json")
    named = value.get("splits") if isinstance(value, dict) else None
    if not isinstance(named, list) or not all(isinstance(name, str) and Path(name).name == name for name in named):
        raise Refused("not {splits: [names]}", where=str(path / "dataset_dict.json"), got=value)
    found: dict[str, Path] = {}
    notes = []
    for name in named:
        split = split_of(name)
        if split is None or split in found:
            notes.append(f"split {name!r} is left out")
        else:
            found[split] = path / name
    return {split: found[split] for split in SPLITS if split in found}, notes


def _table(folder: Path) -> pa.Table:
    """The rows of one split, from the Arrow files that its ``state.json`` lists."""
    state = files.read_json(folder / "state.json")
    listed = state.get("_data_files") if isinstance(state, dict) else None
    if not isinstance(listed, list) or not listed:
        raise Refused("no data files are listed", where=str(folder / "state.json"))
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise Refused("the dataset is saved with indices", where=str(folder), hint="save it after flatten_indices()")
    tables = []
    for entry in listed:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or Path(name).name != name:
            raise Refused("a data file leads out of the dataset", where=str(folder / "state.json"), got=entry)
        try:
            with pa.OSFile(str(folder / name), "rb") as source:
                tables.append(pa.ipc.open_stream(source).read_all())
        except (pa.ArrowException, OSError) as error:
            raise Refused(f"not an Arrow stream: {error}", where=str(folder / name)) from error
    return pa.concat_tables(tables)


def _names(folder: Path, label: str) -> list[str]:
    """The class names of the label column; none where it is no ClassLabel."""
    info = files.read_json(folder / "dataset_info.json")
    features = info.get("features") if isinstance(info, dict) else None
    feature: Any = features.get(label) if isinstance(features, dict) else None
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return []
    names = feature.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused("the classes have no names", where=str(folder / "dataset_info.json"), got=feature)
    return names


def _named(record: dict[str, Any], label: str, names: list[str], place: str) -> dict[str, Any]:
    value = record[label]
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise Refused("a label is none of the classes", where=place, got=value, expected=f"0 to {len(names) - 1}")
    return {**record, label: names[value]}
