"""F3, F4: parts of Ray die under a running grid, machines come, and some never do. Commands as users type them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.toy.driving import HERE as TOY
from tests.cluster.toy.driving import executions, log_lines, wait_for

from promptgrid.cluster.on_ray.orphans import holders
from promptgrid.store import Store

SUITE = """
name: toy
track: toy
protocol: toy
methods: [{{name: sleep, seconds: {seconds}}}]
datasets: [red, green]
shots: [1]
seeds: {seeds}
"""
PATHS = os.pathsep.join([str(TOY), str(TOY.parents[2] / "platform")])
ROOT = TOY.parents[2]
PROGRAM = str(Path(sys.executable).parent / "promptgrid")
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pgf", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def start(work: Path, ray_folder: Path, *how: str, seeds: int = 24, seconds: float = 0.4) -> subprocess.Popen[str]:
    """``promptgrid run`` over a toy grid, with the store in ``work / "store"``; both outputs are one pipe."""
    (work / "toy.yaml").write_text(SUITE.format(seeds=list(range(seeds)), seconds=seconds))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    line = [PROGRAM, "run", "toy.yaml", "--store", "store", "--no-mlflow", *how]
    return subprocess.Popen(
        line, cwd=work, env=kept | {"PYTHONPATH": PATHS, "RAY_TMPDIR": str(ray_folder)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def reach(process: subprocess.Popen[str], store: Store, starts: int) -> None:
    """Wait until ``starts`` cells were started in ``store``, in all."""
    wait_for(lambda: process.poll() is not None or len(log_lines(store)) >= starts, 400)
    assert process.poll() is None, process.communicate()[0][-3000:]


def child_of(process: subprocess.Popen[str], name: str) -> int | None:
    """The id of the latest child of ``process`` that is called ``name``."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, called, state, parent = re.match(r"(\d+) \((.*)\) (\w) (\d+)", stat.read_text()).groups()  # type: ignore
        except (OSError, AttributeError):
            continue
        if int(parent) == process.pid and called == name and state != "Z":
            found.append(int(number))
    return max(found, default=None)


def listening(pids: set[int]) -> list[str]:
    """Local addresses that one of ``pids`` listens on, as ``ss`` tells them."""
    table = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    rows = [line for line in table.splitlines() if pids & set(map(int, re.findall(r"pid=(\d+)", line)))]
    return [row.split()[3] for row in rows]


def test_f3_a_raylet_and_a_gcs_that_die_are_noticed_and_the_grid_goes_on(tmp_path: Path, ray_folder: Path) -> None:
    store = Store(tmp_path / "store")
    process = start(tmp_path, ray_folder, "--workers", "2")
    reach(process, store, 4)
    raylet = child_of(process, "raylet")
    assert raylet is not None
    opened = listening({process.pid, *holders(ray_folder)})
    assert len(opened) >= 5
    assert not [place for place in opened if "127.0.0.1" not in place], "nothing listens beyond this machine"
    os.kill(raylet, signal.SIGKILL)
    wait_for(lambda: process.poll() is not None or child_of(process, "raylet") not in {None, raylet}, 400)
    reach(process, store, len(log_lines(store)) + 4)
    gcs = child_of(process, "gcs_server")
    assert gcs is not None
    killed = time.monotonic()
    os.kill(gcs, signal.SIGKILL)
    said, _ = process.communicate(timeout=400)
    assert "Ray is gone: its raylet has died" in said
    assert "Ray is gone: its GCS has died" in said
    assert "Traceback" not in said
    assert process.returncode in {0, 4}, said
    if process.returncode == 4:  # the driver was stuck in a call to it
        assert time.monotonic() - killed < 40
    assert holders(ray_folder) == []
    finished = set(store.keys())
    ran = executions(store)
    again = start(tmp_path, ray_folder, "--local")
    said, _ = again.communicate(timeout=400)
    assert again.returncode == 0, said
    assert len(set(store.keys())) == 48
    assert not [key for key in finished if executions(store)[key] != ran[key]]


@contextmanager
def cluster_of_one(ray_folder: Path) -> Iterator[SmallCluster]:
    """A cluster of one node with one CPU, on this machine, which asks for no token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.small_cluster"],
        cwd=ROOT, env=kept | {"PYTHONPATH": PATHS, "RAY_TMPDIR": str(ray_folder), "RAY_AUTH_MODE": "disabled"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    cluster = SmallCluster(process, process.stdout.readline().strip())
    try:
        yield cluster
    finally:
        cluster.shutdown()


@dataclass(frozen=True)
class SmallCluster:
    """A process of `tests.faults.small_cluster`, and the address of its head."""

    process: subprocess.Popen[str]
    address: str

    def add_node(self, cpus: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"add {cpus}\n")
        self.process.stdin.flush()

    def shutdown(self) -> None:
        if self.process.poll() is None:
            self.process.communicate("end\n", timeout=120)


def workers(store: Store) -> set[str]:
    """The processes that cells were started in."""
    return {line.split()[1] for line in log_lines(store)}


def test_f4_a_node_that_joins_gets_work_and_a_cluster_that_ends_is_told(tmp_path: Path, ray_folder: Path) -> None:
    store = Store(tmp_path / "store")
    with cluster_of_one(ray_folder) as cluster:
        process = start(tmp_path, ray_folder, "--address", cluster.address, seconds=8.0)
        reach(process, store, 1)  # a pack takes longer than a new worker: Tune gives what waits to whoever is free
        assert len(workers(store)) == 1
        cluster.add_node(2)
        wait_for(lambda: process.poll() is not None or len(workers(store)) >= 2, 400)
        assert process.poll() is None, process.communicate()[0][-3000:]
        cluster.shutdown()
        lost = time.monotonic()
        said, _ = process.communicate(timeout=400)
        assert time.monotonic() - lost < 45
        assert process.returncode == 4, said
        assert "Ray is gone" in said
        assert f"a cluster at {cluster.address} again" in said
        assert "Traceback" not in said


def test_f4_a_gpu_that_no_node_has_is_not_waited_for_without_end(tmp_path: Path, ray_folder: Path) -> None:
    with cluster_of_one(ray_folder) as cluster:
        process = start(tmp_path, ray_folder, "--address", cluster.address, "--device", "cuda")
        said, _ = process.communicate(timeout=400)
        assert process.returncode == 4, said
        assert "no machine of the cluster has 1 CPU and a GPU: waiting for one" in said
        waited = re.search(r"and none has joined in (\d+) s", said)
        assert waited is not None
        assert int(waited[1]) <= 35
