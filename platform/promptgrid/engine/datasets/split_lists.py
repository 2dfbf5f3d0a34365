"""Split files: a JSON with ``train``, ``val`` and ``test`` lists of [relative path, label, class name]."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any

from promptgrid.contract.split_names import SPLITS
from promptgrid.engine.datasets.files import Row
from promptgrid.spec import Refused, nearest

MAX_BYTES = 256 * 2**20


def read_split_lists(file: Path, noun: str = "image") -> tuple[dict[str, list[Row]], list[str]]:
    """Rows of each split in the order written, and class names by label.

    Raises:
        Refused: too large, no JSON, a key written twice, or what :func:`parsed` refuses.
    """
    return parsed(read_json(file), str(file), noun)


def read_json(file: Path) -> Any:
    """The value in a JSON file of bounded size, see :func:`parse_json`."""
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise Refused("file is too large", where=str(file), got=size, expected=f"at most {MAX_BYTES} bytes")
    return parse_json(file.read_bytes(), str(file))


def parse_json(raw: bytes, where: str) -> Any:
    """The value of JSON in UTF-8; a key written twice is refused as what is no JSON is."""
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not valid JSON: {error}", where=where) from error


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key is written twice among {[key for key, _ in pairs][:6]}")
    return found


def parsed(value: Any, where: str, noun: str = "image") -> tuple[dict[str, list[Row]], list[str]]:
    """Rows of each split in the order written, and class names by label.

    Raises:
        Refused: another shape, a label with two names or none, a path listed twice or that leads out of the dataset.
    """
    if not isinstance(value, dict):
        raise Refused("not a split file", where=where, got=type(value).__name__, expected="train, val and test lists")
    for key in value:
        if key not in SPLITS:
            raise Refused(f"unknown key {key!r}", where=where, hint=nearest(key, SPLITS))
    names: dict[int, str] = {}
    homes: dict[str, str] = {}
    splits = {}
    for split in SPLITS:
        if split not in value:
            raise Refused(
                f"the key {split!r} is missing", where=where, got=sorted(value), expected="train, val and test"
            )
        if not isinstance(value[split], list):
            raise Refused(f"{split}: not a list", where=where, got=value[split], expected="[[path, label, name], ...]")
        splits[split] = [_row(item, f"{split}[{i}]", where, names, homes) for i, item in enumerate(value[split])]
    if not splits["test"]:
        raise Refused(f"test: there are no test {noun}s", where=where)
    return splits, _names_in_order(names, splits, where, noun)


def _row(item: Any, place: str, where: str, names: dict[int, str], homes: dict[str, str]) -> Row:
    if not isinstance(item, list) or len(item) != 3:
        raise Refused(f"{place}: not a triple", where=where, got=item, expected="[path, label, class name]")
    path, label, name = item
    if not isinstance(label, int) or isinstance(label, bool) or label < 0:
        raise Refused(
            f"{place}: the label is not an integer from 0 up", where=where, got=label, expected="0, 1, 2, ..."
        )
    if not isinstance(name, str):
        raise Refused(f"{place}: the class name is not text", where=where, got=name)
    if names.setdefault(label, name) != name:
        raise Refused(f"{place}: label {label} has two names", where=where, got=name, expected=repr(names[label]))
    path = plain_path(path, place, where)
    if path in homes:
        raise Refused(f"{place}: {path!r} is listed twice, first as {homes[path]}", where=where)
    homes[path] = place
    return Row(path, label)


def plain_path(path: Any, place: str, where: str) -> str:
    """``path`` in its plainest form, which lies below the root."""
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise Refused(f"{place}: the path is not text", where=where, got=path, expected="a path below the root")
    plain = posixpath.normpath(path)
    if posixpath.isabs(path) or plain.split("/")[0] == ".." or "\\" in path:
        raise Refused(
            f"{place}: the path leads out of the dataset", where=where, got=path, expected="a path below the root"
        )
    return plain


def _names_in_order(names: dict[int, str], splits: dict[str, list[Row]], where: str, noun: str) -> list[str]:
    gap = next((label for label in range(len(names)) if label not in names), None)
    if gap is not None:
        raise Refused(
            f"label {gap} is missing", where=where, got=f"labels up to {max(names)}", expected=f"0 to {max(names)}"
        )
    taught = {row.label for row in splits["train"]}
    for label in range(len(names)):
        if taught and label not in taught:
            raise Refused(f"train: class {names[label]!r} (label {label}) has no {noun}s", where=where)
    return [names[label] for label in range(len(names))]
