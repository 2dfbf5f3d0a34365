"""StatA: Gaussians of a batch held to the texts by an anchor (Zanella et al., CVPR 2025), class by class.

z_i ~ y_i exp((log p_i + 50 / (2 K) sum_j (w_ij + w_ji) z_j) / 50), five times; then mu_k and Sigma_k between the batch
and N(t_k, Sigma_0), by b_k = n_k / (alpha + n_k). Eleven rounds of the first, ten of the second.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.task import Params, Plain
from torch import Tensor


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    return {}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    """(B, C): log z of the batch ``pixels``."""
    images, texts = plain.clip.image(pixels), plain.clip.classes_in(plain.template, plain.classes)
    return torch.log(assigned(images / images.norm(dim=-1, keepdim=True), texts, float(plain.clip.scale), **settings))


def assigned(
    f: Tensor,
    t: Tensor,
    scale: float,
    alpha: float = 1.0,
    smoothness: float = 1.0,
    neighbours: int = 3,
    counts: str = "hard",
    rounds: int = 10,
) -> Tensor:
    """z (N, C) of unit features (N, D) and unit texts (C, D)."""
    people, classes = range(len(f)), range(len(t))
    y = torch.softmax(scale * f @ t.T, dim=1)
    w = torch.zeros(len(f), len(f), dtype=f.dtype)
    for i in people:
        others = sorted((j for j in people if j != i), key=lambda j: -float(f[i] @ f[j]))
        for j in others[:neighbours]:
            w[i, j] = f[i] @ f[j]
    first = torch.stack([y[i, k] * (f[i] - t[k]) ** 2 for i in people for k in classes]).sum(0) / len(f)
    mu, sigma, z = t.clone(), first.repeat(len(t), 1), y.clone()
    for left in reversed(range(rounds + 1)):
        density = torch.stack([-0.5 * ((f - mu[k]) ** 2 / sigma[k]).sum(1) for k in classes], dim=1)
        for _ in range(5):
            inside = density + smoothness * 50 / (2 * neighbours) * (w @ z + w.T @ z)
            raw = y * torch.exp((inside - inside.max(dim=1, keepdim=True).values) / 50)
            z = raw / raw.sum(1, keepdim=True)
        if not left:
            break
        for k in classes:
            count = z[:, k].sum() if counts == "soft" else (z.argmax(1) == k).to(z).sum()
            b = count / (alpha + count)
            mean = (z[:, k : k + 1] * f).sum(0) / z[:, k].sum()
            mean = b * mean / mean.norm() + (1 - b) * t[k]
            mu[k] = mean / mean.norm()
            apart = (z[:, k : k + 1] * (f - mu[k]) ** 2).sum(0) / z[:, k].sum()
            sigma[k] = b * apart + (1 - b) * (first + (t[k] - mu[k]) ** 2)
    return z
