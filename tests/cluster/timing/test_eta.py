"""The end of a grid, foretold from time stamps: no clock is read here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.cluster.simulated import MIDNIGHT, make_packs, seen_at, simulate
from tests.store.synthetic import make_cell, make_record

from promptgrid.cluster.timing.cost_model import CELL_SECONDS, CostModel, Measured
from promptgrid.cluster.timing.eta import RunningPack, forecast, predict
from promptgrid.spec import Cost, Pack, Provenance, Record, Shared

GUESSES = {"long": (12, 40.0), "middle": (20, 10.0), "short": (40, 1.0)}
"""Packs of each method and the seconds that its track guesses for one."""
TRUTH = {"long": 0.4, "middle": 1.7, "short": 5.0}
"""How wrong the guess is."""


def truth(pack: Pack) -> float:
    return pack.seconds * TRUTH[pack.cells[0].method]


def learned(packs: list[Pack], records: list[Record]) -> list[Pack]:
    """As the planner corrects them, from the records that were there at the time."""
    guessed = {method: seconds / 4 for method, (_, seconds) in GUESSES.items()}
    model = CostModel.learn(
        Measured(record.cell, guessed[record.cell.method], record.cost.train_seconds) for record in records
    )
    return [replace(pack, seconds=model.seconds(pack.cells, pack.seconds)) for pack in packs]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("alive", [True, False])
def test_within_a_factor_of_two_from_a_tenth_of_the_work_on(workers: int, part: float, alive: bool) -> None:
    runs = simulate(make_packs(GUESSES), truth, workers)
    end = max(one.ended for one in runs)
    ahead = seen_at(runs, part * end, learned, alive)
    assert ahead is not None
    assert 0.5 < ahead.seconds / (end - part * end) < 2.0


def test_an_interrupted_grid_is_judged_by_its_latest_run() -> None:
    packs = make_packs({"long": (20, 10.0)})
    alone = simulate(packs[:4], lambda pack: 10.0, 1)
    together = simulate(packs[4:], lambda pack: 10.0, 4, began=100_000.0)
    ahead = seen_at([*alone, *together], 100_020.0, lambda left, _: left, alive=False)
    assert ahead is not None
    assert ahead.at_once == pytest.approx(4.0, rel=0.05)
    assert ahead.seconds == pytest.approx(20.0, rel=0.05)


def test_what_an_interrupted_run_lost_does_not_slow_the_next_one() -> None:
    runs = simulate(make_packs({"long": (16, 10.0)}), lambda pack: 9.0 + int(pack.key[:2], 16) / 128, 8)
    moment = sorted(one.ended for one in runs)[2]
    ahead = seen_at(runs, moment, lambda left, _: left, alive=False)
    assert ahead is not None
    assert ahead.at_once == pytest.approx(3.0, rel=0.05)


def test_what_workers_are_at_counts_as_far_as_it_was_expected() -> None:
    packs = make_packs({"long": (4, 100.0)})
    begun = [RunningPack(pack.wanted, MIDNIGHT) for pack in packs[:2]]
    ahead = forecast(packs, [], begun, MIDNIGHT + 50.0)
    assert ahead is not None
    assert (ahead.at_once, ahead.seconds) == (2.0, 150.0)


def test_nothing_is_foretold_from_nothing() -> None:
    assert forecast(make_packs(GUESSES), [], [], MIDNIGHT) is None
    undated = make_record(make_cell(), cost=Cost(train_seconds=1.0), provenance=Provenance())
    assert forecast(make_packs(GUESSES), [undated], [], MIDNIGHT) is None


def test_never_less_than_the_longest_pack_that_is_left() -> None:
    ahead = predict({"whale": 100.0, "minnow": 1.0}, {"whale": 10.0}, done=160.0, busy=10.0)
    assert ahead is not None
    assert ahead.seconds == 90.0


def test_features_that_are_being_computed_are_part_of_what_is_left() -> None:
    packs = [replace(pack, shared=Shared("weather through big", 100.0)) for pack in make_packs({"long": (2, 10.0)})]
    running = RunningPack(packs[0].wanted, MIDNIGHT)
    seen = [forecast(packs, [], [running], MIDNIGHT + age) for age in (20.0, 60.0)]
    assert [round(ahead.seconds) for ahead in seen if ahead] == [100, 60]


def test_features_that_took_long_do_not_slow_what_is_left() -> None:
    packs = make_packs({"long": (2, 10.0)})
    share = 10.0 / len(packs[0].cells)
    records = [
        make_record(cell, cost=Cost(train_seconds=share - CELL_SECONDS), provenance=when(100.0 + 10.0, packs[0].key))
        for cell in packs[0].cells
    ]
    ahead = forecast(packs[1:], records, [RunningPack(packs[1].wanted, MIDNIGHT + 110.0)], MIDNIGHT + 111.0)
    assert ahead is not None
    assert ahead.seconds == pytest.approx(9.0, rel=0.05)


def when(seconds: float, pack: str) -> Provenance:
    """Begun at midnight, over after ``seconds``."""
    moments = [datetime.fromtimestamp(MIDNIGHT + after, UTC).isoformat() for after in (0.0, seconds)]
    return Provenance(started=moments[0], finished=moments[1], pack=pack)
