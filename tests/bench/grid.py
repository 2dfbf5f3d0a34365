"""The quickstart through promptgrid against one function trainable a cell, and two workers against one.

`python -m tests.bench.grid`: the suite runs in fresh stores with two workers and with one, in turns, mirrored to MLflow
as `promptgrid run` does it, the wait for MLflow at the end included; then `--trials` cells (every method, the dearest
ones twice) run as plain function trainables of Ray Tune with the reference loop, and without MLflow. Each takes
`--steps` training steps (or all, where its method has fewer or none) and is scaled to its recipe: what a cell would
take that way is its own number of steps at the seconds of a step that the trials of its method measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.measuring import show
from tests.bench.naive import trial

from promptgrid import api
from promptgrid.cluster import Options, execute, make_plan
from promptgrid.cluster.on_ray.session import DRIVER_ENVIRONMENT
from promptgrid.cluster.timing.eta import span
from promptgrid.cluster.workers.import_path import import_path
from promptgrid.spec import Cell, Suite
from promptgrid.store import Store

DEAR = ("coop", "kgcoop", "linear_probe", "clip_adapter")


def through_promptgrid(suite: Suite, workers: int) -> dict[str, Any]:
    """Run ``suite`` in a fresh store: wall seconds in all, and from the first pack to the last record.

    The wall time ends when MLflow, a file of that store, shows every cell.
    """
    with tempfile.TemporaryDirectory(prefix="pg-bench-") as folder:
        store = Store(folder)
        began = time.perf_counter()
        plan = make_plan(suite, store)
        options = Options(quiet=True, mirror_uri=f"sqlite:///{store.root / 'mlflow.db'}")
        summary = execute(plan, store, workers=workers, options=options)
        wall = time.perf_counter() - began
        assert summary.failed == 0, [record.message for record in store.failures().values()][:1]
        assert summary.mirror is not None
        assert not summary.mirror.problem, summary.mirror.problem
        spans = [found for record in store.records(plan.cells) if (found := span(record))]
        busy = max(ended for _, ended in spans) - min(first for first, _ in spans)
        return {
            "what": f"promptgrid with MLflow, {workers} workers",
            "cells": len(spans),
            "wall s": wall,
            "packs s": busy,
        }


def sampled(cells: Sequence[Cell], trials: int, seed: int = 0) -> list[Cell]:
    """``trials`` cells: each method once, those of DEAR again, then any; drawn by ``seed``."""
    draw, by_method = random.Random(seed), defaultdict(list)
    for cell in cells:
        by_method[cell.method].append(cell)
    order = [*by_method, *(method for method in DEAR if method in by_method)]
    order += draw.choices(list(by_method), k=max(0, trials - len(order)))
    return [draw.choice(by_method[method]) for method in order[:trials]]


def as_functions(cells: Sequence[Cell], steps: int, workers: int) -> tuple[list[dict[str, float]], float]:
    """What each cell's trial says, and the wall seconds of all of them on ``workers`` CPUs."""
    for name, value in DRIVER_ENVIRONMENT.items():
        if not name.startswith("TUNE_"):  # Tune stays as it comes
            os.environ.setdefault(name, value)
    import ray
    from ray import tune

    path = os.pathsep.join([str(Path.cwd()), import_path()])
    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False,
             runtime_env={"env_vars": {"PYTHONPATH": path}})  # fmt: skip
    try:
        with tempfile.TemporaryDirectory(prefix="pg-naive-") as folder:
            listed = [cell.model_dump_json() for cell in cells]
            tuner = tune.Tuner(
                tune.with_resources(trial, {"cpu": 1}),
                param_space={"cell": tune.grid_search(listed), "steps": steps},
                run_config=tune.RunConfig(storage_path=folder, verbose=0),
            )
            began = time.perf_counter()
            results = tuner.fit()
            wall = time.perf_counter() - began
            found = {}
            for result in results:
                assert result.error is None, result.error
                found[result.config["cell"]] = dict(result.metrics)
            return [found[cell] for cell in listed], wall
    finally:
        ray.shutdown()


def scaled_up(cells: Sequence[Cell], tried: Sequence[Cell], said: Sequence[dict[str, float]], around: float) -> float:
    """Seconds of one core that all ``cells`` would take: ``around`` for a process, then by method as its trials say."""
    by_method: dict[str, list[dict[str, float]]] = defaultdict(list)
    for cell, one in zip(tried, said, strict=True):
        by_method[cell.method].append(one)
    lengths = _lengths(cells)
    total = 0.0
    for cell in cells:
        trials = by_method[cell.method]
        fixed = sum(one["load_seconds"] + one["score_seconds"] for one in trials) / len(trials)
        if steps := lengths[cell.key]:
            training = steps * sum(one["train_seconds"] / one["steps"] for one in trials) / len(trials)
        else:
            training = sum(one["train_seconds"] for one in trials) / len(trials)
        total += around + fixed + training
    return total


def _lengths(cells: Sequence[Cell]) -> dict[str, int]:
    from promptgrid.cluster.planner import track_named
    from promptgrid.contract.clip import Task

    resolver = track_named("image").resolver  # type: ignore[attr-defined]
    lengths = {}
    for cell in cells:
        card = resolver.dataset(cell.dataset).card
        method = resolver.method(cell.method)(**cell.settings)
        recipe = method.recipe(Task.of(card.name, tuple(card.classes), card.template, None, shots=cell.shots))  # type: ignore[arg-type]
        if recipe is None:
            lengths[cell.key] = 0
        else:
            per_epoch = max(1, len(card.classes) * cell.shots // recipe.batches.size)
            lengths[cell.key] = recipe.iterations or recipe.epochs * per_epoch
    return lengths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, default=Path("suites/quickstart.yaml"))
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20, help="training steps that a trial really takes")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    suite = api.as_suite(asked.suite)
    runs = [through_promptgrid(suite, workers) for _ in range(asked.rounds) for workers in (2, 1)]
    with tempfile.TemporaryDirectory(prefix="pg-bench-") as folder:
        cells = list(make_plan(suite, Store(folder)).cells.values())
    tried = sampled(cells, asked.trials)
    said, wall = as_functions(tried, asked.steps, workers=2)
    around = max(0.0, 2 * wall - sum(one["function_seconds"] for one in said)) / len(said)
    core = scaled_up(cells, tried, said, around)
    best = {workers: min((run for run in runs if f", {workers} " in run["what"]), key=lambda run: run["packs s"])
            for workers in (1, 2)}  # fmt: skip
    scaled = (
        f"function trainables, 2 workers: {len(said)} trials of at most {asked.steps} steps, scaled to their recipes"
    )
    rows = [*runs, {"what": scaled, "cells": len(cells), "wall s": core / 2, "packs s": ""}]
    show(f"{suite.name} as a grid", rows, None)
    show(
        "ratios",
        [
            {
                "what": "two workers against one, packs only (goal 1.7)",
                "ratio": best[1]["packs s"] / best[2]["packs s"],
            },
            {
                "what": "two workers against one, start of Ray and MLflow included",
                "ratio": best[1]["wall s"] / best[2]["wall s"],
            },
            {"what": "function trainables against promptgrid (goal 30)", "ratio": core / 2 / best[2]["wall s"]},
            {"what": "seconds around each function: process, Tune, its files", "ratio": around},
        ],
        asked.json,
    )
    print(json.dumps({"trials": [{"method": cell.method, **one} for cell, one in zip(tried, said, strict=True)]},
                     default=str))  # fmt: skip


if __name__ == "__main__":
    main()
