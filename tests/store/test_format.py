"""The record format is a promise: what an earlier version wrote is read, and the page that tells it is true."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.contracts import small_world
from tests.store.synthetic import make_cell, make_outcome

import promptgrid.store
from promptgrid.contract.clip import Outcome
from promptgrid.spec import Pack, Record
from promptgrid.store import Store, verify
from promptgrid.store.files.encoding import COLUMNS

PAGE = (Path(promptgrid.store.__file__).parent / "RECORDS.md").read_text(encoding="utf-8")
OLD = next(path for path in (Path(__file__).parent / "version_1").iterdir() if path.is_dir())
"""A cell as version 1 wrote it: bytes that no code here can write any more."""


def told(section: str) -> list[str]:
    """The names in the first column of the table under a heading that begins so."""
    (part,) = [part for part in PAGE.split("\n## ") if part.startswith(section)]
    return re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Of a real cell."""
    wing = small_world.track()
    (cell,) = wing.resolve([small_world.request("coop", **small_world.brief("coop"))])
    pack = Pack(cells=(cell,), wanted=frozenset({cell.key}))
    (found,) = wing.run(pack, small_world.MemoryCache(), "cpu")
    assert found.record.status == "done", found.record.log_tail
    return found


def test_the_page_tells_every_key_and_column(outcome: Outcome) -> None:
    assert told("record.json") == list(Record.model_fields)
    assert told("predictions.parquet") == list(COLUMNS)
    optional = {"all_classes", "descriptions"}
    assert set(told("state.safetensors")) == set(outcome.about) | optional


def test_records_of_version_1_are_read(store: Store) -> None:
    home = store.folder(OLD.name)
    home.parent.mkdir(parents=True)
    shutil.copytree(OLD, home)
    record = store.examine(OLD.name)
    assert (record.schema_version, record.notes, record.metrics["accuracy"]) == (1, (), 0.37)
    assert store.records() == [record]
    (answers,) = store.predictions(OLD.name)
    assert (answers.of_label, answers.logsumexp, answers.names, answers.classes) == (None, None, (), ())
    assert answers.top.shape == (6, 5)
    assert store.state(OLD.name)["context"].shape == (4, 8)
    assert store.about(OLD.name) == {}
    assert not verify(store).damaged


def test_every_new_field_comes_back(store: Store, outcome: Outcome) -> None:
    store.commit(outcome)
    key = outcome.record.cell.key
    (given,), (kept,) = store.predictions(key), outcome.predictions
    assert (given.names, given.classes) == (kept.names, kept.classes)
    assert given.classes == small_world.CLASSES
    assert np.array_equal(given.of_label, kept.of_label)
    assert np.array_equal(given.logsumexp, kept.logsumexp)
    assert store.about(key) == outcome.about
    assert store.state(key).keys() == outcome.state.keys()
    assert store.read(key).schema_version == 2


def test_probabilities_can_be_computed_from_what_is_kept(outcome: Outcome) -> None:
    """5 classes are all in the top 5 here, so that everything can be computed a second time."""
    (given,) = outcome.predictions
    whole = np.zeros((len(given.label), 5))
    np.put_along_axis(whole, given.top.astype(np.int64), given.scores.astype(np.float64), axis=1)
    chances = np.exp(whole) / np.exp(whole).sum(1, keepdims=True)
    confidence = np.exp(given.scores[:, 0] - given.logsumexp)
    assert np.allclose(confidence, chances.max(1), atol=1e-5)
    likelihood = given.of_label - given.logsumexp
    assert np.allclose(likelihood, np.log(chances[np.arange(len(chances)), given.label]), atol=1e-4)


def test_columns_of_other_lengths_are_refused(store: Store) -> None:
    whole = make_outcome(make_cell())
    for short in ({"names": ("one",)}, {"logsumexp": np.zeros(3, np.float32)}, {"of_label": np.zeros(1, np.float32)}):
        with pytest.raises(ValueError, match="different lengths"):
            store.commit(replace(whole, predictions=(replace(whole.predictions[0], **short),)))
