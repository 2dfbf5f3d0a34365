"""Runs Optuna, ASHA and PBT through Ray Tune. They choose the trials; ordinary cells in the store score them.

A Tune trial is one configuration of one study over all its datasets, shots and seeds. Its cells are run in the worker
by the ordinary packs, and a pack shares backbone and dataset: the cells of a trial are one pack for each dataset, which
spans the shots and seeds there (two where they are too much for one), and never one over several datasets. They are
committed like any others, so a suggestion that comes twice, or a search that is run again, costs nothing twice. The
random search, which knows all its trials beforehand, has those of one dataset in the same packs: they differ in knobs.

* ``optuna`` (TPE) suggests configurations; each is run in full.
* ``asha`` takes the pre-drawn list of the random search and stops trials between rungs of 1/9, 1/3 and all epochs.
* ``pbt`` starts from the same list and perturbs knobs between the same rungs. Knobs are inherited, parameters are not:
  every rung trains from the start with the larger budget, so that each result is a cell that stands for itself.

The configuration as written is the first trial of all three and is always run in full. With one worker the same command
suggests the same again; with more, what is suggested depends on which trial ends first.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, PlacementGroupFactory, RunConfig, TuneConfig
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import Searcher

from promptgrid.cluster.execution import Options, RunSummary, execute, mirrored
from promptgrid.cluster.in_flight import scratch_folder
from promptgrid.cluster.on_ray.session import Session, ray_session
from promptgrid.cluster.progress import clock
from promptgrid.cluster.resources import Worker
from promptgrid.cluster.search.search import Search
from promptgrid.cluster.search.worker import CUT, SCORE, StudyOrder, TrialWorker, configuration_of
from promptgrid.cluster.stopping import Halt, StopSignals
from promptgrid.cluster.workers.stalls import STALL_SECONDS
from promptgrid.cluster.workers.work_order import WorkerSetup
from promptgrid.spec import ClusterLost, Refused
from promptgrid.spec.search import Interval, Study

RUNGS = 3
OWN_SCHEDULE = 45
"""Epochs from which the short rungs are counted where a method chooses its own."""
LOST_WORKERS = 2
SAY_SECONDS = 10.0


def run_tuned(search: Search, how: dict[str, Any], *, retry_failed: bool = False) -> tuple[Search, RunSummary]:
    """The search with the configurations that its algorithm tried, and what was run for them.

    Args:
        search: with the lists of the random search, from which ASHA and PBT start.
        how: the keyword arguments of :func:`promptgrid.cluster.execute`.
        retry_failed: run cells of the written configurations again that failed for a final reason.

    Raises:
        Refused: Optuna is not installed, or no cluster answers.
        RuntimeError: no trial of a study could be run.
    """
    if search.entry.algorithm == "optuna":
        _need_optuna()
    options: Options = how["options"]
    began = time.monotonic()
    with ray_session(how["workers"], how["address"], options.threads) as session:
        written = how | {"options": replace(options, phase="search 1/3, each method as written")}
        first = execute(search.written().plan(retry_failed=retry_failed), search.store, **written)
        count = Counted()
        if first.interrupted is not None:
            return search, first
        folder = scratch_folder(search.store.root)
        folder.mkdir(parents=True, exist_ok=True)
        studies = []
        try:
            with StopSignals() as signals:
                signals.install()
                for number, study in enumerate(search.studies):
                    phase = f"search 2/3, study {number + 1}/{len(search.studies)}"
                    run = StudyRun(search, study, session, signals, count, folder, how["workers"], options, phase)
                    studies.append(run.tuned(f"study-{number}") if study.space and len(study.trials) > 1 else study)
        except Halt as halt:
            if halt.trouble is not None:
                raise halt.trouble from None
            return search, replace(first, interrupted=signals.number)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # a worker that is being stopped may still write
    summary = replace(
        first,
        done=first.done + count.done,
        failed=first.failed + count.failed,
        seconds=time.monotonic() - began,
    )
    tuned = replace(search, studies=tuple(studies))
    return tuned, replace(summary, mirror=mirrored(tuned.plan(), search.store, options))


@dataclass
class Counted:
    """Cells that the workers of all studies finished and failed."""

    done: int = 0
    failed: int = 0


@dataclass(frozen=True)
class StudyRun:
    """One study with one Tuner: the trials after the written one."""

    search: Search
    study: Study
    session: Session
    signals: StopSignals
    count: Counted
    folder: Path
    workers: int | None
    options: Options
    phase: str
    rungs: tuple[int | None, ...] = field(init=False)

    def __post_init__(self) -> None:
        full = (None,) if self.search.entry.algorithm == "optuna" else rungs_of(self._setting("epochs"))
        object.__setattr__(self, "rungs", full)

    def tuned(self, name: str) -> Study:
        """The study with the configurations that were tried, in the order they were begun."""
        worker = self._worker()
        listener = Listener(self)
        number = self.search.entry.trials - 1
        space, searcher, scheduler = self._algorithm()
        paused = self.search.entry.algorithm == "pbt"  # its trials wait for each other, and a waiting one counts
        bundle = {"CPU": float(worker.cpus)} | ({"GPU": worker.gpu} if worker.gpu else {})
        tuner = tune.Tuner(
            tune.with_resources(TrialWorker, PlacementGroupFactory([bundle])),
            param_space={"order": str(self._written(worker, name)), **space},
            tune_config=TuneConfig(
                metric=SCORE,
                mode=self._mode,
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=number if searcher is not None else 1,
                max_concurrent_trials=None if paused else self.session.machines.slots(worker, self.workers),
                reuse_actors=True,
            ),
            run_config=RunConfig(
                name=name,
                storage_path=str(self.folder),
                stop=_Stop(listener),
                callbacks=[_Count(listener)],
                failure_config=FailureConfig(max_failures=LOST_WORKERS),
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        with seeded(self.search.entry.seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Tune, about its own defaults
            results = tuner.fit()
        listener.say(f"{len(results)} trials")
        return self._after([results[place] for place in range(len(results))])

    def _after(self, results: Sequence[Any]) -> Study:
        errors = [result.error for result in results if result.error]
        if len(errors) == len(results):
            raise RuntimeError(f"no trial of {self.study.label} could be run: {errors[0]}")
        tried = [configuration_of(self.study, result.config["knobs"]) for result in results]
        full = CUT ** (len(self.rungs) - 1)
        short = (
            1 + place
            for place, result in enumerate(results)
            if result.error or (result.metrics or {}).get("budget") != full
        )
        return replace(self.study, trials=({}, *tried), stopped=frozenset(short))

    def _algorithm(self) -> tuple[dict[str, Any], Searcher | None, TrialScheduler | None]:
        """What Tune is given: the space of a configuration, who suggests, and who stops or changes trials."""
        if self.search.entry.algorithm == "optuna":
            return {}, self._optuna(), None
        drawn = {"knobs": tune.grid_search([dict(trial) for trial in self.study.trials[1:]])}
        longest = CUT ** (len(self.rungs) - 1)
        if self.search.entry.algorithm == "asha":
            return drawn, None, ASHAScheduler(time_attr="budget", max_t=longest, reduction_factor=CUT, grace_period=1)
        study = self.study  # and not self, which Tune could not pickle
        scheduler = PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=1,
            synch=True,
            hyperparam_mutations={"knobs": {knob: _domain(place) for knob, place in study.space.items()}},
            custom_explore_fn=lambda config: config | {"knobs": configuration_of(study, config["knobs"])},
            log_config=False,
        )
        return drawn, None, scheduler

    def _optuna(self) -> Searcher:
        """TPE, told how good the written configuration was where that lies inside the space."""
        from optuna import logging
        from optuna.distributions import FloatDistribution
        from ray.tune.search.optuna import OptunaSearch

        logging.set_verbosity(logging.WARNING)
        space = self.study.space
        written = {knob: float(self._setting(knob)) for knob in space}
        known: dict[str, Any] = {}
        if all(place.low <= written[knob] <= place.high for knob, place in space.items()):
            known["points_to_evaluate"] = [{f"knobs/{knob}": value for knob, value in written.items()}]
            known["evaluated_rewards"] = [self._own().written().mean_score()]
        return OptunaSearch(
            space={
                f"knobs/{knob}": FloatDistribution(place.low, place.high, log=place.log)
                for knob, place in space.items()
            },
            metric=SCORE,
            mode=self._mode,
            seed=self.search.entry.seed,
            **known,
        )

    @property
    def _mode(self) -> Literal["max", "min"]:
        return "max" if self.search.metric.better == "higher" else "min"

    def _own(self) -> Search:
        key = (self.study.label, self.study.backbone)
        mine = tuple(pair for pair in self.search.requests if (pair[0], pair[1].backbone) == key)
        return replace(self.search, requests=mine, studies=(self.study,))

    def _setting(self, name: str) -> Any:
        """The setting as written, else the method's default; None where it has none of that name."""
        written = self._own().requests[0][1].settings
        rows = {str(row["name"]): row for row in self.search.track.describe("methods")}
        return written.get(name, dict(rows[self.study.method].get("settings") or {}).get(name))

    def _worker(self) -> Worker:
        """The largest share of a machine that a pack of the study books."""
        machines, options = self.session.machines, self.options
        cells = [cell for _, _, cell in self._own().written().cells]
        packs = self.search.track.pack(cells, machines.kind(options.device))
        asked = [machines.worker(pack, options.threads, options.device) for pack in packs]
        return max(asked, key=lambda worker: worker.gpu)

    def _written(self, worker: Worker, name: str) -> Path:
        stall = self.options.stall_of(self.search.suite) or STALL_SECONDS
        states = self.search.suite.states_mb
        setup = WorkerSetup(str(self.search.store.root), worker.device, worker.cpus, stall, states)
        order = StudyOrder(
            self.search.suite, self.search.entry, self.study.label, self.study.backbone, setup, self.rungs
        )
        return order.write(self.folder / f"{name}.json")


