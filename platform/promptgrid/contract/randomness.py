"""Random streams that belong to one cell, and dropout that draws from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def stream(*names: object) -> torch.Generator:
    """A CPU generator seeded by what ``names`` say, e.g. ``stream(dataset, shots, seed, "batches")``."""
    raw = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(raw[:8], "big") >> 1)


def dropout(x: Tensor, rate: float, seed: Tensor | None, salt: int) -> Tensor:
    """Inverted dropout whose mask is a function of (``seed``, ``salt``) alone.

    Args:
        x: any shape; under ``vmap`` each cell draws its own mask from its own seed.
        rate: the probability of a zero.
        seed: this step's int64 scalar (``task.seed``), or None when evaluating: then ``x`` is returned as it is.
        salt: a different number for every place that drops.
    """
    if seed is None or rate <= 0.0:
        return x
    mask: Tensor = _Mask.apply(x.detach(), seed, rate, salt)  # type: ignore[no-untyped-call]
    return x * mask


def draws(shape: Sequence[int], seed: int, salt: int) -> Tensor:
    """``shape`` draws of U(0, 1), float32, on the CPU: a function of (``seed``, ``salt``) alone."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + salt) % 2**63)
    return torch.rand(tuple(shape), generator=generator)


def gaussian(x: Tensor, size: int, seed: Tensor, salt: int) -> Tensor:
    """(B, ``size``) draws of N(0, 1) for the B rows of ``x``: a function of (``seed``, ``salt``) alone.

    Under ``vmap`` each cell draws from its own seed, as in :func:`dropout`.
    """
    drawn: Tensor = _Normal.apply(x.detach(), size, seed, salt)  # type: ignore[no-untyped-call]
    return drawn


class _Normal(torch.autograd.Function):
    """Normal noise; its own batching rule draws for each cell from that cell's seed."""

    @staticmethod
    def forward(x: Tensor, size: int, seed: Tensor, salt: int) -> Tensor:
        generator = torch.Generator().manual_seed((int(seed) * 1_000_003 + salt) % 2**63)
        return torch.randn(x.shape[0], size, generator=generator).to(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, size: int, seed: Tensor, salt: int) -> tuple[Tensor, int]:
        x_dim, seed_dim = in_dims[0], in_dims[2]
        xs = [x] * info.batch_size if x_dim is None else list(x.movedim(x_dim, 0))
        seeds = [seed] * info.batch_size if seed_dim is None else list(seed.movedim(seed_dim, 0))
        return torch.stack([_Normal.forward(a, size, b, salt) for a, b in zip(xs, seeds, strict=True)]), 0


def normals(shape: Sequence[int], seed: int, salt: int) -> Tensor:
    """``shape`` draws of N(0, 1), float32, on the CPU: a function of (``seed``, ``salt``) alone."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + salt) % 2**63)
    return torch.randn(tuple(shape), generator=generator)


class _Mask(torch.autograd.Function):
    """The dropout mask; its own batching rule draws for each cell from that cell's seed."""

    @staticmethod
    def forward(x: Tensor, seed: Tensor, rate: float, salt: int) -> Tensor:
        kept = draws(x.shape, int(seed), salt) >= rate
        return kept.to(x) / (1.0 - rate)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, seed: Tensor, rate: float, salt: int) -> tuple[Tensor, int]:
        x_dim, seed_dim = in_dims[0], in_dims[1]
        xs = [x] * info.batch_size if x_dim is None else list(x.movedim(x_dim, 0))
        seeds = [seed] * info.batch_size if seed_dim is None else list(seed.movedim(seed_dim, 0))
        return torch.stack([_Mask.forward(a, b, rate, salt) for a, b in zip(xs, seeds, strict=True)]), 0
