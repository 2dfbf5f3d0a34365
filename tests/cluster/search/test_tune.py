"""Optuna, ASHA and PBT over the toy track, whose ``tuned`` is best at rate 0.7."""

from __future__ import annotations

import random

import pytest
from tests.cluster.toy.driving import SILENT, executions, toy_suite

from promptgrid.cluster import Options
from promptgrid.cluster.search.run import SearchSummary, run_search
from promptgrid.cluster.search.search import make_search
from promptgrid.cluster.search.tune import rungs_of, seeded
from promptgrid.spec.search import SearchEntry
from promptgrid.store import Store

TRIALS = 6


def tuned(store: Store, algorithm: str, trials: int = TRIALS, options: Options = SILENT) -> SearchSummary:
    entry = SearchEntry.model_validate({"trials": trials, "algorithm": algorithm})
    suite = toy_suite({"name": "tuned", "epochs": 27}, "sleep", datasets=["red"], seeds=[1, 2])
    return run_search(make_search(suite, store, entry), workers=1, options=options)


def shown(store: Store) -> set[str]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store.root / 'mlflow.db'}")
    found = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.data.tags["cell_key"] for run in client.search_runs(found, "tags.kind = 'cell'")}


def trials_of(summary: SearchSummary) -> list[float]:
    assert summary.found is not None
    return [trial.get("rate", 0.5) for trial in summary.found.studies[0].trials]


@pytest.mark.usefixtures("ray_here")
def test_asha_stops_trials_between_rungs_and_chooses_among_the_whole(store: Store) -> None:
    summary = tuned(store, "asha", options=Options(quiet=True, mirror_seconds=900.0))
    assert summary.found is not None
    random_list = make_search(toy_suite("tuned"), store, SearchEntry(trials=TRIALS)).studies[0].trials
    assert trials_of(summary) == [trial.get("rate", 0.5) for trial in random_list], (
        "the list is that of the random search"
    )
    (place,) = (place for place in summary.found.places if place.label.startswith("tuned"))
    whole = [trial for trial, score in enumerate(place.scores) if score is not None]
    assert 0 in whole
    assert 1 < len(whole) < TRIALS, "some trials were stopped, and at least one beside the written one was not"
    assert place.chosen in whole
    epochs = {record.cell.settings.get("epochs") for record in store.records() if record.cell.scored == "val"}
    assert {3, 9, 27} <= epochs
    assert {record.cell.settings.get("epochs") for record in store.records() if record.cell.scored == "test"} <= {
        27,
        None,
    }
    finished = {record.cell.key for record in store.records() if record.cell.settings.get("epochs", 27) == 27}
    assert shown(store) == finished, "MLflow has every trial that was trained to the end, and every test cell"
    assert summary.searched.mirror is not None
    assert summary.searched.mirror.problem == ""


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_optuna_suggests_again_what_it_suggested_and_runs_nothing_twice(store: Store) -> None:
    summary = tuned(store, "optuna")
    rates = trials_of(summary)
    assert len(set(rates)) == TRIALS
    assert rates[0] == 0.5
    before = executions(store)
    again = tuned(store, "optuna")
    assert again.found == summary.found
    assert executions(store) == before
    assert set(before.values()) == {1}


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_asha_goes_on_with_the_lowest_errors(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    entry = SearchEntry(trials=TRIALS, algorithm="asha")
    suite = toy_suite({"name": "tuned", "epochs": 27}, protocol="errors", datasets=["red"], seeds=[1])
    summary = run_search(make_search(suite, store, entry), workers=1, options=Options(mirror=False))
    assert summary.found is not None
    rates = trials_of(summary)
    (place,) = summary.found.places
    whole = [trial for trial, score in enumerate(place.scores) if score is not None]
    assert place.chosen == min(whole, key=lambda trial: abs(rates[trial] - 0.7))
    scores = {trial: score for trial, score in enumerate(place.scores) if score is not None and trial > 0}
    assert f"best mean validation mean absolute error {min(scores.values()):.3f}" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_pbt_perturbs_knobs_inside_their_range_and_scores_the_last_rung(store: Store) -> None:
    summary = tuned(store, "pbt", trials=9)
    assert summary.found is not None
    drawn = {
        trial.get("rate") for trial in make_search(toy_suite("tuned"), store, SearchEntry(trials=9)).studies[0].trials
    }
    rates = trials_of(summary)
    assert len(rates) == 9
    assert set(rates[1:]) - drawn, "at least one bad trial took over a better one's knobs, perturbed"
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    (place,) = (place for place in summary.found.places if place.label.startswith("tuned"))
    assert all(score is not None for score in place.scores)
    for rate, score in zip(rates, place.scores, strict=True):
        assert score == pytest.approx(1.0 - abs(rate - 0.7), abs=1e-6)
    assert set(executions(store).values()) == {1}


def test_rungs_are_a_ninth_a_third_and_all_epochs() -> None:
    assert rungs_of(90) == (10, 30, None)
    assert rungs_of(0) == (5, 15, None)
    assert rungs_of(2) == (1, None)
    assert rungs_of(1) == (None,)
    assert rungs_of(None) == (None,)


def test_the_generators_of_the_caller_are_left_as_they_were() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    with seeded(3):
        first = random.random()
    assert random.random() == expected
    with seeded(3):
        assert random.random() == first
