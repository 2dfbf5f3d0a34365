"""Small synthetic outcomes: no model, no image, the same every time."""

from __future__ import annotations

from typing import Any

import numpy as np

from promptgrid.contract.clip import Outcome, Predictions
from promptgrid.spec import Cell, Cost, Provenance, Reason, Record


def make_cell(seed: int = 1, *, method: str = "coop", dataset: str = "digits", **settings: Any) -> Cell:
    named = {
        "track": "image",
        "protocol": "few_shot",
        "method": method,
        "settings": settings or {"context_length": 4, "learning_rate": 0.002},
        "backbone": "bundled",
        "dataset": dataset,
        "shots": 4,
        "seed": seed,
        "selection": "last",
        "precision": "fp32",
    }
    return Cell(**named, identity={**named, "dataset_digest": "a" * 64})


def make_record(cell: Cell, **changes: Any) -> Record:
    value = (cell.seed * 37 % 100) / 100
    content = {
        "cell": cell,
        "metrics": {"accuracy": value, "macro_f1": value / 3},
        "curves": {"train_loss": [2.0, 1.5, 1.0 / (cell.seed + 1)]},
        "cost": Cost(trainable_parameters=2048, train_seconds=1.5),
        "provenance": Provenance(started="2025-01-01T10:00:00+00:00", finished="2025-01-01T10:00:05+00:00", host="h1"),
    }
    return Record(**{**content, **changes})


def make_failure(cell: Cell, reason: Reason = Reason.NAN_LOSS, **changes: Any) -> Record:
    return make_record(
        cell, **{"status": "failed", "reason": reason, "metrics": {}, "message": "loss is NaN at step 3", **changes}
    )


def make_outcome(cell: Cell, images: int = 20, **changes: Any) -> Outcome:
    rng = np.random.default_rng(cell.seed)
    top = np.argsort(rng.random((images, 10)), axis=1)[:, :5].astype(np.int32)
    scores = -np.sort(-rng.random((images, 5)).astype(np.float32), axis=1)
    label = rng.integers(0, 10, images).astype(np.int32)
    answers = Predictions("test", np.arange(images, dtype=np.int64) + 7, label, top, scores)
    state = {"context": rng.standard_normal((4, 8)).astype(np.float32), "step": np.array(3, np.int64)}
    return Outcome(make_record(cell, **changes), (answers,), state)
