"""Learning from losses alone, as BlackVIP's code does it: one cell, parameters joined into one vector by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from tests.reference.task import Params, Plain
from torch import Tensor

Loss = Callable[[Params, Tensor], Tensor]  # parameters, positions of the batch


def uniform(shape: tuple[int, ...], seed: int, place: int) -> Tensor:
    """The engine's documented draws of a step."""
    return torch.rand(shape, generator=torch.Generator().manual_seed((seed * 1_000_003 + place) % 2**63))


def normal(shape: tuple[int, ...], seed: int, place: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed((seed * 1_000_003 + place) % 2**63))


def spsa_gc(
    plain: Plain,
    begin: Params,
    names: Sequence[str],
    loss: Loss,
    learning_rate: float,
    rate_decay: float,
    size: float,
    size_decay: float,
    momentum: float,
    estimates: int,
) -> Params:
    """``loss`` may change what it finds beside ``names``."""
    params = {name: value.clone() for name, value in begin.items()}
    w, held, k = _joined(params, sorted(names)), torch.zeros(0), 0
    for steps in plain.batches:
        for chosen, seed in steps:
            k += 1
            rate, width = learning_rate / (k + 1.0) ** rate_decay, size / k**size_decay
            slopes = []
            for estimate in range(estimates):
                drawn = uniform((2, len(w)), seed, estimate).to(w)
                side = (drawn[0] + 1.0) / 2.0 * torch.where(drawn[1] < 0.5, -1.0, 1.0)
                above = loss(_put(params, sorted(names), w + width * side), chosen)
                below = loss(_put(params, sorted(names), w - width * side), chosen)
                slopes.append((above - below) / (2.0 * width * side))
            slope = torch.stack(slopes).mean(0)
            held = slope if k == 1 else momentum * held + slope
            w = w - rate * (slope + momentum * held)
    return _put(params, sorted(names), w)


def one_sided(
    plain: Plain,
    begin: Params,
    names: Sequence[str],
    loss: Loss,
    learning_rate: float,
    last_rate: float,
    radius: float,
    estimates: int,
) -> Params:
    """BAR: random directions on the sphere; a rate that falls with the power 0.9 over nine tenths of the steps."""
    params = {name: value.clone() for name, value in begin.items()}
    w, k = _joined(params, sorted(names)), 0
    falling = 0.9 * sum(len(steps) for steps in plain.batches)
    for steps in plain.batches:
        for chosen, seed in steps:
            k += 1
            rate = (learning_rate - last_rate) * (1.0 - min(k, falling) / falling) ** 0.9 + last_rate
            here, slope = loss(_put(params, sorted(names), w), chosen), torch.zeros_like(w)
            for estimate in range(estimates):
                direction = normal((len(w),), seed, estimate).to(w)
                direction = direction / direction.norm()
                there = loss(_put(params, sorted(names), w + radius * direction), chosen)
                slope = slope + len(w) / estimates * direction * (there - here) / radius
            w = w - rate * slope
    return _put(params, sorted(names), w)


def _joined(params: Params, names: Sequence[str]) -> Tensor:
    return torch.cat([params[name].flatten() for name in names])


def _put(params: Params, names: Sequence[str], w: Tensor) -> Params:
    """``params`` themselves, with the parts of ``w`` in the place of ``names``."""
    parts = torch.split(w, [params[name].numel() for name in names])
    for name, part in zip(names, parts, strict=True):
        params[name] = part.view_as(params[name])
    return params
