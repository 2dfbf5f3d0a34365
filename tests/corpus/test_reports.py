"""Every row of ``reports.yaml``, tried."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.corpus.trying import KINDS, OUTCOMES, ROWS, SOUND, home_in, told, try_row

from promptgrid.api import plan


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return home_in(tmp_path_factory.getbasetemp() / "home")


@pytest.fixture(autouse=True)
def _own_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(home / "cache"))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:Detected pickle protocol")
@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_as_promised(row: dict[str, Any], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try_row(row, tmp_path, home, monkeypatch)


def test_every_row_says_what_was_reported_where_and_what_is_promised() -> None:
    assert [name for name, count in Counter(row["case"] for row in ROWS).items() if count > 1] == []
    for row in ROWS:
        assert list(row) == ["case", "report", "seen", "input", "outcome", "says"], row["case"]
        assert row["report"].endswith(".")
        assert row["outcome"] in OUTCOMES
        assert row["seen"]
        assert sum(kind in row["input"] for kind in KINDS) == 1


def method(name: str, **settings: Any) -> dict[str, Any]:
    return {"methods": ["zero_shot", {"name": name, **settings}]}


SOUND_ONES: dict[str, dict[str, Any]] = {
    "sound": {},
    "halves": {"protocol": "base_to_new"},
    "select": {"selection": "val"},
    "noval": {"datasets": ["imagefolder:HOME/noval"]},
    "no-labels": {"protocol": "unsupervised", "shots": [0]},
    "unseen": {**method("coop"), "protocol": "transductive_zero_shot"},
    "pool": {**method("linear_probe"), "protocol": "semi_supervised", "shots": [1]},
    "few-images": {"datasets": ["imagefolder:HOME/three"], "shots": [100]},
    "whole-number-rate": method("coop", learning_rate=1),
    "many-epochs": method("coop", epochs=100_000, batch_size=4096),
    "a-full-context": method("coop", context_length=73),
    "maple": {**method("maple"), "backbones": ["bundled-vit"]},
    "probe": {**method("linear_probe"), "backbones": ["bundled-conv"]},
}


@pytest.mark.parametrize("case", SOUND_ONES)
def test_the_sound_neighbours_of_refused_suites_are_planned(case: str, home: Path, tmp_path: Path) -> None:
    suite = told({**SOUND, **SOUND_ONES[case]}, {"HOME": str(home)})
    assert len(plan(suite, tmp_path / "store").missing) == len(suite["methods"])
