"""The nouns of a recipe: what each of them says about rates, weights and itself."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass, fields, is_dataclass

import pytest
import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LambdaLR, LRScheduler, PolynomialLR, SequentialLR

from promptgrid.contract import recipe
from promptgrid.contract.clip import (
    SGD,
    Adam,
    AdamW,
    Batches,
    Constant,
    Cosine,
    GaussianAverage,
    Inverse,
    Polynomial,
    RateSchedule,
    Recipe,
    Rule,
    Warmup,
)
from promptgrid.contract.recipe import Per

NOUNS = [noun for _, noun in inspect.getmembers(recipe, is_dataclass)]


@pytest.mark.parametrize("noun", NOUNS)
def test_no_noun_has_more_than_eight_fields(noun: type) -> None:
    assert len(fields(noun)) <= 8  # type: ignore[arg-type]


def torchs(make: type[LRScheduler] | object, moves: int, peak: float = 0.3) -> list[float]:
    """The rates that a scheduler of torch gives."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    scheduler, found = make(optimizer), []  # type: ignore[operator]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own schedulers in a row
        for _ in range(moves):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return found


@pytest.mark.parametrize(
    ("schedule", "torchs_own"),
    [
        (Constant(), lambda own: ConstantLR(own, factor=1.0)),
        (Cosine(), lambda own: CosineAnnealingLR(own, T_max=12)),
        (Cosine(final=0.1), lambda own: CosineAnnealingLR(own, T_max=12, eta_min=0.1)),
        (
            Warmup(2, 0.003),
            lambda own: SequentialLR(
                own, [ConstantLR(own, factor=0.01, total_iters=2), CosineAnnealingLR(own, T_max=12)], milestones=[2]
            ),
        ),
        (
            Warmup(4, 0.0, "linear", recount=False),
            lambda own: SequentialLR(
                own, [LambdaLR(own, lambda n: n / 4), CosineAnnealingLR(own, T_max=8)], milestones=[4]
            ),
        ),
        (Inverse(0.5, 0.4), lambda own: LambdaLR(own, lambda n: (1 + 0.5 * n) ** -0.4)),
    ],
)
def test_rates_are_those_of_torchs_schedulers(schedule: RateSchedule, torchs_own: object) -> None:
    found = [schedule.rate_at(0.3, at, 12) for at in range(12)]
    assert found == pytest.approx(torchs(torchs_own, 12), rel=1e-9, abs=1e-12)


def test_a_polynomial_has_one_move_behind_it_at_first() -> None:
    found = [Polynomial(power=2.0).rate_at(0.3, at, 12) for at in range(11)]
    assert found == pytest.approx(torchs(lambda own: PolynomialLR(own, total_iters=12, power=2.0), 12)[1:])
    rates = [Polynomial(0.9, 0.9, 0.1).rate_at(5.0, at, 20) for at in range(20)]
    assert rates[0] == pytest.approx(4.9 * (1 - 1 / 18) ** 0.9 + 0.1)
    assert rates[17:] == pytest.approx([0.1] * 3)


def test_a_linear_warm_up_that_recounts_starts_low_and_hands_over_to_a_whole_cosine() -> None:
    rates = [Warmup(4, 0.1, "linear").rate_at(40.0, at, 40) for at in range(6)]
    assert rates[:5] == pytest.approx([0.1, 10.0, 20.0, 30.0, 40.0])
    assert 39.0 < rates[5] < 40.0


def test_a_cosine_may_be_walked_by_two_fits() -> None:
    whole = [Cosine().rate_at(0.3, at, 12) for at in range(12)]
    first, second = Cosine(span=(0.0, 0.25)), Cosine(span=(0.25, 1.0))
    parts = [first.rate_at(0.3, at, 3) for at in range(3)] + [second.rate_at(0.3, at, 9) for at in range(9)]
    assert parts == pytest.approx(whole)


def test_rates_move_every_epoch_or_every_iteration() -> None:
    by_epoch = Recipe(SGD(0.3), schedule=Cosine()).rates(5, 2)
    assert by_epoch == pytest.approx([0.3, 0.3, 0.225, 0.225, 0.075])
    assert Recipe(SGD(0.3), schedule=Cosine(per="iteration")).rates(3, 2) == pytest.approx([0.3, 0.225, 0.075])
    warm = Recipe(SGD(0.3), schedule=Warmup(2, 0.1, then=Constant(per="iteration"))).rates(5, 2)
    assert warm == pytest.approx([0.1, 0.1, 0.3, 0.3, 0.3])


@dataclass(frozen=True)
class Halved(RateSchedule):
    """A schedule that somebody else wrote."""

    per: Per = "epoch"

    def rate_at(self, peak: float, at: int, of: int) -> float:
        return peak * 0.5**at


def test_a_schedule_of_ones_own_takes_part() -> None:
    assert Recipe(AdamW(0.4), schedule=Halved()).rates(6, 2) == [0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    assert Recipe(AdamW(0.4), schedule=Warmup(then=Halved("iteration"))).rates(3, 2) == [1e-5, 0.4, 0.2]


def test_weights_of_epochs_sum_to_one_and_shrink_to_the_epoch_at_their_mean() -> None:
    for mean, deviation, epochs in ((15.0, 1.0, 20), (6.0, 10.0, 20), (45.0, 5.0, 50), (15.0, 1.0, 3)):
        weights = GaussianAverage(mean, deviation).weights(epochs)
        assert len(weights) == epochs
        assert sum(weights) == pytest.approx(1.0)
        assert max(weights) == weights[min(int(mean), epochs) - 1]
    assert GaussianAverage(20.0, 1e-6).weights(20) == [0.0] * 19 + [1.0]
    assert GaussianAverage(2.0, 1.0).weights(3) == pytest.approx([0.274069, 0.451863, 0.274069], abs=1e-6)


def test_a_recipe_says_what_it_is() -> None:
    first, then = str(Recipe(SGD(0.002, 5e-4))).split(", 50 epochs, ")
    assert first == "SGD 0.002, weight decay 0.0005, momentum 0.9, batch 32"
    assert then == "1 epoch of warm-up at 1e-05, cosine by epoch"
    rules = {"norms": Rule(rate=0.1)}
    told = str(
        Recipe(
            Adam(torch.tensor(0.5)),
            batches=Batches(8, keep_last=True, by_task=True),
            schedule=Warmup(5, 0.0, "linear", then=Polynomial(0.9, 2.0, 0.1)),
            rules=rules,
            average=GaussianAverage(15.0, 1.0),
            clip=1.0,
            iterations=70,
        )
    )
    assert told == (
        "Adam 0.5, weight decay 0, batch 8 of one task, the last one kept, 70 iterations, "
        "5 iterations of linear warm-up from 0, polynomial of power 2 by iteration to 0.1 after 0.9 of the fit, "
        "averaged over epochs by N(15, 1²), gradients clipped at 1, rules of their own for norms"
    )
    many = Recipe(SGD(1.0, nesterov=True), schedule=Inverse(0.5, 0.4), rules={name: Rule() for name in "abcd"})
    assert str(many).endswith("rate times (1 + 0.5 n)^-0.4 after n iterations, rules of their own for 4 parameters")
    assert "Nesterov momentum 0.9" in str(many)
    assert str(Cosine(0.1, (0.0, 0.25), "iteration")) == "cosine by iteration to 0.1 from 0 to 0.25 of its way"
    assert str(Constant()) == "constant rate"
