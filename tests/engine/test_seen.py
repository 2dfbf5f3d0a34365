"""What is made of views that many steps look at is made once, to the same bit, where there is room for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from promptgrid.contract.columns import Views
from promptgrid.engine.training import sampling
from promptgrid.engine.training.sampling import Seen

EXAMPLES, ROWS = 70, torch.tensor([3, 69, 3, 0])
WEIGHT = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))


class Counting:
    """Makes features of examples, and counts them."""

    def __init__(self) -> None:
        self.examples = 0

    def __call__(self, values: Tensor) -> Tensor:
        self.examples += len(values)
        return values.float() @ WEIGHT


@pytest.fixture
def values() -> Tensor:
    return torch.randint(256, (EXAMPLES, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize(("room", "made"), [(2**28, EXAMPLES), (1000, 64 + 3 * len(ROWS))])
def test_it_is_made_once_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch, values: Tensor, room: int, made: int
) -> None:
    monkeypatch.setattr(sampling, "KEPT_BYTES", room)
    show = Counting()
    seen = Seen(Views.still(values, show, kept=True), values)
    found = [seen.rows(ROWS) for _ in range(3)]
    assert show.examples == made
    assert all(torch.equal(one, values[ROWS].float() @ WEIGHT) for one in found)


def test_what_is_not_worth_keeping_is_made_at_every_step(values: Tensor) -> None:
    show = Counting()
    seen = Seen(Views.still(values, show), values)
    assert torch.equal(seen.rows(ROWS), seen.rows(ROWS))
    assert show.examples == 2 * len(ROWS)
