"""A program over cells sees all cells at once, at any depth of vmap."""

import torch
from torch import Tensor

from promptgrid.towers.folding import over_cells

SEEN: list[tuple[int, ...]] = []


def program(x: Tensor, y: Tensor) -> Tensor:
    SEEN.append(tuple(x.shape))
    return x.square() * y.sum(-1, keepdim=True)


def one(x: Tensor, y: Tensor) -> Tensor:
    return over_cells(program, x, y)


def test_alone_under_one_vmap_and_under_two() -> None:
    x, y = torch.randn(2, 3, 4), torch.randn(2, 3, 5)
    wanted = x.square() * y.sum(-1, keepdim=True)
    SEEN.clear()
    assert torch.equal(one(x[0, 0], y[0, 0]), wanted[0, 0])
    assert torch.equal(torch.func.vmap(one)(x[0], y[0]), wanted[0])
    assert torch.equal(torch.func.vmap(torch.func.vmap(one))(x, y), wanted)
    assert SEEN == [(1, 4), (3, 4), (6, 4)], "each time once, for all cells"


def test_what_cells_share_and_other_axes() -> None:
    x, y = torch.randn(4, 3), torch.randn(5)
    wanted = (x.square() * y.sum()).mT
    assert torch.equal(torch.func.vmap(one, in_dims=(1, None))(x, y), wanted)
    nested = torch.func.vmap(torch.func.vmap(one, in_dims=(0, None)), in_dims=(None, 0))
    rows, weights = torch.randn(4, 3), torch.randn(2, 5)
    assert torch.allclose(nested(rows, weights), rows.square() * weights.sum(-1)[:, None, None])


def test_gradients_through_autograd_and_through_func_grad() -> None:
    x, y = torch.randn(3, 4, requires_grad=True), torch.randn(3, 5)
    wanted = 2 * x.detach() * y.sum(-1, keepdim=True)
    (found,) = torch.autograd.grad(torch.func.vmap(one)(x, y).sum(), x)
    assert torch.allclose(found, wanted)
    inner = torch.func.vmap(torch.func.grad(lambda a, b: one(a, b).sum()))(x.detach(), y)
    assert torch.allclose(inner, wanted)
