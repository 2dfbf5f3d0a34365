"""PRE: a small recurrent encoder re-parameterises the learned context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract import Axes, Params, Task, Trained
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context, uniform


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
        hidden = width // 2
        shapes = {"weight_input": (width,), "weight_hidden": (hidden,), "bias_input": (), "bias_hidden": ()}
        drawn = {name: uniform(rng, hidden**-0.5, 2, 4 * hidden, *last) for name, last in shapes.items()}
        return {"context": context(task, rng, self.context_length, self.words)} | drawn

    def text(self, params: Params, task: Task) -> Tensor:
        tokens = params["context"]
        forth, back = _lstm(params, 0, tokens), _lstm(params, 1, tokens.flip(0)).flip(0)
        seen = tokens + torch.cat([forth, back], dim=-1)
        return task.backbone.encode_context(task.prompts(self.context_length), seen)


def _lstm(params: Params, way: int, tokens: Tensor) -> Tensor:
    """One direction over (n, d_t) tokens in their order: hidden states (n, d_t / 2), gates as torch has them."""
    inputs = F.linear(tokens, params["weight_input"][way], params["bias_input"][way] + params["bias_hidden"][way])
    hidden = cell = tokens.new_zeros(inputs.shape[-1] // 4)
    states = []
    for each in inputs.unbind(0):
        enter, keep, new, leave = (each + params["weight_hidden"][way] @ hidden).chunk(4)
        cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        states.append(hidden)
    return torch.stack(states)
