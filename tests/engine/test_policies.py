"""Gradients told by losses alone: their form, their streams, and what they agree with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from promptgrid.contract.clip import SGD, Inverse, Params, Project, Recipe, Sphere, Spsa
from promptgrid.contract.randomness import draws
from promptgrid.engine.training.optimizers import Optimizer
from promptgrid.engine.training.policies import Moment, gradients, together

SEEDS = torch.tensor([11, 12])


def params(cells: int = 2) -> Params:
    rng = torch.Generator().manual_seed(0)
    return {"b": torch.randn(cells, 2, 3, generator=rng).double(), "a": torch.randn(cells, 4, generator=rng).double()}


def bowl(own: Params) -> dict[str, Tensor]:
    """Two losses whose sum is half the squared length of all numbers; its gradient is the numbers themselves."""
    return {name: 0.5 * value.flatten(1).square().sum(1) for name, value in own.items()}


def test_spsa_of_one_estimate_is_the_formula() -> None:
    start = params()
    loss, found = gradients(Spsa(0.3, 0.2, 1), bowl, start, Moment(4, SEEDS))
    size = 0.3 / 4**0.2
    for cell, seed in enumerate(SEEDS.tolist()):
        drawn = draws((2, 10), seed, 0).double()
        side = (0.5 + 0.5 * drawn[0]) * torch.where(drawn[1] < 0.5, -1.0, 1.0)
        assert 0.5 <= float(side.abs().min()) <= float(side.abs().max()) <= 1.0
        w = torch.cat([start["a"][cell], start["b"][cell].flatten()])  # in the order of their names
        above, below = (0.5 * (w + way * size * side).square().sum() for way in (1, -1))
        wanted = (above - below) / (2 * size * side)
        torch.testing.assert_close(torch.cat([found["a"][cell], found["b"][cell].flatten()]), wanted)
        torch.testing.assert_close(loss[cell], (above + below) / 2)


@pytest.mark.parametrize("policy", [Spsa(0.1, 0.1, 2000), Sphere(0.01, 2000)], ids=["spsa", "sphere"])
def test_many_estimates_are_near_the_gradient(policy: Spsa | Sphere) -> None:
    """Both are unbiased up to the second order: for a bowl, but for chance."""
    start = params()
    _, found = gradients(policy, bowl, start, Moment(1, SEEDS))
    for name, value in start.items():
        assert float((found[name] - value).abs().max()) < 0.35
    alike = torch.cosine_similarity(found["b"].flatten(), start["b"].flatten(), dim=0)
    assert float(alike) > 0.98


@pytest.mark.parametrize("policy", [Spsa(0.1, 0.1, 3), Sphere(0.1, 3)], ids=["spsa", "sphere"])
def test_draws_depend_on_the_cells_own_seed_alone(policy: Spsa | Sphere) -> None:
    start = params()
    _, both = gradients(policy, bowl, start, Moment(2, SEEDS))
    _, again = gradients(policy, bowl, start, Moment(2, SEEDS))
    second = {name: value[1:] for name, value in start.items()}
    _, alone = gradients(policy, bowl, second, Moment(2, SEEDS[1:]))
    _, other = gradients(policy, bowl, second, Moment(2, SEEDS[:1]))
    for name in start:
        assert torch.equal(both[name], again[name])
        torch.testing.assert_close(both[name][1:], alone[name])
        assert not torch.allclose(alone[name], other[name])


@pytest.mark.parametrize(("policy", "asked"), [(Spsa(0.1, 0.1, 5), 10), (Sphere(0.1, 5), 6)], ids=["spsa", "sphere"])
def test_how_often_the_loss_is_asked_for_and_that_no_gradient_is(policy: Spsa | Sphere, asked: int) -> None:
    seen = []

    def counted(own: Params) -> dict[str, Tensor]:
        seen.append(torch.is_grad_enabled())
        return bowl(own)

    gradients(policy, counted, params(), Moment(1, SEEDS))
    assert seen == [False] * asked
    assert policy.asks == asked, "what the planner reckons with"


def test_policies_of_several_cells_become_one() -> None:
    like = torch.zeros(0, dtype=torch.float64)
    found = together([Spsa(0.1, 0.2), Spsa(0.3, 0.4)], like)
    assert isinstance(found, Spsa)
    assert (found.size.tolist(), found.decay.tolist(), found.estimates) == ([0.1, 0.3], [0.2, 0.4], 5)
    projected = together([Project("x", "y", 1.0), Project("x", "y", 0.5)], like)
    assert isinstance(projected, Project)
    assert (projected.main, projected.strength.tolist()) == ("x", [1.0, 0.5])
    assert together([None, None], like) is None


def test_each_cell_has_its_own_size() -> None:
    start, losses = params(), cubic
    policy = together([Spsa(0.1, 0.2), Spsa(0.3, 0.4)], torch.zeros(0, dtype=torch.float64))
    _, both = gradients(policy, losses, start, Moment(3, SEEDS))
    for cell, alone in enumerate([Spsa(0.1, 0.2), Spsa(0.3, 0.4)]):
        own = {name: value[cell : cell + 1] for name, value in start.items()}
        _, wanted = gradients(alone, losses, own, Moment(3, SEEDS[cell : cell + 1]))
        for name in start:
            torch.testing.assert_close(both[name][cell : cell + 1], wanted[name])


def cubic(own: Params) -> dict[str, Tensor]:
    return {name: value.flatten(1).pow(3).sum(1) for name, value in own.items()}


def test_nesterov_sgd_on_the_gains_is_spsa_with_gradient_correction() -> None:
    """w = w - a / (k + 1)^α (ĝ + βm), m = βm + ĝ from m = ĝ: BlackVIP's rule, step by step."""
    a, alpha, beta = 0.7, 0.4, 0.9
    recipe = Recipe(SGD(a * 2**-alpha, momentum=beta, nesterov=True), schedule=Inverse(0.5, alpha))
    rates = torch.tensor(recipe.rates(8, 4), dtype=torch.float64)
    optimizer, w = Optimizer(recipe, torch.zeros(1, dtype=torch.float64)), {"w": torch.ones(1, 3, dtype=torch.float64)}
    wanted, held = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for k in range(1, 9):
        slope = torch.randn(3, generator=torch.Generator().manual_seed(k)).double()
        optimizer.update(w, {"w": slope[None]}, rates[k - 1 : k])
        held = slope if k == 1 else beta * held + slope
        wanted = wanted - a / (k + 1) ** alpha * (slope + beta * held)
    torch.testing.assert_close(w["w"][0], wanted)
