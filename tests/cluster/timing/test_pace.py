"""What a running grid learns about its own estimates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.cluster.simulated import make_packs

from promptgrid.cluster.timing.pace import Pace
from promptgrid.spec import Pack, Shared


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def run(pace: Pace, clock: Clock, pack: Pack, seconds: float) -> None:
    """``pack`` runs from now on, for ``seconds``."""
    pace.take("worker", pack)
    clock.now += seconds
    for cell in pack.cells:
        pace.settle(pack, cell.key, seconds / len(pack.cells))
    pace.over("worker")


def test_unknown_until_something_has_run() -> None:
    assert Pace(make_packs({"slow": (2, 10.0)}), Clock()).forecast() is None


def test_what_is_left_is_expected_to_be_as_wrong_as_what_is_done() -> None:
    clock, packs = Clock(), make_packs({"slow": (4, 10.0)})
    pace = Pace(packs, clock)
    for pack in packs[:2]:
        run(pace, clock, pack, 30.0)
    ahead = pace.forecast()
    assert ahead is not None
    assert ahead.seconds == pytest.approx(60.0, rel=0.2)


def test_a_pack_that_runs_is_worked_off_before_its_first_cell_is_told() -> None:
    clock, packs = Clock(), make_packs({"slow": (2, 10.0)})
    pace = Pace(packs, clock)
    pace.take("worker", packs[0])
    clock.now += 4.0
    ahead = pace.forecast()
    assert ahead is not None
    assert ahead.seconds == pytest.approx(16.0)


def test_a_method_that_has_run_is_corrected_by_itself_and_one_that_has_not_by_all() -> None:
    clock, packs = Clock(), make_packs({"slow": (8, 10.0), "fast": (8, 10.0), "new": (1, 10.0)})
    pace = Pace(packs, clock)
    for pack in packs[:8]:
        run(pace, clock, pack, 80.0)
    for pack in packs[8:16]:
        run(pace, clock, pack, 1.0)
    assert pace.factor(packs[0]) == pytest.approx(8.0, rel=0.1)
    assert pace.factor(packs[8]) == pytest.approx(0.1, rel=0.1)
    assert pace.factor(packs[16]) == pytest.approx(4.05, rel=0.1)


def test_a_resumed_pack_costs_what_the_whole_costs() -> None:
    clock = Clock()
    (pack,) = make_packs({"slow": (1, 40.0)}, cells=4)
    part = Pack(pack.cells, seconds=40.0, wanted=frozenset({pack.cells[0].key}))
    pace = Pace([part], clock)
    pace.take("worker", part)
    clock.now += 40.0
    pace.settle(part, part.cells[0].key, 10.0)
    assert pace.factor(part) == pytest.approx(1.0)


def test_a_new_order_is_asked_for_once() -> None:
    clock, packs = Clock(), make_packs({"slow": (4, 10.0)})
    pace = Pace(packs, clock)
    run(pace, clock, packs[0], 10.0)
    assert not pace.shifted()
    run(pace, clock, packs[1], 90.0)
    assert pace.shifted()
    assert not pace.shifted()


def sharing(packs: list[Pack], seconds: float) -> list[Pack]:
    return [replace(pack, shared=Shared("weather through big", seconds)) for pack in packs]


def test_what_packs_share_is_counted_once_and_before_their_work() -> None:
    clock, packs = Clock(), sharing(make_packs({"slow": (2, 10.0)}), 100.0)
    pace = Pace(packs, clock)
    pace.take("worker", packs[0])
    seen = []
    for _ in range(6):
        clock.now += 20.0
        ahead = pace.forecast()
        assert ahead is not None
        seen.append(ahead.seconds)
    assert seen[:5] == pytest.approx([100.0, 80.0, 60.0, 40.0, 20.0]), "it falls while features are computed"


def test_what_was_shared_is_no_work_of_the_cells() -> None:
    clock, packs = Clock(), sharing(make_packs({"slow": (2, 10.0)}), 50.0)
    pace = Pace(packs, clock)
    pace.take("worker", packs[0])
    clock.now += 110.0  # twice as long as was thought, then the ten seconds of the cells
    for cell in packs[0].cells:
        pace.settle(packs[0], cell.key, 10.0 / len(packs[0].cells))
    pace.over("worker")
    ahead = pace.forecast()
    assert ahead is not None
    assert ahead.seconds == pytest.approx(10.0, rel=0.01)
    assert pace.factor(packs[1]) == pytest.approx(1.0)


def test_features_that_take_longer_than_was_thought_do_not_send_the_end_away() -> None:
    clock, packs = Clock(), sharing(make_packs({"slow": (1, 10.0)}), 50.0)
    pace = Pace(packs, clock)
    pace.take("worker", packs[0])
    clock.now += 200.0
    ahead = pace.forecast()
    assert ahead is not None
    assert 0.0 < ahead.seconds < 70.0


def test_the_plan_speaks_until_the_first_pack_begins() -> None:
    clock, packs = Clock(), make_packs({"slow": (2, 10.0)})
    pace = Pace(packs, clock, planned=30.0)
    clock.now += 4.0
    ahead = pace.forecast()
    assert ahead is not None
    assert ahead.seconds == pytest.approx(26.0)
    pace.take("worker", packs[0])
    clock.now += 1.0
    assert pace.forecast() != ahead
