"""The report of a small study of transfer, from the run to the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import promptgrid
from promptgrid import api
from promptgrid.store.answers import right_answers

SUITE = {
    "name": "small_transfer",
    "protocol": "transfer",
    "methods": [
        {"name": "zero_shot", "readings": []},
        {"name": "coop", "label": "CoOp", "context_length": 4, "epochs": 2},
    ],
    "datasets": ["weather", "emoji_gestures", "emoji_jobs", "digits"],
    "sources": "datasets",
    "readings": ["evaluate"],
    "shots": [1],
    "seeds": [1, 2],
    "reference": "zero_shot",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("transfer") / "store"
    promptgrid.run(SUITE, found, local=True, mlflow=False)
    return found


@pytest.fixture(scope="module")
def folder(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return api.report(SUITE, store, tmp_path_factory.mktemp("report")).folder


def test_the_page_has_the_map_and_report_json_its_numbers(folder: Path, store: Path) -> None:
    assert 'id="transfer"' in (folder / "report.html").read_text()
    (study,) = json.loads((folder / "report.json").read_text())["transfer"]["studies"]
    assert study["label"] == "CoOp, evaluate"
    assert study["tests"] == ["seeds", "images"]
    assert study["summary"]["scored"] == study["summary"]["planned"] == 12
    assert {row["name"] for row in study["correlations"]} >= {"visual, nearest class", "label, centroid"}
    results = promptgrid.load_results(folder)
    plain = results[(results["reading"] == "") & (results["label"] == "CoOp") & (results["metric"] == "accuracy")]
    moved = results[(results["source"] == "digits") & (results["dataset"] == "weather")]
    moved = moved[moved["metric"] == "accuracy"]
    i, j = study["sources"].index("digits"), study["targets"].index("weather")
    own = plain[plain["dataset"] == "weather"]["value"].mean()
    assert study["matrices"]["gain_over_scratch"][i][j] == pytest.approx(moved["value"].mean() - own)


def test_scored_as_it_is_a_source_on_itself_is_learning_from_scratch(folder: Path) -> None:
    with (folder / "tables" / "transfer_pairs.csv").open(newline="") as file:
        own = [row for row in csv.DictReader(file) if row["own"] == "True"]
    assert len(own) == 4
    assert all(float(row["gain_over_scratch"]) == 0 for row in own)


def test_answers_add_up_to_the_accuracy(store: Path) -> None:
    keeper = api.open_store(store)
    records = {record.cell.key: record for record in keeper.records()}
    answers = right_answers(keeper, records)
    assert set(answers) == set(records)
    for key, right in answers.items():
        assert np.mean(right) == pytest.approx(records[key].metrics["accuracy"])


def test_damaged_predictions_are_left_out_and_said(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import shutil

    shutil.copytree(store, tmp_path / "store")
    keeper = api.open_store(tmp_path / "store")
    keys = list(keeper.keys())
    (keeper.folder(keys[0]) / "predictions.parquet").write_bytes(b"no parquet")
    answers = right_answers(keeper, keys)
    assert set(answers) == set(keys[1:])
    assert "no answers of cell" in caplog.text
