"""Particles of a domain: a Gaussian mixture over texts, and Stein variational descent towards it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptgrid.contract.task import Batch
from promptgrid.tracks.text.task import TextTask

Array = npt.NDArray[np.float64]
MOST_DIMENSIONS = 64
REGULARISATION = 0.1
STEPS, STEP_SIZE, MEMORY = 1000, 0.01, 0.9


def mean_embeddings(task: TextTask, texts: Batch) -> Array:
    """(N, d) the mean word embedding of each text's tokens, special tokens included."""
    words, there = task.backbone.embed(texts["templated"]), texts["templated_attention"].unsqueeze(-1)
    mean = (words * there).sum(1) / there.sum(1)
    return np.asarray(mean.double().cpu().numpy())


def domain_particles(starts: Array, pooled: Array, classes: int, seed: int) -> Array:
    """(N, d) ``starts`` moved towards the mixture that ``pooled`` (M, d) is drawn from.

    Both are projected onto at most 64 principal components of ``pooled``, where full covariances can be fitted, and
    what moved is projected back.
    """
    from sklearn.decomposition import PCA  # a second to import, and only this method's
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes no types

    with threadpool_limits(1):
        axes = PCA(min(MOST_DIMENSIONS, *pooled.shape)).fit(pooled)
        low = axes.transform(pooled)
        mixture = GaussianMixture(
            min(len(pooled), classes), covariance_type="full", reg_covar=REGULARISATION, random_state=seed
        ).fit(low)
        moved = stein(axes.transform(starts), mixture.weights_, mixture.means_, mixture.precisions_)
        return np.asarray(axes.inverse_transform(moved))


def stein(particles: Array, weights: Array, means: Array, precisions: Array, steps: int = STEPS) -> Array:
    """Stein variational gradient descent towards a Gaussian mixture, with AdaGrad that forgets (Liu and Wang, 2016).

    Args:
        particles: (N, d) where they start.
        weights: (K,) of the mixture.
        means: (K, d).
        precisions: (K, d, d) inverse covariances.
        steps: of size .01, over the root of a running mean of squared directions.
    """
    theta, memory = particles.copy(), np.zeros_like(particles)
    dets = np.linalg.slogdet(precisions)[1]
    for step in range(steps):
        direction = _direction(theta, score(theta, weights, means, precisions, dets))
        memory = direction**2 if step == 0 else MEMORY * memory + (1 - MEMORY) * direction**2
        theta = theta + STEP_SIZE * direction / (1e-6 + np.sqrt(memory))
    return theta


def score(theta: Array, weights: Array, means: Array, precisions: Array, dets: Array) -> Array:
    """(N, d) ∇ log p of a Gaussian mixture."""
    away = theta[:, None] - means
    pulled = np.einsum("nkd,kde->nke", away, precisions)
    logs = np.log(weights) + 0.5 * dets - 0.5 * (pulled * away).sum(-1)
    share = np.exp(logs - logs.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    return np.asarray(-(share[..., None] * pulled).sum(1))


def _direction(theta: Array, pull: Array) -> Array:
    """(1/N) Σ_j k(θ_j, θ_i) ∇ log p(θ_j) + ∇ k(θ_j, θ_i), with h = √(median / (2 log (N + 1))) of squared distances."""
    squared = ((theta[:, None] - theta[None]) ** 2).sum(-1)
    width = np.sqrt(0.5 * np.median(squared) / np.log(len(theta) + 1))
    if width == 0.0:
        return pull
    near = np.exp(-squared / width**2 / 2)
    push = (theta * near.sum(1, keepdims=True) - near @ theta) / width**2
    return np.asarray((near @ pull + push) / len(theta))


def of_same_size(particles: Array, rng: torch.Generator) -> Tensor:
    """(N, d) Gaussian noise, each row as long as the row of ``particles``."""
    noise = torch.randn(particles.shape, generator=rng, dtype=torch.float64)
    lengths = torch.from_numpy(np.linalg.norm(particles, axis=1, keepdims=True))
    return torch.nn.functional.normalize(noise, dim=1) * lengths
