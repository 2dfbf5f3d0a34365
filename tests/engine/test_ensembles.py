"""An ensemble over draws: right values by hand, one draw alone, resuming, failures, and what a report says of it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from tests.cluster.toy.driving import INLINE
from tests.engine.test_numbers import HOME, SUITE, cli, yaml

import promptgrid
from promptgrid import api, catalog
from promptgrid.cluster.planner import make_plan
from promptgrid.cluster.search.run import run_search
from promptgrid.cluster.search.search import make_search
from promptgrid.cluster.search.stored import chosen_rows, stored_searches
from promptgrid.cluster.search.winners import winners
from promptgrid.engine.ensembles import answered_together
from promptgrid.spec import Refused, Suite
from promptgrid.spec.ensembles import ensemble_of
from promptgrid.spec.search import SearchEntry
from promptgrid.spec.searched import SearchFound
from promptgrid.store import Store

DRAWS = 3


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The wing is found like any installed plug-in."""
    monkeypatch.syspath_prepend(str(HOME))
    catalog.track.cache_clear()
    yield
    catalog.track.cache_clear()
    sys.modules.pop("numbers_wing", None)


def rows_suite(**changes: Any) -> Suite:
    return Suite.model_validate(yaml(SUITE) | {"methods": ["shift", "nearest"], "states": "none"} | changes)


def answered(suite: Suite, store: Store, trials: int = DRAWS) -> SearchFound:
    entry = SearchEntry(trials=trials, ensemble=True)
    summary = run_search(make_search(suite, store, entry), local=True, options=INLINE)
    assert summary.found is not None
    return summary.found


def test_probabilities_are_averaged_and_not_logits() -> None:
    one = torch.log(torch.tensor([[0.99, 0.01], [0.6, 0.4]]))
    two = torch.log(torch.tensor([[0.30, 0.70], [0.4, 0.6]]))
    three = torch.log(torch.tensor([[0.20, 0.80], [0.4, 0.6]]))
    mean = answered_together([one + 5.0, two, three * 1.0])  # a constant on all logits is no other probability
    by_hand = torch.tensor([[1.49 / 3, 1.51 / 3], [1.4 / 3, 1.6 / 3]], dtype=torch.float64)
    torch.testing.assert_close(mean.exp(), by_hand, atol=1e-7, rtol=0)
    assert mean.argmax(1).tolist() == [1, 1]
    assert ((one + two + three) / 3).argmax(1).tolist() == [0, 1], "the mean of the logits answers otherwise"


def test_ties_and_probabilities_beyond_floats_are_kept() -> None:
    tie = torch.log(torch.tensor([[0.75, 0.25], [0.25, 0.75]]))
    mean = answered_together([tie[:1], tie[1:]])
    assert mean[0, 0] == mean[0, 1], "a tie stays one, and the first class is answered"
    assert mean.argmax(1).item() == 0
    torch.testing.assert_close(mean.exp(), torch.full((1, 2), 0.5, dtype=torch.float64))
    far = answered_together([torch.tensor([[0.0, -2000.0]]), torch.tensor([[0.0, -1000.0]])])
    assert torch.isfinite(far).all()
    assert far[0, 1].item() == pytest.approx(-1000.0 - 0.6931471805599453)
    alone = torch.tensor([[3.0, -1.0]])
    assert answered_together([alone]) is alone


def test_members_differ_in_settings_and_make_the_key() -> None:
    search = make_search(rows_suite(), Store("unused"), SearchEntry(trials=DRAWS, ensemble=True))
    requests = [request for _, request in search.requests]
    first, other = search.track.resolve(requests[:2])
    one = ensemble_of(first, [first])
    assert one.key != first.key
    assert one.key == ensemble_of(first, [first, first]).key, "each member once"
    assert one.needs == (first.key,)
    with pytest.raises(ValueError, match="more than settings"):
        ensemble_of(first, [other])
    with pytest.raises(ValueError, match="of nothing"):
        ensemble_of(first, [])


