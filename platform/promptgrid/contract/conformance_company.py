"""What an image is answered depends on that image: not on who shares its batch, nor on who was asked before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from promptgrid.contract.conformance_data import assert_close
from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch

if TYPE_CHECKING:
    from promptgrid.contract.conformance import Trial

FEW = 3
"""Images of the small company that each image is asked in beside the whole batch and by itself."""


def check_company(trial: Trial) -> None:
    """Each image has the same scores by itself, in a small company, in the whole batch, and once more behind these.

    Methods that say they are ``joint`` are not asked: only protocols that are ``joint`` too take them.
    """
    method, name = trial.method, trial.method.name
    if method.joint:
        return
    with torch.no_grad():
        learned = method.finish(trial.shaken(), trial.task)
    task, images = trial.task.without_examples(), len(trial.labels)

    def asked(rows: list[int]) -> Tensor:
        with torch.no_grad():
            return method.forward(learned, as_tested(trial.batch, rows), task).logits

    together = asked(list(range(images)))
    for image in range(0, images, FEW):
        few = [(image + step) % images for step in range(FEW)]
        for rows, company in (([image], "by itself"), (few, f"among {FEW}"), (few[::-1], f"among {FEW}, turned round")):
            _same(asked(rows)[rows.index(image)], together[image], f"{name} scores an image otherwise {company}")
    _same(asked(list(range(images))), together, f"{name} scores images otherwise once it has been asked about others")


def as_tested(batch: Batch, rows: list[int]) -> Batch:
    """The images ``rows`` of ``batch`` as evaluation shows them: without what only training knows of them."""
    shown = ("features", "patches", "second", "pixels")
    return Batch({key: batch[key][rows] for key in shown if key in batch})


def check_adaptation(trial: Trial) -> None:
    """What is fitted to a test image is reached by its loss, and no image changes what another one learns."""
    method, name = trial.method, trial.method.name
    if method.adaptation is None:
        return
    leaves = {key: value for key, value in trial.shaken().items() if key not in method.frozen}
    held = {key: value for key, value in trial.start.items() if key in method.frozen}
    task = trial.task.without_examples()
    seen = {"features": trial.batch.features}
    if "patches" in trial.batch:
        seen["patches"] = trial.batch.patches
    places = method.select_views(trial.logits(trial.start), Batch(seen), task)
    sound = len(set(places.tolist())) == len(places) > 0 and set(places.tolist()) <= set(range(len(trial.labels)))
    assert sound, f"{name}: select_views gave {places.tolist()} of {len(trial.labels)} views"

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


def _same(found: Tensor, wanted: Tensor, message: str) -> None:
    advice = "scores are a function of one image; a method that must see all of them says `joint = True`"
    assert_close(found, wanted, f"{message}: {advice}")
