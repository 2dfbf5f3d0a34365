"""Rates, momenta and periods of single parameters, clipping by cell, and averages over epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from tests.contracts.small_world import MemoryCache, request, track
from torch import Tensor

from promptgrid.contract.clip import SGD, Cosine, GaussianAverage, Outcome, Params, Recipe, Rule, Task, Trained
from promptgrid.engine.training.optimizers import Optimizer, clipped
from promptgrid.engine.training.schedule import Schedule
from promptgrid.spec import Pack
from promptgrid.tracks.image.track import ImageTrack


def _drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("most", [0.5, 3.0, 1e3])
def test_each_cell_is_clipped_by_its_own_norm_as_torch_does(most: float) -> None:
    grads = {"a": _drawn(3, 4, 2) * torch.tensor([0.1, 1.0, 50.0]).view(3, 1, 1), "b": _drawn(3, 5, seed=1)}
    grads["one number"] = _drawn(3, seed=2)
    found = clipped(grads, most)
    for cell in range(3):
        leaves = {name: torch.zeros_like(grad[cell]).requires_grad_() for name, grad in grads.items()}
        for name, leaf in leaves.items():
            leaf.grad = grads[name][cell].clone()
        torch.nn.utils.clip_grad_norm_(leaves.values(), most)
        for name, leaf in leaves.items():
            torch.testing.assert_close(found[name][cell], leaf.grad)


def test_rates_momenta_and_periods_are_those_of_torchs_parameter_groups() -> None:
    rules = {"slow": Rule(momentum=0.5, every=3), "bare": Rule(decay=0.0)}
    recipe = Recipe(SGD(0.1, weight_decay=0.01), rules=rules)
    factors = {"scaled": torch.tensor([0.1, 2.0])}
    optimizer = Optimizer(recipe, torch.tensor([0.01, 0.01]), factors)
    params = {name: _drawn(2, 4, seed=i) for i, name in enumerate(("plain", "scaled", "slow", "bare"))}
    wanted = {name: value[1].clone() for name, value in params.items()}
    held = {name: torch.zeros(4) for name in wanted}
    for step in range(1, 8):
        grads = {name: _drawn(2, 4, seed=10 * step + i) for i, name in enumerate(params)}
        optimizer.update(params, grads, torch.tensor([0.1, 0.1]))
        for name, rate, momentum in (("plain", 0.1, 0.9), ("scaled", 0.2, 0.9), ("slow", 0.1, 0.5), ("bare", 0.1, 0.9)):
            grad = grads[name][1] + (0.0 if name == "bare" else 0.01) * wanted[name]
            held[name] = grad if step == 1 else momentum * held[name] + grad
            if name != "slow" or step % 3 == 0:
                wanted[name] = wanted[name] - rate * held[name]
    torch.testing.assert_close({name: value[1] for name, value in params.items()}, wanted)


@dataclass(frozen=True)
class Averaged(Trained):
    """A shift of every class's text feature, averaged over epochs."""

    name: ClassVar[str] = "averaged"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "unpublished"

    mean: float = 2.0
    deviation: float = 1.0
    batch_size: int = 5

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"shift": torch.zeros(task.backbone.width)}

    def recipe(self, task: Task) -> Recipe | None:
        recipe = super().recipe(task)
        average = GaussianAverage(self.mean, self.deviation) if self.mean else None
        return recipe and replace(recipe, schedule=Cosine(), average=average)

    def text(self, params: Params, task: Task) -> Tensor:
        return task.text + params["shift"]


def _fitted(*settings: dict[str, float], shots: tuple[int, ...] = (2,)) -> list[Outcome]:
    own = track().resolver
    image = ImageTrack({"averaged": Averaged}, own.datasets, own.backbones, own.protocols, own.columns)
    cells = image.resolve([
        replace(request("averaged", protocol="few_shot", learning_rate=0.1, **each), shots=few)
        for each in settings
        for few in shots
    ])  # fmt: skip
    pack = Pack(tuple(cells), wanted=frozenset(cell.key for cell in cells))
    outcomes = list(image.run(pack, MemoryCache(), "cpu"))
    assert [outcome.record.status for outcome in outcomes] == ["done"] * len(cells), outcomes[0].record.log_tail
    return outcomes


def test_what_is_kept_is_the_weighted_sum_of_the_epochs() -> None:
    """An average with no width at epoch e is the parameters behind epoch e; any other is their weighted sum."""
    epochs = [_shift(_fitted({"epochs": 4, "mean": float(e), "deviation": 1e-3})[0]) for e in range(1, 5)]
    plain = _shift(_fitted({"epochs": 4, "mean": 0.0})[0])
    torch.testing.assert_close(epochs[-1], plain, rtol=0, atol=0)
    assert float((epochs[1] - epochs[2]).abs().max()) > 1e-4, "training stood still"
    found = _shift(_fitted({"epochs": 4, "mean": 3.0, "deviation": 1.5})[0])
    weights = GaussianAverage(3.0, 1.5).weights(4)
    torch.testing.assert_close(found, sum(w * e for w, e in zip(weights, epochs, strict=True)))


def test_a_cell_that_leaves_its_pack_early_takes_its_average_along() -> None:
    settings = {"epochs": 4, "mean": 3.0, "deviation": 1.5}
    together = _fitted(settings, shots=(1, 4, 2))
    for outcome in together:
        (alone,) = _fitted(settings, shots=(outcome.record.cell.shots,))
        torch.testing.assert_close(_shift(outcome), _shift(alone), rtol=1e-5, atol=1e-6)


def test_weights_stand_at_the_last_step_of_every_epoch() -> None:
    recipe = Recipe(SGD(0.1), epochs=3, average=GaussianAverage(2.0, 1.0))
    schedule = Schedule(recipe, None, batch=4, each=2, total=5)
    first, middle, last = GaussianAverage(2.0, 1.0).weights(3)
    assert schedule.weights() == [0.0, first, 0.0, middle, last]
    assert replace(schedule, recipe=replace(recipe, average=None)).weights() == [0.0, 0.0, 0.0, 0.0, 1.0]


def _shift(outcome: Outcome) -> Tensor:
    return torch.from_numpy(outcome.state["shift"])
