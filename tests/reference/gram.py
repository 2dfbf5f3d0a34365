"""GRAM, our reading of its abstract: a first-order meta-stage on captions, then a host with its gradients gated."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop
from tests.reference.descent import by_epoch, coop_schedule, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import stream

AMONG_ROUNDING = 1e-3
"""The share of the map's numbers that Adam may move in a direction of float32's rounding."""


def start(
    plain: Plain,
    drawn: Params,
    meta_steps: int,
    meta_seed: int,
    ways: int,
    inner_rate: float,
    meta_rate: float,
    **settings: Any,
) -> Params:
    """The whole meta-stage. The map is compared here: most of its numbers, since Adam divides by their size."""
    rng, width = stream("gram", meta_seed), drawn["down"].shape[1]
    context = plain.clip.words("a photo of a").clone().requires_grad_()
    down = ((torch.rand(width // 16, width, generator=rng) * 2 - 1) / width**0.5).to(context).requires_grad_()
    up = torch.zeros(width, width // 16).to(context).requires_grad_()
    captions = list(dict.fromkeys(plain.captions))
    with torch.no_grad():
        images = F.normalize(plain.clip.image(plain.shown), dim=-1)
        own = [[i for i, said in enumerate(plain.captions) if said == caption] for caption in captions]
        seen = F.normalize(torch.stack([images[rows].mean(0) for rows in own]), dim=-1)
        points = torch.cat([seen, F.normalize(plain.clip.text(captions), dim=-1)], dim=1)
    ways = min(ways, len(captions) // 2)
    forks = _forks(points, list(range(len(captions))), ways)
    prompt = torch.optim.SGD([context], lr=meta_rate, momentum=0.9)
    gates = torch.optim.Adam([down, up], lr=1e-3)

    def loss(words: Tensor, chosen: list[int], shown: list[int]) -> Tensor:
        length = len(words)
        filler = " ".join(["X"] * length)
        embeddings, ends = plain.clip.embedded([f"{filler} {captions[i].rstrip('.')}." for i in chosen])
        prompts = torch.cat([embeddings[:, :1], words.expand(len(chosen), -1, -1), embeddings[:, 1 + length :]], 1)
        scores = plain.clip.cosine_logits(images[shown], plain.clip.encode(prompts, ends))
        return F.cross_entropy(scores, torch.arange(len(chosen)))

    def drawn_from(cluster: list[int]) -> tuple[list[int], list[int]]:
        chosen = [cluster[i] for i in torch.randperm(len(cluster), generator=rng)[:ways]]
        return chosen, [own[i][int(torch.randint(len(own[i]), (), generator=rng))] for i in chosen]

    for _ in range(meta_steps):
        pair = forks[int(torch.randint(len(forks), (), generator=rng))]
        first = int(torch.randint(2, (), generator=rng))
        support, asked = drawn_from(pair[first]), drawn_from(pair[1 - first])
        (grad,) = torch.autograd.grad(loss(context, *support), [context])
        prompt.zero_grad()
        gates.zero_grad()
        loss(context - inner_rate * gated(grad, down, up), *asked).backward()
        prompt.step()
        gates.step()
    for name, value in (("down", down), ("up", up)):
        off = (drawn[name] - value).abs() > 1e-5
        assert float(off.double().mean()) <= AMONG_ROUNDING, f"{name}: {int(off.sum())} of {off.numel()} differ"
    return drawn | {"context": context.detach()}


def gated(grad: Tensor, down: Tensor, up: Tensor) -> Tensor:
    rows = []
    for token in grad:
        direction = token / token.norm().clamp_min(1e-12)
        rows.append(token * (1 + torch.tanh(up @ torch.relu(down @ direction))))
    return torch.stack(rows)


def logits(plain: Plain, params: Params, pixels: Tensor, host: str, **settings: Any) -> Tensor:
    return coop.logits(plain, params, pixels, "middle" if host == "mvlpt_coop" else "end")


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    host: str,
    host_settings: str,
    **settings: Any,
) -> Params:
    own = {"strength": {"kgcoop": 8.0}.get(host, 1.0)}
    own |= {name: float(value) for name, value in (each.split("=") for each in host_settings.split("; "))}
    teacher = plain.clip.classes_in(plain.template, plain.classes).detach()

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        images = plain.train.pixels[chosen]
        scores = logits(plain, params, images, host)
        loss = F.cross_entropy(scores, plain.train.labels[chosen])
        if host == "kgcoop":
            texts = plain.clip.encode(*coop.prompts(plain, params["context"]))
            loss = loss + own["strength"] * (1 - F.cosine_similarity(texts, teacher).mean())
        (grad,) = torch.autograd.grad(loss, leaves, retain_graph=True)
        if host == "prograd":
            known = torch.softmax(plain.clip.cosine_logits(plain.clip.image(images), teacher), dim=-1)
            (guide,) = torch.autograd.grad(-(known * scores.log_softmax(-1)).sum(-1).mean(), leaves)
            unit = guide / guide.norm()
            grad = grad - own["strength"] * (grad * unit).sum().clamp(max=0.0) * unit
        leaves[0].grad = gated(grad, params["down"], params["up"])

    params, leaves = leaves_of(begin, ["context"])
    optimizer = torch.optim.SGD(leaves, lr=learning_rate, momentum=0.9, weight_decay=weight_decay)
    return by_epoch(plain, params, leaves, optimizer, coop_schedule(optimizer, len(plain.batches)), backward)


def _forks(points: Tensor, rows: list[int], least: int) -> list[tuple[list[int], list[int]]]:
    """Halves along the direction of largest spread, found as the first eigenvector of the scatter."""
    own = points[rows].double()
    own = own - own.mean(0)
    along = own @ torch.linalg.eigh(own.T @ own).eigenvectors[:, -1]
    along = -along if along[0] > 0 else along
    ordered = [row for _, row in sorted(zip(along.tolist(), rows, strict=True))]
    half = len(rows) // 2
    left, right = sorted([sorted(ordered[:half]), sorted(ordered[half:])])
    if len(rows) < 4 * least:
        return [(left, right)]
    return _forks(points, left, least) + _forks(points, right, least)
