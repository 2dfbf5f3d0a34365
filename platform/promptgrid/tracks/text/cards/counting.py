"""What can be computed about a text method without training it: parameters, losses, recipe, cost of a step."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from promptgrid.contract.method import Method
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch, Labelled
from promptgrid.engine.planning.packing import work
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.backbones.practice import shaped_tower
from promptgrid.tracks.text.backbones.shape import Shape
from promptgrid.tracks.text.conformance import FILLER, TextPractice
from promptgrid.tracks.text.costs import Reading, step_flops
from promptgrid.tracks.text.data.encoded import RELATION, bare, in_template
from promptgrid.tracks.text.data.frozen import frozen_states
from promptgrid.tracks.text.data.wanted import columns_of
from promptgrid.tracks.text.datasets.text import Text
from promptgrid.tracks.text.task import TextTask

CLASSES, SHOTS, TOKENS = 10, 16, 20
"""The task at whose size counts and costs are told; TOKENS a text."""
SIZES = {
    "MiniLM-L6": Shape(384, 6, 12, 32, 1536, 30522, 512, "gelu", segments=2, scale=32**-0.5),
    "BERT-base": Shape(768, 12, 12, 64, 3072, 30522, 512, "gelu", segments=2, scale=64**-0.5),
}
TEMPLATE = "{text} It was {mask}."
FROZEN = ("features", "mask_state")


def counts(method: Method) -> list[dict[str, Any]]:
    """Learned numbers on MiniLM and on BERT-base, and how they grow with a class and with a shot."""
    return [_count(method, name) for name in SIZES]


def _count(method: Method, name: str) -> dict[str, Any]:
    tower = _tower(name)
    at, more_classes, more_shots = (
        learned_numbers(method, tower, *size) for size in ((CLASSES, SHOTS), (CLASSES + 1, SHOTS), (CLASSES, SHOTS + 1))
    )
    return {
        "backbone": name,
        "classes": CLASSES,
        "shots": SHOTS,
        "count": at,
        "per_class": more_classes - at,
        "per_shot": more_shots - at,
    }


@cache
def _tower(name: str) -> TextBackbone:
    return shaped_tower(SIZES[name], FILLER)


def learned_numbers(method: Method, tower: TextBackbone, classes: int, shots: int) -> int:
    """How many numbers ``method`` learns there, as records count them: those of ``init`` that are not frozen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that fit something to texts which are all alike here
        params = method.init(task_on(method, tower, classes, shots), stream("card", method.name))
    return sum(value.numel() for name, value in params.items() if name not in method.frozen)


def task_on(method: Method, tower: TextBackbone, classes: int, shots: int) -> TextTask:
    """A task of so many classes, named by one word each, that shows two texts of the first two."""
    wanted, labels = columns_of(method), torch.arange(2)
    said = f"{FILLER[0]} {FILLER[1]}"
    texts = [Text(said, "", ((0, 4), (5, 9))), Text(said[::-1], "", ((0, 4), (5, 9)))]
    template = RELATION if "relations" in method.needs else TEMPLATE
    plain, spoken = bare(tower, texts), in_template(tower, texts, template)
    own = plain.columns | spoken.columns
    own["features"] = frozen_states(tower, plain, "features")
    own["mask_state"] = frozen_states(tower, spoken, "mask_state")
    shown = Batch({name: value for name, value in own.items() if name in wanted or name not in FROZEN})
    given: dict[str, Any] = {
        "template": template,
        "examples": shown.but(labels=labels),
        "support": Labelled(own["features"], labels),
        "pool": shown,
        "pool_labels": labels,
    }
    names = tuple(FILLER[number % len(FILLER)] + "_" * (number // len(FILLER)) for number in range(classes))
    return TextTask("things", names, tower, shots, given=given)


def losses(method: Method) -> dict[str, Any]:
    """``names`` of the losses of one step on the practice tower, and the ``policy`` that fits by them.

    Methods that fit nothing by descent have no losses, and a policy of None.
    """
    trial = TextPractice().trial(method)
    if method.recipe(trial.task) is None:
        return {"names": [], "policy": None}
    task = replace(trial.task.without_examples(), seed=torch.tensor(7))
    policy = method.step(task)
    return {
        "names": list(method.objective(trial.start, trial.batch, task)),
        "policy": "descends their sum" if policy is None else str(policy),
    }


def recipe(method: Method) -> dict[str, Any] | None:
    """The recipe at 16 shots ``said`` in a line; None where nothing is fitted by descent."""
    found = method.recipe(TextTask("things", ("one", "two"), _tower("MiniLM-L6"), SHOTS))
    return None if found is None else {"said": str(found)}


def cost(method: Method) -> dict[str, Any]:
    """GFLOP of one training step on MiniLM with texts of 20 tokens, its batch, and the steps of a cell."""
    images = CLASSES * SHOTS
    steps, batch = work(method, TextTask("things", ("one", "two"), _tower("MiniLM-L6"), SHOTS), images, images)
    shape = SIZES["MiniLM-L6"]
    reading = Reading(TOKENS, TOKENS, shape.width, shape.layers, shape.vocabulary)
    return {
        "backbone": "MiniLM-L6",
        "classes": CLASSES,
        "shots": SHOTS,
        "batch": batch,
        "steps": steps,
        "gflop_per_step": float(f"{step_flops(method, reading, batch) / 1e9:.3g}"),
        "adapting": None,
    }
