"""``semeval:/path``: SemEval-2010 task 8 as published, and relation files as KnowPrompt and its heirs write them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.text.datasets import files
from promptgrid.tracks.text.datasets.building import Row, build
from promptgrid.tracks.text.datasets.draws import draw_folders, join, refuse_other_tests
from promptgrid.tracks.text.datasets.relations import from_tokens, positions, tagged

PREFIX = "semeval:"
OPTIONS = ("sha256",)
NONE = ("Other", "no_relation", "NA")
"""What sets call the class of pairs without a relation."""
WORDS = {
    "Cause-Effect(e1,e2)": ("cause", "reason"), "Cause-Effect(e2,e1)": ("effect", "result"),
    "Instrument-Agency(e1,e2)": ("instrument", "tool"), "Instrument-Agency(e2,e1)": ("agency", "user"),
    "Product-Producer(e1,e2)": ("product", "work"), "Product-Producer(e2,e1)": ("producer", "maker"),
    "Content-Container(e1,e2)": ("content", "contents"), "Content-Container(e2,e1)": ("container", "box"),
    "Entity-Origin(e1,e2)": ("origin", "derived"), "Entity-Origin(e2,e1)": ("source", "root"),
    "Entity-Destination(e1,e2)": ("destination", "into"), "Entity-Destination(e2,e1)": ("target", "receiver"),
    "Component-Whole(e1,e2)": ("component", "part"), "Component-Whole(e2,e1)": ("whole", "entire"),
    "Member-Collection(e1,e2)": ("member", "element"), "Member-Collection(e2,e1)": ("collection", "group"),
    "Message-Topic(e1,e2)": ("message", "statement"), "Message-Topic(e2,e1)": ("topic", "subject"),
    "Other": ("other", "unrelated"),
}  # fmt: skip
"""SemEval's relations in its own order, with label words of ours: the name's own word for the side that e1 is on."""


class SemEval(DatasetFamily):
    """A folder with ``TRAIN_FILE.TXT`` and ``TEST_FILE_FULL.TXT``, at most two folders deep, as SemEval gave them out;
    or one with ``train.txt``, ``val.txt``, ``test.txt`` of JSON lines and ``rel2id.json`` (KnowPrompt, BayesPrompt).

    A folder ``k-shot`` of draws (``16-1``, ...), or one of them, gives these draws with their seeds; what a draw lacks
    is taken from the folder above ``k-shot``. Scored by micro-F1 without the class of no relation, as few-shot papers
    do; SemEval's own measure is macro-F1.
    """

    name = "semeval"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, options = files.address(dataset, PREFIX, OPTIONS)
        if not path.is_dir():
            raise Refused("not a folder", where=str(path), expected="the folder of TRAIN_FILE.TXT or of train.txt")
        notes: list[str] = []
        folders = draw_folders(path)
        if folders:
            parts = {key: {part: _part(folder, part, notes) for part in ("train", "val", "test")}
                     for key, folder in folders.items()}  # fmt: skip
            refuse_other_tests({folders[key]: each["test"] for key, each in parts.items()}, str(path))
            read = {key: {"train": each["train"], "dev": each["val"]} for key, each in parts.items()}
            splits, draws, told = join(read, next(iter(parts.values()))["test"])
            notes += told
        else:
            draws = {}
            published = {entry.name.upper(): entry for entry in sorted(path.glob("**/*")) if _near(entry, path)}
            splits = _published(published) if "TRAIN_FILE.TXT" in published else _json_splits(path, notes)
        labels = {row.label for rows in splits.values() for row in rows}
        classes = list(WORDS) if labels <= set(WORDS) else _known_classes(path) or sorted(labels)
        taught = {row.label for row in splits["train"]}
        classes = [name for name in classes if name in labels or name in taught]
        none = next((name for name in NONE if name in classes), None)
        facts: dict[str, Any] = {
            "name": "SemEval-2010-8" if labels <= set(WORDS) else (path if not folders else path.parent).name,
            "title": "SemEval-2010 task 8, relations between nominals" if labels <= set(WORDS) else "",
            "classes": classes,
            "template": "The relation is {}.",
            "words": {name: WORDS[name] for name in classes} if labels <= set(WORDS) else {},
            "mask_templates": ["{text} The {subject} is the {mask} of the {object}."],
            "metric": "micro_f1",
            "none_class": none,
            "called": ["SemEval", "SemEval-2010 Task 8", "sem_eval_2010_task_8"] if labels <= set(WORDS) else [],
        }
        return build(str(path), facts | options, splits, list(dict.fromkeys(notes)), draws)


def _near(entry: Path, root: Path) -> bool:
    return entry.is_file() and len(entry.relative_to(root).parts) <= 3


def _published(found: dict[str, Path]) -> dict[str, list[Row]]:
    """The splits of the files SemEval gave out; the test with its labels, or with them in a file of keys."""
    if "TEST_FILE_FULL.TXT" in found:
        return {"train": _blocks(found["TRAIN_FILE.TXT"]), "test": _blocks(found["TEST_FILE_FULL.TXT"])}
    test = found.get("TEST_FILE_CLEAN.TXT", found.get("TEST_FILE.TXT"))
    if test is None or "TEST_FILE_KEY.TXT" not in found:
        raise Refused("there is no test with labels", where=str(found["TRAIN_FILE.TXT"].parent),
                      expected="TEST_FILE_FULL.TXT, or TEST_FILE_CLEAN.TXT and TEST_FILE_KEY.TXT")  # fmt: skip
    key_lines = files.lines(files.read_text(found["TEST_FILE_KEY.TXT"]).text)
    keys = dict(line.split("\t", 1) for _, line in key_lines if "\t" in line)
    return {"train": _blocks(found["TRAIN_FILE.TXT"]), "test": _blocks(test, keys)}


def _blocks(path: Path, keys: dict[str, str] | None = None) -> list[Row]:
    """Rows of a file of blocks: number, tab, quoted sentence; the relation on the next line, or in ``keys``."""
    rows: list[Row] = []
    waiting: tuple[str, str, str] | None = None
    for number, line in files.lines(files.read_text(path).text):
        place = f"{path} line {number}"
        if match := re.fullmatch(r'(\d+)\t"?(.*?)"?\s*', line):
            if waiting is not None:
                raise Refused("a sentence has no relation", where=waiting[2], got=waiting[1])
            if keys is None:
                waiting = (match[1], match[2], place)
            elif match[1] not in keys:
                raise Refused("the key of a sentence is missing", where=place, got=match[1])
            else:
                rows.append(_tagged_row(match[2], keys[match[1]], place, place))
        elif waiting is not None:
            rows.append(_tagged_row(waiting[1], line, waiting[2], place))
            waiting = None
        elif not line.startswith("Comment"):
            raise Refused(
                "neither a sentence nor a comment", where=place, got=line, expected='8001, a tab, "a sentence"'
            )
    if waiting is not None:
        raise Refused("a sentence has no relation", where=waiting[2], got=waiting[1])
    return rows


def _tagged_row(sentence: str, label: str, place: str, label_place: str) -> Row:
    if label.strip() not in WORDS:
        raise Refused("unknown relation", where=label_place, got=label.strip(), expected=", ".join(WORDS))
    return Row(tagged(sentence, place), label.strip(), Path(place).name)


def _json_splits(path: Path, notes: list[str]) -> dict[str, list[Row]]:
    if not (path / "train.txt").is_file():
        raise Refused("neither TRAIN_FILE.TXT nor train.txt is in the folder", where=str(path),
                      expected="the files of SemEval-2010 task 8, or JSON lines and rel2id.json")  # fmt: skip
    parts = ("train", "val", "test") if (path / "val.txt").is_file() else ("train", "test")
    return {part: _json_rows(path / f"{part}.txt", notes) for part in parts}


def _part(folder: Path, part: str, notes: list[str]) -> list[Row]:
    """One part of a draw: in its folder, else in that above ``k-shot``."""
    own = folder / f"{part}.txt"
    shared = folder.parent.parent / f"{part}.txt"
    return _json_rows(own if own.is_file() or part == "train" else shared, notes)


def _json_rows(path: Path, notes: list[str]) -> list[Row]:
    """Rows of a file with one object a line, in JSON or as Python prints it."""
    source, rows = files.read_text(path), []
    notes += source.notes
    for number, line in files.lines(source.text):
        place = f"{path} line {number}"
        value = _object(line, place)
        relation = value.get("relation")
        if not isinstance(relation, str):
            raise Refused("the relation is no string", where=place, got=relation)
        spans = [positions(value, key, place)["pos"] for key in ("h", "t")]
        if not all(isinstance(span, list) and all(isinstance(at, int) for at in span) for span in spans):
            raise Refused("a position is no pair of integers", where=place, got=spans)
        text = from_tokens(value.get("token", value.get("tokens")), spans[0], spans[1], place)
        rows.append(Row(text, relation, f"{path.name} line {number}"))
    return rows


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        value = files.parse_json(line, place)
    except Refused:
        try:
            value = ast.literal_eval(line)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            value = None
    if not isinstance(value, dict):
        raise Refused(
            "not an object", where=place, got=line, expected='{"token": [...], "h": ..., "t": ..., "relation": ...}'
        )
    return value


def _known_classes(path: Path) -> list[str]:
    """The relations of ``rel2id.json`` in the order of their ids, from ``path`` or a folder above it; else none."""
    for folder in (path, *path.parents[:2]):
        if (folder / "rel2id.json").is_file():
            value = files.read_json(folder / "rel2id.json")
            if not isinstance(value, dict) or not all(isinstance(at, int) for at in value.values()):
                raise Refused("not {relation: id}", where=str(folder / "rel2id.json"))
            return sorted(value, key=value.__getitem__)
    return []
