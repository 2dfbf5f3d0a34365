"""Ray Tune as the scheduler of packs, and only that: the store is the truth, and the plan is explicit.

Every choice here was measured: one Tuner per resource class (reused actors thrash between two), no loggers (5 files and
40 ms a trial), no snapshots (they know less than the store), no retries by Tune (the dispatcher splits packs instead).
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, PlacementGroupFactory, RunConfig, TuneConfig
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from promptgrid.cluster.dispatch import Dispatcher
from promptgrid.cluster.on_ray.health import HealthMonitor, more_is_coming
from promptgrid.cluster.on_ray.session import Session
from promptgrid.cluster.on_ray.worker import PackWorker
from promptgrid.cluster.resources import Worker
from promptgrid.cluster.stopping import Halt, StopSignals
from promptgrid.cluster.workers.run_pack import Settled
from promptgrid.cluster.workers.stalls import stall_limit
from promptgrid.cluster.workers.watchdog import stack_beside, stall_of
from promptgrid.cluster.workers.work_order import WorkerSetup, WorkOrder
from promptgrid.spec import ClusterLost, Reason

MOST_WORKERS = 4096
NO_ROOM_SECONDS = 30.0
"""How long packs wait for a machine that the cluster does not have, and nobody is starting."""
SAY_SECONDS = 10.0
COMING_SECONDS = 900.0
"""How long they wait for one that is being started."""


@dataclass(frozen=True)
class TuneRun:
    """The settings that all Tuners of a grid share."""

    dispatcher: Dispatcher
    signals: StopSignals
    session: Session
    folder: Path
    workers: int | None
    stall_seconds: float | None

    def run(self) -> None:
        """Run every pack of the dispatcher.

        Raises:
            Halt: a signal asked for a stop, a worker cannot work at all, Ray has died, or no machine of the cluster is
            of the kind that the packs need (``trouble`` says which).
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            number = 0
            while kinds := self.dispatcher.schedule.kinds():
                number += 1
                self._tuner(kinds[0], f"tune-{number}")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)  # a worker that is being stopped may still write

    def _tuner(self, worker: Worker, name: str) -> None:
        feed = PackFeed(self, worker)
        slots = self.workers or MOST_WORKERS  # the feed holds back what has no room yet
        bundle = {"CPU": float(worker.cpus)} | ({"GPU": worker.gpu} if worker.gpu else {})
        tuner = tune.Tuner(
            tune.with_resources(PackWorker, PlacementGroupFactory([bundle])),
            tune_config=TuneConfig(
                search_alg=PackSearcher(feed), num_samples=-1, max_concurrent_trials=slots, reuse_actors=True
            ),
            run_config=RunConfig(
                name=name,
                storage_path=str(self.folder),
                stop=_Stop(feed),
                callbacks=[_Losses(feed)],
                failure_config=FailureConfig(max_failures=0),
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except _HaltGently as halt:
            raise Halt(halt.trouble) from None
        if not self.dispatcher.idle:
            raise RuntimeError("Tune ended while packs were running; run the same command again")


class _HaltGently(Exception):
    """A Halt that Tune sees, and so stops its actors and gives their resources back before it passes it on."""

    def __init__(self, trouble: Exception | None) -> None:
        super().__init__(trouble)
        self.trouble = trouble


class PackFeed:
    """Gives Tune's trials the dispatcher's packs, for one resource class."""

    def __init__(self, run: TuneRun, worker: Worker) -> None:
        self._run = run
        self._worker = worker
        self._orders: dict[str, tuple[Path, float]] = {}
        self._trouble: Exception | None = None
        self._capacity = Capacity(run.session.health, worker)

    def next(self, trial: str) -> Any:
        """The configuration of a new trial; None: ask again later; FINISHED: nothing of this class is left."""
        self.check()
        if len(self._orders) >= self._run.session.health.machines.slots(self._worker, self._run.workers):
            return None
        pack = self._run.dispatcher.take(trial, self._worker)
        if pack is None:
            return None if self._orders else Searcher.FINISHED
        store = self._run.dispatcher.store
        stall = stall_limit(self._run.stall_seconds, pack)
        path = self._run.folder / f"{trial}.json"
        states = self._run.dispatcher.states_mb
        setup = WorkerSetup(str(store.root), self._worker.device, self._worker.cpus, stall, states)
        WorkOrder(pack, setup).write(path)
        self._orders[trial] = path, stall
        return {"order": str(path)}

    def result(self, trial: str, result: dict[str, Any]) -> None:
        """Cells that the worker of ``trial`` reports."""
        for key, reason, took in result.get("settled", ()):
            self._run.dispatcher.settle(trial, Settled(key, Reason(reason) if reason else None, took))
        if result.get("trouble"):
            sort = OSError if result["of_the_store"] else RuntimeError
            self._trouble = self._trouble or sort(result["trouble"])

    def over(self, trial: str) -> None:
        """The pack of ``trial`` has ended."""
        path, _ = self._orders.pop(trial)
        path.unlink(missing_ok=True)
        self._run.dispatcher.over(trial)

    def lost(self, trial: str, why: str) -> None:
        """The worker of ``trial`` is gone."""
        if trial not in self._orders:
            return
        path, stall = self._orders.pop(trial)
        stack = stall_of(path)
        self._run.dispatcher.lost(trial, stack or why, stall if stack else None)
        for file in (path, stack_beside(path)):
            file.unlink(missing_ok=True)

    def check(self) -> None:
        """Called ten times a second: show progress, and leave if a signal or the store asks for it.

        A Ray of our own is left at once: its end ends the workers. In one that lives on, Tune must clean up first.
        """
        self._run.dispatcher.display.tick()
        try:
            self._run.session.check()
            self._capacity.check()
        except ClusterLost as lost:
            raise Halt(lost) from None  # at once: Tune would wait for actors that nobody hears
        if self._trouble or self._run.signals.number is not None:
            raise Halt(self._trouble) if self._run.session.ours else _HaltGently(self._trouble)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher and callbacks for a restore that is never made


class Capacity:
    """Whether the cluster has a machine that a worker of some class fits on."""

    def __init__(
        self,
        health: HealthMonitor,
        worker: Worker,
        coming: Callable[[], bool] = more_is_coming,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._worker = worker
        self._coming = coming
        self._clock = clock
        self._since: float | None = None
        self._said = False

    def check(self) -> None:
        """Say so where there has been none for a while, and raise ClusterLost where none is to be expected."""
        if self._health.machines.fits(self._worker):
            self._since = None
            return
        now = self._clock()
        self._since = now if self._since is None else self._since
        waited = now - self._since
        lacking = f"no machine of the cluster has {self._worker}"
        if waited > SAY_SECONDS and not self._said:
            self._said = True
            print(f"{lacking}: waiting for one", file=sys.stderr)
        if waited > COMING_SECONDS or (waited > NO_ROOM_SECONDS and not self._coming()):
            raise ClusterLost(
                f"{lacking}, and none has joined in {waited:.0f} s; what is finished is kept: add such a machine, or "
                "ask for less with --device cpu or --threads"
            )


class PackSearcher(Searcher):
    """Feeds an explicit list of packs to Tune; searches nothing."""

    def __init__(self, feed: PackFeed) -> None:
        super().__init__()
        self._feed = feed

    def set_search_properties(self, *args: Any, **kwargs: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        suggestion: dict[str, Any] | None = self._feed.next(trial_id)  # or FINISHED, which Tune's types forget
        return suggestion

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._feed.result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if not error:
            self._feed.result(trial_id, result or {})
            self._feed.over(trial_id)


class _Losses(tune.Callback):
    """Learns why a trial failed, which a searcher is not told. Every failed trial is a lost worker: see PackWorker."""

    def __init__(self, feed: PackFeed) -> None:
        self._feed = feed

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        path = Path(trial.error_file) if trial.error_file else None
        text = path.read_text(errors="replace") if path and path.is_file() else "no reason was given"
        self._feed.lost(trial.trial_id, text[-4000:])


class _Stop(tune.Stopper):
    def __init__(self, feed: PackFeed) -> None:
        self._feed = feed

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self._feed.check()
        return False
