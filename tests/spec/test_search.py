"""Lists of trials are the same for everyone, in any order, at any length; a space that does not fit is refused."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptgrid.spec import Refused, Suite
from promptgrid.spec.metrics import ACCURACY, metric_of
from promptgrid.spec.search import Interval, SearchEntry, Study, configuration
from promptgrid.spec.searched import SearchFound, best_trial, incumbents
from promptgrid.spec.studies import studies_of, trial_requests
from promptgrid.spec.suite import parse_suite

KNOBS = {
    "coop": {"learning_rate": Interval(1e-5, 1.0, True), "weight_decay": Interval(0.0, 0.1)},
    "tip": {"alpha": Interval(0.0, 50.0)},
    "zero_shot": {},
}


def suite(**changes: Any) -> Suite:
    value = {"name": "s", "protocol": "few_shot", "methods": ["zero_shot", "coop", "tip"], "datasets": ["a", "b"]}
    return parse_suite(value | changes, "s")


def studies(trials: int = 20, seed: int = 1, entry: SearchEntry | None = None, **changes: Any) -> list[Study]:
    return [study.drawn(seed, trials) for study in studies_of(suite(**changes), KNOBS, entry or SearchEntry())]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31 - 1))
def test_a_short_list_is_the_beginning_of_a_long_one(short: int, long: int, seed: int) -> None:
    short, long = sorted((short, long))
    for few, many in zip(studies(short, seed), studies(long, seed), strict=True):
        assert few.trials == many.trials[: len(few.trials)]


def test_a_trial_does_not_depend_on_the_order_nor_on_the_other_methods_and_knobs() -> None:
    (_, coop, _) = studies(10)
    order = list(range(1, 10))
    random.Random(3).shuffle(order)
    assert {trial: configuration(coop, 1, trial) for trial in order} == dict(enumerate(coop.trials[1:], start=1))
    alone = studies(10, methods=["coop"])[0]
    assert alone.trials == coop.trials
    only = replace(coop, space={"weight_decay": coop.space["weight_decay"]})
    assert configuration(only, 1, 4)["weight_decay"] == coop.trials[4]["weight_decay"]


def test_the_same_words_give_the_same_numbers_on_every_machine() -> None:
    coop = studies(3)[1]
    assert coop.trials == (
        {},
        {"learning_rate": 0.0087452, "weight_decay": 0.074818},
        {"learning_rate": 0.00014017, "weight_decay": 0.0061473},
    )


def test_trial_0_is_as_written_and_methods_without_knobs_have_no_other() -> None:
    zero_shot, coop, tip = studies(20)
    assert zero_shot.trials == ({},)
    assert coop.trials[0] == tip.trials[0] == {}
    assert len(coop.trials) == len(tip.trials) == 20
    assert len({tuple(trial.items()) for trial in coop.trials}) == 20


@given(st.floats(0, 1, exclude_max=True))
def test_values_stay_inside_their_interval_and_follow_its_scale(share: float) -> None:
    wide = Interval(1e-5, 1.0, log=True)
    assert wide.low <= wide.at(share) <= wide.high
    assert wide.at(0.5) == pytest.approx(10**-2.5, rel=1e-3)
    assert Interval(2.0, 4.0).at(0.5) == 3.0
    assert Interval(0.3, 0.3).at(share) == 0.3


def test_a_knob_that_is_written_stays_unless_the_space_names_it() -> None:
    written = [{"name": "coop", "learning_rate": 0.01}]
    (fixed,) = studies(methods=written)
    assert set(fixed.space) == {"weight_decay"}
    entry = SearchEntry(space={"coop": {"learning_rate": [0.001, 0.1]}})
    (named,) = studies(entry=entry, methods=written)
    assert named.space["learning_rate"] == Interval(0.001, 0.1, True)


def test_squares_of_a_search_are_scored_on_validation_images_and_keep_seeds_together() -> None:
    requests = list(suite(methods=["coop", "zero_shot"], seeds=[1, 2]).requests([]))
    found = list(trial_requests(requests, studies(3, methods=["coop", "zero_shot"])))
    assert {request.scored for _, _, request in found} == {"val"}
    assert len(found) == 2 * 2 * 3 + 2 * 2
    of_a = [(trial, request.seed) for trial, label, request in found if (label, request.dataset) == ("coop", "a")]
    assert of_a == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
    again = list(trial_requests(requests, studies(3, methods=["coop", "zero_shot"])))
    assert again == found


def test_the_best_trial_is_the_earliest_of_equals() -> None:
    assert best_trial([0.5, 0.7, 0.7, 0.6], ACCURACY) == 1
    assert best_trial([None, 0.2, None], ACCURACY) == 1
    assert best_trial([None, None], ACCURACY) is None
    assert incumbents([0.5, 0.4, None, 0.6, 0.6, 0.7], ACCURACY) == [0, 3, 5]


def test_the_best_trial_of_an_error_is_the_lowest() -> None:
    assert best_trial([0.5, None, 0.2, 0.2, 0.3], metric_of("val_mae")) == 2
    assert incumbents([0.5, 0.6, None, 0.2, 0.1], metric_of("val_mae")) == [0, 3, 4]


def test_a_search_by_accuracy_is_written_as_ever_and_another_says_its_metric() -> None:
    asked: dict[str, object] = {"suite": "s", "base": "0" * 64, "algorithm": "random", "trials": 1, "seed": 1}
    plain = SearchFound.model_validate(asked | {"cells": 1, "studies": [], "places": []})
    other = plain.model_copy(update={"metric": "val_micro_f1"})
    assert "metric" not in json.loads(plain.text())
    for found in (plain, other):
        assert SearchFound.model_validate_json(found.text()) == found
    assert (plain.chosen_by.title, other.chosen_by.title) == ("accuracy", "micro F1")


REFUSED = {
    "knob": ({"coop": {"learning_rat": [0.1, 0.2]}}, {}, "did you mean 'learning_rate'"),
    "method": ({"cop": {"learning_rate": [0.1, 0.2]}}, {}, "did you mean 'coop'"),
    "no-knobs": ({"zero_shot": {"scale": [0.1, 0.2]}}, {}, "unknown knob 'scale'"),
    "too-far": ({"tip": {"alpha": [0.0, 51.0]}}, {}, "within .0.0, 50.0."),
    "selection": ({}, {"selection": "val"}, "already choose the checkpoint"),
    "sources": ({}, {"sources": "datasets"}, "study of transfer"),
    "unknown-method": ({}, {"methods": ["cooop"]}, "did you mean 'coop'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str) -> None:
    space, changes, words = REFUSED[case]
    with pytest.raises(Refused, match=words):
        studies_of(suite(**changes), KNOBS, SearchEntry.model_validate({"space": space}))


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"trial": 3}, r"unknown key 'search.trial'; did you mean 'trials'"),
        ({"trials": 0}, "search.trials"),
        ({"trials": 2.5}, "search.trials"),
        ({"algorithm": "grid"}, "search.algorithm"),
        ({"space": {"coop": {"learning_rate": [0.2, 0.1]}}}, "the lower first"),
        ({"space": {"coop": {"learning_rate": [0.1]}}}, "search.space.coop.learning_rate"),
        ({"space": {"coop": {"learning_rate": [0.1, float("inf")]}}}, "finite"),
        ({"space": {"coop": 0.1}}, "search.space.coop"),
    ],
)
def test_a_suite_says_it_in_the_right_words(search: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        suite(search=search)


LONG = {**KNOBS, "coop": {**KNOBS["coop"], "epochs": Interval(1, 10_000, log=True, whole=True)}}


def test_epochs_are_searched_only_where_they_are_asked_for() -> None:
    plain = studies_of(suite(), LONG, SearchEntry())
    assert {study.method: sorted(study.space) for study in plain}["coop"] == ["learning_rate", "weight_decay"]
    asked = {study.method: study for study in studies_of(suite(), LONG, SearchEntry(epochs=[4, 64]))}
    assert asked["coop"].space["epochs"] == Interval(4, 64, log=True, whole=True)
    assert "epochs" not in asked["tip"].space
    trials = [configuration(asked["coop"], 1, trial) for trial in range(1, 60)]
    epochs = [trial["epochs"] for trial in trials]
    assert all(type(number) is int and 4 <= number <= 64 for number in epochs)
    assert len(set(epochs)) > 10
    without = studies_of(suite(), LONG, SearchEntry())[1]
    assert [trial["learning_rate"] for trial in trials] == [
        configuration(without, 1, trial)["learning_rate"] for trial in range(1, 60)
    ], "what else varies does not move the other knobs"


def test_one_methods_own_epochs_stand_before_those_of_all() -> None:
    entry = SearchEntry(epochs=[4, 64], space={"coop": {"epochs": [2.0, 8.0]}})
    coop = next(study for study in studies_of(suite(), LONG, entry) if study.method == "coop")
    assert (coop.space["epochs"].low, coop.space["epochs"].high) == (2.0, 8.0)


@pytest.mark.parametrize("algorithm", ["asha", "pbt"])
def test_who_sets_epochs_itself_refuses_to_search_them(algorithm: Any) -> None:
    with pytest.raises(Refused, match="sets epochs itself"):
        studies_of(suite(), LONG, SearchEntry(algorithm=algorithm, epochs=[4, 64]))


@pytest.mark.parametrize("epochs", [[0, 4], [8, 4], [4], [4, 10**12], ["4", 8]])
def test_epochs_without_sense_are_refused(epochs: Any) -> None:
    with pytest.raises(Refused):
        suite(search={"epochs": epochs})


def test_equal_means_in_other_bits_choose_the_earlier_trial() -> None:
    assert 0.1 + 0.2 > 0.3
    assert best_trial([0.3, 0.1 + 0.2], ACCURACY) == 0
