"""The dispatcher: hands packs to workers and takes their results. The same with Ray and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from promptgrid.cluster.progress import ProgressDisplay
from promptgrid.cluster.resources import Worker
from promptgrid.cluster.schedule import PLAIN, Schedule
from promptgrid.cluster.timing.pace import Pace
from promptgrid.cluster.workers.failures import failed_record, reason_of_loss
from promptgrid.cluster.workers.run_pack import Settled, commit_record
from promptgrid.cluster.workers.watchdog import timed_out
from promptgrid.spec import RETRIED, Pack, Reason

if TYPE_CHECKING:
    from promptgrid.cluster.planner import Plan
    from promptgrid.store import Store

RETRIED_AT_ONCE = frozenset({Reason.OOM_HOST, Reason.OOM_GPU, Reason.TIMEOUT})
"""Tried once more in the same run, when its pack is over; the store counts further attempts of later runs."""


@dataclass
class _Running:
    pack: Pack
    left: set[str]
    again: set[str] = field(default_factory=set)


class Dispatcher:
    """Hands out packs, takes what became of their cells, and says what to do about lost workers.

    Args:
        plan: what is missing.
        store: where records go.
        board: where progress is shown.
        told: called with the key of every cell that has its final record of this run.
        planned: seconds that the plan gives the whole run, its start included.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        display: ProgressDisplay,
        told: Callable[[str], None] | None = None,
        planned: float | None = None,
    ) -> None:
        self._planned = planned
        self.store = store
        self.states_mb = plan.suite.states_mb
        self.display = display
        self._told = told
        self.follow(plan)
        self.done = 0
        self.failed = 0
        self._running: dict[str, _Running] = {}
        self._losses: Counter[str] = Counter()
        self._alone: Counter[str] = Counter()
        self._recorded = Counter({key: record.attempts for key, record in store.failures(plan.missing).items()})
        self._retried: set[str] = set()

    def follow(self, plan: Plan) -> None:
        """Hand out the packs of ``plan`` from now on: the same cells, packed for another machine. None is out yet."""
        finished = self.store.finished(_asked(plan)) - plan.missing  # what is run again for its state is waited for
        self.schedule = Schedule(plan.packs, finished, plan.scouts)
        self.pace = Pace(plan.packs, planned=self._planned)
        self.display.watch(self.pace.forecast)

    def sort_by(self, kind: Callable[[Pack], Worker]) -> None:
        """Hand packs out by resource class from now on."""
        self.schedule.sort_by(kind)

    def take(self, name: str, kind: Worker = PLAIN) -> Pack | None:
        """The next pack of ``kind``, running from now on under ``name``; None when none is ready."""
        pack = self.schedule.pop(kind)
        for skipped in self.schedule.skipped():
            message = f"it needs cell {skipped.need[:12]}, which failed"
            commit_record(self.store, failed_record(skipped.cell, Reason.NEEDS_FAILED, message))
            self._count(skipped.cell.key, failed=True)
        if pack is not None:
            self._running[name] = _Running(pack, set(pack.wanted))
            self.pace.take(name, pack)
            self.display.running(len(self._running))
        return pack

    def settle(self, name: str, settled: Settled) -> None:
        """One cell of the pack running under ``name`` has its record."""
        running = self._running[name]
        if settled.key not in running.left:
            return
        running.left.discard(settled.key)
        self.pace.settle(running.pack, settled.key, settled.took)
        self._recorded[settled.key] += settled.reason is not None
        if settled.reason in RETRIED_AT_ONCE and settled.key not in self._retried:
            self._retried.add(settled.key)
            running.again.add(settled.key)
            return
        self._close(settled)

    def over(self, name: str) -> None:
        """The pack under ``name`` has ended. Cells that ran out of memory or time are queued once more."""
        running = self._running.pop(name)
        self.pace.over(name)
        if self.pace.shifted():
            self.schedule.reweigh(self.pace.factor)
        if running.again:
            self.schedule.push(replace(running.pack, wanted=frozenset(running.again)))
        self.display.running(len(self._running))

    def lost(self, name: str, why: str, stalled: float | None = None) -> None:
        """The worker under ``name`` is gone. Its pack is tried again, then in halves; a cell alone is a failed one.

        One that ``stalled`` for so many seconds costs as long each time: its pack is tried in halves at once, and a
        cell that was alone is recorded. The slots of a pack do not change with ``wanted``, so a half gives the same
        bits as the whole.
        """
        running = self._running[name]
        for settled in self._found_in_store(running):
            self.settle(name, settled)
        left = [cell for cell in running.pack.cells if cell.key in running.left]
        if stalled is not None and len(left) == 1:
            self.settle(name, commit_record(self.store, timed_out(left.pop(), stalled, why)))
        self.over(name)
        self._losses.update(cell.key for cell in left)
        worst = max((self._losses[cell.key] for cell in left), default=0)
        if len(left) == 1:
            self._alone[left[0].key] += 1
            if worst >= RETRIED[Reason.WORKER_LOST] and self._alone[left[0].key] > 1:
                reason, sentence = reason_of_loss(why)
                record = failed_record(left[0], reason, f"its worker was lost {worst} times: {sentence}", tail=why)
                self._close(commit_record(self.store, record))
                return
        whole = len(left) == 1 or (worst <= 1 and stalled is None)
        parts = [left] if whole else [left[: len(left) // 2], left[len(left) // 2 :]]
        for part in filter(None, parts):
            self.schedule.push(replace(running.pack, wanted=frozenset(cell.key for cell in part)))

    def recall(self) -> None:
        """All workers are gone, by no fault of their packs. Their unsettled cells are queued again."""
        for name, running in list(self._running.items()):
            for settled in self._found_in_store(running):
                self.settle(name, settled)
            left = frozenset(running.left)
            self.over(name)
            if left:
                self.schedule.push(replace(running.pack, wanted=left))

    @property
    def idle(self) -> bool:
        """Nothing is running."""
        return not self._running

    def _found_in_store(self, running: _Running) -> list[Settled]:
        """What the lost worker had committed but not reported."""
        failures = self.store.failures(running.left)
        fresh = [key for key, record in failures.items() if record.attempts > self._recorded[key]]
        finished = [Settled(key) for key in self.store.finished(running.left)]
        return finished + [Settled(key, failures[key].reason) for key in fresh]

    def _close(self, settled: Settled) -> None:
        failed = settled.reason is not None
        self.schedule.settle(settled.key, failed=failed)
        self._count(settled.key, failed=failed)

    def _count(self, key: str, *, failed: bool) -> None:
        if self._told is not None:
            self._told(key)
        self.failed += failed
        self.done += not failed
        self.display.settled(failed=failed)


def _asked(plan: Plan) -> set[str]:
    """Every key that a pack of ``plan`` could wait for."""
    return {key for pack in plan.packs for cell in pack.cells for key in cell.needs}
