"""MaPLe: prompts in the first J blocks of both towers, the visual ones F_l(P_l) (Khattak et al., CVPR 2023)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.clip import inserting, overwriting, said
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

NAMES = ("context", "deeper", "map_weight", "map_bias")
PHRASE = "a photo of a"


def start(plain: Plain, drawn: Params, context_length: int = 2, depth: int = 9, **settings: Any) -> Params:
    """P_0 from the first words of the phrase; the deeper linear layers are clones of one."""
    towers = plain.clip.model.transformer, plain.clip.model.visual.transformer
    deeper = min([depth, *(len(tower.resblocks) for tower in towers)]) - 1
    assert drawn["deeper"].shape[0] == deeper
    assert deeper < 2 or not torch.equal(drawn["deeper"][0], drawn["deeper"][1])
    clones = {
        name: torch.cat([drawn[name][:1], drawn[name][1:2].expand(deeper, *drawn[name].shape[1:])])
        for name in ("map_weight", "map_bias")
    }
    return drawn | clones | {"context": plain.clip.words(PHRASE)[:context_length]}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    model, count = plain.clip.model, len(params["context"])
    prompts = [params["context"], *params["deeper"]]
    visual = [p @ w.T + b for p, w, b in zip(prompts, params["map_weight"], params["map_bias"], strict=True)]
    embeddings, ends = plain.clip.embedded([f"{PHRASE} {said(name)}." for name in plain.classes])
    learned = params["context"].expand(len(plain.classes), -1, -1)
    filled = torch.cat([embeddings[:, :1], learned, embeddings[:, 1 + count :]], dim=1)
    with overwriting(model.transformer.resblocks, prompts, 1):
        texts = plain.clip.encode(filled, ends)
    blocks = model.visual.transformer.resblocks
    with inserting(model.visual, visual[0], "end", before_norm=True), overwriting(blocks, visual, -count):
        images = plain.clip.image(pixels)
    return plain.clip.cosine_logits(images, texts)


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return sgd(plain, begin, NAMES, loss, learning_rate, weight_decay)
