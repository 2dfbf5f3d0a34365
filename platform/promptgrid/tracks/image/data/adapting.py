"""Answers of methods that fit themselves to each test image: many images at once, and none learns of another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap

from promptgrid.contract.clip import AdamW, Adaptation, Batch, Classifier, Params, Recipe, Task
from promptgrid.engine.training.optimizers import Optimizer
from promptgrid.tracks.image.data.test_views import Looks

AT_ONCE = 64
TOKENS = 2**13
"""Prompt tokens that pass the text tower together; what they leave behind for the gradient takes the memory."""
PATCH_NUMBERS = 2**24
"""Numbers that the patches of all views of the images at hand may take."""
Seen = dict[str, Tensor]
"""Columns of a batch, each (images, views, ...)."""


def adapted_logits(
    method: Classifier, params: Params, task: Task, looks: Looks, progress: Callable[[float], None] = lambda done: None
) -> Tensor:
    """(N, C) logits of all images, each by parameters that were fitted to it alone.

    Args:
        method: with its knobs as numbers, and an adaptation.
        params: of one cell; every image starts from them, and they are left as they are.
        task: with the classes to choose between; its ``seed`` is None.
        looks: the views of the images.
        progress: told the share done after each few images.
    """
    plan, count = method.adaptation, len(looks.features)
    if plan is None:
        raise ValueError(f"method {method.name!r} does not adapt to test images")
    each = _at_once(looks, task)
    rows = []
    for first in range(0, count, each):
        last = min(first + each, count)
        rows.append(adapted(method, plan, params, task, _seen(looks, first, last, task)))
        progress(last / count)
    return torch.cat(rows)


def adapted(method: Classifier, plan: Adaptation, params: Params, task: Task, seen: Seen) -> Tensor:
    """(n, C) logits of n images side by side, from what is ``seen`` of them."""
    images = len(seen["features"])
    held = {name: value for name, value in params.items() if name in method.frozen}
    own = {name: torch.stack([value] * images) for name, value in params.items() if name not in held}
    chosen = _chosen(method, params, task, seen)
    like = seen["features"].new_ones(images)
    recipe = Recipe(AdamW(plan.learning_rate, plan.weight_decay))
    optimizer = Optimizer(recipe, like * plan.weight_decay)

    def loss(mine: Params, views: Seen) -> Tensor:
        return method.adapt_loss(mine | held, Batch(views), task)

    for _ in range(plan.steps):
        leaves = {name: value.detach().requires_grad_() for name, value in own.items()}
        with torch.enable_grad():
            total = vmap(loss)(leaves, chosen).sum()
            grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
        with torch.no_grad():
            optimizer.update(own, dict(zip(leaves, grads, strict=True)), like * plan.learning_rate)

    def answer(mine: Params, views: Seen) -> Tensor:
        return method.forward(mine | held, Batch(views), task).logits.squeeze(0)

    with torch.no_grad():
        logits: Tensor = vmap(answer)(own, {name: value[:, :1] for name, value in seen.items()})
    return logits


def _chosen(method: Classifier, params: Params, task: Task, seen: Seen) -> Seen:
    """The views to adapt on, (n, K, ...). All images start from the same parameters, so texts are encoded once."""
    images, views = seen["features"].shape[:2]

    def choose(logits: Tensor, own: Seen) -> Tensor:
        return method.select_views(logits, Batch(own), task)

    with torch.no_grad():
        flat = Batch({name: value.flatten(0, 1) for name, value in seen.items()})
        logits = method.forward(params, flat, task).logits.view(images, views, -1)
        places = vmap(choose)(logits, seen)
    rows = torch.arange(images, device=places.device).unsqueeze(1)
    return {name: value[rows, places] for name, value in seen.items()}


def _seen(looks: Looks, first: int, last: int, task: Task) -> Seen:
    seen = {"features": looks.features[first:last]}
    if looks.pixels is not None:
        pixels = looks.pixels(first, last)
        with torch.no_grad():
            patches = task.backbone.patches(pixels.flatten(0, 1))
        seen["patches"] = patches.view(*pixels.shape[:2], *patches.shape[1:])
    return seen


def _at_once(looks: Looks, task: Task) -> int:
    """How many images are adapted to together."""
    most = max(1, TOKENS // (5 * len(task.classes) + 17))
    if looks.pixels is not None:
        tower = task.backbone
        numbers = looks.features.shape[1] * (tower.image_size // tower.patch_size) ** 2 * tower.vision.width
        most = min(most, PATCH_NUMBERS // numbers)
    return max(1, min(AT_ONCE, most))
