"""Pictures: names inside the figure, at most ten methods in colour, scales that loose intervals do not set."""

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptgrid.leaderboard.analysis.curves import curves, dataset_curves
from promptgrid.leaderboard.leaderboard import SHOWN, build_board
from promptgrid.leaderboard.pictures.figures import GREY, OTHERS, PALETTE, colour, mean_figure, spread_places
from promptgrid.leaderboard.pictures.marks import forest

MANY = ["zero_shot", *({"name": "coop", "label": f"method {i}", "context_length": i} for i in range(1, 26))]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40), st.floats(0.1, 20))
def test_places_stay_inside_apart_and_in_order(wanted, step):
    places = spread_places(sorted(wanted), step, 0.0, 100.0)
    room = min(step, 100.0 / max(len(wanted) - 1, 1))
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    assert all(second - first >= room - 1e-6 for first, second in itertools.pairwise(places))


def test_places_that_do_not_meet_are_left_alone():
    assert spread_places([10.0, 50.0, 90.0], 4.0, 0.0, 100.0) == [10.0, 50.0, 90.0]
    assert spread_places([50.0, 50.0], 4.0, 0.0, 100.0) == [48.0, 52.0]
    assert spread_places([99.0, 100.0], 4.0, 0.0, 100.0) == [96.0, 100.0]


@pytest.fixture(scope="module")
def many(make_report):
    return build_board(make_report(methods=MANY, datasets=["digits", "flags"]))


def test_ten_methods_and_zero_shot_have_colours_and_the_others_none(many):
    leaders = [row.label for row in many.leaderboards[-1].rows if row.label != "zero_shot"][:SHOWN]
    assert many.shown == {"zero_shot", *leaders}
    assert sorted(colour(many, label) for label in leaders) == sorted(PALETTE)
    assert colour(many, "zero_shot") == GREY
    assert {colour(many, label) for label in many.labels if label not in many.shown} == {OTHERS}


def test_every_name_in_the_picture_is_inside_it(many):
    svg = mean_figure(many, "bundled")
    height = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg).group(1))
    places = {}
    for element in re.findall(r"<text [^>]*>[^<]*</text>", svg):
        label = re.search(r">([^<]*)<", element).group(1)
        found = re.search(r'y="([-\d.]+)"', element) or re.search(r"translate\([-\d.]+ ([-\d.]+)\)", element)
        places[label] = float(found.group(1))
    named = {label for label in places if label in many.labels}
    assert named == many.shown
    assert all(0 < places[label] < height for label in named)
    assert "grey: 15 other methods" in places


def test_an_interval_from_two_values_never_sets_a_scale(make_report):
    report = make_report(methods=["zero_shot", "coop"], datasets=["digits"], shots=(4, 16), seeds=(1, 2))
    board = build_board(report)
    assert not any(any(line.firm) for line in dataset_curves(board, "bundled", "digits"))
    assert not curves(board, "bundled")[1].firm[0]  # one dataset, two seeds: one value is free
    leaderboard = board.leaderboards[-1]
    row = next(row for row in leaderboard.rows if row.label == "coop")
    assert row.seeds.high - row.seeds.low > 0
    wide = 100 * (row.seeds.high - row.seeds.low)
    loose = replace(row, seeds=replace(row.seeds, low=row.seeds.low - 9, high=row.seeds.high + 9))
    same = replace(leaderboard, rows=tuple(loose if one is row else one for one in leaderboard.rows))
    assert forest(leaderboard)["right"] == forest(same)["right"]
    assert 'class="narrow loose"' in str(forest(same)["marks"][leaderboard.rows.index(row)])
    firm = replace(row, seeds=replace(loose.seeds, freedom=4))
    told = forest(replace(leaderboard, rows=tuple(firm if one is row else one for one in leaderboard.rows)))
    assert int(told["right"].lstrip("+")) > 900 > wide
