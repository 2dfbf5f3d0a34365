"""Watches the Ray that a grid runs on from a thread: whether it is alive, and which machines it offers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from promptgrid.cluster.resources import Machines

LOOK = 1.0
"""Seconds between two looks."""
SILENCE = 20.0
"""Seconds without an answer after which a cluster is taken to be gone."""
UNHEARD = 5.0
"""Seconds after which a driver that has not taken notice of a trouble is taken to be stuck in a call of Ray's."""
VITAL = {"raylet": "its raylet has died", "gcs_server": "its GCS has died"}


@dataclass(frozen=True)
class Health:
    """What Ray answered: the machines that it offers, and what is wrong with it (empty where nothing is)."""

    machines: Machines | None = None
    trouble: str = ""


class HealthMonitor:
    """Asks Ray once a second. Use as a context.

    Args:
        look: asks Ray; may hang, or raise anything.
        machines: what it offered at the start.
        stuck: told of a trouble that nobody has asked for.
        clock: for tests.
        died: names a vital part of Ray that has died, else is empty; asks the operating system alone, so never hangs.
    """

    def __init__(
        self,
        look: Callable[[], Health],
        machines: Machines,
        stuck: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        died: Callable[[], str] = lambda: "",
    ) -> None:
        self._look = look
        self._died = died
        self._stuck = stuck
        self._clock = clock
        self._trouble = ""
        self._answered = clock()
        self._since: float | None = None
        self._taken = False
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(what,), name=f"health of ray: {what.__name__}", daemon=True)
            for what in (self.look, self.guard)  # two, as a look may hang
        ]
        self.machines = machines

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def trouble(self) -> str:
        """What Ray has died of; empty while it lives. Whoever asks acts on it."""
        found = self._found()
        self._taken = self._taken or bool(found)
        return found

    def guard(self) -> None:
        """Report a trouble that has been there for a while and that nobody has asked for."""
        found, now = self._found(), self._clock()
        if not found or self._taken:
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= UNHEARD:
            self._taken = True
            self._stuck(found)

    def _found(self) -> str:
        self._trouble = self._trouble or self._died()  # before its silence: a look hangs in a Ray that has just died
        silent = self._clock() - self._answered
        return self._trouble or (f"it has not answered for {silent:.0f} s" if silent > SILENCE else "")

    def look(self) -> None:
        """Ask Ray once, and remember the answer."""
        try:
            seen = self._look()
        except Exception:  # noqa: BLE001 - Ray raises what it likes; its silence is what counts
            return
        self._answered = self._clock()
        self._trouble = self._trouble or seen.trouble
        if seen.machines is not None:
            self.machines = replace(seen.machines, gpu_memory_mb=self.machines.gpu_memory_mb)

    def _repeat(self, what: Callable[[], None]) -> None:
        while not self._over.wait(LOOK):
            what()


def vital_death() -> str:
    """Which vital part of the Ray of this process has died; empty where none has, or where it started none."""
    from ray._private import worker

    node: Any = worker._global_node
    dead = [name for name, _ in node.dead_processes()] if node is not None else []
    return next((VITAL[name] for name in dead if name in VITAL), "")


def ask_ray() -> Health:
    """What the connected Ray offers now, and whether it holds this machine to be lost. May hang."""
    import ray
    from ray._private import worker

    node: Any = worker._global_node
    rows: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    mine = node.node_id if node is not None else None
    if any(row["NodeID"] == mine and not row["Alive"] for row in rows):
        return Health(trouble="the raylet of this machine has died")
    return Health(machines_of(rows))


def machines_of(rows: list[dict[str, Any]]) -> Machines:
    """What the living nodes among ``rows``, as ``ray.nodes`` lists them, offer."""
    alive = [row["Resources"] for row in rows if row["Alive"]]
    nodes = tuple((float(each.get("CPU", 0.0)), float(each.get("GPU", 0.0))) for each in alive)
    return Machines(sum(cpus for cpus, _ in nodes), sum(gpus for _, gpus in nodes), nodes=nodes)


def more_is_coming() -> bool:
    """Whether the cluster's autoscaler is starting machines."""
    try:
        import ray
        from ray.autoscaler.v2.sdk import get_cluster_status

        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        return bool(status.pending_launches or status.pending_nodes)
    except Exception:  # noqa: BLE001 - a cluster without an autoscaler says so in many ways
        return False
