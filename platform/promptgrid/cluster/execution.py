"""Run a plan: choose the runner, show progress, mirror, stop cleanly."""

from __future__ import annotations

import os
import secrets
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from promptgrid.cluster.admission import admit, refuse_counts
from promptgrid.cluster.dispatch import Dispatcher
from promptgrid.cluster.progress import ProgressDisplay
from promptgrid.cluster.resources import present
from promptgrid.cluster.stopping import Halt, StopSignals
from promptgrid.spec import Machine, Refused
from promptgrid.store.features import cache_bound

if TYPE_CHECKING:
    from promptgrid.cluster.mirror_process import Mirrored, MirrorProcess
    from promptgrid.cluster.planner import Plan
    from promptgrid.spec import Suite
    from promptgrid.store import Store

RESTARTS = 2
"""How often a grid goes on with a new Ray where the one that it had started has died."""
MIRROR_SECONDS = 60.0
"""By when the mirror has caught up, or says how far it is."""


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        done: cells finished by this run.
        failed: cells that this run left with a failed record.
        skipped: cells that were finished before.
        seconds: wall time.
        interrupted: the signal that ended it early (2 or 15), else None. The command line exits with 128 + it.
        mirror: what MLflow was given; None where the mirror was off or the run was interrupted.
    """

    done: int
    failed: int
    skipped: int
    seconds: float
    interrupted: int | None = None
    mirror: Mirrored | None = None


@dataclass(frozen=True)
class Options:
    """How to run, apart from where.

    Attributes:
        threads: threads of torch in each worker, and the CPUs it books. Another number may change the last bits.
        device: ``cpu``, ``cuda``, or ``auto``.
        stall_seconds: a worker without a sign of life for so long is ended, and its cell recorded as TIMEOUT. By
            default what the suite says, else see :func:`promptgrid.cluster.workers.stalls.stall_limit`.
        inline: with ``local``, run in this very process, where whatever ends a cell ends the run.
        mirror: keep MLflow up to date.
        experiment: MLflow experiment; by default the suite's name.
        mirror_uri: MLflow tracking URI; by default ``MLFLOW_TRACKING_URI``, else a SQLite file in the store.
        mirror_seconds: how long the end of a run waits for MLflow.
        quiet: show no progress.
        phase: what of a longer work this run is, shown before its progress.
    """

    threads: int = 1
    device: str = "auto"
    stall_seconds: float | None = None
    inline: bool = False
    mirror: bool = True
    experiment: str = ""
    mirror_uri: str | None = None
    mirror_seconds: float = MIRROR_SECONDS
    quiet: bool = False
    phase: str = ""

    def stall_of(self, suite: Suite) -> float | None:
        """The stall limit as asked for: here, else in ``suite``; None where neither says one."""
        return self.stall_seconds if self.stall_seconds is not None else suite.stall_limit


def execute(
    plan: Plan,
    store: Store,
    *,
    local: bool = False,
    workers: int | None = None,
    address: str | None = None,
    options: Options | None = None,
) -> RunSummary:
    """Run the packs of ``plan`` and keep every result in ``store``.

    Args:
        plan: what is missing.
        store: where results go; on a cluster, a folder that all its machines see.
        local: one pack after the other in one process beside this one, without Ray.
        workers: how many packs at once (default: one a core of the cluster).
        address: a running Ray cluster (``auto``, ``host:port``); by default one of our own on this machine.
        options: everything else.

    Raises:
        Refused: the options contradict each other, or no cluster answers. Nothing was started.
        OSError: the store cannot be written; what was finished before stays finished.
        ClusterLost: the cluster is gone, or has no machine that fits; what was finished stays finished.
        RuntimeError: a worker cannot work at all, and says why.
    """
    chosen = options or Options()
    _check(local, workers, address, chosen)
    refuse_counts(workers, chosen.threads)
    admit(store.root, address, local=local, device=chosen.device, writes=bool(plan.packs))
    plan.states.refuse_full(store.root)
    began = time.monotonic()
    display = ProgressDisplay(len(plan.missing), quiet=chosen.quiet or not plan.packs, phase=chosen.phase)
    planned = plan.wall_seconds(1, 0.0) if local else plan.wall_seconds(workers or os.cpu_count() or 1)
    with StopSignals() as signals:
        mirror = _mirror(plan, store, chosen)
        dispatcher = Dispatcher(plan, store, display, told=mirror.add if mirror else None, planned=planned)
        mirrored = None
        try:
            if plan.packs:
                with display:
                    _run(plan, dispatcher, signals, chosen, local=local, workers=workers, address=address)
            if mirror is not None:
                signals.at_once = True
                mirrored = mirror.close(chosen.mirror_seconds)
        except Halt as halt:
            if halt.trouble is not None:
                raise halt.trouble from None
        finally:
            signals.at_once = False
            if mirror is not None:
                mirror.kill()
    _check_complete(plan, dispatcher, signals)
    return RunSummary(
        dispatcher.done, dispatcher.failed, len(plan.finished), time.monotonic() - began, signals.number, mirrored
    )


def _run(
    plan: Plan,
    dispatcher: Dispatcher,
    signals: StopSignals,
    options: Options,
    *,
    local: bool,
    workers: int | None,
    address: str | None,
) -> None:
    if local:
        from promptgrid.cluster.local import run_here, run_local

        signals.at_once = True
        device = present(options.device)
        _repack(dispatcher, plan, device)
        if options.inline:
            run_here(dispatcher, threads=options.threads, device=device)
        else:
            stall = options.stall_of(plan.suite)
            run_local(dispatcher, threads=options.threads, device=device, stall_seconds=stall)
        return
    from promptgrid.cluster.on_ray.session import RayDied

    for again in range(RESTARTS, -1, -1):
        try:
            return _run_on_ray(plan, dispatcher, signals, options, workers=workers, address=address)
        except Halt as halt:
            if not again or not isinstance(halt.trouble, RayDied):
                raise
            dispatcher.recall()
            print(f"promptgrid: {halt.trouble}, now, on a new Ray", file=sys.stderr)


def _run_on_ray(
    plan: Plan,
    dispatcher: Dispatcher,
    signals: StopSignals,
    options: Options,
    *,
    workers: int | None,
    address: str | None,
) -> None:
    from promptgrid.cluster.on_ray.address import is_own
    from promptgrid.cluster.on_ray.session import ray_session
    from promptgrid.cluster.on_ray.sharing import refuse_unshared

    with ray_session(workers, address, options.threads) as session:
        signals.install()  # Ray has set its own
        signals.check()
        if not is_own(address):
            refuse_unshared(dispatcher.store.root)
        from promptgrid.cluster.in_flight import scratch_folder
        from promptgrid.cluster.on_ray.tune import TuneRun

        _repack(dispatcher, plan, session.machines.kind(options.device))
        dispatcher.sort_by(lambda pack: session.machines.worker(pack, options.threads, options.device))
        folder = scratch_folder(dispatcher.store.root)
        TuneRun(dispatcher, signals, session, folder, workers, options.stall_of(plan.suite)).run()


def _repack(dispatcher: Dispatcher, plan: Plan, machine: Machine) -> None:
    """Have the packs of ``plan`` made anew where it was planned on another kind of machine than it runs on."""
    from promptgrid.cluster.planner import packed_for

    if machine != plan.machine:
        dispatcher.follow(packed_for(machine, plan, dispatcher.store))


def _check_complete(plan: Plan, dispatcher: Dispatcher, signals: StopSignals) -> None:
    open_cells = len(plan.missing) - dispatcher.done - dispatcher.failed
    if open_cells and signals.number is None:
        raise RuntimeError(f"{open_cells} cells were left over; run the same command again, and please report this")


def mirrored(plan: Plan, store: Store, options: Options) -> Mirrored | None:
    """Mirror what has finished of ``plan`` already; None where no mirror is wanted."""
    process = _mirror(plan, store, options)
    if process is None:
        return None
    for key in plan.finished:
        process.add(key)
    return process.close(options.mirror_seconds)


def _mirror(plan: Plan, store: Store, options: Options) -> MirrorProcess | None:
    if not options.mirror or not plan.grid:
        return None
    from promptgrid.cluster.mirror_process import MirrorProcess
    from promptgrid.store.mirror.submission import Submission

    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    try:
        return MirrorProcess(
            store, Submission(name, plan.suite, plan.grid, options.mirror_uri, options.experiment, plan.titles)
        )
    except OSError as error:  # no space or no processes left: the grid matters more
        print(f"promptgrid: MLflow is not mirrored: {error}", file=sys.stderr)
        return None


def _check(local: bool, workers: int | None, address: str | None, options: Options) -> None:
    if workers is not None and workers < 1:
        raise Refused("no workers", where="--workers", got=workers, expected="1 or more")
    if local and (address or (workers or 1) > 1):
        raise Refused(
            "--local runs one worker beside this process", expected="neither --address nor more than one of --workers"
        )
    if options.threads < 1:
        raise Refused("no threads", where="--threads", got=options.threads, expected="1 or more")
    if options.device not in {"auto", "cpu", "cuda"}:
        raise Refused("unknown device", where="--device", got=options.device, expected="auto, cpu or cuda")
    if options.stall_seconds is not None and not options.stall_seconds > 0:
        raise Refused("no time", where="--stall-limit", got=options.stall_seconds, expected="seconds, more than 0")
    cache_bound()  # the workers read it too, and would be told first
