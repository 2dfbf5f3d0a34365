"""Only a step that does the same again, whatever its numbers, may become a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from promptgrid.engine.training.speed import NotRepeatable, Repeatable


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x + torch.randn(2, generator=torch.Generator().manual_seed(1)),
        lambda x: x * int(x[0]),
        lambda x: x[x > 0],
        lambda x: torch.nn.functional.dropout(x, 0.5),
        lambda x: x.to("meta"),
    ],
)
def test_what_a_graph_would_freeze_is_not_captured(step: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(NotRepeatable), Repeatable():
        step(torch.ones(2))


def test_attention_draws_only_where_it_drops() -> None:
    """The kernels of GPUs, on tensors without numbers."""
    query = torch.empty(2, 4, 8, 16, device="meta")
    with Repeatable():
        torch.ops.aten._scaled_dot_product_efficient_attention(query, query, query, None, True)
        torch.ops.aten._scaled_dot_product_flash_attention(query, query, query)
    with pytest.raises(NotRepeatable), Repeatable():
        torch.ops.aten._scaled_dot_product_flash_attention(query, query, query, 0.5)


def test_picking_by_number_is_repeatable_and_by_mask_is_not() -> None:
    x = torch.arange(4.0)
    with Repeatable():
        assert x[torch.tensor([0, 2])].tolist() == [0.0, 2.0]
    with pytest.raises(NotRepeatable), Repeatable():
        x[torch.tensor([True, False, True, False])]


def test_a_step_of_tensors_alone_is_repeatable() -> None:
    weight = torch.ones(3, 2, requires_grad=True)
    with Repeatable():
        loss = torch.nn.functional.cross_entropy(torch.ones(4, 2) @ weight.T, torch.tensor([0, 1, 2, 0]))
        (grad,) = torch.autograd.grad(loss, [weight])
    assert grad.shape == weight.shape
