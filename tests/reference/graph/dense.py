"""Graph towers by dense matrices, written from the papers' formulas."""

from __future__ import annotations

import torch
from torch import Tensor

HEADS = 4


def norm(states: Tensor, own: dict[str, Tensor], name: str) -> Tensor:
    mean, var = states.mean(-1, keepdim=True), states.var(-1, unbiased=False, keepdim=True)
    return (states - mean) / (var + 1e-5).sqrt() * own[f"{name}weight"] + own[f"{name}bias"]


def plain(kind: str, x: Tensor, a: Tensor, own: dict[str, Tensor]) -> Tensor:
    """(n, width) states by dense matrices, written from the papers' formulas."""

    def line(name: str, states: Tensor) -> Tensor:
        return states @ own[f"{name}weight"].T + own[f"{name}bias"]

    degrees, h = a.sum(1), line("in.", x)
    if kind == "gps":
        walk, power, returns = a / degrees.clamp(min=1.0), torch.eye(len(a), dtype=x.dtype), []
        for _ in range(8):
            power = walk @ power
            returns.append(power.diagonal())
        h = h + torch.stack(returns, 1) @ own["walks.weight"].T
    for layer in range(2):
        at = f"layers.{layer}."
        if kind == "gin":
            h = line(f"{at}outer.", torch.relu(line(f"{at}inner.", h + a @ h)))
        elif kind == "gcn":
            loops = a + torch.eye(len(a), dtype=x.dtype)
            root = torch.diag(loops.sum(1) ** -0.5)
            h = line(at, root @ loops @ root @ h)
        elif kind == "sage":
            h = line(f"{at}self.", h) + line(f"{at}around.", (a @ h) / degrees.clamp(min=1.0)[:, None])
        else:
            around = (a @ h) / degrees.clamp(min=1.0)[:, None]
            local = norm(h + line(f"{at}local.self.", h) + line(f"{at}local.around.", around), own, f"{at}norm_local.")
            q, k, v = line(f"{at}qkv.", h).chunk(3, dim=-1)
            heads = [
                (one @ other.T / one.shape[1] ** 0.5).softmax(-1) @ worth
                for one, other, worth in zip(q.chunk(HEADS, 1), k.chunk(HEADS, 1), v.chunk(HEADS, 1), strict=True)
            ]
            z = local + norm(h + line(f"{at}far.", torch.cat(heads, 1)), own, f"{at}norm_far.")
            h = norm(z + line(f"{at}outer.", torch.relu(line(f"{at}inner.", z))), own, f"{at}norm_out.")
        if kind != "gps":
            h = norm(h, own, f"{at}norm.")
            h = torch.relu(h) if layer == 0 else h
    return h