def test_an_ensemble_answers_as_its_draws_do_by_hand(tmp_path: Path) -> None:
    suite, store = rows_suite(), Store(tmp_path / "store")
    told = answered(suite, store)
    assert not list(Path(store.root / "features").glob("*val*"))
    assert all(record.cell.scored == "test" for record in store.records()), "no validation row is read"
    cells = {place.label: place for place in told.places if place.dataset == "calm"}
    assert cells["shift"].draws == [0, 1, 2]
    key = cells["shift"].together[0]
    ensemble = store.read(key)
    track = catalog.track("numbers")
    rows = torch.stack(
        [torch.from_numpy(track.resolver.dataset("calm").read(i)) for i in store.predictions(key)[0].example]
    )
    total = torch.zeros(len(rows), 3, dtype=torch.float64)
    for need in ensemble.cell.needs:
        state = {name: torch.from_numpy(value) for name, value in store.state(need).items()}
        features = sys.modules["numbers_wing"].Waves()(rows)
        total += ((features + state["offset"]) @ state["head"]).double().softmax(1) / DRAWS
    labels = torch.tensor(store.predictions(key)[0].label.tolist())
    assert ensemble.metrics["accuracy"] == pytest.approx((total.argmax(1) == labels).double().mean().item())
    kept = torch.tensor(store.predictions(key)[0].scores.tolist(), dtype=torch.float64).exp()
    torch.testing.assert_close(kept, total.topk(3).values, atol=1e-6, rtol=0)


def test_one_draw_answers_as_that_draw(tmp_path: Path) -> None:
    suite, store = rows_suite(), Store(tmp_path / "store")
    for place in answered(suite, store, trials=1).places:
        for alone, own in zip(place.keys(0), place.together, strict=True):
            assert store.read(own).metrics == store.read(alone).metrics
            one, other = store.predictions(own)[0], store.predictions(alone)[0]
            assert (one.scores == other.scores).all()
            assert (one.top == other.top).all()


def test_it_goes_on_where_it_stood_and_more_draws_are_another_ensemble(tmp_path: Path) -> None:
    suite, store = rows_suite(), Store(tmp_path / "store")
    answered(suite, store)
    written = {path: path.stat().st_mtime_ns for path in store.root.rglob("record.json")}
    again = answered(suite, store)
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("record.json")} == written
    more = answered(suite, store, DRAWS + 1)
    assert more.question != again.question
    assert all(len(place.draws) == (DRAWS + 1 if place.label == "shift" else 1) for place in more.places)
    (stored,) = stored_searches(suite, store)
    assert (stored.found.trials, stored.stale) == (DRAWS + 1, ()), "of equal ones the longest"


def test_an_ensemble_of_other_seeds_makes_no_row_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store")
    answered(rows_suite(), store)
    more = rows_suite(seeds=[1, 2, 3])
    api.results(more, store)
    (line,) = [one.getMessage() for one in caplog.records if "ensemble" in one.getMessage()]
    assert line.startswith("the ensemble of 3 draws has no row: at 4 places it chose over 2 seeds, the suite has 3 now")
    assert chosen_rows(more, store, stored_searches(more, store)) == []


def test_states_of_draws_are_kept_whatever_the_suite_keeps(tmp_path: Path) -> None:
    suite, store = rows_suite(), Store(tmp_path / "store")
    run_search(make_search(suite, store, SearchEntry(trials=1)), local=True, options=INLINE)
    plain = next(iter(make_plan(suite, store).cells))
    assert store.left_out(plain) is not None
    answered(suite, store)
    assert store.left_out(plain) is None


def test_a_disk_without_room_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite, store = rows_suite(), Store(tmp_path / "store")
    monkeypatch.setattr(catalog.track("numbers"), "state_mb", lambda cell: 1e9, raising=False)
    with pytest.raises(Refused, match=r"no room for what the cells learn.*fewer --trials"):
        answered(suite, store)
    assert not store.exists()


def test_a_draw_that_fails_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite, store = rows_suite(), Store(tmp_path / "store")
    search = make_search(suite, store, SearchEntry(trials=DRAWS, ensemble=True))
    catalog.track("numbers")
    shift, rate = sys.modules["numbers_wing"].Shift, search.studies[0].trials[2]["learning_rate"]
    right = shift.finish

    def breaks(self: Any, params: Any, task: Any) -> Any:
        if self.learning_rate == rate:
            raise ValueError("this draw breaks")
        return right(self, params, task)

    monkeypatch.setattr(shift, "finish", breaks)
    told = answered(suite, store)
    assert {tuple(place.draws) for place in told.places if place.label == "shift"} == {(0, 1)}
    (row,) = chosen_rows(suite, store, stored_searches(suite, store))
    assert row.budget == "ensemble of 3 draws, seed 1; 2 or more at 2 places; nothing chosen"
    assert all(one.test is not None for one in winners(told, store))


