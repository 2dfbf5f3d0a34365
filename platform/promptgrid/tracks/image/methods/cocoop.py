"""CoCoOp: a context that moves with the image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Params, Task, Trained
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context, linear


@dataclass(frozen=True)
class CoCoOp(Trained):
    """CoCoOp: a small net shifts the learned context by one vector per image.

    Source: Zhou et al., section 3.2; KaiyangZhou/CoOp ff61507 (``cocoop.py``).
    pi = meta(f̂), meta: Linear(D, D/16) - ReLU - Linear(D/16, d_t) on the unit feature; V_m(x) = V_m + pi; each image
    is scored against texts of its own. Context 4, from "a photo of a"; SGD .002, batch 1, 10 epochs (part of the
    recipe). Learns 35,360 numbers on ViT-B/16. ``images_at_once`` bounds memory and changes no number: that many
    images x C prompts run through the text tower together. ``Outputs.text`` holds the frozen texts, since there is
    no one text a class. Deviation: fp32.
    """

    name: ClassVar[str] = "cocoop"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Zhou et al., CVPR 2022, arXiv:2203.05557"
    axes: ClassVar = Axes("prompt_network", "text", prompt="soft_tuning")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens"})
    texts_per_image: ClassVar[bool] = True

    context_length: int = 4
    words: str = "a photo of a"
    reduction: int = 16
    images_at_once: int = 8
    batch_size: int = 1
    epochs: int = 10

    def __post_init__(self) -> None:
        check(self, context_length=1, reduction=1, images_at_once=1)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        start = context(task, rng, self.context_length, self.words)
        hidden = max(1, task.backbone.width // self.reduction)
        params = {"context": start}
        params["down_weight"], params["down_bias"] = linear(rng, task.backbone.width, hidden)
        params["up_weight"], params["up_bias"] = linear(rng, hidden, task.backbone.text.width)
        return params

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        unit = F.normalize(image, dim=-1)
        return torch.cat([self._score(params, some, task) for some in torch.split(unit, self.images_at_once)])

    def _score(self, params: Params, unit: Tensor, task: Task) -> Tensor:
        """(b, D) unit features to (b, C) logits against b x C texts."""
        hidden = F.relu(F.linear(unit, params["down_weight"], params["down_bias"]))
        shift = F.linear(hidden, params["up_weight"], params["up_bias"])
        prompts = task.prompts(self.context_length)
        contexts = params["context"] + shift.unsqueeze(1)  # (b, n, d_t)
        texts = torch.func.vmap(partial(task.backbone.encode_context, prompts))(contexts)  # (b, C, D)
        logits: Tensor = task.scale * (F.normalize(texts, dim=-1) @ unit.unsqueeze(-1)).squeeze(-1)
        return logits
