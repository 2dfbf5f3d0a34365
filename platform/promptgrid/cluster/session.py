"""A connection to Ray: a cluster of our own on this machine, or one that runs already. Quiet, and with tokens."""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.cluster.resources import Machines
from promptgrid.cluster.socket_room import parents, ray_parent
from promptgrid.cluster.token import MODE, has_token, secure_token
from promptgrid.spec import Refused

STARTS = 3
"""``ray.init`` has a fixed limit of 30 s and now and then misses it on a loaded machine: so it is tried again."""
OBJECT_STORE_BYTES = 128 * 1024**2
WORKER_ENVIRONMENT = {
    # Relative paths in a suite mean the folder the driver was started in, not Tune's folder of a trial.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
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
}
_OURS = re.compile(r"pg-(\d+)-\w+")


@dataclass(frozen=True)
class Session:
    """A connection: what the cluster offers, and whether leaving cuts it (``ours``) or the caller goes on with it."""

    machines: Machines
    ours: bool


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
    address = address or os.environ.get("RAY_ADDRESS")
    own = address in {None, "", "local"}
    if own:
        secure_token()
    elif has_token() and "ray" not in sys.modules:
        os.environ.setdefault(MODE, "token")  # for an explicit address Ray does not look for the token by itself
    with environment(DRIVER_ENVIRONMENT), redirect_stdout(_Chatter()):
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it lists trials whose workers were lost, and retried
        if ray.is_initialized():
            yield Session(machines(), ours=False)
            return
        folder = None
        try:
            if own:
                folder = _start((workers or os.cpu_count() or 1) * cpus_each)
            else:
                _connect(str(address))
            yield Session(machines(), ours=True)
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)  # logs that a dying process still writes may stay behind


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

    offered = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = offered.get("GPU", 0.0)
    return Machines(offered.get("CPU", 1.0), gpus, _gpu_memory_mb() if gpus else 0.0)


def _gpu_memory_mb() -> float:
    """Memory of one GPU, asked of whichever comes first: the cluster is taken to have one sort."""
    import ray

    def ask() -> float:
        import torch

        return torch.cuda.get_device_properties(0).total_memory / 2**20 if torch.cuda.is_available() else 0.0

    answer: float = ray.get(ray.remote(num_gpus=1, num_cpus=0)(ask).remote())
    return answer


def _connect(address: str) -> None:
    import ray

    try:
        ray.init(address=address, runtime_env={"env_vars": WORKER_ENVIRONMENT}, **_quiet())
    except ConnectionError as error:
        raise Refused(
            "no Ray cluster answers",
            where=f"--address {address}",
            hint="start one with `ray start --head`, or leave --address out to use this machine",
        ) from error


def _start(cpus: int) -> Path:
    """Our own cluster, gone with this process; the folder to remove afterwards."""
    import ray

    for parent in parents():
        sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"pg-{os.getpid()}-", dir=ray_parent()))
    for start in range(STARTS):
        try:
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                _system_config={"prestart_worker_first_driver": False},  # Tune starts its own, in their environment
                object_store_memory=OBJECT_STORE_BYTES,
                runtime_env={"env_vars": WORKER_ENVIRONMENT | {"PYTHONPATH": import_path()}},
                _temp_dir=str(folder),
                **_quiet(),
            )
            break
        except Exception:  # Ray raises exactly this class when a start takes too long
            ray.shutdown()
            if start + 1 == STARTS:
                raise
    return folder


def import_path() -> str:
    """Where this process finds modules and plug-ins, for workers on the same machine to find the same."""
    inside = [Path(entry or ".").absolute() for entry in sys.path]
    return os.pathsep.join(str(path) for path in inside if not path.is_relative_to(sys.base_prefix))


def _quiet() -> dict[str, Any]:
    return {"log_to_driver": False, "logging_level": logging.ERROR}


def sweep(parent: Path) -> None:
    """Remove the folders under ``parent`` that our own clusters left behind when their driver was killed."""
    for folder in parent.iterdir():
        match = _OURS.fullmatch(folder.name)
        if match and folder.stat().st_uid == os.getuid() and not Path(f"/proc/{match[1]}").exists():
            shutil.rmtree(folder, ignore_errors=True)  # another driver may sweep the same one
