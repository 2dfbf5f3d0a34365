"""``intents:/path``: what people ask a machine for, in the layouts of BANKING77, CLINC150 and HWU64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.contract.split_names import SPLITS, split_of
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.text.datasets import files
from promptgrid.tracks.text.datasets.building import Row, build, divide
from promptgrid.tracks.text.datasets.text import Text

PREFIX = "intents:"
OPTIONS = ("oos", "sha256")
LABELS = ("category", "intent", "label")
"""What the column of the intent is called."""
CALLED = {77: ("BANKING77", "banking77", "PolyAI/banking77"), 150: ("CLINC150", "clinc_oos", "clinc150"),
          64: ("HWU64", "hwu64")}  # fmt: skip
"""What papers call the sets with so many intents."""


class Intents(DatasetFamily):
    """A folder with ``train.csv``, ``test.csv`` and perhaps ``val.csv`` (columns text and category, intent or label;
    classes in the order of ``categories.json`` if it is there): BANKING77, and DialoGLUE's three sets. Or CLINC150's
    ``data_full.json``, where ``?oos=keep`` keeps what is out of scope as a class of its own. Or HWU64's own table
    (semicolons, columns scenario, intent, answer), which has no splits: divided by content.
    """

    name = "intents"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, options = files.address(dataset, PREFIX, OPTIONS)
        keep = options.pop("oos", "drop")
        if keep not in ("keep", "drop"):
            raise Refused("unknown value of oos", where=dataset, got=keep, expected="keep or drop")
        if path.is_dir():
            splits, classes, notes = _folder(path)
        elif path.suffix == ".json":
            splits, classes, notes = _clinc(path, keep == "keep")
        else:
            splits, classes, notes = _scenarios(path)
        count = len(classes or {row.label for some in splits.values() for row in some})
        facts: dict[str, Any] = {
            "name": path.name if path.is_dir() else path.stem,
            "title": f"{count} intents",
            "template": "The customer asks about {}.",
            "mask_templates": ["{text} This is about {mask}."],
            "called": CALLED.get(count, ()),
        }
        return build(str(path), facts | options | ({"classes": classes} if classes else {}), splits, notes)


Found = tuple[Mapping[str, Sequence[Row]], list[str], list[str]]
"""Splits, classes in order (none: sorted), notes."""


def _folder(path: Path) -> Found:
    found: dict[str, Path] = {}
    for entry in sorted(path.glob("*.csv")):
        if (split := split_of(entry.stem)) is not None:
            if split in found:
                raise Refused(
                    f"two files mean the split {split!r}", where=str(path), got=[found[split].name, entry.name]
                )
            found[split] = entry
    if not {"train", "test"} <= found.keys():
        raise Refused("train.csv or test.csv is missing", where=str(path),
                      got=sorted(entry.name for entry in path.iterdir())[:8])  # fmt: skip
    classes = files.read_json(path / "categories.json") if (path / "categories.json").is_file() else []
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise Refused("not a list of names", where=str(path / "categories.json"))
    notes: list[str] = []
    splits = {}
    for split in SPLITS:
        if split in found:
            splits[split] = _csv(found[split], ",", notes)
    return splits, classes, notes


def _csv(path: Path, separator: str, notes: list[str]) -> list[Row]:
    header, rows = _header(path, separator, notes)
    label = next((name for name in LABELS if name in header), None)
    if "text" not in header or label is None:
        raise Refused("no columns of text and intent", where=str(path), got=header, expected="text and category")
    return [
        Row(Text(fields["text"].strip()), fields[label].strip(), f"{path.name} line {number}")
        for number, fields in rows
    ]


def _header(path: Path, separator: str, notes: list[str]) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names and, by name, the fields of each row."""
    table, told = files.table(path, separator, quoted=True)
    notes += told
    if not table:
        raise Refused("the file is empty", where=str(path))
    header = [name.strip() for name in table[0][1]]
    for number, fields in table[1:]:
        if len(fields) != len(header):
            raise Refused("a row of another length than the header", where=f"{path} line {number}", got=len(fields),
                          expected=f"{len(header)} columns")  # fmt: skip
    return header, [(number, dict(zip(header, fields, strict=True))) for number, fields in table[1:]]


def _clinc(path: Path, keep: bool) -> Found:
    value = files.read_json(path)
    if not isinstance(value, dict) or not set(SPLITS) <= value.keys():
        raise Refused("not {train, val, test: [[text, intent], ...]}", where=str(path), got=type(value).__name__)
    splits: dict[str, list[Row]] = {}
    left_out = 0
    for split in SPLITS:
        pairs = [(f"{split}[{place}]", pair) for place, pair in enumerate(value[split])]
        outside = [(f"oos_{split}[{place}]", pair) for place, pair in enumerate(value.get(f"oos_{split}", ()))]
        left_out += 0 if keep else len(outside)
        splits[split] = [_pair(pair, place, path) for place, pair in (pairs + outside if keep else pairs)]
    notes = [f"{left_out:,} texts out of scope are left out (?oos=keep keeps them)"] if left_out else []
    return splits, [], notes


def _pair(pair: Any, place: str, path: Path) -> Row:
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise Refused("not [text, intent]", where=f"{path}: {place}", got=pair)
    return Row(Text(pair[0].strip()), pair[1], place)


def _scenarios(path: Path) -> Found:
    notes: list[str] = []
    header, rows = _header(path, ";", notes)
    if not {"scenario", "intent", "answer"} <= set(header):
        raise Refused("not HWU64's table", where=str(path), got=header, expected="columns scenario; intent; answer")
    found = [
        Row(Text(fields["answer"].strip()), f"{fields['scenario']}_{fields['intent']}", f"{path.name} line {number}")
        for number, fields in rows
        if fields["answer"].strip()
    ]
    if len(found) < len(rows):
        notes.append(f"{len(rows) - len(found)} rows without a text are left out")
    return divide(found, str(path)), [], notes
