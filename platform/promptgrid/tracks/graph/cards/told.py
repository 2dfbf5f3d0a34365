"""What can be computed about a graph method without training it: parameters, losses, recipe, cost of a step."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch

from promptgrid.contract.method import Method
from promptgrid.contract.randomness import stream
from promptgrid.engine.cards.admission import Asked
from promptgrid.engine.cards.card import Cards
from promptgrid.engine.planning.packing import work
from promptgrid.tracks.graph.backbone import Shape
from promptgrid.tracks.graph.backbones.practice import practice_tower
from promptgrid.tracks.graph.conformance import CLASSES, GraphPractice
from promptgrid.tracks.graph.costs import step_flops
from promptgrid.tracks.graph.datasets.graph import MOST
from promptgrid.tracks.graph.task import GraphTask

SIZES = {"gin": Shape("gin", 128, 128, 3, 128), "RELIEF's GIN": Shape("gin", 100, 128, 3, 100)}
"""The shape of the bundled tower, and that of RELIEF's node tasks: 100 numbers a node, three layers of 128."""
SHOTS = 5


@cache
def _practice(name: str) -> GraphPractice:
    return GraphPractice(practice_tower(SIZES[name]))


def counts(method: Method) -> list[dict[str, Any]]:
    """Learned numbers on towers of real sizes for three classes, and how they grow with a class."""
    found = []
    for name in SIZES:
        task = _practice(name).trial(method).task
        more = replace(task, classes=(*CLASSES, "tree"))
        here, there = _learned(method, task), _learned(method, more)
        found.append({"backbone": name, "classes": len(CLASSES), "shots": SHOTS, "count": here,
                      "per_class": there - here, "per_shot": 0})  # fmt: skip
    return found


def _learned(method: Method, task: Any) -> int:
    params = method.init(task, stream("card", method.name))
    return sum(value.numel() for name, value in params.items() if name not in method.frozen or name in method.moved)


def losses(method: Method) -> dict[str, Any]:
    """``names`` of the losses of one step on the practice tower, and the ``policy`` that fits by them."""
    trial = GraphPractice().trial(method)
    if method.recipe(trial.task) is None:
        return {"names": [], "policy": None}
    task = replace(trial.task.without_examples(), seed=torch.tensor(7))
    policy = method.step(task)
    return {"names": list(method.objective(trial.start, trial.batch, task)),
            "policy": "descends their sum" if policy is None else str(policy)}  # fmt: skip


def _task() -> GraphTask:
    return GraphTask("things", CLASSES, _practice("gin").backbone, SHOTS)


def recipe(method: Method) -> dict[str, Any] | None:
    """The recipe at five shots ``said`` in a line; None where nothing is fitted by descent."""
    found = method.recipe(_task())
    return None if found is None else {"said": str(found)}


def cost(method: Method) -> dict[str, Any]:
    """GFLOP of one training step on the bundled GIN with full examples, its batch, and the steps of a cell."""
    examples = len(CLASSES) * SHOTS
    steps, batch = work(method, _task(), examples, examples)
    tower = _practice("gin").backbone
    sizes = {"numbers": sum(value.numel() for value in tower.tensors.values()), "width": tower.shape.width}
    return {"backbone": "gin", "classes": len(CLASSES), "shots": SHOTS, "batch": batch, "steps": steps, "nodes": MOST,
            "gflop_per_step": float(f"{step_flops(method, sizes, batch) / 1e9:.3g}"), "adapting": None}  # fmt: skip


CARDS = Cards(
    asked=Asked("graph", target="foldoc", source="wordnet_verbs", backbone="gps"),
    computed={"counts": counts, "losses": losses, "recipe": recipe, "cost": cost},
)