def rungs_of(epochs: int | None) -> tuple[int | None, ...]:
    """Epochs of each rung of a method with ``epochs`` written (0: its own schedule; None: it has no epochs at all)."""
    if epochs is None:
        return (None,)
    whole = epochs or OWN_SCHEDULE
    short = {max(1, whole // CUT**power) for power in range(1, RUNGS)}
    return (*sorted(number for number in short if number < whole), None)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators, which Tune's PBT draws from, seeded for the time inside and restored afterwards."""
    before, numbers = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numbers)


def _domain(place: Interval) -> Any:
    return (tune.loguniform if place.log else tune.uniform)(place.low, place.high)


def _need_optuna() -> None:
    try:
        import optuna  # noqa: F401 - asked for before anything starts
    except ImportError as error:
        raise Refused(
            "Optuna is not installed", where="--algorithm", got="optuna", hint="pip install 'promptgrid[search]'"
        ) from error


class Listener:
    """What the driver hears of the trials of one study."""

    def __init__(self, run: StudyRun) -> None:
        self._run = run
        self._said = self._began = time.monotonic()
        self._best: float | None = None
        self._rungs = 0

    def result(self, result: dict[str, Any]) -> None:
        """A rung of a trial has ended."""
        done, failed = result["cells"]
        self._run.count.done += done
        self._run.count.failed += failed
        self._rungs += 1
        known = [result[SCORE]] if self._best is None else [self._best, result[SCORE]]
        self._best = max(known, key=lambda score: self._run.search.metric.sign * score)

    def check(self) -> None:
        """Called ten times a second: say something now and then, and leave if a signal asks for it."""
        if time.monotonic() - self._said >= SAY_SECONDS:
            self.say(f"{self._rungs} rungs of {self._run.search.entry.trials - 1} trials, {self._eta()}")
        self._run.signals.check()
        try:
            self._run.session.check()
        except ClusterLost as lost:
            raise Halt(lost) from None

    def _eta(self) -> str:
        """When the study ends if its rungs go on as they did; trials that are stopped early end it earlier."""
        left = len(self._run.rungs) * (self._run.search.entry.trials - 1) - self._rungs
        if not self._rungs:
            return "ETA unknown"
        return f"ETA {clock(left * (time.monotonic() - self._began) / self._rungs)}"

    def say(self, what: str) -> None:
        """One line on stderr."""
        self._said = time.monotonic()
        if not self._run.options.quiet:
            study, title = self._run.study, self._run.search.metric.title
            best = "" if self._best is None else f", best mean validation {title} {self._best:.3f}"
            print(f"{self._run.phase}, {study.label} on {study.backbone}: {what}{best}", file=sys.stderr)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks for a restore that is never made


class _Count(tune.Callback):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self._listener.result(result)


class _Stop(tune.Stopper):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self._listener.check()
        return False
