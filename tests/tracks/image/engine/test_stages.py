"""Learning in stages, in turns, beside running statistics, from gradients that are clipped or regulated one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from tests.contracts.small_world import MemoryCache, brief, request, track
from torch import Tensor

from promptgrid.contract.clip import (
    SGD,
    Alternate,
    Batch,
    Batches,
    Cosine,
    Outcome,
    Outputs,
    Params,
    Recipe,
    Rule,
    Task,
    Trained,
    gaussian,
)
from promptgrid.contract.policies import Policy
from promptgrid.engine.training.optimizers import Optimizer
from promptgrid.spec import Pack
from promptgrid.tracks.image.track import ImageTrack


@dataclass(frozen=True)
class Chased(Trained):
    """In the first stage ``a`` goes for 1; in the second it goes for 3, and ``b`` for where ``a`` is by then."""

    name: ClassVar[str] = "chased"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "unpublished"
    frozen: ClassVar[frozenset[str]] = frozenset({"steps"})
    stages: ClassVar[int] = 2

    epochs: int = 1
    batch_size: int = 5
    halved: bool = False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {name: torch.zeros(1) for name in ("a", "b", "steps")}

    def recipe(self, task: Task) -> Recipe:
        return Recipe(SGD(0.25, momentum=0.0), self.epochs, Batches(self.batch_size), Cosine())

    def step(self, task: Task) -> Policy | None:
        return Alternate((("near", "a"), ("chase", "b"))) if task.turn else None

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        a, b = params["a"].sum(), params["b"].sum()
        if not task.turn:
            return {"first": (a - 1.0).square()}
        return {"near": (a - 3.0).square(), "chase": (b - a).square()}

    def regulate(self, params: Params, grads: Params, task: Task) -> Params:
        return {name: grad / 2 for name, grad in grads.items()} if self.halved else grads

    def track(self, params: Params, batch: Batch, task: Task) -> Params:
        return {"steps": params["steps"] + 1.0}


def _fitted(*shots: int, halved: bool = False) -> list[Outcome]:
    own = track().resolver
    image = ImageTrack({"chased": Chased}, own.datasets, own.backbones, own.protocols, own.columns)
    asked = request("coop", protocol="few_shot")
    cells = image.resolve([replace(asked, method="chased", shots=few, settings={"halved": halved}) for few in shots])
    return _run(image, cells)


def _run(image: ImageTrack, cells: Sequence[object]) -> list[Outcome]:
    pack = Pack(tuple(cells), wanted=frozenset(cell.key for cell in cells))  # type: ignore[attr-defined,arg-type]
    outcomes = list(image.run(pack, MemoryCache(), "cpu"))
    assert [outcome.record.status for outcome in outcomes] == ["done"] * len(outcomes), outcomes[0].record.log_tail
    return outcomes


def test_a_stage_starts_from_the_one_before_and_a_turn_sees_the_one_before() -> None:
    """5 images, one step a stage: a = 0 + .5; then a = .5 + .5 (3 - .5) and b = .5 a."""
    (outcome,) = _fitted(1)
    assert {name: float(value[0]) for name, value in outcome.state.items()} == {"a": 1.75, "b": 0.875, "steps": 2.0}
    assert outcome.record.curves["train_loss"] == pytest.approx([1.0, 6.25 + 1.75**2])
    assert outcome.record.cost.trainable_parameters == 2


def test_what_follows_the_batches_goes_with_its_cell() -> None:
    """Cells of 5, 10 and 20 images leave after 1, 2 and 4 steps of each stage."""
    assert [float(outcome.state["steps"][0]) for outcome in _fitted(1, 4, 2)] == [2.0, 8.0, 4.0]


def test_regulated_gradients_are_what_is_descended() -> None:
    (outcome,) = _fitted(1, halved=True)
    assert float(outcome.state["a"][0]) == pytest.approx(0.25 + 0.5 * (3.0 - 0.25))


def test_each_gradient_is_clipped_by_itself() -> None:
    recipe = Recipe(SGD(1.0, momentum=0.0), rules={"a": Rule(clip=0.5)})
    params = {name: torch.zeros(2, 3) for name in ("a", "b")}
    grads = {name: torch.tensor([[3.0, 0.0, 4.0], [0.1, 0.2, 0.2]]) for name in params}
    Optimizer(recipe, torch.zeros(2)).update(params, grads, torch.ones(2))
    torch.testing.assert_close(params["a"], -torch.tensor([[0.3, 0.0, 0.4], [0.1, 0.2, 0.2]]))
    torch.testing.assert_close(params["b"], -grads["b"])


def test_noise_is_a_function_of_the_seed_of_each_cell() -> None:
    x, seeds = torch.zeros(3, 4, 2), torch.tensor([5, 6, 5])
    found = torch.func.vmap(lambda own, seed: gaussian(own, 7, seed, 1))(x, seeds)
    assert found.shape == (3, 4, 7)
    torch.testing.assert_close(found[0], found[2], rtol=0, atol=0)
    torch.testing.assert_close(found[1], gaussian(x[1], 7, seeds[1], 1), rtol=0, atol=0)
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], gaussian(x[0], 7, seeds[0], 2))
    many = gaussian(torch.zeros(1000, 1), 100, seeds[0], 0)
    assert float(many.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(many.std()) == pytest.approx(1.0, abs=0.02)


def test_spg_learns_its_labels_first_and_its_networks_then() -> None:
    cells = track().resolve([request("spg", **brief("spg"), **own) for own in ({}, {"gan_rate": 1e-3})])
    one, two = _run(track(), cells)
    assert (one.state["labels"] == two.state["labels"]).all(), "the networks' rate has changed the contexts"
    assert (one.state["judge_weight0"] != two.state["judge_weight0"]).any()
    assert abs(one.state["seen1"][0]).max() > 0, "no running statistics"
