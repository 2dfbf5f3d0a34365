"""BayesPrompt from the formulas: Stein descent towards a mixture, one text at a time; KnowPrompt without it."""

from __future__ import annotations

import math

import torch
from tests.reference.text.plain import bert, rows_of, transform
from torch import Tensor

from promptgrid.contract.randomness import normals
from promptgrid.tracks.text.task import TextTask

SALT = 17


def log_density(x: Tensor, weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    parts = [
        math.log(float(weights[k])) + torch.distributions.MultivariateNormal(means[k], covariances[k]).log_prob(x)
        for k in range(len(weights))
    ]
    return torch.logsumexp(torch.stack(parts), 0)


def stein(theta: Tensor, weights: Tensor, means: Tensor, covariances: Tensor, steps: int) -> Tensor:
    """Stein variational gradient descent with the gradients that autograd finds."""
    memory, n = torch.zeros_like(theta), len(theta)
    for step in range(steps):
        pulls = []
        for x in theta:
            x = x.clone().requires_grad_()
            pulls.append(torch.autograd.grad(log_density(x, weights, means, covariances), x)[0])
        squared = torch.tensor([[float(((a - b) ** 2).sum()) for b in theta] for a in theta])
        h = math.sqrt(0.5 * float(squared.double().flatten().quantile(0.5)) / math.log(n + 1))
        phi = torch.zeros_like(theta)
        for i in range(n):
            for j in range(n):
                near = torch.exp(-((theta[j] - theta[i]) ** 2).sum() / (2 * h**2))
                phi[i] += (near * pulls[j] + near * (theta[i] - theta[j]) / h**2) / n
        memory = phi**2 if step == 0 else 0.9 * memory + 0.1 * phi**2
        theta = theta + 0.01 * phi / (1e-6 + memory.sqrt())
    return theta


def mean_embedding(task: TextTask, batch: object) -> Tensor:
    w = task.backbone.weights()
    return torch.stack(
        [w["embeddings.word"][ids].mean(0) for ids in rows_of(batch, "templated", "templated_attention")]
    )


def marks(p: dict[str, Tensor], classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """What stands around the first and the second entity."""
    if "marks" in p:
        return p["marks"][0], p["marks"][1]
    noise = normals((1, len(p["particles"])), seed, SALT)[0]
    drawn = noise.argsort(descending=True)[: min(len(p["particles"]), classes)]
    mean = p["particles"][drawn].mean(0)
    return mean, mean


def logits(task: TextTask, p: dict[str, Tensor], batch: object, seed: int = 0) -> Tensor:
    w = {name.removeprefix("tower."): value for name, value in p.items() if name.startswith("tower.")}
    first, second = marks(p, len(task.classes), seed)
    found = []
    for row, ids in enumerate(rows_of(batch, "templated", "templated_attention")):
        x = list(w["embeddings.word"][ids])
        for at in batch["subject_at"][row]:  # type: ignore[index]
            x[at] = first
        for at in batch["object_at"][row]:  # type: ignore[index]
            x[at] = second
        state = bert(w, torch.stack(x))[batch["mask_at"][row]]  # type: ignore[index]
        found.append(p["rows"] @ transform(w, state))
    return torch.stack(found)