def test_what_does_not_go_with_an_ensemble_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(Refused, match="chooses nothing"):
        make_search(rows_suite(), store, SearchEntry(ensemble=True, one_setting=True))
    with pytest.raises(Refused, match="whatever they score"):
        make_search(rows_suite(), store, SearchEntry(ensemble=True, algorithm="optuna"))


def test_it_is_a_row_of_page_table_and_latex_with_its_budget_and_its_whole_cost(tmp_path: Path) -> None:
    path, folder, out = tmp_path / "rows.yaml", tmp_path / "store", tmp_path / "report"
    path.write_text(
        SUITE.replace("[nearest, {name: shift, label: Shifted, learning_rate: [0.05, 0.2]}]", "[nearest, shift]")
    )
    for how in ([], ["--one-setting"], ["--ensemble"]):
        told = json.loads(cli("search", str(path), "--trials", "3", *how, "--store", str(folder), "--local",
                              "--no-mlflow", "--json"))  # fmt: skip
    assert told["ensemble"] is True
    assert {row["draws"] for row in told["winners"] if row["label"] == "shift"} == {3}
    shown = cli("search", str(path), "--trials", "3", "--ensemble", "--store", str(folder), "--local", "--no-mlflow")
    assert "written down in" in shown
    assert "test as written" in shown
    cli("report", str(path), "--store", str(folder), "--out", str(out), "--no-mlflow")
    table = pd.read_csv(out / "leaderboard.csv").set_index("method")
    own_rows = {"shift, 3 trials", "shift, 3 trials, one setting", "shift, ensemble of 3 draws"}
    assert own_rows <= set(table.index)
    assert table.loc["shift, ensemble of 3 draws", "recipe_note"] == "ensemble of 3 draws, seed 1; nothing chosen"
    assert table.loc["shift, ensemble of 3 draws", "recipe"] == "ensemble"
    assert math.isnan(table.loc["shift", "place"]), "as written stands apart"
    latex = "".join(one.read_text() for one in (out / "tables").glob("*.tex"))
    assert "ensemble of 3 draws" in latex
    frame = promptgrid.load_results(out)
    own = frame[frame["label"] == "shift, ensemble of 3 draws"].iloc[0]
    store = Store(folder)
    members = [store.read(need).cost for need in store.read(own["cell_key"]).cell.needs]
    assert own["train_seconds"] == pytest.approx(sum(one.train_seconds for one in members))
    assert own["trainable_parameters"] == sum(one.trainable_parameters for one in members)
    with pytest.raises(Refused, match="ensemble of 3 models"):
        promptgrid.load_method(own["cell_key"], store)
    checked = cli("results", "check", str(out), "--store", str(folder))
    assert "0 findings" in checked
    assert "keys were not" not in checked


def test_results_with_other_members_are_found_out(tmp_path: Path) -> None:
    from promptgrid.api.recomputing import check_keys, request_of

    suite, store = rows_suite(), Store(tmp_path / "store")
    told = answered(suite, store)
    cell = store.read(told.places[0].together[0]).cell
    track = catalog.track("numbers")
    good = check_keys(track, [("row 1", cell.key, request_of(cell), None, cell.members)])
    assert not good.wrong
    fewer = check_keys(track, [("row 1", cell.key, request_of(cell), None, cell.members[:2])])
    assert len(fewer.wrong) == 1


def test_files_of_searches_that_are_no_ensembles_are_what_they_were(tmp_path: Path) -> None:
    suite, store = rows_suite(), Store(tmp_path / "store")
    found = run_search(make_search(suite, store, SearchEntry(trials=2)), local=True, options=INLINE).found
    assert found is not None
    assert not {"ensemble", "draws", "together"} & {*json.loads(found.text()), *json.loads(found.text())["places"][0]}
