"""The two adversaries of SPG: one writes contexts for images, the other tells them from learned ones."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Params, dropout
from promptgrid.tracks.image.methods.parts.starts import uniform

WRITER, JUDGE = (128, 256, 512, 1024), (512, 512, 512)
"""Hidden widths of the generator and of the discriminator."""
SEEN = tuple(f"seen{layer}" for layer in range(1, len(WRITER)))
"""Running means and variances of the generator's batch norms, each (2, width)."""
CLIPS = {"PACS": (0.5, 0.5, 5.0, 0.05, 5e-7, 5.0), "others": (0.05, 0.5, 5.0, 5e-3, 5e-8, 1.0)}
"""Greatest norms of gradients: the discriminator's inner weights, its inner biases, both of its ends; the generator's
weights, its biases, its last two biases."""
EPSILON, MOMENTUM = 0.8, 0.1


def adversaries(rng: torch.Generator, noise: int, width: int, prompt: int) -> Params:
    """A generator of (``prompt``,) contexts from noise and image features (``width``,), and their discriminator."""
    params = _perceptron(rng, "writer", (noise + width, *WRITER, prompt))
    for layer, own in enumerate(WRITER[1:], start=1):
        del params[f"writer_bias{layer}"]
        params[f"writer_norm_weight{layer}"], params[f"writer_norm_bias{layer}"] = torch.ones(own), torch.zeros(own)
        params[f"seen{layer}"] = torch.stack([torch.zeros(own), torch.ones(own)])
    return params | _perceptron(rng, "judge", (prompt + width, *JUDGE, 1))


def write(params: Params, unit: Tensor, noise: Tensor, seen: Params | None = None) -> tuple[Tensor, Params]:
    """Contexts (B, prompt) of images, and mean and variance before each batch norm: the batch's own, or ``seen``."""
    x, found = torch.cat([noise, unit], dim=-1), {}
    for layer in range(len(WRITER)):
        x = F.linear(x, params[f"writer_weight{layer}"], params.get(f"writer_bias{layer}"))
        if layer:
            own = torch.stack([x.mean(0), x.var(0, unbiased=False)]) if seen is None else seen[f"seen{layer}"]
            found[f"seen{layer}"] = own
            x = (x - own[0]) * (own[1] + EPSILON).rsqrt()
            x = x * params[f"writer_norm_weight{layer}"] + params[f"writer_norm_bias{layer}"]
        x = F.leaky_relu(x, 0.2)
    last = len(WRITER)
    return F.linear(x, params[f"writer_weight{last}"], params[f"writer_bias{last}"]).tanh(), found


def judge(params: Params, contexts: Tensor, unit: Tensor, seed: Tensor, salt: int) -> Tensor:
    """(B,) how much contexts (B, prompt) look like learned ones of the images; dropout .4 in the inner layers."""
    x = torch.cat([contexts, unit], dim=-1)
    for layer in range(len(JUDGE)):
        x = F.linear(x, params[f"judge_weight{layer}"], params[f"judge_bias{layer}"])
        x = F.leaky_relu(dropout(x, 0.4 if layer else 0.0, seed, 10 * salt + layer), 0.2)
    return F.linear(x, params[f"judge_weight{len(JUDGE)}"], params[f"judge_bias{len(JUDGE)}"]).squeeze(-1)


def duel(params: Params, real: Tensor, unit: Tensor, noise: Tensor, seed: Tensor) -> dict[str, Tensor]:
    """Least squares of the two turns: ``judge`` to 1 on ``real`` contexts and to 0 on written ones, ``writer`` to 1.

    Args:
        params: of both.
        real: (B, prompt) the learned context of each image.
        unit: (B, width) unit features of the images.
        noise: (B, noise) what the writer starts from.
        seed: of the step, for dropout.
    """
    written, _ = write(params, unit, noise)
    right = (judge(params, real, unit, seed, 1) - 1.0).square().mean()
    wrong = judge(params, written.detach(), unit, seed, 2).square().mean()
    return {"judge": right + wrong, "writer": (judge(params, written, unit, seed, 3) - 1.0).square().mean()}


def moved(old: Params, found: Params, images: int) -> Params:
    """Running statistics after a batch of ``images``, as ``torch.nn.BatchNorm1d`` has them: variances unbiased."""
    share = images / max(1, images - 1)
    return {
        name: (1.0 - MOMENTUM) * old[name] + MOMENTUM * torch.stack([found[name][0], share * found[name][1]])
        for name in SEEN
    }


def clips(clipping: str) -> dict[str, float]:
    """The greatest norm of the gradient of each parameter of both, by one of ``CLIPS``."""
    inner, inner_bias, ends, weight, bias, last_bias = CLIPS[clipping]
    found: dict[str, float] = {}
    for layer in range(len(JUDGE) + 1):
        outer = layer in (0, len(JUDGE))
        found |= {f"judge_weight{layer}": ends if outer else inner, f"judge_bias{layer}": ends if outer else inner_bias}
    deepest = len(WRITER)
    for layer in range(deepest + 1):
        found[f"writer_weight{layer}"] = weight
        if 0 < layer < deepest:
            found[f"writer_norm_weight{layer}"] = weight
            found[f"writer_norm_bias{layer}"] = last_bias if layer + 1 == deepest else bias
        else:
            found[f"writer_bias{layer}"] = last_bias if layer else bias
    return found


def _perceptron(rng: torch.Generator, name: str, widths: tuple[int, ...]) -> Params:
    """Weights U(±√(6 / inputs)) (He) and biases U(±1 / √inputs) of each layer."""
    params: Params = {}
    for layer, (inputs, outputs) in enumerate(pairwise(widths)):
        params[f"{name}_weight{layer}"] = uniform(rng, (6.0 / inputs) ** 0.5, outputs, inputs)
        params[f"{name}_bias{layer}"] = uniform(rng, inputs**-0.5, outputs)
    return params
