"""One pack on one device: run it, commit every cell, leave none without a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from promptgrid.cluster.timing.cost_model import spent
from promptgrid.cluster.workers.failures import failed_record, reason_of, sentence, tail_of
from promptgrid.spec import Cell, Pack, Reason, Record, SourceLost

if TYPE_CHECKING:
    import numpy.typing as npt

    from promptgrid.contract import Cache, Outcome, Track
    from promptgrid.store import Store

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Settled:
    """A cell that has its record: finished (``reason`` is None) or failed; ``took`` seconds where it was run now."""

    key: str
    reason: Reason | None = None
    took: float | None = None


@dataclass(frozen=True)
class PackRun:
    """What a pack is run with: the wing that knows how, where results go, which device, which states are kept."""

    track: Track
    store: Store
    cache: Cache
    device: str = "cpu"
    progress: Progress = lambda done: None
    states_mb: float | None = None

    def run(self, pack: Pack) -> Iterator[Settled]:
        """Settle every wanted cell of ``pack``, each as soon as its record is committed.

        What the store already holds is not run again, unless its state was left out and all are kept now. Whatever
        escapes the track becomes a failed record of the cells that had none yet.

        Raises:
            OSError: the store cannot be written at all.
        """
        missing = {cell.key: cell for cell in pack.cells if cell.key in pack.wanted}
        before = self.store.failures(list(missing))
        for key in self.store.finished(list(missing)) - self._lacking(missing):
            del missing[key]
            yield Settled(key)
        if not missing:
            return
        attempts = {key: before[key].attempts + 1 if key in before else 1 for key in missing}
        outcomes = self.track.run(
            replace(pack, wanted=frozenset(missing)),
            self.cache,
            self.device,
            progress=self.progress,
            learned=self._learned,
        )
        while missing:
            try:
                outcome = next(outcomes)
            except StopIteration:
                error: BaseException = RuntimeError("the track ended without a result for this cell")
                break
            except (Exception, SystemExit, KeyboardInterrupt) as caught:  # noqa: BLE001 - a plug-in's, and its cells' failure
                error = caught
                break
            key = outcome.record.cell.key
            cell = missing.pop(key, None)
            if cell is None:
                error = RuntimeError(f"the track reported cell {key[:12]}, which was not asked for")
                break
            yield self._commit(outcome, attempts[key])
        else:
            return
        for cell in missing.values():
            yield self._commit_failure(cell, error, attempts[cell.key])

    def _lacking(self, keys: Iterable[str]) -> set[str]:
        return set() if self.states_mb is not None else {key for key in keys if self.store.left_out(key) is not None}

    def _learned(self, key: str) -> dict[str, npt.NDArray[Any]]:
        try:
            state = self.store.state(key)
        except LookupError as error:
            raise SourceLost(f"what the source learned cannot be read: {error}") from error
        if self.store.left_out(key) is not None:
            raise SourceLost("what the source learned was not kept by the suite that ran it")
        return state

    def _commit(self, outcome: Outcome, attempts: int) -> Settled:
        record = outcome.record
        if attempts > record.attempts:
            record = record.model_copy(update={"attempts": attempts})
        try:
            self.store.commit(replace(outcome, record=record).within(self.states_mb))
        except OSError as error:
            if reason_of(error) is not Reason.DISK_FULL:
                raise
            return self._commit_failure(record.cell, error, attempts)
        return Settled(record.cell.key, record.reason, spent(record))

    def _commit_failure(self, cell: Cell, error: BaseException, attempts: int) -> Settled:
        record = failed_record(cell, reason_of(error), sentence(error), tail=tail_of(error), attempts=attempts)
        return commit_record(self.store, record)


def commit_record(store: Store, record: Record) -> Settled:
    """Commit a record that has neither predictions nor state."""
    from promptgrid.contract import Outcome  # imports torch

    store.commit(Outcome(record))
    return Settled(record.cell.key, record.reason)
