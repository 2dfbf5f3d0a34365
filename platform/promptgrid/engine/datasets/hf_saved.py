"""Hugging Face datasets on a disk, read with pyarrow alone: splits, files and names of classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptgrid.contract.split_names import SPLITS, split_of
from promptgrid.engine.datasets.split_lists import read_json
from promptgrid.spec import Refused


def saved_splits(path: Path) -> tuple[dict[str, Path], list[str]]:
    """{split: folder} of what ``save_to_disk`` wrote, ``""`` for a single one, and notes on what is no split of ours.

    Raises:
        Refused: nothing was saved there.
    """
    if (path / "state.json").is_file():
        return {"": path}, []
    if not (path / "dataset_dict.json").is_file():
        raise Refused("no saved dataset: neither dataset_dict.json nor state.json", where=str(path),
                      expected="a folder that save_to_disk wrote")  # fmt: skip
    value = read_json(path / "dataset_dict.json")
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


def arrow_files(folder: Path) -> list[Path]:
    """The Arrow streams of one split, in the order of its ``state.json``.

    Raises:
        Refused: none is listed, one leads out of the folder, or rows are chosen by indices beside them.
    """
    file = folder / "state.json"
    if not file.is_file():
        raise Refused("no such file", where=str(file))
    state = read_json(file)
    listed = state.get("_data_files") if isinstance(state, dict) else None
    if not isinstance(listed, list) or not listed:
        raise Refused("no data files are listed", where=str(file))
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise Refused("the dataset is saved with indices", where=str(folder), hint="save it after flatten_indices()")
    files = []
    for entry in listed:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or Path(name).name != name:
            raise Refused("a data file leads out of the dataset", where=str(file), got=entry)
        files.append(folder / name)
    return files


def saved_features(folder: Path) -> dict[str, Any]:
    """The features of one split by column, as its ``dataset_info.json`` has them; empty where it has none."""
    file = folder / "dataset_info.json"
    info = read_json(file) if file.is_file() else {}
    features = info.get("features") if isinstance(info, dict) else None
    return features if isinstance(features, dict) else {}


def schema_features(metadata: Mapping[bytes, bytes] | None, where: str) -> dict[str, Any]:
    """The same out of the metadata of a Parquet or Arrow schema.

    Raises:
        Refused: they are there and no JSON.
    """
    raw = (metadata or {}).get(b"huggingface")
    if raw is None:
        return {}
    try:
        features = json.loads(raw)["info"]["features"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"its schema does not say what its columns are: {error!r}", where=where) from error
    return features if isinstance(features, dict) else {}


def label_names(features: Mapping[str, Any], label: str, where: str) -> list[str]:
    """The names of the classes of the column ``label``; none where it is no ClassLabel.

    Raises:
        Refused: it is one without names.
    """
    feature = features.get(label)
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return []
    names = feature.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused("the classes have no names", where=where, got=feature)
    return names
