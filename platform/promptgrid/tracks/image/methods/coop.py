"""CoOp: learn the words in front of the class name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract import Axes, Params, Recipe, Task, Trained
from promptgrid.tracks.image.methods.parts.published import paper_name
from promptgrid.tracks.image.methods.parts.settings import POSITIONS, check
from promptgrid.tracks.image.methods.parts.starts import check_words, context, gaussian


@dataclass(frozen=True)
class CoOp(Trained):
    """CoOp: context vectors around the class name, learned by cross-entropy.

    Source: Zhou et al., section 3.2; KaiyangZhou/CoOp ff61507 (``coop.py``).
    ``context_length`` M is 16 (or 4); ``class_specific`` gives each class its own context and cannot score unseen
    classes; ``position`` puts the name behind (``end``), amid or before the context; ``words`` ("a photo of a", with
    M = 4) replace the random start N(0, 0.02²). Recipe: SGD .002, batch 32, 50 epochs for 1 shot, 100 for 2 and 4,
    200 for more, on ImageNet always 50. Learns M x d_t numbers, C times as many when class-specific.
    Deviations: fp32 where the original learns in fp16; ``words`` also start class-specific contexts.
    """

    name: ClassVar[str] = "coop"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Zhou et al., IJCV 2022, arXiv:2109.01134"
    axes: ClassVar = Axes("context", "text", prompt="soft_tuning")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens"})

    context_length: int = 16
    class_specific: bool = False
    position: Literal["end", "middle", "front"] = "end"
    words: str = ""

    def __post_init__(self) -> None:
        check(self, context_length=1, position=POSITIONS)
        check_words(self.words, self.context_length)

    @property
    def open_vocabulary(self) -> bool:
        return not self.class_specific

    def init(self, task: Task, rng: torch.Generator) -> Params:
        if not self.class_specific:
            return {"context": context(task, rng, self.context_length, self.words)}
        if self.words:
            start = context(task, rng, self.context_length, self.words)
            return {"context": start.repeat(len(task.classes), 1, 1)}
        return {"context": gaussian(rng, len(task.classes), self.context_length, task.backbone.text.width)}

    def recipe(self, task: Task) -> Recipe | None:
        short = not self.epochs and paper_name(task.dataset) == "ImageNet"
        return replace(self, epochs=50).recipe(task) if short else super().recipe(task)

    def text(self, params: Params, task: Task) -> Tensor:
        prompts = task.prompts(self.context_length, position=self.position)
        return task.backbone.encode_context(prompts, params["context"])
