"""UPT: learned tokens of both towers, which pass one block on their way in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Edits, Params, Task, TokenPlan, Trained
from promptgrid.tracks.image.methods.parts.mixing import mix, mixer
from promptgrid.tracks.image.methods.parts.settings import POSITIONS, check
from promptgrid.tracks.image.methods.parts.starts import gaussian, uniform


@dataclass(frozen=True)
class UPT(Trained):
    """UPT: text and visual prompt tokens that pass one transformer block before they enter their towers.

    Source: Zang et al., section 3; its repository is empty, so the form is MVLPT's (6fa518b). It is deep: the text
    tokens U_t and the visual tokens U_v of all blocks, L in all, go through linear maps to ``width`` = 128, one block
    (one head, MLP of 4 x 128, QuickGELU), and linear maps back. MVLPT hands them to it as (1, L, width) and the block
    reads (sequence, batch, width): L sequences of one token, so that each passes the block by itself (``attends:
    alone``). ``across`` is the paper's text: one sequence of all L. Out come CoOp's context and VPT's deep tokens
    (``after_class``, behind ``ln_pre``). Start: N(0, 0.02²) and U(±√(6 / (3 p² + d))), ``torch.nn``'s for the maps and
    the block. 4 + 4 tokens, SGD .002, CoOp's epochs. Learns 566,400 numbers (ViT-B/16).
    Deviations: fp32 throughout; MVLPT puts the class name amid the context (``position: middle``).
    """

    name: ClassVar[str] = "upt"
    kind: ClassVar = "multimodal"
    paper: ClassVar[str] = "Zang et al., 2022, arXiv:2210.07225; form of Shen et al., WACV 2024, arXiv:2211.11720"
    axes: ClassVar = Axes("coupled_tokens", "both", prompt="soft_prefix")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "vision_blocks"})

    context_length: int = 4
    tokens: int = 4
    width: int = 128
    deep: bool = True
    position: Literal["end", "middle", "front"] = "end"
    attends: Literal["alone", "across"] = "alone"

    def __post_init__(self) -> None:
        check(self, context_length=1, tokens=1, width=1, position=POSITIONS, attends=("alone", "across"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        text, vision = task.backbone.text.width, task.backbone.vision
        bound = (6.0 / (3 * task.backbone.patch_size**2 + vision.width)) ** 0.5
        tokens = uniform(rng, bound, vision.layers if self.deep else 1, self.tokens, vision.width)
        context = gaussian(rng, self.context_length, text)
        return {"context": context, "tokens": tokens} | mixer(rng, text, vision.width, self.width)

    def text(self, params: Params, task: Task) -> Tensor:
        prompts = task.prompts(self.context_length, position=self.position)
        return task.backbone.encode_context(prompts, self._mixed(params)[0])

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        visual = self._mixed(params)[1].view(params["tokens"].shape)
        plan = TokenPlan(visual.unbind(0), "after_class")
        return task.backbone.encode_patches(batch.patches, Edits(tokens=plan))

    def _mixed(self, params: Params) -> tuple[Tensor, Tensor]:
        """The context (n, text width) and the visual tokens of all blocks (m, vision width) behind the mixer."""
        text, vision = params["context"], params["tokens"].flatten(0, 1)
        return mix(params, text, vision) if self.attends == "across" else _alone(params, text, vision)


def _alone(params: Params, text: Tensor, vision: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`mix`, each token in a sequence of its own."""
    words = torch.func.vmap(lambda token: mix(params, token[None], vision[:0])[0][0])(text)
    looks = torch.func.vmap(lambda token: mix(params, text[:0], token[None])[1][0])(vision)
    return words, looks
