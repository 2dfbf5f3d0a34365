"""CTP + TFT: texts that look at the image class by class, and image features that look at the texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Batch, Params, Task, Trained
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context, linear


@dataclass(frozen=True)
class CTPTFT(Trained):
    """CTP + TFT, reading 1: a context for each image and class, from the patches that the class's text attends to.

    Source: the abstract of arXiv:2303.17169; there is no public code.
    Class-aware prompts: r_c(x) = sum_p softmax_p(t_c W_k p / √D) p over the frozen tower's last patch tokens, t_c the
    frozen unit text; V_c(x) = V + W r_c(x), and each image is scored against its own C texts. Text-guided features:
    f' = f̂ + W_o sum_c softmax_c(s f̂ t_c) t_c. W_k as torch's Linear, W and W_o from zero, V from "a photo of a".
    Context 4; SGD .002, batch 1, 10 epochs, as CoCoOp. ``images_at_once`` bounds memory and changes no number.
    Learns 2,048 + 2 x 512 x 768 + 512 x 512 = 1,050,624 numbers on ViT-B/16. ``Outputs.text`` holds the frozen texts.
    Deviations: the whole form is our reading of the abstract; see the card's open choices.
    """

    name: ClassVar[str] = "ctp_tft"
    kind: ClassVar = "multimodal"
    paper: ClassVar[str] = "CTP + TFT, 2023, arXiv:2303.17169"
    axes: ClassVar = Axes("prompt_network", "both", prompt="soft_tuning")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "vision_blocks"})
    texts_per_image: ClassVar[bool] = True

    context_length: int = 4
    words: str = "a photo of a"
    images_at_once: int = 8
    batch_size: int = 1
    epochs: int = 10

    def __post_init__(self) -> None:
        check(self, context_length=1, images_at_once=1)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        backbone = task.backbone
        return {
            "context": context(task, rng, self.context_length, self.words),
            "key": linear(rng, backbone.vision.width, backbone.width)[0],
            "shift": torch.zeros(backbone.text.width, backbone.vision.width),
            "guide": torch.zeros(backbone.width, backbone.width),
        }

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        """(B, D + C d_t): guided unit features, and behind them the shift of every class's context."""
        backbone, unit = task.backbone, batch.normalised
        patches = backbone.image_tokens(batch.patches, None, [backbone.vision.layers - 1])[:, 0, 1:]
        asking = task.text @ params["key"] / backbone.width**0.5
        weights = (asking @ patches.mT).softmax(-1)  # (B, C, P)
        shifts = F.linear(weights @ patches, params["shift"])
        guides = (task.scale * unit @ task.text.mT).softmax(-1) @ task.text
        return torch.cat([unit + F.linear(guides, params["guide"]), shifts.flatten(1)], dim=-1)

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return torch.cat([self._score(params, some, task) for some in torch.split(image, self.images_at_once)])

    def _score(self, params: Params, image: Tensor, task: Task) -> Tensor:
        """(b, D + C d_t) to (b, C) logits against b x C texts."""
        width = task.backbone.width
        unit = F.normalize(image[:, :width], dim=-1)
        shifts = image[:, width:].reshape(len(image), len(task.classes), 1, -1)
        encode = partial(task.backbone.encode_context, task.prompts(self.context_length))
        texts = torch.func.vmap(encode)(params["context"] + shifts)  # (b, C, D)
        logits: Tensor = task.scale * (F.normalize(texts, dim=-1) @ unit.unsqueeze(-1)).squeeze(-1)
        return logits
