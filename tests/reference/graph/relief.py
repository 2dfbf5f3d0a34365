"""RELIEF, written plainly: one graph at a time without padding, loops over steps and nodes, torch's own Adam.

From the description of Zhu et al. (KDD 2025); the open choices are those of our method's docstring.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from tests.reference.graph.dense import plain
from torch import Tensor, nn
from torch.nn import functional as F

GAMMA, LAMBDA, CLIP = 0.99, 0.95, 0.2
ROUNDS, POLICIES = 10, 3


def network(params: Mapping[str, Tensor], name: str, copy: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for at in range(3):
        weight = params[f"{name}_w{at}"][copy]
        bias = params[f"{name}_b{at}"][copy, 0] if f"{name}_b{at}" in params else torch.zeros(len(weight))
        line = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.dtype)
        with torch.no_grad():
            line.weight.copy_(weight)
            line.bias.copy_(bias)
        layers += [line, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


@dataclass
class Step:
    """One action in one graph."""

    states: Tensor
    node: int
    act: Tensor
    chance: float
    density: float
    reward: float
    worth: float
    joint: Tensor
    joint_mean: Tensor


class PlainRelief:
    """The policies and their training; ``graphs`` are (x (n, d), adjacency (n, n)) of each example."""

    def __init__(
        self, params: Mapping[str, Tensor], tower: Mapping[str, Tensor], size: int, z_max: float, iterations: int,
        alpha_d: float, alpha_c: float, random: bool,
    ) -> None:  # fmt: skip
        self.discrete = [network(params, "actor_d", k) for k in range(POLICIES)]
        self.continuous = [network(params, "actor_c", k) for k in range(POLICIES)]
        self.critic = network(params, "critic", 0)
        self.tower, self.size, self.z_max, self.iterations = tower, size, z_max, iterations
        self.alpha_d, self.alpha_c, self.random, self.done = alpha_d, alpha_c, random, 0
        self.groups = [
            [p for one in self.discrete for p in one.parameters()],
            [p for one in self.continuous for p in one.parameters()],
            list(self.critic.parameters()),
        ]
        self.optimizers = [torch.optim.Adam(group, lr=5e-4) for group in self.groups]

    def chances(self, policy: int, states: Tensor) -> Tensor:
        if self.random:
            return torch.full((len(states),), 1.0 / len(states), dtype=states.dtype)
        return self.learned_chances(policy, states)

    def learned_chances(self, policy: int, states: Tensor) -> Tensor:
        found: Tensor = self.discrete[policy](states).squeeze(-1).softmax(0)
        return found

    def joint(self, states: Tensor) -> Tensor:
        most = torch.stack([self.chances(k, states) for k in range(POLICIES)]).max(0).values
        return most / most.sum()

    def action(self, policy: int, state: Tensor) -> Tensor:
        return self.z_max * torch.tanh(self.continuous[policy](state))

    def joint_action(self, state: Tensor) -> Tensor:
        return torch.stack([self.action(k, state) for k in range(POLICIES)]).mean(0)

    def value(self, states: Tensor) -> Tensor:
        padded = torch.zeros(self.size, states.shape[1], dtype=states.dtype)
        padded[: len(states)] = states
        found: Tensor = self.critic(padded.flatten()).squeeze()
        return found

    def pooled(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        states = plain("gin", x, a, dict(self.tower))
        return states, torch.cat([states.mean(0), states[0]])

    def prompt(self, x: Tensor, a: Tensor, noise: Tensor) -> Tensor:
        """What the joint policy adds: nodes by the noise (T, M), actions at their means."""
        added = torch.zeros_like(x)
        with torch.no_grad():
            for step in range(len(x)):
                states, _ = self.pooled(x + added, a)
                node = int((self.joint(states).log() + noise[step, : len(x)]).argmax())
                added[node] += self.joint_action(states[node]).clamp(-self.z_max, self.z_max)
        return added

    @property
    def log_std(self) -> float:
        return -5.0 * min(1.0, self.done / (ROUNDS * self.iterations))

    def episode(
        self, policy: int, x: Tensor, a: Tensor, label: int, head: tuple[Tensor, Tensor], nodes: Tensor, acts: Tensor
    ) -> list[Step]:
        steps, added, std = [], torch.zeros_like(x), math.exp(self.log_std)

        def loss() -> tuple[Tensor, float]:
            states, feature = self.pooled(x + added, a)
            return states, float(F.cross_entropy((head[0] @ feature + head[1])[None], torch.tensor([label])))

        with torch.no_grad():
            states, before = loss()
            for step in range(len(x)):
                chance = self.chances(policy, states)
                node = int((chance.log() + nodes[step, : len(x)]).argmax())
                mean = self.action(policy, states[node])
                act = mean + std * acts[step]
                added[node] += act.clamp(-self.z_max, self.z_max)
                seen = states
                states, after = loss()
                density = float(torch.distributions.Normal(mean, std).log_prob(act).sum())
                chosen, worth = float(chance[node].log()), float(self.value(seen))
                joint = self.joint(seen), self.joint_action(seen[node])
                steps.append(Step(seen, node, act, chosen, density, before - after, worth, *joint))
                before = after
        return steps

    def update(self, episodes: Sequence[list[Step]]) -> None:
        """Ten updates on the episodes of a batch; graph i is that of policy i mod 3."""
        gained: list[list[float]] = []
        for steps in episodes:
            ahead, own = 0.0, []
            for at in range(len(steps) - 1, -1, -1):
                following = steps[at + 1].worth if at + 1 < len(steps) else 0.0
                ahead = steps[at].reward + GAMMA * following - steps[at].worth + GAMMA * LAMBDA * ahead
                own.append(ahead)
            gained.append(own[::-1])
        every = torch.tensor([value for own in gained for value in own], dtype=torch.float64)
        mean, std = float(every.mean()), float(every.std(unbiased=False))
        log_std, entropy_weight = self.log_std, 0.01 * (1.0 - min(1.0, self.done / (ROUNDS * self.iterations)))
        stopped = [False, False]
        for _ in range(ROUNDS):
            sums = {
                name: torch.zeros((), dtype=torch.float64) for name in ("d", "c", "entropy", "kl_d", "kl_c", "value")
            }
            apart = [0.0, 0.0]
            for graph, steps in enumerate(episodes):
                policy = graph % POLICIES
                for at, step in enumerate(steps):
                    gain = (gained[graph][at] - mean) / (std + 1e-8)
                    chance = self.learned_chances(policy, step.states)
                    act_mean = self.action(policy, step.states[step.node])
                    density = torch.distributions.Normal(act_mean, math.exp(log_std)).log_prob(step.act).sum()
                    for which, (name, new, old) in enumerate(
                        (("d", chance[step.node].log(), step.chance), ("c", density, step.density))
                    ):
                        ratio = (new - old).exp()
                        clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
                        sums[name] = sums[name] - torch.minimum(ratio * gain, clipped * gain)
                        apart[which] += float((ratio - 1.0 - (new - old)).detach())
                    sums["entropy"] = sums["entropy"] - (chance * chance.log()).sum()
                    sums["kl_d"] = sums["kl_d"] + (step.joint * (step.joint.log() - chance.log())).sum()
                    between = torch.distributions.kl_divergence(
                        torch.distributions.Normal(step.joint_mean, math.exp(log_std)),
                        torch.distributions.Normal(act_mean, math.exp(log_std)),
                    )
                    sums["kl_c"] = sums["kl_c"] + between.sum()
                    worth = self.value(step.states)
                    sums["value"] = sums["value"] + (worth - (gained[graph][at] + step.worth)) ** 2
            count = sum(len(steps) for steps in episodes)
            means = {name: value / count for name, value in sums.items()}
            total = 0.5 * means["value"]
            if not stopped[0] and not self.random:
                total = total + means["d"] - entropy_weight * means["entropy"] + self.alpha_d * means["kl_d"]
            if not stopped[1]:
                total = total + means["c"] + self.alpha_c * means["kl_c"]
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_([p for group in self.groups for p in group if p.grad is not None], 0.5)
            for which, optimizer in enumerate(self.optimizers):
                if which == 2 or not stopped[which]:
                    optimizer.step()
            stopped = [stopped[0] or apart[0] / count > 0.001, stopped[1] or apart[1] / count > 0.1]
            self.done += 1
