"""What can be computed about a method without training it: parameters, losses, recipe, cost of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import torch

from promptgrid.contract.clip import Backbone, Method, stream
from promptgrid.contract.clip.conformance import DualEncoderPractice
from promptgrid.contract.clip.method import adaptation_of
from promptgrid.engine.planning.packing import work
from promptgrid.towers.clip.costs import Shape, adapting_flops, step_flops
from promptgrid.tracks.image.cards.shapes import bundled, task_on, vit_b16

CLASSES, SHOTS = 10, 16
"""The task at whose size counts and costs are told."""


def counts(method: Method) -> list[dict[str, Any]]:
    """Learned numbers on ViT-B/16 and on the bundled backbone, and how they grow with a class and with a shot."""
    return [_count(method, backbone) for backbone in (vit_b16(), bundled())]


def _count(method: Method, backbone: Backbone) -> dict[str, Any]:
    at, more_classes, more_shots = (
        learned_numbers(method, backbone, *size)
        for size in ((CLASSES, SHOTS), (CLASSES + 1, SHOTS), (CLASSES, SHOTS + 1))
    )
    return {
        "backbone": backbone.id,
        "classes": CLASSES,
        "shots": SHOTS,
        "count": at,
        "per_class": more_classes - at,
        "per_shot": more_shots - at,
    }


def learned_numbers(method: Method, backbone: Backbone, classes: int, shots: int) -> int:
    """How many numbers ``method`` learns there, as records count them: those of ``init`` that are not frozen."""
    params = method.init(task_on(backbone, classes, shots), stream("card", method.name))
    return sum(value.numel() for name, value in params.items() if name not in method.frozen)


def losses(method: Method) -> dict[str, Any]:
    """``names`` of the losses of one step on the practice backbone, and the ``policy`` that fits by them.

    Methods that fit nothing by descent have no losses, and a policy of None.
    """
    trial = DualEncoderPractice().trial(method)
    if method.recipe(trial.task) is None:
        return {"names": [], "policy": None}
    names: list[str] = []
    told: list[str] = []
    for turn in range(method.stages):
        policy = method.step(replace(trial.task.without_examples(), turn=turn))
        names += trial.losses(trial.start, torch.tensor(7), turn)
        told.append("descends their sum" if policy is None else str(policy))
    return {"names": names, "policy": ", then ".join(told)}


def recipe(method: Method) -> dict[str, Any] | None:
    """The recipe at 16 shots, ``said`` in a line and field by field; None where nothing is fitted by descent."""
    found = method.recipe(task_on(bundled(), CLASSES, SHOTS))
    return None if found is None else {"said": str(found), **_fields(found)}


def cost(method: Method) -> dict[str, Any]:
    """GFLOP of one training step on the bundled backbone, its batch, and the steps of a cell.

    Methods that train on a pool have as many images in it. Zero steps: nothing is fitted by descent, and a "step" is
    one pass over the training images.
    """
    images = CLASSES * SHOTS
    steps, batch = work(method, task_on(bundled(), CLASSES, SHOTS), images, images)
    gflop = step_flops(method, Shape.of(bundled(), CLASSES, images), batch) / 1e9
    return {
        "backbone": bundled().id,
        "classes": CLASSES,
        "shots": SHOTS,
        "batch": batch,
        "steps": steps,
        "gflop_per_step": _rounded(gflop),
        "adapting": _adapting(method),
    }


def _adapting(method: Method) -> dict[str, Any] | None:
    """What one test image takes at test time; None where nothing is fitted to it."""
    plan = adaptation_of(method)
    if plan is None:
        return None
    gflop = adapting_flops(method, Shape.of(bundled(), CLASSES, 0), 1) / 1e9
    return {"steps": plan.steps, "views": plan.views + plan.generated, "gflop_per_image": _rounded(gflop)}


def _fields(noun: object) -> dict[str, Any]:
    """The fields of a dataclass, those that are dataclasses with their kind."""
    found: dict[str, Any] = {item.name: getattr(noun, item.name) for item in fields(cast(Any, noun))}
    for name, value in found.items():
        if is_dataclass(value):
            found[name] = {"kind": type(value).__name__, **_fields(value)}
        elif isinstance(value, Mapping):
            found[name] = {key: _fields(each) for key, each in value.items()}
    return found


def _rounded(number: float) -> float:
    """To three digits."""
    return round(number, 2 - math.floor(math.log10(number))) if number else 0.0
