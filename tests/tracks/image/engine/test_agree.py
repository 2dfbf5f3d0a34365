"""R-AMT's gradient dropout: what is dropped, and from which stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tests.contracts.small_world import MemoryCache, brief, request, track

from promptgrid.contract.clip import Outcome
from promptgrid.engine.training.optimizers import agree
from promptgrid.spec import Pack

MAIN = torch.tensor([[2.0, -2.0, 2.0, -2.0, 0.0]])
GUIDE = torch.tensor([[1.0, -1.0, -2.0, 6.0, 3.0]])
PURITY = torch.tensor([[1.0, 1.0, 0.5, 0.25, 0.5]])
"""(1 + sign(a) (a + b) / (|a| + |b|)) / 2; for a = -2, b = 6: (1 - 4 / 8) / 2."""
FAST = {"learning_rate": 0.003}
"""Masks fall after two steps: as long as all are on, zero-shot CLIP is agreed with."""


@pytest.mark.parametrize("drawn", [0.1, 0.4, 0.6, 0.99])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_number_is_kept_where_its_purity_is_above_what_was_drawn(level: float, drawn: float) -> None:
    found = agree(MAIN, GUIDE, torch.tensor([level]), torch.full_like(MAIN, drawn))
    kept = (drawn < PURITY).float()
    torch.testing.assert_close(found, MAIN * (1 - level + level * kept))


def test_as_many_are_kept_as_they_agree() -> None:
    rng = torch.Generator().manual_seed(1)
    main, guide = torch.randn(1, 200_000, generator=rng), torch.randn(1, 200_000, generator=rng)
    kept = agree(main, guide, 1.0, torch.rand(main.shape, generator=rng)) != 0
    purity = (1 + main.sign() * (main + guide) / (main.abs() + guide.abs())) / 2
    assert float(kept.float().mean()) == pytest.approx(float(purity.mean()), abs=0.005)
    for low in (0.0, 0.25, 0.5, 0.75):
        among = (purity >= low) & (purity < low + 0.25)
        assert float(kept[among].float().mean()) == pytest.approx(float(purity[among].mean()), abs=0.01)


def test_dropping_nothing_is_plain_descent() -> None:
    plain, _ = _fitted("amt", {"level": 0.0}, {"level": 1.0})
    never, always = _fitted("r_amt", {"level": 0.0}, {"level": 1.0})
    for name, value in plain.state.items():
        np.testing.assert_array_equal(never.state[name], value)
        assert (always.state[name] != value).mean() > 0.05
    assert plain.record.curves == never.record.curves


def test_each_cell_draws_from_its_own_seed() -> None:
    one, two = (_fitted("r_amt", {}, seeds=seeds)[-1] for seeds in ((1, 2), (3, 2)))
    for name, value in one.state.items():
        np.testing.assert_array_equal(two.state[name], value)


def _fitted(method: str, *settings: dict[str, Any], seeds: Sequence[int] = (1,)) -> list[Outcome]:
    cells = track().resolve([
        request(method, seed, **brief(method), **FAST, **own) for own in settings for seed in seeds
    ])  # fmt: skip
    outcomes = list(track().run(Pack(tuple(cells), wanted=frozenset(cell.key for cell in cells)), MemoryCache(), "cpu"))
    assert [outcome.record.status for outcome in outcomes] == ["done"] * len(cells), outcomes[0].record.log_tail
    return outcomes
