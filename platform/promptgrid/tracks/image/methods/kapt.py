"""KAPT: what descriptions say of a class enters its prompt, as words and as computed tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Backbone, Batch, Params, Task, Trained
from promptgrid.contract.clip.task import spoken
from promptgrid.tracks.image.methods.parts.key_words import key_words
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context, linear


@dataclass(frozen=True)
class KAPT(Trained):
    """KAPT, reading 1: key words of a class's descriptions behind its name, tokens computed from them in front of it.

    Source: the abstract of arXiv:2308.11186 (ICCV 2023); there is no public code.
    Text: [V, M(d_c), name, key words]: V (``context_length``, d_t) learned and shared; M: Linear(D, D / ``reduction``),
    ReLU, Linear(., ``tokens`` d_t) of the unit mean feature d_c of the descriptions; the first ``key_words`` words of
    the descriptions that are neither small words nor in the name. Image: f' = f + W_v sum_p a_p p over the frozen
    tower's last patch tokens, a = softmax(q W_k p / √D), q the unit mean of the frozen class texts. W_k as torch's
    Linear, W_v from zero; V from "a photo of a". 4 + 4 tokens, 6 key words, reduction 16; recipe as CoOp, 50 epochs.
    Learns 2,048 + 16,416 + 67,584 + 2 x 512 x 768 = 872,480 numbers on ViT-B/16.
    Deviations: the whole form is our reading of the abstract; see the card's open choices.
    """

    name: ClassVar[str] = "kapt"
    kind: ClassVar = "multimodal"
    paper: ClassVar[str] = "KAPT, ICCV 2023, arXiv:2308.11186"
    axes: ClassVar = Axes("prompt_network", "both", prompt="soft_tuning", design="data")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "vision_blocks", "descriptions"})

    context_length: int = 4
    words: str = "a photo of a"
    tokens: int = 4
    key_words: int = 6
    reduction: int = 16
    epochs: int = 50

    def __post_init__(self) -> None:
        check(self, context_length=1, tokens=1, reduction=1)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        backbone = task.backbone
        width, hidden = backbone.width, max(1, backbone.width // self.reduction)
        params = {"context": context(task, rng, self.context_length, self.words)}
        params["down_weight"], params["down_bias"] = linear(rng, width, hidden)
        params["up_weight"], params["up_bias"] = linear(rng, hidden, self.tokens * backbone.text.width)
        params["key"] = linear(rng, backbone.vision.width, width)[0]
        params["value"] = torch.zeros(width, backbone.vision.width)
        return params

    def text(self, params: Params, task: Task) -> Tensor:
        told = _told(task.backbone, task.described())
        hidden = F.linear(told, params["down_weight"], params["down_bias"]).relu()
        computed = F.linear(hidden, params["up_weight"], params["up_bias"]).view(len(told), self.tokens, -1)
        shared = params["context"].expand(len(task.classes), -1, -1)
        prompts = replace(task, classes=self._extended(task)).prompts(self.context_length + self.tokens)
        return task.backbone.encode_context(prompts, torch.cat([shared, computed], dim=1))

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        backbone = task.backbone
        patches = backbone.image_tokens(batch.patches, None, [backbone.vision.layers - 1])[:, 0, 1:]
        asking = F.normalize(task.text.mean(0), dim=-1) @ params["key"]
        weights = (patches @ asking / backbone.width**0.5).softmax(-1)
        gathered = (weights.unsqueeze(1) @ patches).squeeze(1)
        return batch.features + F.linear(gathered, params["value"])

    def _extended(self, task: Task) -> tuple[str, ...]:
        """Class names, each with its key words behind it."""
        named = zip(spoken(task.classes), task.described(), strict=True)
        return tuple(", ".join(filter(None, (name, key_words(said, name, self.key_words)))) for name, said in named)


@lru_cache(maxsize=64)
def _told(backbone: Backbone, said: tuple[tuple[str, ...], ...]) -> Tensor:
    """(C, width) unit mean of the unit features of each class's descriptions, frozen. Cached."""
    each = [F.normalize(backbone.encode_prompts(own), dim=-1).mean(0) for own in said]
    return F.normalize(torch.stack(each), dim=-1)
