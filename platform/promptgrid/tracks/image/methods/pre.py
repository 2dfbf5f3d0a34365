"""PRE: a small recurrent encoder re-parameterises the learned context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Params, Task, Trained
from promptgrid.tracks.image.methods.parts.recurrent import bidirectional, both_ways
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context


@dataclass(frozen=True)
class PRE(Trained):
    """PRE: CoOp's context, each token seen through a bidirectional LSTM over all of them.

    Source: Minh et al., method section; minhanh151/PRE 08be701.
    V' = V + BiLSTM(V): one layer, d_t to d_t / 2 each way, over the tokens of the context; U(±1/√(d_t / 2)), as
    ``torch.nn.LSTM`` starts. Context 4, from "a photo of a"; CE; SGD .002, batch 32, 50 epochs. Learns 2,048 +
    1,576,960 numbers on ViT-B/16. Not zero-shot at the start: the encoder is random.
    Deviations: fp32 (the original: amp; its fp16 does not work); the original keeps V' and throws the encoder away when
    training ends, here both stay with the record and V' is computed again.
    """

    name: ClassVar[str] = "pre"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Minh et al., 2023, arXiv:2309.07760"
    axes: ClassVar = Axes("prompt_network", "text", prompt="soft_tuning")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens"})

    context_length: int = 4
    words: str = "a photo of a"
    epochs: int = 50

    def __post_init__(self) -> None:
        check(self, context_length=1)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        width = task.backbone.text.width
        drawn = bidirectional(rng, width, width // 2)
        return {"context": context(task, rng, self.context_length, self.words)} | drawn

    def text(self, params: Params, task: Task) -> Tensor:
        seen = params["context"] + both_ways(params, params["context"])
        return task.backbone.encode_context(task.prompts(self.context_length), seen)
