"""Runs a program written for many cells once for all of them, from inside ``vmap`` or alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Program = Callable[..., Tensor]
"""Takes tensors that lead with a cell axis, each (K, ...), and gives (K, ...)."""


def over_cells(program: Program, *tensors: Tensor) -> Tensor:
    """``program`` on the tensors of one cell, given and returned without the cell axis.

    Under ``vmap`` the axes of all levels are folded into K and the program runs once, below ``vmap``: no operation
    needs a batching rule (attention has none on the CPU and would be looped), and autograd sees what the program does.
    """
    if any(torch._C._functorch.is_batchedtensor(x) for x in tensors):
        folded: Tensor = _Cells.apply(program, *tensors)  # type: ignore[no-untyped-call]
        return folded
    return program(*(x.unsqueeze(0) for x in tensors)).squeeze(0)


class _Cells(torch.autograd.Function):
    """Only its batching rule runs in the engine; the rest serves ``torch.func`` transforms around it."""

    @staticmethod
    def forward(program: Program, *tensors: Tensor) -> Tensor:
        return over_cells(program, *tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.program = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        with torch.enable_grad():
            inputs = [x.detach().requires_grad_() for x in ctx.saved_tensors]
            output = over_cells(ctx.program, *inputs)
        return None, *torch.autograd.grad(output, inputs, grads[0], allow_unused=True)

    @staticmethod
    def vmap(info: Any, in_dims: Any, program: Program, *tensors: Tensor) -> tuple[Tensor, int]:
        cells = info.batch_size
        folded = [_lead(x, dim, cells) for x, dim in zip(tensors, in_dims[1:], strict=True)]
        if not any(torch._C._functorch.is_batchedtensor(x) for x in folded):
            return program(*folded), 0

        def inner(*outer: Tensor) -> Tensor:
            result = program(*(x.flatten(0, 1) for x in outer))
            return result.view(-1, cells, *result.shape[1:])

        return over_cells(inner, *folded), 0


def _lead(x: Tensor, dim: int | None, cells: int) -> Tensor:
    """``x`` with the cell axis first; repeated where all cells share it."""
    return x.unsqueeze(0).expand(cells, *x.shape) if dim is None else x.movedim(dim, 0)
