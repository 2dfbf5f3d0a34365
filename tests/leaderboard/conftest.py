"""Synthetic reports: real Suite, Cell and Record objects, scores from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from promptgrid.leaderboard import ReportInput
from promptgrid.spec import Cell, Cost, Noun, Provenance, Reason, Record, Suite, scores_digest

METHODS = ["zero_shot", "linear_probe", "coop", "cocoop", "kgcoop", "prograd", "clip_adapter", "tip_adapter_f", "maple"]
DATASETS = [
    "emoji_animals",
    "fashion",
    "digits",
    "flags",
    "glyph_letters",
    "icons_map",
    "clipart_food",
    "letters_serif",
]
KINDS = dict(
    zip(METHODS, ["zero-shot", "head", "text", "text", "text", "text", "head", "cache", "multimodal"], strict=True)
)

Decide = Callable[[Cell], str]


def all_done(cell: Cell) -> str:
    return "done"


def make_report(
    methods: list[Any] | None = None,
    datasets: list[str] | None = None,
    shots: tuple[int, ...] = (1, 4, 16),
    seeds: tuple[int, ...] = (1, 2, 3),
    backbones: tuple[str, ...] = ("bundled",),
    protocol: str = "few_shot",
    decide: Decide = all_done,
    message: str = "the loss left the numbers at step 12",
    log_tail: str = "step 11 loss 9.1e4\nstep 12 loss nan\n",
    **changes: Any,
) -> ReportInput:
    """A report over the whole grid; ``decide`` says done, missing or the name of a reason for each cell."""
    suite = Suite.model_validate(
        {
            "name": "quickstart",
            "title": changes.pop("title", ""),
            "protocol": protocol,
            "methods": methods or METHODS,
            "backbones": list(backbones),
            "datasets": datasets or DATASETS,
            "shots": list(shots),
            "seeds": list(seeds),
            "reference": changes.pop("reference", None),
        }
    )
    rng = np.random.default_rng(7)
    hardness = {name: rng.normal(0, 0.13) for name in datasets or DATASETS}
    strength = {label: 0.0 if i == 0 else rng.uniform(0.015, 0.04) for i, label in enumerate(suite.labels)}
    taste = {(label, name): rng.normal(0, 0.03) for label in suite.labels for name in hardness}
    grid, records, failures = [], {}, {}
    for label, request in suite.requests([]):
        fields = {name: getattr(request, name) for name in request.__dataclass_fields__}
        cell = Cell(**fields, identity=fields)
        grid.append((label, cell))
        status = decide(cell)
        record = make_record(
            cell,
            label == suite.labels[0],
            strength[label],
            hardness[cell.dataset] + (taste[label, cell.dataset] if label != suite.labels[0] else 0.0),
            rng,
            protocol,
        )
        if status == "done":
            records[cell.key] = record
        elif status != "missing":
            failures[cell.key] = Record(
                cell=cell,
                status="failed",
                reason=Reason(status),
                message=message,
                log_tail=log_tail,
                attempts=2,
                cost=record.cost,
                provenance=record.provenance,
            )
    headline = "harmonic_mean" if protocol == "base_to_new" else "accuracy"
    values: dict[str, Any] = {
        "examples": Noun("image", "images"),
        "kinds": KINDS,
        "command": "promptgrid run suites/quickstart.yaml",
        "version": "0.1.0",
        "revision": "d4427f9",
        "scores_digest": scores_digest([*records.values(), *failures.values()]),
    }
    return ReportInput(suite, grid, records, failures, headline, **{**values, **changes})


def make_record(
    cell: Cell, first: bool, strength: float, hardness: float, rng: np.random.Generator, protocol: str
) -> Record:
    gain = 0.0 if first else strength * np.log2(2 * cell.shots) + rng.normal(0, 0.012)
    accuracy = float(np.clip(0.45 + hardness + gain + (0.0 if first else rng.normal(0, 0.01)), 0.02, 0.99))
    if protocol == "base_to_new":
        new = float(np.clip(accuracy - rng.uniform(0, 0.2), 0.01, 1))
        metrics = {
            "base_accuracy": accuracy,
            "new_accuracy": new,
            "harmonic_mean": 2 * accuracy * new / (accuracy + new),
        }
    else:
        metrics = {"accuracy": accuracy, "macro_f1": float(np.clip(accuracy - 0.02, 0, 1))}
    size = 0 if first else int(rng.choice([2048, 8192, 65_664, 3_550_000]))
    cost = Cost(
        trainable_parameters=size,
        train_seconds=0.0 if first else float(rng.uniform(0.4, 3.0)) * cell.shots**0.5,
        eval_seconds=float(rng.uniform(0.02, 0.06)),
        peak_memory_mb=float(rng.uniform(300, 600)),
        packed_with=9,
    )
    provenance = Provenance(
        promptgrid_version="0.1.0",
        revision="d4427f9",
        python="3.11.2",
        torch="2.13.0+cpu",
        host="node-a" if cell.seed < 3 else "node-b",
        device="cpu",
        threads=1,
        started="2026-01-05T10:00:00Z",
        finished="2026-01-05T10:00:09Z",
        pack=f"pack-{cell.method}-{cell.shots}",
    )
    return Record(cell=cell, metrics=metrics, cost=cost, provenance=provenance)


def some_holes(cell: Cell) -> str:
    """maple misses one dataset, prograd fails on one seed, kgcoop has not run one."""
    if cell.method == "maple" and cell.dataset == "digits":
        return "OOM_GPU"
    if cell.method == "prograd" and (cell.dataset, cell.seed) == ("flags", 2):
        return "NAN_LOSS"
    if cell.method == "kgcoop" and (cell.dataset, cell.seed, cell.shots) == ("fashion", 1, 16):
        return "missing"
    return "done"


@pytest.fixture(name="make_report", scope="session")
def report_maker() -> Callable[..., ReportInput]:
    return make_report


@pytest.fixture(scope="session")
def holes() -> Decide:
    return some_holes


@pytest.fixture(scope="session")
def full() -> ReportInput:
    return make_report()


@pytest.fixture(scope="session")
def holed() -> ReportInput:
    return make_report(decide=some_holes)
