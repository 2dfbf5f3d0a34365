"""RELIEF: a policy learned by reinforcement decides which nodes are prompted, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params, knob
from promptgrid.contract.randomness import gaussian
from promptgrid.contract.recipe import Number
from promptgrid.contract.task import Batch
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph
from promptgrid.tracks.graph.methods.parts.policies import Rollout, actions, choices, drawn, gaussian_log, values
from promptgrid.tracks.graph.methods.parts.ppo import Update, updated
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask

POLICIES, ROUNDS, LAST_LOG_STD, ENTROPY = 3, 10, -5.0, 0.01
NODES, ACTS, FIXED = 11, 12, 13
"""Salts of what is drawn: nodes, actions, and the nodes of the random control when it is scored."""
LAYERS = [f"{name}_{part}{at}" for name in ("actor_d", "actor_c", "critic") for part in "wb" for at in range(3)]
ACTORS = tuple(name for name in LAYERS if name != "actor_d_b2")
MOVED = (*ACTORS, *(f"{moment}.{name}" for moment in ("first", "second") for name in ACTORS), "updates", "coverage")


@dataclass(frozen=True)
class Relief(HeadedGraph):
    """RELIEF: node by node a policy chooses whom to prompt and with which vector; the reward is how far the loss falls.

    Source: Zhu et al., sections 4.1 to 4.4; JasonZhujp/RELIEF 8cefee2.
    An episode of a graph takes as many steps as it has nodes. Each picks a node by a discrete actor on the tower's
    states of the graph as prompted so far, and adds a vector from N(z_max tanh(.), std²) to its features. Reward: the
    head's loss before minus behind. Three sub-policies learn each from its third of the examples by clipped policy
    gradients (clip .2, gamma .99, lambda .95, ten updates a rollout, Adam 5e-4, gradients of norm .5), held to the
    joint policy by ``alpha_d`` and ``alpha_c`` KL. log std falls from 0 to -5, the entropy's weight from .01 to 0. In
    turns with them the head learns with prompts of the joint policy. ``nodes: random`` is the control: nodes are drawn
    evenly, all else is the same. ``coverage`` in the state is the share of nodes that the last training batch
    prompted. Learns the policies, (width/2)-wide actors and a critic of 5 and 2.5 per cent of M x width, and a head.
    Deviations: a rollout is of one batch, not of the whole set; the head takes one step behind each; actions beyond
    z_max are cut when they are added; advantages are normalised; the joint policy is that of the rollout, and KL of the
    actors beyond .001 and .1 stops that actor, for all sub-policies; when scored, the likeliest node is prompted.
    """

    name: ClassVar[str] = "relief"
    paper: ClassVar[str] = "Zhu et al., KDD 2025, arXiv:2408.03195"
    frozen: ClassVar[frozenset[str]] = frozenset(MOVED)
    moved: ClassVar[frozenset[str]] = frozenset(ACTORS)

    learning_rate: Number = knob(0.01, low=1e-6, high=1.0, log=True)
    policy_rate: Number = knob(5e-4, low=1e-6, high=0.1, log=True)
    z_max: Number = knob(0.1, low=0.001, high=10.0, log=True)
    alpha_d: Number = knob(1.0, low=0.0, high=1e6)
    alpha_c: Number = knob(0.1, low=0.0, high=1e6)
    iterations: int = 50
    batch_size: int = 15
    nodes: Literal["policy", "random"] = "policy"

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"nodes": ("policy", "random")}

    @property
    def passes(self) -> float:
        """What a step takes, in passes of the tower: two rollouts of as many as nodes, ten updates of policies."""
        return 150.0

    def start(self, task: GraphTask, rng: torch.Generator) -> Params:
        size = task["examples"].x.shape[1] if "examples" in task.given else 1
        own = drawn(rng, POLICIES, task.tower.state_width, task.tower.inputs, size)
        zeros = {f"{m}.{name}": torch.zeros_like(value) for m in ("first", "second") for name, value in own.items()}
        return own | zeros | {"updates": torch.zeros(3), "coverage": torch.zeros(())}

    def track(self, params: Params, batch: Batch, task: GraphTask) -> Params:
        """The policies after the updates on one rollout."""
        seen = task.tower.seen(batch)
        share = (params["updates"][2] / (ROUNDS * self.iterations)).clamp(max=1.0)
        log_std = LAST_LOG_STD * share
        rolled = self.rollout(params, seen, task, batch.labels, log_std)
        how = Update(log_std, ENTROPY * (1.0 - share), self.policy_rate, self.alpha_d, self.alpha_c, self.z_max, ROUNDS,
                     self.nodes == "random")  # fmt: skip
        own = {name: params[name] for name in ACTORS}
        moments = {name: value for name, value in params.items() if name.startswith(("first.", "second."))}
        policies, moments, done = updated(own, moments, params["updates"], rolled, seen.there, how)
        covered = ((rolled.prompt != 0).any(-1) & seen.there).sum() / seen.there.sum()
        return policies | moments | {"updates": done, "coverage": covered}

    def features(self, params: Params, batch: Batch, task: GraphTask) -> Tensor:
        with torch.no_grad():
            seen = task.tower.seen(batch)
            rolled = self.rollout(params, seen, task)
            found: Tensor = task.tower.features(seen.but(seen.x + rolled.prompt))
        return found

    def rollout(
        self, params: Params, seen: Seen, task: GraphTask, labels: Tensor | None = None, log_std: Tensor | None = None
    ) -> Rollout:
        """Prompting of all graphs.

        Args:
            params: with the policies.
            seen: the graphs as they are.
            task: whose seed draws; without one the likeliest node is taken.
            labels: (B,) where rewards are wanted: then each sub-policy acts in its own graphs, and actions are drawn.
            log_std: of the actions.
        """
        params = {name: value.detach() for name, value in params.items()}
        size = seen.there.shape[1]
        wide, learning = seen.x.shape[-1], labels is not None
        noise = self._noise(seen, task, wide, learning)
        place = torch.arange(size, device=seen.there.device)
        left = seen.there.sum(1)
        prompt, found, limit = torch.zeros_like(seen.x), [], torch.as_tensor(self.z_max).to(seen.x)
        loss = self._loss(params, seen, prompt, task, labels)
        for step in range(size):
            states = loss[1]
            chances = self._chances(params, states, seen, learning)
            node = (chances[0].clamp(min=1e-20).log() + noise[0][:, step]).argmax(-1)
            here = place == node.unsqueeze(-1)
            mean, joint_mean = self._means(params, (here.unsqueeze(-1) * states).sum(1), learning)
            act = mean if log_std is None else mean + torch.exp(log_std) * noise[1][:, step]
            live = (step < left).to(seen.x.dtype)
            limited = torch.minimum(torch.maximum(act, -limit), limit)
            prompt = prompt + (here.unsqueeze(-1) * limited.unsqueeze(1)) * live[:, None, None]
            before, loss = loss[0], self._loss(params, seen, prompt, task, labels)
            if learning:
                assert log_std is not None
                chosen = (here * chances[0]).sum(-1).clamp(min=1e-10).log()
                found.append((states, node, act, before - loss[0], live, chosen, gaussian_log(act, mean, log_std),
                              chances[1], joint_mean, values(params, states)))  # fmt: skip
        rows = [torch.stack(column) for column in zip(*found, strict=True)] if found else [prompt] * 10
        return Rollout(prompt, *rows)

    def _loss(
        self, params: Params, seen: Seen, prompt: Tensor, task: GraphTask, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(B,) the head's loss of each graph as prompted (zeros without labels), and (B, M, width) its states."""
        prompted = seen.but(seen.x + prompt)
        states = task.tower.states(prompted)
        if labels is None:
            return states[:, 0, 0] * 0.0, states
        logits = F.linear(task.tower.pooled(states, prompted), params["head_weight"], params["head_bias"])
        return F.cross_entropy(logits, labels, reduction="none"), states

    def _chances(self, params: Params, states: Tensor, seen: Seen, learning: bool) -> tuple[Tensor, Tensor]:
        """(B, M) how likely who acts prompts each node, and the joint policy: sub-policies act only while learning."""
        there = seen.there.expand(POLICIES, *seen.there.shape)
        if self.nodes == "random":
            even = seen.there.to(states.dtype) / seen.there.sum(-1, keepdim=True)
            return even, even
        each = choices(params, states.expand(POLICIES, *states.shape), there)
        joint = each.amax(0)
        joint = joint / joint.sum(-1, keepdim=True)
        return (mine(each) if learning else joint), joint

    def _means(self, params: Params, chosen: Tensor, learning: bool) -> tuple[Tensor, Tensor]:
        """(B, d) the mean action of who acts, and of the joint policy, at nodes with states ``chosen`` (B, width)."""
        each = actions(params, chosen.expand(POLICIES, *chosen.shape), self.z_max)
        return (mine(each) if learning else each.mean(0)), each.mean(0)

    def _noise(self, seen: Seen, task: GraphTask, wide: int, learning: bool) -> tuple[Tensor, Tensor]:
        """(B, T, M) Gumbel noise for nodes and (B, T, d) normal noise for actions, T the greatest number of nodes."""
        graphs, size = seen.there.shape
        if task.seed is None:
            if self.nodes == "policy":
                return seen.x.new_zeros(graphs, size, size), seen.x.new_zeros(graphs, size, wide)
            fixed = gaussian(seen.x.new_zeros(1, 1), size * size, torch.tensor(FIXED), FIXED).view(1, size, size)
            return gumbel(fixed).to(seen.x).expand(graphs, -1, -1), seen.x.new_zeros(graphs, size, wide)
        nodes = gaussian(seen.x[:, 0], size * size, task.seed, NODES + learning).view(graphs, size, size)
        acts = gaussian(seen.x[:, 0], size * wide, task.seed, ACTS + 2 * learning).view(graphs, size, wide)
        return gumbel(nodes), acts


def mine(each: Tensor) -> Tensor:
    """(B, ...) of (P, B, ...): what the sub-policy of each graph says, graph i that of policy i mod P."""
    policies, graphs = each.shape[:2]
    own = torch.arange(graphs, device=each.device) % policies
    pick = own.unsqueeze(0) == torch.arange(policies, device=each.device).unsqueeze(1)
    return (each * pick.unsqueeze(-1).to(each.dtype)).sum(0)


def gumbel(normal: Tensor) -> Tensor:
    """Gumbel noise of normal noise, through its distribution function."""
    even = 0.5 * (1.0 + torch.erf(normal * 0.5**0.5))
    return -torch.log(-torch.log(even.clamp(1e-7, 1.0 - 1e-7)))
