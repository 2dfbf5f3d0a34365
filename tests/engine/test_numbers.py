"""A wing of 230 lines, far from images, gets packs, resuming, search, transfer, MLflow, cards and a report."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cluster.toy.driving import INLINE
from tests.store.mirrored import runs
from typer.testing import CliRunner

from promptgrid import catalog
from promptgrid.cli.main import app
from promptgrid.cluster.planner import requests_of
from promptgrid.cluster.search.run import run_search
from promptgrid.cluster.search.search import make_search
from promptgrid.spec import Pack, Suite
from promptgrid.spec.search import SearchEntry
from promptgrid.store import Store

HOME = Path(__file__).parent / "numbers"
SUITE = """name: rows
track: numbers
protocol: few_shot
methods: [nearest, {name: shift, label: Shifted, learning_rate: [0.05, 0.2]}]
backbones: [waves]
datasets: [calm, rough]
shots: [4]
seeds: [1, 2]
"""
TRANSFER = """name: pairs
track: numbers
protocol: transfer
methods: [{name: shift, label: Shifted}]
backbones: [waves]
datasets: [calm, rough, turned]
sources: datasets
readings: [adapt]
shots: [4]
seeds: [1]
"""


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The wing is found like any installed plug-in."""
    monkeypatch.syspath_prepend(str(HOME))
    catalog.track.cache_clear()
    yield
    catalog.track.cache_clear()
    sys.modules.pop("numbers_wing", None)


class Nothing:
    """A cache that keeps nothing."""

    def get(self, name: str, compute: Any) -> Any:
        return compute()


def cli(*words: str) -> str:
    ran = CliRunner().invoke(app, list(words))
    assert ran.exit_code == 0, (words, ran.output, ran.exception)
    return ran.stdout


def test_it_is_short() -> None:
    assert len((HOME / "numbers_wing.py").read_text(encoding="utf-8").splitlines()) <= 250


def test_a_suite_is_run_resumed_mirrored_and_reported(tmp_path: Path) -> None:
    suite, store = tmp_path / "rows.yaml", str(tmp_path / "store")
    suite.write_text(SUITE)
    planned = json.loads(cli("plan", str(suite), "--store", store, "--json"))
    assert planned["cells"] == 2 * 2 * 3
    cli("run", str(suite), "--local", "--store", store, "--no-mlflow")
    status = json.loads(cli("status", str(suite), "--store", store, "--json"))
    assert (status["finished"], status["failed"]) == (12, 0)
    before = status["scores_digest"]
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("record.json")}
    cli("run", str(suite), "--local", "--store", store, "--no-mlflow")
    assert json.loads(cli("status", str(suite), "--store", store, "--json"))["scores_digest"] == before
    assert written == {path: path.stat().st_mtime_ns for path in written}, "what is finished is not run again"
    assert len(written) == 12
    cli("sync", str(suite), "--store", store)
    assert len(runs(Store(Path(store)), suite="rows")) == 12
    out = tmp_path / "report"
    cli("report", str(suite), "--store", store, "--out", str(out), "--no-mlflow")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Shifted" in page
    assert "image" not in page.lower().split("<body")[1].replace("data:image", ""), "rows are no images"


def test_cells_of_a_pack_have_the_numbers_they_have_alone() -> None:
    track = catalog.track("numbers")
    suite = Suite.model_validate(
        {"name": "r", "track": "numbers", "protocol": "few_shot", "backbones": ["waves"], "datasets": ["calm"],
         "methods": [{"name": "shift", "learning_rate": [0.05, 0.2]}], "shots": [4], "seeds": [1, 2, 3]}
    )  # fmt: skip
    cells = track.resolve([request for _, request in requests_of(suite, track)])
    (pack,) = track.pack(cells)
    together = {outcome.record.cell.key: outcome for outcome in track.run(wanted(pack, pack.cells), Nothing(), "cpu")}
    for cell in cells:
        (alone,) = track.run(Pack((cell,), wanted=frozenset({cell.key})), Nothing(), "cpu")
        for name, value in alone.state.items():
            torch.testing.assert_close(torch.from_numpy(value), torch.from_numpy(together[cell.key].state[name]))


def test_what_was_learned_is_used_again() -> None:
    track = catalog.track("numbers")
    (cell, *_) = track.resolve([request for _, request in requests_of(Suite.model_validate(yaml(SUITE)), track)])
    (outcome,) = track.run(Pack((cell,), wanted=frozenset({cell.key})), Nothing(), "cpu")
    classify = track.restore(outcome.record, outcome.state, outcome.about, "cpu")
    rows = torch.zeros(5, 6)
    assert classify(rows).shape == (5,)


def test_a_search_chooses_on_validation_rows(tmp_path: Path) -> None:
    suite = Suite.model_validate(yaml(SUITE) | {"methods": ["shift", "nearest"], "selection": "last"})
    store = Store(tmp_path / "store")
    summary = run_search(make_search(suite, store, SearchEntry(trials=3)), local=True, options=INLINE)
    assert summary.found is not None
    assert {study.method: len(study.trials) for study in summary.found.studies} == {"shift": 3, "nearest": 1}


def test_pairs_are_transferred_and_shown_as_a_matrix(tmp_path: Path) -> None:
    suite, store, out = tmp_path / "pairs.yaml", str(tmp_path / "store"), tmp_path / "report"
    suite.write_text(TRANSFER)
    cli("run", str(suite), "--local", "--store", store, "--no-mlflow")
    status = json.loads(cli("status", str(suite), "--store", store, "--json"))
    assert (status["finished"], status["failed"]) == (3 * 3 + 3, 0)
    cli("report", str(suite), "--store", store, "--out", str(out), "--no-mlflow")
    assert "matrix" in (out / "report.html").read_text(encoding="utf-8").lower()


def test_its_methods_have_cards() -> None:
    listed = json.loads(cli("methods", "--track", "numbers", "--json"))
    assert [row["name"] for row in listed] == ["nearest", "shift"]
    card = catalog.track("numbers").card("shift")
    assert card["about"].startswith("Shifted features")
    assert card["protocols"]


def wanted(pack: Pack, cells: Any) -> Pack:
    return replace(pack, wanted=frozenset(cell.key for cell in cells))


def yaml(text: str) -> dict[str, Any]:
    from ruamel.yaml import YAML

    found: dict[str, Any] = YAML(typ="safe").load(text)
    return found
