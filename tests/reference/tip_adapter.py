"""Tip-Adapter: s f̂ Ŵᵀ + alpha exp(-beta (1 - f̂ K̂ᵀ)) V, alpha and beta searched (Zhang et al., ECCV 2022).

K from the one view that every shot has here (of several: the mean of raw features, then normalised: ``keys``); Ŵ from
the dataset's template. The search looks at every image of the validation split, not at a few of each class.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.task import Params, Pictures, Plain
from torch import Tensor
from torch.nn import functional as F

REACH, STEPS = (7.0, 3.0), (200, 20)  # of beta and of alpha, on a dataset without values of its own


def start(plain: Plain, drawn: Params, alpha: float = 1.17, beta: float = 1.0, **settings: Any) -> Params:
    keys = keys_of(plain.clip.image(plain.train.pixels)[None])
    values = F.one_hot(plain.train.labels, len(plain.classes)).to(keys)
    return {"keys": keys, "values": values, "alpha": keys.new_tensor(alpha), "beta": keys.new_tensor(beta)}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    features = F.normalize(plain.clip.image(pixels), dim=-1)
    texts = plain.clip.classes_in(plain.template, plain.classes)
    affinity = features @ params["keys"].T
    cache = torch.exp(-(params["beta"] - params["beta"] * affinity)) @ params["values"]
    return plain.clip.scale * features @ texts.T + params["alpha"] * cache


def keys_of(views: Tensor) -> Tensor:
    """(N, D) from raw features (V, N, D) of V views: summed up as they are, the length is taken last."""
    total = sum(views[1:], start=views[0]) / len(views)
    return total / total.norm(dim=-1, keepdim=True)


def train(plain: Plain, begin: Params, search: bool = True, search_on: str = "whole", **settings: Any) -> Params:
    held = plain.whole_val if search_on == "whole" else plain.val
    return searched(plain, begin, held) if search and len(held.labels) else begin


def searched(plain: Plain, params: Params, held: Pictures) -> Params:
    """Every beta with every alpha on the validation images; the first best wins."""
    features = F.normalize(plain.clip.image(held.pixels), dim=-1)
    zero_shot = plain.clip.scale * features @ plain.clip.classes_in(plain.template, plain.classes).T
    affinity = features @ params["keys"].T
    best, chosen = -1.0, params
    for i in range(STEPS[0]):
        beta = 0.1 + i * (REACH[0] - 0.1) / STEPS[0]
        votes = torch.exp(-beta * (1 - affinity)) @ params["values"]
        for j in range(STEPS[1]):
            alpha = 0.1 + j * (REACH[1] - 0.1) / STEPS[1]
            accuracy = ((zero_shot + alpha * votes).argmax(1) == held.labels).double().mean().item()
            if accuracy > best:
                best = accuracy
                chosen = params | {"alpha": votes.new_tensor(alpha), "beta": votes.new_tensor(beta)}
    return chosen
