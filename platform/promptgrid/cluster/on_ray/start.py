"""Starting a Ray of our own on this machine: with patience, on loopback alone, with nothing left of a failed try."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from promptgrid.cluster.on_ray.orphans import end_orphans
from promptgrid.cluster.workers.import_path import import_path

STARTS = 2
PATIENCE = 150.0
"""Seconds that one start of Ray may take; Ray itself allows 30, which a machine under load misses."""
OBJECT_STORE_BYTES = 128 * 1024**2
WORKER_ENVIRONMENT = {
    # Relative paths in a suite mean the folder the driver was started in, not Tune's folder of a trial.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""At 0, Ray takes this machine for one that no other may join, as on a desktop: all it opens is on 127.0.0.1."""


def start_ray(cpus: int, folder: Path) -> None:
    """Start Ray with ``cpus`` CPUs and its files in ``folder``, and connect to it. It is gone with this process.

    Raises:
        Exception: Ray's own, which is of no finer class, when no start came to an end; no process is left then.
    """
    import ray

    for start in range(STARTS):
        try:
            with on_loopback(), patient(PATIENCE):
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    include_dashboard=False,
                    _system_config={"prestart_worker_first_driver": False},  # Tune starts its own
                    object_store_memory=OBJECT_STORE_BYTES,
                    runtime_env={"env_vars": WORKER_ENVIRONMENT | {"PYTHONPATH": import_path()}},
                    _temp_dir=str(folder),
                    **quiet(),
                )
            return
        except BaseException as error:
            ray.shutdown()
            end_orphans(folder)
            if start + 1 == STARTS or not isinstance(error, Exception):
                raise


def quiet() -> dict[str, Any]:
    """Arguments of ``ray.init`` that keep it silent."""
    return {"log_to_driver": False, "logging_level": logging.ERROR}


@contextmanager
def on_loopback() -> Iterator[None]:
    """Have a Ray that starts inside take 127.0.0.1 for this machine's address, so that nothing listens beyond it."""
    from ray._private import ray_constants

    usual, said = ray_constants.ENABLE_RAY_CLUSTER, os.environ.get(LOOPBACK)
    ray_constants.ENABLE_RAY_CLUSTER = False  # for this process, which may have imported Ray long ago
    os.environ[LOOPBACK] = "0"  # for the processes that it starts
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = usual
        os.environ.pop(LOOPBACK)
        if said is not None:
            os.environ[LOOPBACK] = said


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Have a Ray that starts inside wait so long for its raylet: its own 30 s are written into its code."""
    from ray._private import services

    usual = services.get_node

    def asked_again(*given: Any, **how: Any) -> Any:
        until = time.monotonic() + seconds
        while True:
            try:
                return usual(*given, **how)  # type: ignore[no-untyped-call]
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    services.get_node = asked_again
    try:
        yield
    finally:
        services.get_node = usual
