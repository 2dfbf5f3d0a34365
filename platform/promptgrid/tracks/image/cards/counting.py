"""What can be computed about a method on dual encoders without training it, told as every wing tells it."""

from __future__ import annotations

from typing import Any

from promptgrid.contract.clip import Backbone, Method
from promptgrid.contract.clip.conformance import DualEncoderPractice
from promptgrid.contract.clip.method import adaptation_of
from promptgrid.engine.cards import counting
from promptgrid.engine.cards.counting import CLASSES, SHOTS
from promptgrid.towers.clip.costs import Shape, adapting_flops, step_flops
from promptgrid.tracks.image.cards.shapes import bundled, task_on, vit_b16


def counts(method: Method) -> list[dict[str, Any]]:
    """Learned numbers on ViT-B/16 and on the bundled backbone, and how they grow with a class and with a shot."""

    def told(backbone: Backbone) -> dict[str, Any]:
        return counting.growth(backbone.id, lambda *size: counting.learned_numbers(method, task_on(backbone, *size)))

    return [told(backbone) for backbone in (vit_b16(), bundled())]


def losses(method: Method) -> dict[str, Any]:
    """The losses of one step on the practice backbone."""
    return counting.losses(method, DualEncoderPractice())


def recipe(method: Method) -> dict[str, Any] | None:
    """The recipe at 16 shots."""
    return counting.recipe(method.recipe(task_on(bundled(), CLASSES, SHOTS)))


def cost(method: Method) -> dict[str, Any]:
    """GFLOP of one training step on the bundled backbone, and of adapting to one test image."""
    shape = Shape.of(bundled(), CLASSES, CLASSES * SHOTS)
    told = counting.cost(
        method, task_on(bundled(), CLASSES, SHOTS), bundled().id, lambda batch: step_flops(method, shape, batch)
    )
    return told | {"adapting": _adapting(method)}


def _adapting(method: Method) -> dict[str, Any] | None:
    """What one test image takes at test time; None where nothing is fitted to it."""
    plan = adaptation_of(method)
    if plan is None:
        return None
    gflop = counting.giga(adapting_flops(method, Shape.of(bundled(), CLASSES, 0), 1))
    return {"steps": plan.steps, "views": plan.views + plan.generated, "gflop_per_image": gflop}
