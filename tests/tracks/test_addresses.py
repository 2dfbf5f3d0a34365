"""A path in an address means the same in every wing: from the working folder, ``~``, ``${NAME}`` or the root on."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid import catalog
from promptgrid.engine.wing import Wing
from promptgrid.spec import Refused

DATASETS = [
    ("image", "imagefolder:{}"),
    ("image", "coop-split:{}"),
    ("image", "hf-images:{}"),
    ("text", "lm-bff:{}"),
    ("text", "semeval:{}"),
    ("text", "intents:{}"),
    ("text", "fewrel:{}"),
    ("text", "table:{}"),
    ("text", "hf-disk:{}"),
    ("graph", "edge-list:{}"),
    ("graph", "ogb:{}"),
    ("graph", "planetoid:{}"),
    ("graph", "heterophilous:{}"),
    ("graph", "moleculenet:{}?task=a"),
]
SPELLINGS = ("own/{}", "~/own/{}", "${{PROMPTGRID_DATA}}/{}", "{root}/own/{}")


def wing(name: str) -> Wing:
    found = catalog.track(name)
    assert isinstance(found, Wing)
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the working folder and the home, with ``own`` in it."""
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PROMPTGRID_DATA", str(tmp_path / "own"))
    return tmp_path


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("track", "address"), DATASETS)
def test_what_is_not_there_was_looked_for_in_one_place(track: str, address: str, spelling: str, root: Path) -> None:
    with pytest.raises(Refused) as refused:
        wing(track).resolver.dataset(address.format(spelling.format("none.json", root=root)))
    assert str(root / "own") in str(refused.value)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_table_is_found_in_each_spelling(spelling: str, root: Path) -> None:
    rows = [f"{name} thing {number},{name}" for name in ("good", "bad") for number in range(8)]
    (root / "own" / "some.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    address = f"table:{spelling.format('some.csv', root=root)}?text=text&label=label"
    assert wing("text").resolver.dataset(address).card.classes == ("bad", "good")


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("track", ["image", "text", "graph"])
def test_a_local_model_is_looked_for_in_the_same_place(track: str, spelling: str, root: Path) -> None:
    prefix = {"image": "local-dir:", "text": "hf-dir:", "graph": "gnn:"}[track]
    with pytest.raises(Refused) as refused:
        wing(track).resolver.facts(prefix + spelling.format("none", root=root))
    assert str(root / "own" / "none") in str(refused.value)
