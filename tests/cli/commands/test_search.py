"""`promptgrid search` over two bundled tasks, and the report of a searched suite."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from tests.cli.conftest import SUITE, Invoke

SEARCH = "search: {trials: 4, space: {taskres: {learning_rate: [0.001, 0.1]}}}\n"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suites") / "searched.yaml"
    path.write_text(SUITE + SEARCH, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search") / "store"


@pytest.fixture(scope="module")
def answer(invoke: Invoke, searched: Path, folder: Path) -> dict:
    done = invoke("search", searched, "--store", folder, "--local", "--no-mlflow", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_search_chooses_on_validation_images_and_tests_the_choice(answer: dict) -> None:
    assert answer["validation_cells"] == 2 * 2 * (1 + 4)
    assert {(row["label"], row["dataset"]) for row in answer["winners"]} == {
        (label, dataset) for label in ("zero_shot", "taskres (epochs=5)") for dataset in ("weather", "digits")
    }
    for row in answer["winners"]:
        assert row["chosen"] is not None
        assert all(0 <= row[name] <= 1 for name in ("validation", "test", "test_as_written"))
        assert bool(row["settings"]) == (row["chosen"] > 0)
    choice = Path(answer["choice"])
    assert json.loads(choice.read_text())["trials"] == 4


def test_more_trials_only_run_what_is_new(invoke: Invoke, searched: Path, folder: Path, answer: dict) -> None:
    again = invoke("search", searched, "--store", folder, "--local", "--no-mlflow", "--json")
    assert json.loads(again.stdout)["cells_run"] == 0
    more = invoke("search", searched, "--store", folder, "--local", "--no-mlflow", "--json", "--trials", "5")
    found = json.loads(more.stdout)
    assert found["validation_cells"] == answer["validation_cells"] + 4
    assert 4 <= found["cells_run"] <= 4 + 4


def test_a_searched_suite_is_complete_and_its_report_says_the_budget(
    invoke: Invoke, searched: Path, folder: Path, answer: dict, tmp_path: Path
) -> None:
    assert json.loads(invoke("plan", searched, "--store", folder, "--json").stdout)["missing"] == 0
    out = tmp_path / "report"
    written = invoke("report", searched, "--store", folder, "--out", out)
    assert written.exit_code == 0, written.output
    facts = json.loads((out / "report.json").read_text())["search"]
    part = facts["parts"][0]
    assert part["trials"] >= answer["trials"]
    assert {row["trials"] for row in part["rows"]} == {1, part["trials"]}
    assert all(row["test"] is not None for row in part["rows"])
    page = (out / "report.html").read_text()
    assert "Every method had the same budget" in page
    assert 'id="search_1_1shot.svg"' in page


def test_a_suite_that_was_not_searched_has_no_such_section(
    invoke: Invoke, suite: Path, store: Path, tmp_path: Path
) -> None:
    invoke("report", suite, "--store", store, "--out", tmp_path / "report")
    assert "search" not in json.loads((tmp_path / "report" / "report.json").read_text())


def test_a_space_that_does_not_fit_is_refused_by_plan_and_search(invoke: Invoke, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(SUITE + SEARCH.replace("learning_rate", "learning_rat"), encoding="utf-8")
    for command in (("plan", bad), ("search", bad, "--local")):
        refused = invoke(*command, "--store", tmp_path / "store")
        assert refused.exit_code == 2
        assert "did you mean 'learning_rate'?" in refused.output
    wrong = invoke("search", bad, "--algorithm", "optima", "--store", tmp_path / "store")
    assert "did you mean 'optuna'?" in wrong.output
    assert not (tmp_path / "store").exists()


def test_what_was_chosen_is_a_row_of_the_board(
    invoke: Invoke, searched: Path, folder: Path, answer: dict, tmp_path: Path
) -> None:
    invoke("report", searched, "--store", folder, "--out", tmp_path)
    rows = {row["method"]: row for row in pd.read_csv(tmp_path / "leaderboard.csv").to_dict("records")}
    (name,) = set(rows) - {"zero_shot", "taskres (epochs=5)"}
    assert name.startswith("taskres (epochs=5), ")
    assert rows[name]["recipe"] == "cut", "the search varied other knobs, and what is cut stays cut"
    assert rows[name]["done"] == rows[name]["planned"] == 4
    assert pd.isna(rows[name]["place"])


def test_epochs_may_be_searched_and_the_row_is_ranked(invoke: Invoke, tmp_path: Path) -> None:
    path, folder = tmp_path / "epochs.yaml", tmp_path / "store"
    text = SUITE.replace("datasets: [weather, digits]", "datasets: [weather]").replace("seeds: [1, 2]", "seeds: [1]")
    path.write_text(text + "search: {trials: 3, epochs: [1, 3]}\n", encoding="utf-8")
    done = invoke("search", path, "--store", folder, "--local", "--no-mlflow")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"next: promptgrid report {path} --store {folder}"
    assert "search 1/2, 3 trials on validation images: cells" in done.stderr
    assert "search 2/2, test images of what was chosen: cells" in done.stderr
    invoke("report", path, "--store", folder, "--out", tmp_path / "report")
    rows = {row["method"]: row for row in pd.read_csv(tmp_path / "report" / "leaderboard.csv").to_dict("records")}
    chosen = rows["taskres (epochs=5), 3 trials"]
    assert (chosen["recipe"], chosen["recipe_note"]) == ("searched", "3 trials, random, seed 1, 1 to 3 epochs")
    assert chosen["place"] in (1, 2)
    assert (rows["taskres (epochs=5)"]["recipe"], rows["zero_shot"]["recipe"]) == ("cut", "paper")


def test_a_search_stays_in_the_report_when_a_seed_is_added(
    invoke: Invoke, searched: Path, folder: Path, answer: dict, tmp_path: Path
) -> None:
    more = tmp_path / "more.yaml"
    more.write_text(searched.read_text().replace("seeds: [1, 2]", "seeds: [1, 2, 3]"), encoding="utf-8")
    invoke("report", more, "--store", folder, "--out", tmp_path)
    part = json.loads((tmp_path / "report.json").read_text())["search"]["parts"][0]
    assert part["stale"] == ["at 4 places it chose over 2 seeds, the suite has 3 now"]
    assert "<b>Stale:</b> at 4 places it chose over 2 seeds" in (tmp_path / "report.html").read_text()
