"""RELIEF's update: hybrid proximal policy optimisation with a penalty that holds sub-policies to the joint one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.tracks.graph.methods.parts.policies import (
    LIMIT,
    Rollout,
    actions,
    advantages,
    choices,
    gaussian_log,
    values,
)

GAMMA, DECAY, CLIP, VALUE, NORM = 0.99, 0.95, 0.2, 0.5, 0.5
BETAS, EPSILON = (0.9, 0.999), 1e-8
STOP_D, STOP_C = 0.001, 0.1
"""Discount, lambda, clip of both actors, weight of the critic, greatest norm of a gradient; the divergences of discrete
and continuous actors beyond which an actor is not moved further on a rollout."""


@dataclass(frozen=True)
class Update:
    """Numbers of one update: ``log_std`` and ``entropy`` as annealed, the penalties, the rate, and how often."""

    log_std: Tensor
    entropy: Tensor
    rate: Tensor | float
    alpha_d: Tensor | float
    alpha_c: Tensor | float
    z_max: Tensor | float
    rounds: int
    random: bool = False


def rows_of(policies: int, graphs: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(P, G) the graphs that each sub-policy learns from, and whether a place is one: graph i is policy i mod P's."""
    each = -(-graphs // policies)
    rows = torch.arange(policies, device=device).unsqueeze(1) + policies * torch.arange(each, device=device)
    return rows.clamp(max=graphs - 1), rows < graphs


def updated(
    params: Params, moments: Params, done: Tensor, seen: Rollout, there: Tensor, how: Update
) -> tuple[Params, Params, Tensor]:
    """The policies, Adam's moments and ``done`` after ``how.rounds`` updates on one rollout.

    Args:
        params: of the policies.
        moments: ``first.NAME`` and ``second.NAME`` for each.
        done: (3,) how many updates discrete actors, continuous ones and the critic have had.
        seen: the rollout.
        there: (B, M) real nodes.
        how: its numbers.
    """
    gained, returns = advantages(seen.rewards, seen.worth, seen.live, GAMMA, DECAY)
    count = seen.live.sum().clamp(min=1.0)
    mean = (gained * seen.live).sum() / count
    spread = (((gained - mean) * seen.live).square().sum() / count).sqrt()
    gained = (gained - mean) / (spread + 1e-8)
    moving = torch.ones(2, device=there.device)
    for _ in range(how.rounds):
        grads, apart = torch.func.grad(_loss, has_aux=True)(params, seen, there, gained, returns, how, moving)
        norm = torch.stack([grad.square().sum() for grad in grads.values()]).sum().sqrt()
        scale = (NORM / (norm + 1e-6)).clamp(max=1.0)
        done = done + torch.cat([moving, torch.ones_like(moving[:1])])
        params, moments = _adam(params, moments, grads, scale, done, how, moving)
        moving = moving * (apart <= torch.tensor([STOP_D, STOP_C], device=there.device)).to(moving)
    return params, moments, done


def _adam(
    params: Params, moments: Params, grads: Params, scale: Tensor, done: Tensor, how: Update, moving: Tensor
) -> tuple[Params, Params]:
    """One step of Adam; an actor that stopped stays, with its moments."""
    own, kept = dict[str, Tensor](), dict[str, Tensor]()
    for name, value in params.items():
        group = {"actor_d": 0, "actor_c": 1}.get(name[:7], 2)
        move, step = (moving[group] if group < 2 else torch.ones_like(moving[0])), done[group].clamp(min=1.0)
        grad, first, second = grads[name] * scale, moments[f"first.{name}"], moments[f"second.{name}"]
        m = BETAS[0] * first + (1 - BETAS[0]) * grad
        v = BETAS[1] * second + (1 - BETAS[1]) * grad.square()
        ahead = (m / (1 - BETAS[0] ** step)) / ((v / (1 - BETAS[1] ** step)).sqrt() + EPSILON)
        own[name] = value - move * how.rate * ahead
        kept[f"first.{name}"], kept[f"second.{name}"] = first + move * (m - first), second + move * (v - second)
    return own, kept


def _loss(
    params: Params, seen: Rollout, there: Tensor, gained: Tensor, returns: Tensor, how: Update, moving: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of all policies on a rollout, and how far (2,) the actors are from those that made it."""
    steps, graphs = seen.nodes.shape
    policies = len(params["actor_d_w0"])
    rows, real = rows_of(policies, graphs, there.device)

    def own(values: Tensor) -> Tensor:
        """(P, T G, ...) of (T, B, ...): the rows of each policy."""
        taken = values[:, rows.flatten()]
        return taken.reshape(steps, *rows.shape, *values.shape[2:]).movedim(1, 0).flatten(1, 2)

    live = own(seen.live) * real.unsqueeze(1).expand(-1, steps, -1).flatten(1)
    count = live.sum().clamp(min=1.0)
    states, nodes = own(seen.states), own(seen.nodes)
    beside = own(there.expand(steps, *there.shape))
    chances = choices(params, states, beside).clamp(min=LIMIT)
    picked = chances.gather(-1, nodes.unsqueeze(-1)).squeeze(-1).log()
    wide = nodes[..., None, None].expand(*nodes.shape, 1, states.shape[-1])
    mean = actions(params, states.gather(2, wide).squeeze(2), how.z_max)
    density = gaussian_log(own(seen.acts), mean, how.log_std)
    gain, parts, apart = own(gained), [], []
    for new, old in ((picked, own(seen.chance)), (density, own(seen.density))):
        ratio = (new - old).clamp(-20.0, 20.0).exp()
        lower = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain)
        parts.append(-(lower * live).sum() / count)
        apart.append((((ratio - 1.0) - (new - old).clamp(-20.0, 20.0)) * live).sum() / count)
    spread = -(chances * chances.log() * beside).sum(-1)
    entropy = (spread * live).sum() / count
    joint = own(seen.joint).clamp(min=LIMIT)
    held_d = ((joint * (joint.log() - chances.log()) * beside).sum(-1) * live).sum() / count
    between = (own(seen.joint_mean) - mean).square().sum(-1) * 0.5 * torch.exp(-2.0 * how.log_std)
    held_c = (between * live).sum() / count
    worth = values(params, seen.states.flatten(0, 1)).view(steps, graphs)
    missed = ((worth - returns).square() * seen.live).sum() / seen.live.sum().clamp(min=1.0)
    discrete = parts[0] - how.entropy * entropy + how.alpha_d * held_d
    total = moving[1] * (parts[1] + how.alpha_c * held_c) + VALUE * missed
    total = total + (0.0 * discrete if how.random else moving[0] * discrete)
    return total, torch.stack(apart).detach()
