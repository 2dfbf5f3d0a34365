"""What only methods on dual encoders promise: a start at zero-shot CLIP, and adaptation to one test image at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from promptgrid.contract.clip.method import Classifier
from promptgrid.contract.clip.task import Task
from promptgrid.contract.conformance.closeness import TOLERANCE, assert_close
from promptgrid.contract.conformance.trial import Trial
from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch


def check_zero_shot_start(trial: Trial) -> None:
    """A method that claims to begin as zero-shot CLIP does, on cosines."""
    method, task = trial.method, cast(Task, trial.task)
    if not isinstance(method, Classifier) or not method.zero_shot_at_start:
        return
    zero_shot = trial.batch.normalised @ task.text.mT
    gap = float((trial.answers(trial.start) / task.scale - zero_shot).abs().max())
    assert gap <= TOLERANCE, f"{method.name} should begin as zero-shot CLIP, cosines differ by {gap:.2g}"


def check_adaptation(trial: Trial) -> None:
    """What is fitted to a test image is reached by its loss, and no image changes what another one learns."""
    method, name = trial.method, trial.method.name
    if not isinstance(method, Classifier) or method.adaptation is None:
        return
    leaves = {key: value for key, value in trial.shaken().items() if key not in method.frozen}
    held = {key: value for key, value in trial.start.items() if key in method.frozen}
    task = cast(Task, trial.task.without_examples())
    seen = {"features": trial.batch.features}
    if "patches" in trial.batch:
        seen["patches"] = trial.batch.patches
    places = method.select_views(trial.answers(trial.start), Batch(seen), task)
    sound = len(set(places.tolist())) == len(places) > 0 and set(places.tolist()) <= set(range(len(trial.batch.labels)))
    assert sound, f"{name}: select_views gave {places.tolist()} of {len(trial.batch.labels)} views"

    def loss(own: Params, views: Params) -> Tensor:
        return method.adapt_loss(own | held, Batch(views), task)

    images = [{key: value[rows] for key, value in seen.items()} for rows in (places, places.flip(0) - 1)]
    alone = [_gradients(loss, leaves, image) for image in images]
    for key in leaves:
        reached = bool(alone[0][key].abs().sum() > 0)
        assert reached, f"{name}: no gradient of a test image reaches {key!r}; fit it, or name it in `frozen`"
    again = _gradients(loss, leaves, images[0])
    together = _gradients(torch.func.vmap(loss), _stacked([leaves] * len(images)), _stacked(images))
    for key in leaves:
        assert_close(again[key], alone[0][key], f"{name}: the gradient of {key!r} depends on images seen before")
        for i in range(len(images)):
            assert_close(together[key][i], alone[i][key], f"{name}: the gradient of {key!r} depends on other images")


def _gradients(loss: Callable[[Params, Params], Tensor], params: Params, views: Params) -> Params:
    own = {key: value.clone().requires_grad_() for key, value in params.items()}
    total = loss(own, views).sum()
    grads = torch.autograd.grad(total, list(own.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(own, grads, strict=True))


def _stacked(values: list[Params]) -> Params:
    return {name: torch.stack([value[name] for value in values]) for name in values[0]}
