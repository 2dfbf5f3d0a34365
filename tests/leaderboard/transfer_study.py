"""A synthetic study of transfer: tasks on a plane, where what was learned nearby helps and what was far away hurts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from promptgrid.leaderboard import ReportInput
from promptgrid.leaderboard.inputs import Similarities
from promptgrid.spec import Cell, Cost, Noun, Provenance, Reason, Record, Suite, scores_digest

TASKS = (
    *("animals", "clipart_topics", "concepts", "digits", "emoji_emojione", "emoji_faces", "emoji_firefox"),
    *("emoji_fluent", "emoji_gestures", "emoji_jobs", "emoji_noto", "fashion_mnist", "food", "game_icons"),
    *("healthicons", "icon_topics", "letters", "mnist", "vehicles", "weather"),
)
METHODS = (
    {"name": "zero_shot", "label": "zero-shot", "readings": []},
    {"name": "coop", "label": "CoOp"},
    {"name": "vpt", "label": "VPT", "readings": ["evaluate"]},
    {"name": "upt", "label": "UPT", "readings": ["evaluate"]},
)
IMAGES = 200


def gaps(cell: Cell) -> str:
    """One source fails for one method and takes its targets along, one pair fails, one has not run."""
    if (cell.method, cell.source, cell.seed) == ("upt", "food", 2):
        return "NEEDS_FAILED"
    if (cell.method, cell.source, cell.dataset) == ("vpt", "digits", "letters"):
        return "NAN_LOSS"
    if (cell.method, cell.source, cell.dataset) == ("coop", "mnist", "weather"):
        return "missing"
    return "done"


def make_study(
    tasks: tuple[str, ...] = TASKS,
    methods: tuple[dict[str, Any], ...] = METHODS,
    readings: tuple[str, ...] = ("evaluate", "adapt"),
    seeds: tuple[int, ...] = (1, 2, 3),
    shots: tuple[int, ...] = (16,),
    sources: Any = "datasets",
    protocol: str = "transfer",
    decide: Callable[[Cell], str] = gaps,
    images: int = IMAGES,
    **changes: Any,
) -> ReportInput:
    """The report of a suite with sources. ``images`` answers of each cell come along; 0 leaves them out."""
    suite = Suite.model_validate(
        {
            "name": "transfer_400",
            "title": "Transfer between tasks",
            "protocol": protocol,
            "methods": list(methods),
            "backbones": ["bundled"],
            "datasets": list(tasks),
            "sources": sources,
            "readings": list(readings),
            "shots": list(shots),
            "seeds": list(seeds),
            "reference": "zero-shot" if any(m["name"] == "zero_shot" for m in methods) else None,
        }
    )
    joined = sources if isinstance(sources, list) else unions(tasks) if sources == "others" else []
    world = World(list(dict.fromkeys([*tasks, *joined])))
    grid, records, failures, correct = [], {}, {}, {}
    for label, request in suite.requests([]):
        fields = {name: getattr(request, name) for name in request.__dataclass_fields__}
        cell = Cell(**fields, identity=fields)
        grid.append((label, cell))
        status = decide(cell)
        answers = world.answers(cell, images or IMAGES)
        record = Record(
            cell=cell,
            metrics={"accuracy": float(answers.mean())},
            cost=Cost(trainable_parameters=2048, train_seconds=0.0 if cell.reading == "evaluate" else 1.5),
            provenance=Provenance(promptgrid_version="0.1.0", host="node-a"),
        )
        if status == "done":
            records[cell.key] = record
            if images:
                correct[cell.key] = answers
        elif status != "missing":
            failed = {"status": "failed", "reason": Reason(status), "metrics": {}, "message": "its source failed"}
            failures[cell.key] = record.model_copy(update=failed)
    values: dict[str, Any] = {
        "examples": Noun("image", "images"),
        "command": "promptgrid run suites/transfer_400.yaml",
        "version": "0.1.0",
        "kinds": {"zero_shot": "zero-shot", "coop": "text", "vpt": "vision", "upt": "multimodal"},
        "scores_digest": scores_digest([*records.values(), *failures.values()]),
        "correct": correct,
        "similarities": {"bundled": world.similarities()},
    }
    return ReportInput(suite, grid, records, failures, "accuracy", **{**values, **changes})


def unions(tasks: tuple[str, ...]) -> list[str]:
    """For each task, all the others as one source."""
    return ["|".join(other for other in tasks if other != task) for task in tasks]


class World:
    """Places, zero-shot scores and headrooms of the tasks, from a fixed seed."""

    def __init__(self, tasks: list[str]) -> None:
        rng = np.random.default_rng(11)
        self.tasks = tasks
        centres = rng.normal(0, 1.4, size=(4, 2))
        self.places = centres[np.arange(len(tasks)) % 4] + rng.normal(0, 0.45, size=(len(tasks), 2))
        self.zero = rng.uniform(0.2, 0.75, size=len(tasks))
        self.room = (0.97 - self.zero) * rng.uniform(0.01, 0.45, size=len(tasks))
        self.taste = rng.normal(0, 0.25, size=(len(tasks), len(tasks)))

    def expected(self, cell: Cell) -> float:
        """Expected accuracy of ``cell``."""
        target = self.tasks.index(cell.dataset)
        if cell.method == "zero_shot":
            return float(self.zero[target])
        strength = {"coop": 1.0, "vpt": 0.85, "upt": 0.95}.get(cell.method, 0.9)
        own = self.zero[target] + strength * self.room[target]
        if not cell.reading or cell.source == cell.dataset:
            return float(own)
        source = self.tasks.index(cell.source)
        near = float(np.exp(-np.linalg.norm(self.places[source] - self.places[target])))
        moved = self.zero[target] + self.room[target] * (2.2 * near - 0.2 + self.taste[source, target])
        warmed = own + self.room[target] * (0.3 * near - 0.06 + 0.3 * self.taste[source, target])
        return float(np.clip(warmed if cell.reading == "adapt" else moved, 0.02, 0.98))

    def answers(self, cell: Cell, images: int) -> np.ndarray:
        """(images,) bool: which were answered right; difficulty is shared by all cells of a target."""
        hardness = np.random.default_rng([5, self.tasks.index(cell.dataset)]).uniform(size=images)
        if cell.method == "zero_shot":
            return hardness < self.expected(cell)
        text = f"{cell.method} {cell.source} {cell.reading} {cell.dataset} {cell.seed} {cell.shots}"
        rng = np.random.default_rng([*text.encode()])
        level = self.expected(cell) + rng.normal(0, 0.008)
        return hardness + rng.normal(0, 0.03, size=images) < level

    def similarities(self) -> Similarities:
        """Two measures that fall with distance, one of them not symmetric."""
        distance = np.linalg.norm(self.places[:, None] - self.places[None], axis=2)
        noise = np.random.default_rng(3).normal(0, 0.05, size=distance.shape)
        matrices = {"visual": np.exp(-distance / 2), "label": np.exp(-distance) + noise}
        return Similarities(tuple(self.tasks), matrices)
