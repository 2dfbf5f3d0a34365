"""Trains a graph tower; kept every few steps, so that a run that was cut off goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.randomness import stream
from promptgrid.tracks.graph.backbone import GraphBackbone
from promptgrid.tracks.graph.bundled.pretrain.recipe import Recipe
from promptgrid.tracks.graph.data.pack_data import shown_batch
from promptgrid.tracks.graph.data.padding import padded
from promptgrid.tracks.graph.datasets.graph import GraphDataset
from promptgrid.tracks.graph.seen import Seen

KEEP, REPORT = 25, 25
DROPPED, CUT, HIDDEN = 0.3, 0.2, 0.5
"""Shares of feature directions and of links that a view loses (GraphCLIP's), and of examples whose node is hidden."""
ASCENT = 2e-3
"""Of each step of ascent. GraphCLIP's is 1e-2 on features of length 5 and more; ours have length 1."""
HEAT, WARM = 0.1, 20
"""Temperature of the edge objective; steps of warm-up."""


def trained(
    recipe: Recipe, name: str, graphs: Sequence[GraphDataset], folder: Path, say: Callable[[str], None] = print
) -> dict[str, Tensor]:
    """The weights of tower ``name``; what ``folder`` holds of an earlier run is gone on from."""
    shape = recipe.shape(graphs[0].graph.features.shape[1])
    weights = {key: value.requires_grad_() for key, value in shape.drawn("trained", name, recipe.seed).items()}
    extra = {"link": torch.eye(2 * shape.width, requires_grad=True)} if recipe.objective == "links" else {}
    optimizer = torch.optim.AdamW([*weights.values(), *extra.values()], lr=recipe.rate, weight_decay=1e-5)
    rng, first, kept = stream("graph pretraining", name, recipe.seed), 0, folder / f"{name}.checkpoint.pt"
    if kept.is_file():
        first = _resumed(torch.load(kept, weights_only=True), weights | extra, optimizer, rng)
    losses: list[float] = []
    for step in range(first, recipe.steps):
        for group in optimizer.param_groups:
            walked = max(0.0, (step - WARM) / max(1, recipe.steps - WARM))
            group["lr"] = recipe.rate * min((step + 1) / WARM, 0.5 * (1.0 + math.cos(math.pi * walked)))
        optimizer.zero_grad()
        dataset = graphs[step % len(graphs)]
        loss = _links if recipe.objective == "links" else _texts
        losses.append(loss(recipe, GraphBackbone(name, "", shape, weights), extra, dataset, rng))
        torch.nn.utils.clip_grad_norm_([*weights.values(), *extra.values()], 1.0)
        optimizer.step()
        if (step + 1) % REPORT == 0:
            say(f"{name}: step {step + 1} of {recipe.steps}, loss {sum(losses[-REPORT:]) / len(losses[-REPORT:]):.4f}")
        if (step + 1) % KEEP == 0:
            state = {
                "weights": weights | extra,
                "optimizer": optimizer.state_dict(),
                "rng": rng.get_state(),
                "step": step + 1,
            }
            torch.save(state, kept)
    return {key: value.detach() for key, value in weights.items()}


def _resumed(
    state: Mapping[str, Any], weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, rng: torch.Generator
) -> int:
    with torch.no_grad():
        for key, value in weights.items():
            value.copy_(state["weights"][key])
    optimizer.load_state_dict(state["optimizer"])
    rng.set_state(state["rng"])
    return int(state["step"])


def _links(
    recipe: Recipe, tower: GraphBackbone, extra: Mapping[str, Tensor], dataset: GraphDataset, rng: torch.Generator
) -> float:
    """One backward pass of edge prediction: the linked node is found among those of the batch."""
    rows = torch.randint(len(dataset.graph.links), (recipe.batch,), generator=rng)
    ends = dataset.graph.links[rows]
    seen = _view(_looked(dataset, ends.T.flatten().tolist()), rng)
    one, other = F.normalize(tower.features(seen) @ extra["link"], dim=-1).chunk(2)
    loss = _contrast(one @ other.mT / HEAT)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def _texts(
    recipe: Recipe, tower: GraphBackbone, extra: Mapping[str, Tensor], dataset: GraphDataset, rng: torch.Generator
) -> float:
    """One backward pass of contrast with texts, its gradients averaged over the steps of ascent."""
    nodes = torch.randint(len(dataset.graph.features), (recipe.batch,), generator=rng)
    texts = F.normalize(dataset.graph.features[nodes], dim=-1)
    seen = _view(_looked(dataset, nodes.tolist()), rng)
    hidden = torch.rand(recipe.batch, generator=rng) < HIDDEN
    x = torch.cat([torch.where(hidden[:, None, None], 0.0, seen.x[:, :1]), seen.x[:, 1:]], dim=1)
    rounds, told = max(1, recipe.ascents), 0.0
    noise = torch.zeros_like(x)
    if recipe.ascents:
        noise = (torch.rand(x.shape, generator=rng) * 2.0 - 1.0) * ASCENT
    for _ in range(rounds):
        noise = noise.detach().requires_grad_()
        found = tower.in_texts(tower.features(seen.but(x + noise)))
        loss = _contrast(found @ texts.mT * tower.scale.clamp(max=100.0)) / rounds
        loss.backward()  # type: ignore[no-untyped-call]
        told += float(loss.detach())
        assert noise.grad is not None
        noise = noise + ASCENT * noise.grad.sign()
    return told


def _contrast(scores: Tensor) -> Tensor:
    """Symmetric InfoNCE: the diagonal is right."""
    right = torch.arange(len(scores))
    return 0.5 * (F.cross_entropy(scores, right) + F.cross_entropy(scores.mT, right))


def _looked(dataset: GraphDataset, nodes: Sequence[int]) -> Seen:
    own = padded([dataset.read(node) for node in nodes], dataset.most)
    return Seen.of(shown_batch(own, dataset.graph.features))


def _view(seen: Seen, rng: torch.Generator) -> Seen:
    """The graphs without some directions of their features and without some of their links."""
    kept = (torch.rand(len(seen.x), 1, seen.x.shape[-1], generator=rng) >= DROPPED).float()
    strengths = (torch.rand(seen.links.shape[:2], generator=rng) >= CUT).float()
    return Seen(seen.x * kept, seen.links, seen.there, seen.kinds, strengths)
