"""What can be computed about a method without training it: parameters, losses, recipe, cost of a step.

A wing brings the tasks and the towers; what is told of them is the same in every wing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import torch

from promptgrid.contract.conformance.trial import Practice
from promptgrid.contract.method import Method
from promptgrid.contract.randomness import stream
from promptgrid.contract.recipe import Recipe
from promptgrid.contract.task import Task
from promptgrid.engine.planning.packing import work

CLASSES, SHOTS = 10, 16
"""The task at whose size counts and costs are told."""


def learned_numbers(method: Method, task: Task) -> int:
    """How many numbers ``method`` learns of ``task``, as records count them: those of ``init`` that are not frozen."""
    params = method.init(task, stream("card", method.name))
    return sum(value.numel() for name, value in params.items() if name not in method.frozen)


def growth(backbone: str, learned: Callable[[int, int], int]) -> dict[str, Any]:
    """The count at :data:`CLASSES` and :data:`SHOTS` on ``backbone``, and how it grows with a class and with a shot.

    ``learned`` gives the count for a number of classes and of shots.
    """
    at = learned(CLASSES, SHOTS)
    return {
        "backbone": backbone,
        "classes": CLASSES,
        "shots": SHOTS,
        "count": at,
        "per_class": learned(CLASSES + 1, SHOTS) - at,
        "per_shot": learned(CLASSES, SHOTS + 1) - at,
    }


def losses(method: Method, practice: Practice) -> dict[str, Any]:
    """``names`` of the losses of one step on the practice task, and the ``policy`` that fits by them.

    Methods that fit nothing by descent have no losses, and a policy of None.
    """
    trial, seed = practice.trial(method), torch.tensor(7)
    if method.recipe(trial.task) is None:
        return {"names": [], "policy": None}
    names: list[str] = []
    told: list[str] = []
    for turn in range(method.stages):
        policy = method.step(replace(trial.task.without_examples(), seed=seed, turn=turn))
        names += trial.losses(trial.start, seed, turn)
        told.append("descends their sum" if policy is None else str(policy))
    return {"names": names, "policy": ", then ".join(told)}


def recipe(found: Recipe | None) -> dict[str, Any] | None:
    """A recipe ``said`` in a line and field by field; None where nothing is fitted by descent."""
    return None if found is None else {"said": str(found), **_fields(found)}


def cost(method: Method, task: Task, backbone: str, flops: Callable[[int], float]) -> dict[str, Any]:
    """GFLOP of one training step of ``task`` on ``backbone``, its batch, and the steps of a cell.

    Methods that train on a pool have as many examples in it. Zero steps: nothing is fitted by descent, and a "step" is
    one pass over the training examples. ``flops`` gives the operations of a step on a batch of so many.
    """
    examples = CLASSES * SHOTS
    steps, batch = work(method, task, examples, examples)
    return {
        "backbone": backbone,
        "classes": CLASSES,
        "shots": SHOTS,
        "batch": batch,
        "steps": steps,
        "gflop_per_step": giga(flops(batch)),
        "adapting": None,
    }


def giga(number: float) -> float:
    """A billionth of ``number``, to three digits."""
    return float(f"{number / 1e9:.3g}")


def _fields(noun: object) -> dict[str, Any]:
    """The fields of a dataclass, those that are dataclasses with their kind."""
    found: dict[str, Any] = {item.name: getattr(noun, item.name) for item in fields(cast(Any, noun))}
    for name, value in found.items():
        if is_dataclass(value):
            found[name] = {"kind": type(value).__name__, **_fields(value)}
        elif isinstance(value, Mapping):
            found[name] = {key: _fields(each) for key, each in value.items()}
    return found
