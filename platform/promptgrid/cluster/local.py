"""Runs packs without Ray: one after the other, in one worker process beside this one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from promptgrid.cluster.in_flight import scratch_folder
from promptgrid.cluster.workers.import_path import import_path
from promptgrid.cluster.workers.run_pack import Settled
from promptgrid.cluster.workers.stalls import stall_limit
from promptgrid.cluster.workers.watchdog import stack_beside, stall_of
from promptgrid.cluster.workers.work_order import WorkerSetup, WorkOrder, settle_here
from promptgrid.spec import Reason

if TYPE_CHECKING:
    from promptgrid.cluster.dispatch import Dispatcher

LOOK = 0.2
"""Seconds between two looks at whether the worker lives, and two ticks of the display."""
LAST_WORDS = 5.0
"""Seconds that a worker has between its last answer and its end."""
_NAME = "the local worker"


class WorkerGone(Exception):
    """The worker has ended in the middle of a pack; the message says how."""


def run_local(dispatcher: Dispatcher, *, threads: int, device: str, stall_seconds: float | None) -> None:
    """Run every pack of ``dispatcher`` in one worker, which is replaced when it ends.

    Args:
        dispatcher: hands out packs and takes what became of them.
        threads: threads of torch in the worker.
        device: cpu or cuda.
        stall_seconds: see :func:`promptgrid.cluster.workers.stalls.stall_limit`.

    Raises:
        OSError: the store cannot be written.
        RuntimeError: the worker cannot work at all, and says why.
    """
    folder = scratch_folder(dispatcher.store.root)
    folder.mkdir(parents=True)
    try:
        with LocalWorker() as worker:
            while (pack := dispatcher.take(_NAME)) is not None:
                path = folder / "pack.json"
                stall = stall_limit(stall_seconds, pack)
                WorkOrder(pack, _setup(dispatcher, device, threads, stall)).write(path)
                try:
                    for settled in worker.run(path, dispatcher.display.tick):
                        dispatcher.settle(_NAME, settled)
                except WorkerGone as gone:
                    dispatcher.lost(_NAME, stall_of(path) or str(gone), stall if stall_of(path) else None)
                    stack_beside(path).unlink(missing_ok=True)
                else:
                    dispatcher.over(_NAME)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a worker that is being ended may still write


def _setup(dispatcher: Dispatcher, device: str, threads: int, stall: float) -> WorkerSetup:
    return WorkerSetup(str(dispatcher.store.root), device, threads, stall, dispatcher.states_mb)


def run_here(dispatcher: Dispatcher, *, threads: int, device: str) -> None:
    """As :func:`run_local`, in this very process, for a debugger or a profiler: what ends a cell ends the run."""
    import torch

    before = torch.get_num_threads()
    try:
        while (pack := dispatcher.take(_NAME)) is not None:
            order = WorkOrder(pack, _setup(dispatcher, device, threads, stall=0.0))
            for settled in settle_here(order, dispatcher.display.tick):
                dispatcher.settle(_NAME, settled)
            dispatcher.over(_NAME)
    finally:
        torch.set_num_threads(before)


class LocalWorker:
    """A process that runs one work order after another; started when it is needed, and again after it has ended.

    What plug-ins print there comes out on this process's stderr; their standard input is this process's, so that a
    breakpoint works. It ends with this process, and at the latest when the context is left.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._orders = self._answers = -1
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self, order: Path, tick: Callable[[], None]) -> Iterator[Settled]:
        """Every cell of the pack as it is settled; ``tick`` is called a few times a second.

        Raises:
            WorkerGone: the process ended before the pack did.
            OSError, RuntimeError: it cannot work at all.
        """
        if self._process is None:
            self._start()
        try:
            os.write(self._orders, f"{order}\n".encode())
        except BrokenPipeError:
            raise self._gone() from None
        while True:
            for answer in self._hear(tick):
                if "trouble" in answer:
                    raise (OSError if answer["of_the_store"] else RuntimeError)(answer["trouble"])
                if answer.get("over"):
                    return
                key, reason, took = answer["settled"]
                yield Settled(key, Reason(reason) if reason else None, took)

    def _start(self) -> None:
        theirs, self._orders = os.pipe()
        self._answers, to_us = os.pipe()
        command = [sys.executable, "-m", "promptgrid.cluster.workers.local_worker", str(theirs), str(to_us)]
        environment = os.environ | {"PYTHONPATH": import_path()}
        try:
            self._process = subprocess.Popen(command, stdout=2, pass_fds=(theirs, to_us), env=environment)
        finally:
            os.close(theirs)
            os.close(to_us)

    def _hear(self, tick: Callable[[], None]) -> list[dict[str, Any]]:
        """The answers that have come in whole; waits for a moment only, so that a dead worker is noticed."""
        tick()
        ready, _, _ = select.select([self._answers], [], [], LOOK)
        said = os.read(self._answers, 2**16) if ready else b""
        if not said and (ready or self._ended()):
            raise self._gone()
        *lines, self._rest = (self._rest + said).split(b"\n")
        return [json.loads(line) for line in lines]

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _gone(self) -> WorkerGone:
        code = 0
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LAST_WORDS)
            code = self._process.poll() or 0
        self._end()
        if code >= 0:
            return WorkerGone(f"the process ended with exit status {code}")
        return WorkerGone(f"the process was ended by {signal.Signals(-code).name}")

    def _end(self) -> None:
        process, self._process, self._rest = self._process, None, b""
        if process is None:
            return
        for handle in (self._orders, self._answers):
            with contextlib.suppress(OSError):
                os.close(handle)
        process.kill()
        process.wait()
