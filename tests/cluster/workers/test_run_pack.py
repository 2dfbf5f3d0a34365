from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.toy.driving import executions, toy_suite
from toy_track import ToyTrack

from promptgrid.cluster import make_plan
from promptgrid.cluster.timing.cost_model import CELL_SECONDS
from promptgrid.cluster.workers.failures import reason_of, sentence
from promptgrid.cluster.workers.run_pack import PackRun, Settled
from promptgrid.contract.clip import Outcome
from promptgrid.engine.outcomes.failures import reason_of as reason_of_track
from promptgrid.spec import Pack, Reason, SourceLost
from promptgrid.store import FeatureCache, Store, StoreFull


def only_pack(store: Store, method: str, **changes: object) -> Pack:
    return make_plan(toy_suite(method, datasets=["red"], **changes), store).packs[0]


def run(store: Store, pack: Pack) -> list[Settled]:
    return list(PackRun(ToyTrack(), store, FeatureCache(store.root)).run(pack))


def test_every_cell_is_committed_when_it_is_settled(store: Store) -> None:
    pack = only_pack(store, "sleep")
    stream = PackRun(ToyTrack(), store, FeatureCache(store.root)).run(pack)
    assert next(stream) == Settled(pack.cells[0].key, took=pytest.approx(0.01 + CELL_SECONDS))
    assert store.finished(pack.wanted) == {pack.cells[0].key}
    assert len(list(stream)) == 2
    assert store.finished(pack.wanted) == pack.wanted


def test_what_is_finished_already_is_not_run_again(store: Store) -> None:
    pack = only_pack(store, "sleep")
    run(store, replace(pack, wanted=frozenset({pack.cells[1].key})))
    assert {each.key for each in run(store, pack)} == pack.wanted
    assert set(executions(store).values()) == {1}


@pytest.mark.parametrize(
    ("method", "reason", "said"),
    [
        ("raise", Reason.PLUGIN_ERROR, "ValueError: seed 1 always fails"),
        ("memory", Reason.OOM_HOST, "MemoryError"),
        ("disk", Reason.DISK_FULL, "No space left on device"),
        ("leave", Reason.PLUGIN_ERROR, "SystemExit: 3"),
        ("silent", Reason.PLUGIN_ERROR, "the track ended without a result for this cell"),
    ],
)
def test_whatever_escapes_the_track_is_a_failed_record(store: Store, method: str, reason: Reason, said: str) -> None:
    pack = only_pack(store, method)
    assert run(store, pack) == [Settled(cell.key, reason) for cell in pack.cells]
    failures = store.failures(pack.wanted)
    assert {record.reason for record in failures.values()} == {reason}
    assert all(said in record.message for record in failures.values())


def test_the_traceback_is_kept(store: Store) -> None:
    pack = only_pack(store, "raise")
    run(store, pack)
    assert "toy_track.py" in store.failures(pack.wanted)[pack.cells[0].key].log_tail


def test_a_cells_own_failure_leaves_its_pack_mates_alone(store: Store) -> None:
    pack = only_pack(store, "nan")
    assert [each.reason for each in run(store, pack)] == [None, Reason.NAN_LOSS, None]


def test_attempts_are_counted(store: Store) -> None:
    pack = only_pack(store, "exit_once", seeds=[1])
    (store.root / f"once-{pack.cells[0].key[:8]}").parent.mkdir(parents=True)
    (store.root / f"once-{pack.cells[0].key[:8]}").touch()
    store.commit(Outcome(run_failure(pack)))
    run(store, pack)
    assert store.read(pack.cells[0].key).attempts == 2


def run_failure(pack: Pack):  # type: ignore[no-untyped-def]
    from promptgrid.cluster.workers.failures import failed_record

    return failed_record(pack.cells[0], Reason.WORKER_LOST, "gone")


def test_a_disk_that_fills_during_a_commit_is_recorded_and_the_rest_goes_on(store: Store) -> None:
    class Filling(Store):
        """Full for whole results, with room for the short record of a failure."""

        def commit(self, outcome: Outcome) -> bool:
            if outcome.record.status == "done" and outcome.record.cell.seed == 2:
                raise StoreFull(errno.ENOSPC, "the disk of the store is full", str(self.root))
            return super().commit(outcome)

    filling = Filling(store.root)
    pack = only_pack(filling, "sleep")
    assert [each.reason for each in run(filling, pack)] == [None, Reason.DISK_FULL, None]


def test_a_store_that_takes_nothing_ends_the_run(store: Store) -> None:
    class Full(Store):
        def commit(self, outcome: Outcome) -> bool:
            raise StoreFull(errno.ENOSPC, "the disk of the store is full", str(self.root))

    full = Full(store.root)
    with pytest.raises(StoreFull):
        run(full, only_pack(full, "sleep"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), Reason.OOM_HOST),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), Reason.OOM_HOST),
        (OSError(errno.EDQUOT, "quota"), Reason.DISK_FULL),
        (OSError(errno.ENOENT, "nothing there"), Reason.PLUGIN_ERROR),
        (ValueError("x"), Reason.PLUGIN_ERROR),
    ],
)
def test_reasons(error: Exception, reason: Reason) -> None:
    assert reason_of(error) is reason


def test_a_source_that_is_lost_is_what_its_targets_wait_for(store: Store) -> None:
    class Needy(ToyTrack):
        def run(self, pack: Pack, cache: Any, device: str, progress: Any = None, learned: Any = None) -> Any:
            learned("0" * 64)
            yield

    pack = only_pack(store, "sleep")
    assert {each.reason for each in PackRun(Needy(), store, FeatureCache(store.root)).run(pack)} == {
        Reason.NEEDS_FAILED
    }
    assert reason_of_track(SourceLost("gone")) is Reason.NEEDS_FAILED
    again = make_plan(toy_suite("sleep", datasets=["red"]), store)
    assert set(again.missing) == pack.wanted, "they are run again with the source"


def test_a_gpu_out_of_memory_is_told_apart() -> None:
    import torch

    assert reason_of(torch.OutOfMemoryError("CUDA out of memory")) is Reason.OOM_GPU


def test_a_sentence_is_one_line(tmp_path: Path) -> None:
    assert sentence(ValueError("two\n  lines")) == "ValueError: two lines"
    assert sentence(KeyError()) == "KeyError"
