"""KgCoOp: a learned context held near the hand-written prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Number, Outputs, Params, Task, Trained, knob
from promptgrid.tracks.image.methods.parts.published import paper_name
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context

TEACHERS = {"DTD": "a photo of a {}, a type of texture."}
"""Where the teacher's template is not the dataset's own."""


@dataclass(frozen=True)
class KgCoOp(Trained):
    """KgCoOp: a learned context, pulled towards the hand-written texts.

    Source: Yao et al., method section; htyao89/KgCoOp c43ccc3.
    Loss: CE + strength * (1 - mean_c cos(t_c, teacher_c)), the code's form of the paper's squared distance; teacher_c
    is the frozen text of the dataset's template (``TEACHERS`` names the exception). Context 4, from "a photo of a";
    strength (lambda) 8; SGD .002, batch 128, 100 epochs. Learns 2,048 numbers on ViT-B/16.
    Deviations: fp32; the unused meta-net of the original code is left out.
    """

    name: ClassVar[str] = "kgcoop"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Yao et al., CVPR 2023, arXiv:2303.13283"
    axes: ClassVar = Axes("context", "text", prompt="soft_tuning", design="objective")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens"})

    context_length: int = 4
    words: str = "a photo of a"
    strength: Number = knob(8.0, low=0.0, high=100.0)
    batch_size: int = 128
    epochs: int = 100

    def __post_init__(self) -> None:
        check(self, context_length=1)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"context": context(task, rng, self.context_length, self.words)}

    def text(self, params: Params, task: Task) -> Tensor:
        prompts = task.prompts(self.context_length)
        return task.backbone.encode_context(prompts, params["context"])

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        teacher = task.text_of((TEACHERS.get(paper_name(task.dataset), task.template),))
        distance = 1.0 - (F.normalize(out.text, dim=-1) * teacher).sum(-1).mean()
        return {"cross_entropy": F.cross_entropy(out.logits, labels), "distance": self.strength * distance}
