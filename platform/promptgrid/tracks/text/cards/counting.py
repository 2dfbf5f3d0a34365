"""What can be computed about a text method without training it: parameters, losses, recipe, cost of a step."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import torch

from promptgrid.contract.method import Method
from promptgrid.contract.task import Batch, Labelled
from promptgrid.engine.cards import counting
from promptgrid.engine.cards.counting import SHOTS
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

TOKENS = 20
"""Of a text, where costs are told."""
SIZES = {
    "MiniLM-L6": Shape(384, 6, 12, 32, 1536, 30522, 512, "gelu", segments=2, scale=32**-0.5),
    "BERT-base": Shape(768, 12, 12, 64, 3072, 30522, 512, "gelu", segments=2, scale=64**-0.5),
}
TEMPLATE = "{text} It was {mask}."
FROZEN = ("features", "mask_state")


def counts(method: Method) -> list[dict[str, Any]]:
    """Learned numbers on MiniLM and on BERT-base, and how they grow with a class and with a shot."""

    def told(name: str) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries that fit something to texts which are all alike here
            return counting.growth(
                name, lambda *size: counting.learned_numbers(method, task_on(method, _tower(name), *size))
            )

    return [told(name) for name in SIZES]


@cache
def _tower(name: str) -> TextBackbone:
    return shaped_tower(SIZES[name], FILLER)


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
    """The losses of one step on the practice tower."""
    return counting.losses(method, TextPractice())


def recipe(method: Method) -> dict[str, Any] | None:
    """The recipe at 16 shots."""
    return counting.recipe(method.recipe(_bare_task()))


def cost(method: Method) -> dict[str, Any]:
    """GFLOP of one training step on MiniLM with texts of 20 tokens."""
    shape = SIZES["MiniLM-L6"]
    reading = Reading(TOKENS, TOKENS, shape.width, shape.layers, shape.vocabulary)
    return counting.cost(method, _bare_task(), "MiniLM-L6", lambda batch: step_flops(method, reading, batch))


def _bare_task() -> TextTask:
    return TextTask("things", ("one", "two"), _tower("MiniLM-L6"), SHOTS)
