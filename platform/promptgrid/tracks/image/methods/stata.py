"""StatA: a Gaussian for each class, fitted to a batch of test images and anchored to what the texts say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Classifier, Number, Params, Task, knob
from promptgrid.tracks.image.methods.parts.settings import check

FLAT = 50.0
"""What log-densities are divided by beside the texts' answers."""
SWEEPS = 5
"""Updates of the assignments in each round."""


@dataclass(frozen=True)
class StatA(Classifier):
    """StatA: the unlabelled images of a batch are clustered by Gaussians that a statistical anchor holds to the texts.

    Source: Zanella et al., section 4; MaxZanella/StatA 0138fd9 (``solvers/StatA.py``). Of a batch of N images with
    unit features f_i and unit texts t_k: ŷ = softmax(s f t'), assignments z = ŷ, means m = t, and for every class the
    diagonal covariance v0 = (1/N) sum_ik ŷ_ik (f_i - t_k)². In each of ``rounds`` + 1 rounds z is set five times to
    softmax_k(log ŷ_ik - (1/100) sum_d (f_id - m_kd)² / v_kd + (``smoothness`` / 2 K) sum_j (w_ij + w_ji) z_jk),
    w_ij = f_i f_j where j is one of the K = ``neighbours`` nearest of i, and between two rounds, with
    b_k = n_k / (``alpha`` + n_k): m = |b |z-weighted mean of f| + (1 - b) t|, |.| to unit length, and
    v = b (z-weighted (f - m)²) + (1 - b) (v0 + (t - m)²). n_k counts the images whose greatest z is k (``counts:
    soft``: the sum of z_k). Scores are log z, so that probabilities are z. Nothing is kept: every batch is fitted
    afresh, and the online variant is, in the code, the same on the batches of a stream. Fits 2 C x D numbers.
    Deviations: s is the backbone's (the original: 100); sums are in float64; an image is never its own neighbour, also
    where another is its equal; a batch of fewer than K + 1 images has fewer neighbours; a class that no image is
    assigned to at all stays at its anchor, where the original divides by zero.
    """

    name: ClassVar[str] = "stata"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "Zanella et al., CVPR 2025, arXiv:2501.03729"
    axes: ClassVar = Axes("classifier", "head", "none", "test_time", "features", design="objective")
    joint: ClassVar[bool] = True

    alpha: Number = knob(1.0, low=0.01, high=100.0, log=True)
    smoothness: Number = knob(1.0, low=0.0, high=10.0)
    neighbours: int = 3
    counts: Literal["hard", "soft"] = "hard"
    rounds: int = 10

    def __post_init__(self) -> None:
        check(self, neighbours=1, counts=("hard", "soft"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {}

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        told = F.log_softmax(super().head(params, image, text, task).double(), dim=-1)
        features, anchor = (F.normalize(each.double(), dim=-1) for each in (image, text))
        alike = self.smoothness / (2.0 * self.neighbours) * _alike(features, self.neighbours)
        found, means = told, anchor
        start = _squares(features, anchor, told.exp()).sum(0) / len(features)
        spreads = start.expand_as(anchor)
        for turn in range(self.rounds + 1):
            if turn:
                means, spreads = self._fitted(features, anchor, start, found.exp())
            fit = _log_density(features, means, spreads) / FLAT
            for _ in range(SWEEPS):
                found = F.log_softmax(told + fit + alike @ found.exp(), dim=-1)
        return found.to(image)

    def _fitted(self, features: Tensor, anchor: Tensor, start: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """(C, D) means and covariances of the classes, between those of the batch and those of the anchor."""
        weight = own.sum(0).clamp_min(1e-300).unsqueeze(1)
        best = torch.zeros_like(own).scatter(1, own.argmax(1, keepdim=True), 1.0)
        count = (best if self.counts == "hard" else own).sum(0).unsqueeze(1)
        share = count / (self.alpha + count)
        seen = F.normalize(own.mT @ features / weight, dim=-1)
        means = F.normalize(share * seen + (1.0 - share) * anchor, dim=-1)
        spread = _squares(features, means, own) / weight
        return means, share * spread + (1.0 - share) * (start + (anchor - means) ** 2)


def _squares(features: Tensor, means: Tensor, own: Tensor) -> Tensor:
    """(C, D): the sum over images of own_ik (f_i - m_k)²."""
    return own.mT @ features**2 - 2.0 * means * (own.mT @ features) + own.sum(0).unsqueeze(1) * means**2


def _log_density(features: Tensor, means: Tensor, spreads: Tensor) -> Tensor:
    """(N, C): -1/2 sum_d (f_id - m_kd)² / v_kd, without the determinant, as the original."""
    close = features**2 @ (1.0 / spreads).mT - 2.0 * features @ (means / spreads).mT
    return -0.5 * (close + (means**2 / spreads).sum(1))


def _alike(features: Tensor, count: int) -> Tensor:
    """(N, N): w + w', the cosine of each image with its nearest ones."""
    near = features @ features.mT
    others = near - 4.0 * torch.eye(len(near), dtype=near.dtype, device=near.device)
    best = others.topk(min(count, len(near) - 1), dim=-1)
    kept = torch.zeros_like(near).scatter(1, best.indices, best.values)
    return kept + kept.mT
