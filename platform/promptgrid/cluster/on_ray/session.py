"""A connection to Ray: a cluster of our own on this machine, or one that runs already. Quiet, and with tokens."""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

from promptgrid.cluster.on_ray.address import OWN, named, no_cluster, wants_token
from promptgrid.cluster.on_ray.health import HealthMonitor, ask_ray, machines_of, vital_death
from promptgrid.cluster.on_ray.orphans import end_orphans
from promptgrid.cluster.on_ray.socket_paths import parents, ray_parent
from promptgrid.cluster.on_ray.start import PATIENCE, WORKER_ENVIRONMENT, quiet, start_ray
from promptgrid.cluster.on_ray.token import MODE, has_token, secure_token
from promptgrid.cluster.resources import Machines
from promptgrid.spec import ClusterLost
from promptgrid.spec.exits import LOST

SHUTDOWN = 15.0
"""Seconds that leaving a Ray that has died may take."""
BUSY = 30.0
"""Seconds that the question for a GPU's memory waits for a GPU."""
DRIVER_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_gcs_server_port_wait_time_s": f"{PATIENCE:.0f}",
    "RAY_worker_register_timeout_seconds": f"{PATIENCE:.0f}",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": f"{PATIENCE:.0f}",
}
_OURS = re.compile(r"pg-(\d+)-\w+")


@dataclass(frozen=True)
class Session:
    """A connection.

    Attributes:
        machines: what the cluster offered at the start.
        ours: leaving cuts the connection; else the caller goes on with it.
        health: whether it lives, and what it offers now.
        address: of a cluster that ran already; empty for a Ray that was started for this.
    """

    machines: Machines
    ours: bool
    health: HealthMonitor
    address: str = ""

    @property
    def started(self) -> bool:
        """Whether this Ray was started for this, so that another may take its place."""
        return self.ours and not self.address

    def check(self) -> None:
        """Raise ClusterLost where Ray has died."""
        trouble = self.health.trouble()
        if trouble:
            raise RayDied(_advice(trouble, "")) if self.started else ClusterLost(_advice(trouble, self.address))


class RayDied(ClusterLost):
    """A Ray of our own has died; another can be started in its place."""


def _advice(trouble: str, address: str) -> str:
    back = f"when there is a cluster at {address} again, or without --address, " if address else ""
    return f"Ray is gone: {trouble}; what is finished is kept, and the same command goes on {back}from here"


@contextmanager
def ray_session(workers: int | None, address: str | None, cpus_each: int = 1) -> Iterator[Session]:
    """Ray, connected, for the time inside.

    Args:
        workers: size of our own cluster (default: one worker a core); no bound on a cluster that runs already.
        address: ``auto`` or ``host:port`` of a running cluster; None for our own, or for the one that the environment
            names (``RAY_ADDRESS``, as inside a submitted job). A Ray that this process is connected to is used as is.
        cpus_each: CPUs of one worker of our own cluster.

    Raises:
        Refused: no cluster answers at ``address``.
    """
    address, where = named(address)
    own = (address or "") in OWN
    if own:
        secure_token()
    elif "ray" not in sys.modules and MODE not in os.environ:
        wanted = wants_token(address, where)
        os.environ[MODE] = "token" if wanted or (wanted is None and has_token()) else "disabled"
    with environment(DRIVER_ENVIRONMENT), redirect_stdout(_Chatter()):
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it lists trials whose workers were lost, and retried
        if ray.is_initialized():
            with HealthMonitor(ask_ray, machines(), _leaving(None, address), died=vital_death) as health:
                yield Session(health.machines, ours=False, health=health)
            return
        folder = _home() if own else None
        trouble = ""
        try:
            if folder is not None:
                start_ray((workers or os.cpu_count() or 1) * cpus_each, folder)
            else:
                _connect(str(address), where)
            with HealthMonitor(ask_ray, machines(), _leaving(folder, address), died=vital_death) as health:
                try:
                    yield Session(health.machines, ours=True, health=health, address="" if own else str(address))
                finally:
                    trouble = health.trouble()
        finally:
            with _at_most(SHUTDOWN, _leaving(folder, address), trouble):
                ray.shutdown()
            if folder is not None:
                end_orphans(folder)
                shutil.rmtree(folder, ignore_errors=True)


def _leaving(folder: Path | None, address: str | None) -> Callable[[str], None]:
    """What to do where Ray has died and this process is stuck in one of its calls: say so, and leave.

    Ray itself would end the process after a minute, and leave others behind.
    """

    def leave(trouble: str) -> None:
        sys.stderr.write(f"cluster lost: {_advice(trouble, address or '')}\n")
        if folder is not None:
            end_orphans(folder)
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(LOST)

    return leave


@contextmanager
def _at_most(seconds: float, late: Callable[[str], None], trouble: str) -> Iterator[None]:
    """Call ``late`` where what is inside takes longer, if there was ``trouble``."""
    timer = threading.Timer(seconds, late, [trouble])
    timer.daemon = True
    if trouble:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Chatter(io.TextIOBase):
    """Takes what Ray prints about its processes, so that stdout stays the answer of the command; kept as log lines."""

    def write(self, text: str) -> int:
        if text.strip():
            logging.getLogger("promptgrid.ray").info(text.rstrip())
        return len(text)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """``values`` in the environment, where they are not set already, for the time inside."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def machines() -> Machines:
    """What the connected cluster offers now."""
    import ray

    offered = machines_of(ray.nodes())  # type: ignore[no-untyped-call]
    return replace(offered, gpu_memory_mb=_gpu_memory_mb()) if offered.gpus else offered


def _gpu_memory_mb() -> float:
    """Memory of one GPU, asked of whichever comes first: the cluster is taken to have one sort.

    0, that is unknown, where all of them stay busy.
    """
    import ray

    def ask() -> float:
        import torch

        return torch.cuda.get_device_properties(0).total_memory / 2**20 if torch.cuda.is_available() else 0.0

    asked = ray.remote(num_gpus=1, num_cpus=0)(ask).remote()
    try:
        answer: float = ray.get(asked, timeout=BUSY)
    except ray.exceptions.GetTimeoutError:
        ray.cancel(asked)
        return 0.0
    return answer


def _connect(address: str, where: str) -> None:
    import ray

    try:
        ray.init(address=address, runtime_env={"env_vars": WORKER_ENVIRONMENT}, **quiet())
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise no_cluster(f"no Ray cluster answers: {said}", f"{where} {address}") from error


def _home() -> Path:
    """A new folder for a Ray of our own, named by this process: ``pg-<pid>-...``, where Ray would make its own."""
    parent = ray_parent()
    for place in parents():
        sweep(place)
    return Path(tempfile.mkdtemp(prefix=f"pg-{os.getpid()}-", dir=parent))


def sweep(parent: Path) -> None:
    """Remove what our own clusters left behind under ``parent``, processes too, when their driver was killed."""
    for folder in parent.iterdir():
        match = _OURS.fullmatch(folder.name)
        if match and folder.stat().st_uid == os.getuid() and not Path(f"/proc/{match[1]}").exists():
            end_orphans(folder)
            shutil.rmtree(folder, ignore_errors=True)  # another driver may sweep the same one
