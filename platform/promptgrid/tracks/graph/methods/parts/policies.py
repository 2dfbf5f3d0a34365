"""RELIEF's policies: who is prompted (discrete), with what (continuous), and how good a prompted graph is (critic)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.contract.method import Params

LIMIT = 1e-10
"""The least probability whose logarithm is taken."""


def orthogonal(rng: torch.Generator, copies: int, out: int, width: int, gain: float = 1.0) -> Tensor:
    """(copies, out, width) orthogonal matrices, as torch's init.orthogonal_ draws them."""
    found = []
    for _ in range(copies):
        drawn = torch.randn(max(out, width), min(out, width), generator=rng)
        q, r = torch.linalg.qr(drawn)
        q = q * r.diagonal().sign()
        found.append(gain * (q if out >= width else q.mT))
    return torch.stack(found)


def drawn(rng: torch.Generator, policies: int, width: int, inputs: int, size: int) -> Params:
    """The start of all policies on states (``size``, ``width``) that prompt ``inputs`` numbers a node."""
    half, flat = width // 2, size * width
    first, second = max(1, flat // 20), max(1, flat // 40)
    shapes = {
        "actor_d": ((half, width), (max(1, half // 2), half), (1, max(1, half // 2))),
        "actor_c": ((half, width), (half, half), (inputs, half)),
        "critic": ((first, flat), (second, first), (1, second)),
    }
    found: Params = {}
    for name, layers in shapes.items():
        copies = 1 if name == "critic" else policies
        for at, (out, wide) in enumerate(layers):
            found[f"{name}_w{at}"] = orthogonal(rng, copies, out, wide)
            found[f"{name}_b{at}"] = torch.zeros(copies, 1, out)
    del found["actor_d_b2"]  # a softmax does not see it: all that would move it is rounding
    return found


def passed(params: Params, name: str, states: Tensor) -> Tensor:
    """(P, ..., out) of ``states`` (P, ..., width), or (..., width) for all: three layers, tanh between them."""
    found = states
    for at in range(3):
        weight = params[f"{name}_w{at}"]
        bias = (
            params[f"{name}_b{at}"] if f"{name}_b{at}" in params else weight.new_zeros(len(weight), 1, weight.shape[1])
        )
        extra = found.dim() - 3 if found.dim() > 3 else 0
        for _ in range(extra):
            weight, bias = weight.unsqueeze(1), bias.unsqueeze(1)
        found = found @ weight.mT + bias
        found = torch.tanh(found) if at < 2 else found
    return found


def choices(params: Params, states: Tensor, there: Tensor) -> Tensor:
    """(P, N, M) how likely each policy prompts each node: ``states`` (P, N, M, width), ``there`` (P, N, M)."""
    scores = passed(params, "actor_d", states).squeeze(-1)
    return torch.where(there, scores, -1e9).softmax(-1)


def actions(params: Params, states: Tensor, z_max: Tensor | float) -> Tensor:
    """(P, N, inputs) the mean prompt of the node with ``states`` (P, N, width)."""
    return z_max * torch.tanh(passed(params, "actor_c", states))


def values(params: Params, states: Tensor) -> Tensor:
    """(N,) of states (N, M, width), padding zero."""
    return passed(params, "critic", states.flatten(1).unsqueeze(0)).squeeze(0).squeeze(-1)


def gaussian_log(action: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """(...) log-density of ``action`` (..., d) under N(mean, exp(log_std)²)."""
    scaled = (action - mean) * torch.exp(-log_std)
    return (-0.5 * scaled.square() - log_std - 0.5 * math.log(2.0 * math.pi)).sum(-1)


def advantages(rewards: Tensor, worth: Tensor, live: Tensor, gamma: float, decay: float) -> tuple[Tensor, Tensor]:
    """Advantages and returns (T, B) by generalised advantage estimation (Schulman et al., ICLR 2016).

    Args:
        rewards: (T, B).
        worth: (T, B) values of the states before each action; behind the last action a graph is worth nothing.
        live: (T, B) 1 where an action was taken, 0 behind a graph's last.
        gamma: discount.
        decay: lambda.
    """
    after = torch.cat([worth[1:] * live[1:], torch.zeros_like(worth[:1])])
    errors, found, ahead = rewards + gamma * after - worth, [], torch.zeros_like(worth[0])
    for step in range(len(rewards) - 1, -1, -1):
        ahead = live[step] * (errors[step] + gamma * decay * ahead)
        found.append(ahead)
    gained = torch.stack(found[::-1])
    return gained, gained + worth


@dataclass(frozen=True)
class Rollout:
    """Prompting B graphs node by node, T steps; what an update of the policies needs.

    Attributes:
        prompt: (B, M, d) what was added in the end.
        states: (T, B, M, width) before each action.
        nodes: (T, B) chosen.
        acts: (T, B, d) drawn, before the limits of what is added.
        rewards: (T, B).
        live: (T, B) 1 where a node was prompted.
        chance: (T, B) log-probability of the node chosen.
        density: (T, B) log-density of the action.
        joint: (T, B, M) probabilities of the joint policy.
        joint_mean: (T, B, d) its action for the node chosen.
        worth: (T, B) values of the states.
    """

    prompt: Tensor
    states: Tensor
    nodes: Tensor
    acts: Tensor
    rewards: Tensor
    live: Tensor
    chance: Tensor
    density: Tensor
    joint: Tensor
    joint_mean: Tensor
    worth: Tensor
