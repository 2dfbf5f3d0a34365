from __future__ import annotations

from tests.cluster.toy.driving import toy_suite

from promptgrid.cluster import make_plan
from promptgrid.cluster.dispatch import Dispatcher
from promptgrid.cluster.progress import ProgressDisplay
from promptgrid.cluster.workers.failures import failed_record, reason_of_loss
from promptgrid.cluster.workers.run_pack import Settled
from promptgrid.contract.clip import Outcome
from promptgrid.spec import Reason, Record
from promptgrid.store import Store


def dispatcher(store: Store, **changes: object) -> Dispatcher:
    plan = make_plan(toy_suite("sleep", datasets=["red"], **{"seeds": [1, 2, 3, 4]} | changes), store)
    return Dispatcher(plan, store, ProgressDisplay(4, quiet=True))


def test_a_lost_pack_is_tried_again_whole_then_in_halves(store: Store) -> None:
    grid = dispatcher(store)
    first = grid.take("a")
    assert first is not None
    assert len(first.wanted) == 4
    grid.lost("a", "gone")
    again = grid.take("b")
    assert again is not None
    assert again.wanted == first.wanted
    grid.lost("b", "gone")
    halves = [grid.take("c"), grid.take("d")]
    assert [len(half.wanted) for half in halves if half] == [2, 2]
    assert all(half.cells == first.cells for half in halves if half)
    assert grid.take("e") is None


def test_the_cell_that_ends_workers_is_recorded_and_its_pack_mates_finish(store: Store) -> None:
    grid = dispatcher(store)
    names = iter(range(100))
    while (pack := grid.take(name := str(next(names)))) is not None:
        cells = [cell for cell in pack.cells if cell.key in pack.wanted]
        if any(cell.seed == 2 for cell in cells):
            grid.lost(name, "gone")
            continue
        for cell in cells:
            store.commit(Outcome(Record(cell=cell, metrics={"accuracy": 1.0})))
            grid.settle(name, Settled(cell.key))
        grid.over(name)
    assert (grid.done, grid.failed) == (3, 1)
    (record,) = store.failures().values()
    assert (record.cell.seed, record.reason) == (2, Reason.WORKER_LOST)
    assert record.message == "its worker was lost 5 times: gone"
    assert next(names) < 12


def test_a_worker_lost_for_want_of_memory_is_named_so(store: Store) -> None:
    grid = dispatcher(store, seeds=[1])
    for name in "abc":
        grid.take(name)
        grid.lost(name, "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.")
    assert [record.reason for record in store.failures().values()] == [Reason.OOM_HOST]


def test_what_ray_says_about_a_lost_worker_is_cut_to_its_point() -> None:
    said = (
        "The actor died unexpectedly before finishing this task. ...  Worker exit type: SYSTEM_ERROR Worker exit "
        "detail: Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: "
        "(1) the process was killed by the OOM killer due to high memory usage"
    )
    assert reason_of_loss(said)[0] is Reason.WORKER_LOST
    assert reason_of_loss("something   else")[1] == "something else"
    assert len(reason_of_loss(said)[1]) < 100


def test_what_a_lost_worker_had_committed_is_not_run_again(store: Store) -> None:
    grid = dispatcher(store)
    pack = grid.take("a")
    assert pack is not None
    store.commit(Outcome(Record(cell=pack.cells[0], metrics={"accuracy": 1.0})))
    store.commit(Outcome(failed_record(pack.cells[1], Reason.NAN_LOSS, "nan")))
    grid.lost("a", "gone")
    assert (grid.done, grid.failed) == (1, 1)
    rest = grid.take("b")
    assert rest is not None
    assert rest.wanted == {cell.key for cell in pack.cells[2:]}


def test_failures_of_earlier_runs_are_not_taken_for_news(store: Store) -> None:
    cells = dispatcher(store, seeds=[1]).schedule.pop()
    assert cells is not None
    store.commit(Outcome(failed_record(cells.cells[0], Reason.WORKER_LOST, "gone")))
    grid = dispatcher(store, seeds=[1])
    grid.take("a")
    grid.lost("a", "gone again")
    assert grid.failed == 0
    assert grid.take("b") is not None


def test_a_pack_that_stalled_is_tried_in_halves_at_once_and_a_lone_cell_recorded(store: Store) -> None:
    grid = dispatcher(store)
    first = grid.take("a")
    assert first is not None
    grid.lost("a", "File toy.py, line 9", stalled=5.0)
    halves = [grid.take("b"), grid.take("c")]
    assert [len(half.wanted) for half in halves if half] == [2, 2]
    alone = dispatcher(store, seeds=[1])
    for name in "ab":  # one more try in the same run, as for everything that timed out
        assert alone.take(name) is not None
        alone.lost(name, "File toy.py, line 9", stalled=5.0)
    assert (alone.take("c"), alone.failed) == (None, 1)
    (record,) = store.failures().values()
    assert (record.reason, record.message, record.attempts) == (Reason.TIMEOUT, "no progress for 5 s", 2)
    assert record.log_tail == "File toy.py, line 9"


def test_a_ray_that_died_counts_against_no_pack(store: Store) -> None:
    grid = dispatcher(store)
    for _ in range(5):
        pack = grid.take("a")
        assert pack is not None
        assert len(pack.wanted) == 4
        grid.recall()
    pack = grid.take("b")
    assert pack is not None
    store.commit(Outcome(Record(cell=pack.cells[0], metrics={"accuracy": 1.0})))
    grid.recall()
    rest = grid.take("c")
    assert rest is not None
    assert rest.wanted == {cell.key for cell in pack.cells[1:]}
    assert (grid.done, grid.failed) == (1, 0)
