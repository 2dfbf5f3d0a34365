from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.fewrel import FewRel
from promptgrid.tracks.text.datasets.text import TextDataset


def opened(path: Path) -> TextDataset:
    found = FewRel().open(f"fewrel:{path}")
    assert isinstance(found, TextDataset)
    return found


def instance(number: int, head: Any = (0, 1)) -> dict[str, Any]:
    return {
        "tokens": ["Cape", f"G{number}", "spans", "the", "river"],
        "h": ["cape g", "Q1", [list(head)]],
        "t": ["river", "Q2", [[4], [3]]],
    }


def saved(folder: Path, value: Any, names: Any = None) -> Path:
    (folder / "val_small.json").write_text(json.dumps(value))
    if names is not None:
        (folder / "pid2name.json").write_text(json.dumps(names))
    return folder / "val_small.json"


def test_relations_become_classes_with_the_names_they_are_called_by(tmp_path: Path) -> None:
    value = {key: [instance(number + 100 * place) for number in range(10)] for place, key in enumerate(("P177", "P9"))}
    found = opened(saved(tmp_path, value, {"P177": ["crosses", "obstacle crossed"], "P1": ["other", ""]}))
    assert found.card.classes == ("crosses", "P9")
    assert found.card.splits == {"train": 10, "val": 4, "test": 6}
    text = found.read(0)
    assert text.a.endswith("spans the river")
    assert (text.subject[:6], text.object) == ("Cape G", "river")
    assert found.example_name(0).startswith(("P177[", "P9["))


def test_two_relations_of_one_name_keep_their_keys(tmp_path: Path) -> None:
    value = {"P1": [instance(1), instance(2)], "P2": [instance(3), instance(4)]}
    assert opened(saved(tmp_path, value, {"P1": ["part of", ""], "P2": ["part of", ""]})).card.classes == (
        "part of (P1)", "part of (P2)",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], r"not \{relation: \[instances\]\}"),
        ({"P1": [instance(1), instance(2)]}, r"not \{relation"),
        ({"P1": [instance(1), {"tokens": ["a"], "t": ["a", "", [[0]]]}], "P2": []}, r"P1\[1\]: 'h' has no mention"),
        ({"P1": [instance(1), instance(2, head=(0, 2))], "P2": []}, "do not follow each other"),
        ({"P1": [instance(1), instance(2, head=(7,))], "P2": []}, "outside of the tokens"),
        ({"P1": [instance(1), "x"], "P2": []}, "not an instance"),
        ({"P1": [instance(1)], "P2": [instance(2), instance(3)]}, "class 'P1' has 1 text"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        opened(saved(tmp_path, value))


def test_a_published_file_is_read(shared: Callable[[str], Path]) -> None:
    found = opened(shared("fewrel/val_pubmed.json"))
    assert len(found.card.classes) == 10
    assert sum(found.card.splits.values()) == 1000
    assert all(found.read(index).subject and found.read(index).object for index in range(1000))


def test_names_of_a_published_file_are_those_beside_it(shared: Callable[[str], Path]) -> None:
    found = opened(shared("fewrel/val_wiki.json"))
    assert found.card.classes[:2] == ("crosses", "original language of film or TV show")
