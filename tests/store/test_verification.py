"""`verify` beyond the records: features, searches, and what belongs to none of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.store.synthetic import make_cell, make_failure, make_outcome

from promptgrid.contract.clip import Outcome
from promptgrid.spec import canonical_json
from promptgrid.spec.searched import SearchFound
from promptgrid.store import FeatureCache, Store, verify


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A record, a failure, two cached names and a search."""
    store = Store(tmp_path / "store")
    store.commit(make_outcome(make_cell(1)))
    store.commit(Outcome(make_failure(make_cell(2))))
    cache = FeatureCache(store.root)
    for name in ("one", "two"):
        cache.get(canonical_json({"about": f"{name} through bundled"}), lambda: {"numbers": np.arange(64.0)})
    store.searches.keep(
        SearchFound(suite="s", base="0" * 64, algorithm="random", trials=1, seed=1, cells=1, studies=[], places=[])
    )
    return store


def feature(store: Store, name: str) -> Path:
    return max((store.root / "features").glob(f"*/{name}"))


def test_a_whole_store_is_sound(store: Store) -> None:
    found = verify(store)
    assert (found.sound, found.checked, found.features, found.searches, found.beside) == (True, 2, 2, 1, [])


@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
def test_a_deleted_file_of_the_cache_is_found(store: Store, name: str) -> None:
    feature(store, name).unlink()
    (entry,) = FeatureCache(store.root).verify()
    assert entry.trouble == f"{name} is missing"
    assert len(FeatureCache(store.root).listing()) == 1


def test_damaged_features_are_found_and_named(store: Store) -> None:
    path = feature(store, "arrays.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    ((where, why),) = verify(store).damaged
    assert where == "features"
    assert why.endswith("through bundled: arrays.safetensors does not match its sha256")
    assert verify(store).sound


def test_a_damaged_search_goes_to_quarantine(store: Store) -> None:
    (path,) = store.searches.folder.glob("*.json")
    path.write_text(path.read_text().replace("random", "optuna"))
    assert [where for where, _ in verify(store).damaged] == ["searches"]
    assert list((store.root / "quarantine").glob("*/found"))
    assert verify(store).searches == 0


def test_what_does_not_belong_is_set_aside_and_what_lies_beside_is_told(store: Store) -> None:
    record = store.folder(make_cell(1).key)
    strangers = [
        record / "notes.txt",
        record.parent / "stray",
        store.root / "records" / "zz",
        next((store.root / "failures").glob("*/*")) / "1.json.bak",
        store.root / "searches" / "old.txt",
        store.root / "features" / "tmp",
        feature(store, "manifest.json").with_name("more.bin"),
    ]
    for path in strangers:
        path.write_text("x")
    (store.root / "thesis.tex").write_text("mine")
    found = verify(store)
    assert sorted(name for name, _ in found.damaged) == sorted(path.name for path in strangers)
    assert found.beside == ["thesis.tex"]
    assert (store.root / "thesis.tex").read_text() == "mine"
    assert verify(store).sound
    assert store.read(make_cell(1).key)


@pytest.mark.parametrize("depth", [5_000, 200_000])
def test_what_is_nested_without_end_goes_to_quarantine(store: Store, depth: int) -> None:
    deep = b'{"files":' * depth
    (store.folder(make_cell(1).key) / "MANIFEST.json").write_bytes(deep)
    next((store.root / "failures").glob("*/*/1.json")).write_bytes(deep)
    feature(store, "manifest.json").write_bytes(deep)
    next(store.searches.folder.glob("*.json")).write_bytes(deep)
    found = verify(store)
    assert len(found.damaged) == 4
    assert [why for _, why in found.damaged if "nested too deeply" in why]
    assert store.records() == []
    assert store.failures() == {}
    assert store.searches.all() == {}
