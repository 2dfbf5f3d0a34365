from __future__ import annotations

import socket
import time

import pytest
from tests.cluster.toy.driving import run_toy, toy_suite

from promptgrid.cluster import Options, make_plan
from promptgrid.cluster.mirror_process import MirrorProcess
from promptgrid.store import Store
from promptgrid.store.mirror.submission import Submission

pytestmark = pytest.mark.timeout(1800)


def mirrored(**changes: object) -> Options:
    return Options(**({"quiet": True, "mirror_seconds": 900.0, "inline": True} | changes))  # type: ignore[arg-type]


def test_mlflow_shows_every_cell_once_after_two_runs(store: Store) -> None:
    from mlflow import MlflowClient

    suite = toy_suite("sleep", "nan", datasets=["red"])
    _, first = run_toy(store, toy_suite("sleep", datasets=["red"]), mirrored(), local=True, workers=None)
    plan, second = run_toy(store, suite, mirrored(), local=True, workers=None)
    assert first.mirror is not None
    assert second.mirror is not None
    assert (first.mirror.written, first.mirror.failed, first.mirror.problem) == (3, 0, "")
    assert (second.mirror.written, second.mirror.failed) == (3, 0)
    client = MlflowClient(f"sqlite:///{store.root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("toy")
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'cell'")
    assert sorted(run.data.tags["cell_key"] for run in runs) == sorted(plan.cells)


def test_a_dead_mlflow_fails_no_cell(store: Store) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    _, summary = run_toy(store, toy_suite(), mirrored(mirror_uri=nobody), local=True, workers=None)
    assert (summary.done, summary.failed) == (6, 0)
    assert summary.mirror is not None
    assert summary.mirror.problem


def test_the_end_of_a_run_waits_no_longer_than_it_says(store: Store) -> None:
    plan = make_plan(toy_suite(), store)
    mirror = MirrorProcess(store, Submission("now", plan.suite, plan.grid))
    began = time.monotonic()
    for key in plan.cells:
        mirror.add(key)
    done = mirror.close(0.2)
    assert done.problem.startswith("MLflow took longer than 0 s and was left behind with 0 of 6 cells")
    assert mirror._process.poll() is not None
    assert time.monotonic() - began < 10


def test_a_mirror_that_dies_is_a_problem_and_no_crash(store: Store) -> None:
    plan = make_plan(toy_suite(), store)
    mirror = MirrorProcess(store, Submission("now", plan.suite, plan.grid))
    mirror._process.kill()
    mirror._process.wait()
    for key in plan.cells:
        mirror.add(key)
    assert "the mirror ended with -9" in mirror.close(5.0).problem
