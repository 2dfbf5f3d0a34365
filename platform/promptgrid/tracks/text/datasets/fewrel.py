"""``fewrel:/path/val_wiki.json``: FewRel's files, whose relations become the classes of one task."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.text.datasets import files
from promptgrid.tracks.text.datasets.building import Row, build, divide
from promptgrid.tracks.text.datasets.relations import from_tokens
from promptgrid.tracks.text.datasets.text import Text

PREFIX = "fewrel:"
OPTIONS = ("sha256",)
NAMES = "pid2name.json"


class FewRel(DatasetFamily):
    """A JSON of {relation: [{"tokens", "h", "t"}, ...]}; ``pid2name.json`` beside it says what a relation is called.

    FewRel has no splits inside a file: each relation is divided by content, half to train, a fifth to val, the rest
    to test. The first mention of head and tail is the one that is marked.
    """

    name = "fewrel"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, options = files.address(dataset, PREFIX, OPTIONS)
        value = files.read_json(path)
        if not isinstance(value, dict) or len(value) < 2 or not all(isinstance(some, list) for some in value.values()):
            raise Refused("not {relation: [instances]}", where=str(path), got=type(value).__name__)
        names = _names(path.parent / NAMES, list(value))
        rows = [
            Row(_text(instance, f"{path}: {key}[{place}]"), names[key], f"{key}[{place}]")
            for key, some in value.items()
            for place, instance in enumerate(some)
        ]
        facts = {
            "name": path.stem,
            "title": f"FewRel, {path.stem}",
            "classes": [names[key] for key in value],
            "template": "The relation is {}.",
            "mask_templates": ["{text} The relation of {subject} to {object} is {mask}."],
            "called": ["FewRel", "few_rel", "thunlp/few_rel"],
        }
        return build(str(path), facts | options, divide(rows, str(path)))


def _names(path: Path, keys: list[str]) -> dict[str, str]:
    """{relation: name to speak}: the first name in ``path``, with the key behind it where two are called the same."""
    value = files.read_json(path) if path.is_file() else {}
    if not isinstance(value, dict):
        raise Refused("not {relation: [name, description]}", where=str(path), got=type(value).__name__)
    found = {key: str(value[key][0]) if isinstance(value.get(key), list) and value[key] else key for key in keys}
    counts = Counter(found.values())
    return {key: name if counts[name] == 1 else f"{name} ({key})" for key, name in found.items()}


def _text(instance: Any, place: str) -> Text:
    if not isinstance(instance, dict):
        raise Refused("not an instance", where=place, got=instance, expected='{"tokens": ..., "h": ..., "t": ...}')
    spans = []
    for key in ("h", "t"):
        try:
            mention = [int(at) for at in instance[key][2][0]]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise Refused(f"{key!r} has no mention", where=place, got=instance.get(key),
                          expected="[name, id, [[token numbers], ...]]") from error  # fmt: skip
        if mention != list(range(mention[0], mention[0] + len(mention))):
            raise Refused(f"{key!r}: the tokens of a mention do not follow each other", where=place, got=mention)
        spans.append((mention[0], mention[-1] + 1))
    return from_tokens(instance.get("tokens"), spans[0], spans[1], place)
