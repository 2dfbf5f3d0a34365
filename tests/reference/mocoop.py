"""MoCoOp: experts from hand-written templates, top-2 routing, image norms tuned at a tenth (Du et al., 2024)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import by_epoch, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

CALTECH = [
    ["{} texture."],
    ["a photo of a {}."],
    ["a photo of many {}."],
    [
        "a low resolution photo of the {}.",
        "a low resolution photo of a {}.",
        "a pixelated photo of the {}.",
        "a pixelated photo of a {}.",
    ],
    ["a good photo of the {}.", "a good photo of a {}."],
]
EUROSAT = [
    ["a centered satellite photo of {}."],
    ["a photo of a {}."],
    ["a photo of the large {}.", "a photo of a large {}."],
    ["a photo of the small {}.", "a photo of a small {}."],
    CALTECH[3],
    CALTECH[4],
]
FLOWERS = [["a photo of a {}, a type of flower."], *CALTECH[1:]]
GROUPS = {"Caltech101": CALTECH, "EuroSAT": EUROSAT, "OxfordFlowers": FLOWERS}
NAMES = ("shift", "router_weight", "router_bias", "norms")


def start(plain: Plain, drawn: Params, groups: str = "Caltech101", **settings: Any) -> Params:
    """Contexts: the words of each group's first template; no shift; the towers' own norms."""
    words = [plain.clip.words(" ".join(group[0].rstrip(".").split("{}"))) for group in GROUPS[groups]]
    zeros = {name: torch.zeros_like(drawn[name]) for name in ("shift", "norms")}
    return drawn | zeros | {f"context_{groups}": torch.cat(words)}


def logits(plain: Plain, params: Params, pixels: Tensor, groups: str = "Caltech101", **settings: Any) -> Tensor:
    unit = F.normalize(_images(plain, params, pixels), dim=-1)
    return _scores(plain, params, unit, _experts(plain, params, groups))


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    warmup_epochs: int,
    text_strength: float,
    text_scale: float,
    gate_strength: float,
    groups: str,
    **settings: Any,
) -> Params:
    with torch.no_grad():
        prototypes = torch.stack([_prototypes(plain, group) for group in GROUPS[groups]])

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        labels = plain.train.labels[chosen]
        unit = F.normalize(_images(plain, params, plain.train.pixels[chosen]), dim=-1)
        experts = _experts(plain, params, groups)
        loss = F.cross_entropy(_scores(plain, params, unit, experts), labels)
        for expert, prototype in zip(experts, prototypes, strict=True):
            named = text_scale * expert @ prototype.T
            loss = loss + text_strength * F.cross_entropy(named, torch.arange(len(named))) / len(experts)
        near = (unit.unsqueeze(1) * prototypes[:, labels].transpose(0, 1)).sum(-1)
        lifted = near + torch.zeros_like(near).scatter(1, near.topk(2, dim=1).indices, 10.0)
        loss = loss + gate_strength * F.cross_entropy(_routed(params, unit), torch.softmax(lifted, dim=1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)

    params, leaves = leaves_of(begin, [f"context_{groups}", *NAMES])
    grouped = [{"params": leaves[:-1]}, {"params": leaves[-1:], "lr": 0.1 * learning_rate}]
    optimizer = torch.optim.SGD(grouped, lr=learning_rate, momentum=0.9, weight_decay=weight_decay)
    epochs = len(plain.batches)

    def share(epoch: int) -> float:
        if epoch < warmup_epochs:
            return 1e-5 / learning_rate
        return 0.5 * (1 + math.cos(math.pi * (epoch - warmup_epochs) / epochs))

    return by_epoch(plain, params, leaves, optimizer, LambdaLR(optimizer, share), backward)


def _scores(plain: Plain, params: Params, unit: Tensor, experts: list[Tensor]) -> Tensor:
    """Image by image: the two experts of its choice, their texts mixed, not normalised again."""
    rows = []
    for image in unit:
        answers, chosen = _routed(params, image).topk(2)
        gates = torch.softmax(answers, dim=0)
        mixed = gates[0] * experts[int(chosen[0])] + gates[1] * experts[int(chosen[1])]
        rows.append(plain.clip.scale * mixed @ image)
    return torch.stack(rows)


def _routed(params: Params, unit: Tensor) -> Tensor:
    return unit @ params["router_weight"].T + params["router_bias"]


def _prototypes(plain: Plain, group: list[str]) -> Tensor:
    each = torch.stack([plain.clip.classes_in(template, plain.classes) for template in group])
    return F.normalize(each.mean(0), dim=-1)


def _experts(plain: Plain, params: Params, groups: str) -> list[Tensor]:
    """Unit texts (C, D) of every soft prompt [before, name, after], without a full stop."""
    experts, used = [], 0
    for group in GROUPS[groups]:
        before, after = group[0].rstrip(".").split("{}")
        first, last = (len(plain.clip.words(words)) for words in (before, after))
        own, used = params[f"context_{groups}"][used : used + first + last], used + first + last
        embeddings, ends = plain.clip.embedded([f"{before}{said(name)}{after}" for name in plain.classes])
        rows = []
        for row, end in zip(embeddings, ends, strict=True):
            name = row[1 + first : end - last]
            rows.append(torch.cat([row[:1], own[:first], name, own[first:], row[end:]]))
        experts.append(F.normalize(plain.clip.encode(torch.stack(rows), ends) + params["shift"], dim=-1))
    return experts


def _images(plain: Plain, params: Params, pixels: Tensor) -> Tensor:
    with _tuned(plain.clip.model.visual.transformer.resblocks, params["norms"]):
        return plain.clip.image(pixels)


@contextmanager
def _tuned(blocks: Any, changes: Tensor) -> Iterator[None]:
    """Before attention and MLP of every block: the norm with its weight and bias changed."""

    def hook_with(weight: Tensor, bias: Tensor) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
            return F.layer_norm(args[0], (len(weight),), module.weight + weight, module.bias + bias, module.eps)

        return hook

    with ExitStack() as stack:
        for block, own in zip(blocks, changes, strict=True):
            for norm, (weight, bias) in zip((block.ln_1, block.ln_2), own, strict=True):
                stack.callback(norm.register_forward_hook(hook_with(weight, bias)).remove)
        yield
