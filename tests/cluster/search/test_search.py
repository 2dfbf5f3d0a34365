"""The search of hyper-parameters over the toy track: order, resumption, choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.toy.driving import INLINE, executions, toy_suite

from promptgrid.cluster import execute
from promptgrid.cluster.planner import make_plan
from promptgrid.cluster.search.run import SearchSummary, run_search
from promptgrid.cluster.search.search import choose, entry_of, make_search
from promptgrid.cluster.search.stored import chosen_rows, stored_searches
from promptgrid.cluster.search.winners import winners
from promptgrid.cluster.search.written import write_chosen
from promptgrid.spec import Refused
from promptgrid.spec.search import SearchEntry
from promptgrid.spec.suite import read_suite
from promptgrid.store import Store


def searched(store: Store, trials: int = 6, *methods: Any, **changes: Any) -> SearchSummary:
    suite = toy_suite(*(methods or ("tuned", "sleep")), **changes)
    return run_search(make_search(suite, store, SearchEntry(trials=trials)), local=True, options=INLINE)


def text_of(store: Store) -> list[str]:
    return [path.read_text() for path in sorted((store.root / "searches").glob("*.json"))]


def test_every_method_has_the_budget_and_those_without_knobs_one_trial(store: Store) -> None:
    found = searched(store).found
    assert found is not None
    assert {study.method: len(study.trials) for study in found.studies} == {"tuned": 6, "sleep": 1}
    assert found.cells == 2 * 3 * (6 + 1)


def test_the_chosen_trial_has_the_best_mean_over_seeds(store: Store) -> None:
    found = searched(store).found
    assert found is not None
    for place in found.places:
        scores = [score for score in place.scores if score is not None]
        assert place.chosen == scores.index(max(scores))
    (best,) = {
        tuple(study.trials[place.chosen].items())
        for study in found.studies
        for place in found.places
        if place.label == study.label == "tuned" and place.chosen is not None
    }
    rates = [trial.get("rate", 0.5) for trial in found.studies[0].trials]
    assert dict(best).get("rate", 0.5) == min(rates, key=lambda rate: abs(rate - 0.7)), "the toy is best at 0.7"


def test_more_trials_go_on_from_fewer_and_nothing_runs_twice(store: Store, tmp_path: Path) -> None:
    searched(store, 3)
    searched(store, 6)
    assert set(executions(store).values()) == {1}
    at_once = Store(tmp_path / "at once")
    searched(at_once, 6)
    assert text_of(at_once)[0] in text_of(store)
    assert len(text_of(store)) == 2, "another budget is another question"


def test_an_interrupted_search_goes_on(store: Store, tmp_path: Path) -> None:
    suite = toy_suite("tuned")
    part = make_search(suite, store, SearchEntry(trials=6))
    half = part.plan()
    execute(
        type(half)(suite, half.grid, half.packs[::2], half.finished, half.failed), store, local=True, options=INLINE
    )
    assert 0 < len(executions(store)) < len(half.missing)
    resumed = run_search(part, local=True, options=INLINE)
    assert set(executions(store).values()) == {1}
    whole = Store(tmp_path / "whole")
    assert (
        run_search(make_search(suite, whole, SearchEntry(trials=6)), local=True, options=INLINE).found == resumed.found
    )
    again = run_search(make_search(suite, store, SearchEntry(trials=6)), local=True, options=INLINE)
    assert (again.searched.done, again.tested and again.tested.done) == (0, 0)


def test_the_choice_is_written_before_a_test_cell_runs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    search = make_search(toy_suite("tuned"), store, SearchEntry(trials=4))
    monkeypatch.setattr(store.searches, "keep", lambda found: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_search(search, local=True, options=INLINE)
    scored = {record.cell.scored for record in store.records()}
    assert scored == {"val"}


def test_tested_are_the_written_configuration_and_every_best_so_far(store: Store) -> None:
    found = searched(store, 8, "tuned").found
    assert found is not None
    for place in found.places:
        rising = [t for t, score in enumerate(place.scores) if all(score > (s or 0) for s in place.scores[:t])]  # type: ignore[operator]
        assert [tested.trial for tested in place.tested] == sorted({0, *rising})
        assert all(len(tested.keys) == 3 for tested in place.tested)
    written = make_search(toy_suite("tuned"), store, SearchEntry(trials=1))
    plain = {cell.key for cell in written.track.resolve([request for _, request in written.requests])}
    assert plain <= {key for place in found.places for key in place.keys(0)}, "trial 0 is the suite itself"


def test_a_configuration_with_a_failed_seed_is_not_chosen(store: Store) -> None:
    summary = searched(store, 6, {"name": "tuned", "fails_below": 0.69})
    assert summary.found is not None
    assert summary.searched.failed > 0
    rates = [trial.get("rate", 0.5) for trial in summary.found.studies[0].trials]
    for place in summary.found.places:
        assert [score is None for score in place.scores] == [rate < 0.69 for rate in rates]
        assert place.chosen is not None
        assert rates[place.chosen] >= 0.69
    assert all(winner.test is not None for winner in winners(summary.found, store))
    assert all(winner.test_as_written is None for winner in winners(summary.found, store))


def test_of_errors_the_lowest_is_chosen_and_written_down_by_its_name(store: Store) -> None:
    found = searched(store, 6, "tuned", protocol="errors").found
    assert found is not None
    assert found.metric == "val_mae"
    rates = [trial.get("rate", 0.5) for trial in found.studies[0].trials]
    best = min(range(6), key=lambda trial: abs(rates[trial] - 0.7))
    assert {place.chosen for place in found.places} == {best}, "the toy is best at 0.7"
    assert {winner.validation for winner in winners(found, store)} == {place.scores[best] for place in found.places}
    assert [path.read_text() for path in store.searches.all()] == [found.text()]


def test_a_narrowed_space_is_another_question_but_shares_cells(store: Store) -> None:
    searched(store, 3, "tuned")
    narrow = {"trials": 3, "space": {"tuned": {"rate": [0.6, 0.8]}}}
    suite = toy_suite("tuned", search=narrow)
    search = make_search(suite, store)
    assert all(0.6 <= trial["rate"] <= 0.8 for trial in search.studies[0].trials[1:])
    assert len(search.plan().missing) == 2 * 3 * 2
    run_search(search, local=True, options=INLINE)
    assert len(stored_searches(suite, store)) == 2


def test_a_report_finds_the_largest_search_of_its_suite(store: Store) -> None:
    searched(store, 3, "tuned")
    searched(store, 5, "tuned")
    searched(store, 3, "tuned", seeds=[7])
    (stored,) = stored_searches(toy_suite("tuned"), store)
    assert (stored.found.trials, stored.stale) == (5, ())
    path = next((store.root / "searches").glob("*.json"))
    path.write_text(path.read_text().replace("tuned", "tined"))
    assert len(store.searches.all()) == 2, "what does not verify is left out"


def test_choosing_again_gives_the_same_file(store: Store) -> None:
    summary = searched(store, 4, "tuned")
    found, _ = choose(make_search(toy_suite("tuned"), store, SearchEntry(trials=4)))
    assert store.searches.keep(found) == summary.path
    assert json.loads(text_of(store)[0])["trials"] == 4


def test_what_cannot_be_searched_is_refused(store: Store) -> None:
    with pytest.raises(Refused, match=r"unknown algorithm.*did you mean 'optuna'"):
        entry_of(toy_suite(), algorithm="optima")
    with pytest.raises(Refused, match=r"search\.trials"):
        entry_of(toy_suite(), trials=0)
    search = make_search(toy_suite("tuned"), store, SearchEntry(algorithm="asha"))
    with pytest.raises(Refused, match="runs on Ray Tune"):
        run_search(search, local=True, options=INLINE)
    with pytest.raises(Refused, match="at most 1,000,000"):
        make_search(toy_suite("tuned", seeds=list(range(900))), store, SearchEntry(trials=1000))
    assert not store.root.exists()


def test_one_setting_for_all_is_the_best_mean_over_datasets_and_shares_its_trials(store: Store) -> None:
    own = searched(store).found
    suite = toy_suite("tuned", "sleep")
    before = sum(executions(store).values())
    one = run_search(
        make_search(suite, store, SearchEntry(trials=6, one_setting=True)), local=True, options=INLINE
    ).found
    assert own is not None
    assert one is not None
    assert one.question != own.question
    places = [place for place in one.places if place.label == "tuned"]
    means = [sum(column) / len(places) for column in zip(*(place.scores for place in places), strict=True)]
    assert {place.chosen for place in places} == {means.index(max(means))}
    assert [place.scores for place in places] == [place.scores for place in own.places if place.label == "tuned"]
    assert all(place.keys(place.chosen) for place in places)
    assert sum(executions(store).values()) - before <= 2 * 3, "validation cells are those of the other search"
    assert "one_setting" not in own.text()
    rows = chosen_rows(suite, store, stored_searches(suite, store))
    assert [row.label for row in rows] == ["tuned, 6 trials", "tuned, 6 trials, one setting"]


def test_what_was_chosen_is_written_as_a_suite_that_has_those_cells(store: Store, tmp_path: Path) -> None:
    suite = toy_suite("tuned", "sleep")
    one = run_search(
        make_search(suite, store, SearchEntry(trials=6, one_setting=True)), local=True, options=INLINE
    ).found
    assert one is not None
    (path,) = write_chosen(suite, one, tmp_path / "tuned.yaml")
    plan = make_plan(read_suite(path), store)
    assert {label for label, _ in plan.grid} == {"tuned", "sleep"}
    tested = {key for place in one.places for key in place.keys(place.chosen)}
    assert {cell.key for _, cell in plan.grid} == tested
    with pytest.raises(Refused, match="there already"):
        write_chosen(suite, one, tmp_path / "tuned.yaml")
    own = searched(store).found
    assert own is not None
    paths = write_chosen(suite, own, tmp_path / "each.yaml")
    assert len(paths) == len({(place.dataset, place.shots) for place in own.places}) > 1
    cells = {cell.key for path in paths for _, cell in make_plan(read_suite(path), store).grid}
    assert cells == {key for place in own.places for key in place.keys(place.chosen)}
