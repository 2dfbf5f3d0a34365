"""VPT: learned tokens in the image tower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Edits, Params, Task, TokenPlan, Trained
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import gaussian, uniform


@dataclass(frozen=True)
class VPT(Trained):
    """VPT: learned tokens beside the patches, before the first block or before every block.

    Source: Jia et al., section 3.2; KMnP/vpt; for CLIP MVLPT 6fa518b.
    ``deep``: fresh tokens overwrite the previous ones at each block; shallow: one set enters and propagates. Start:
    U(±√(6 / (3 p² + d))), or N(0, 0.02²) (``start: normal``). Texts are frozen: "a photo of a {}." on every dataset, as
    both CLIP versions have it, or the dataset's own template (``texts: dataset``). Defaults are those of MVLPT's CLIP
    version: 16 tokens, deep, ``after_class``, behind ``ln_pre``, SGD .002; MaPLe's deep vision baseline
    (multimodal-prompt-learning 69bce21) is ``tokens: 8``, ``place: end``, ``before_norm: true``, ``start: normal``.
    Learns 12 x 16 x 768 = 147,456 numbers deep on ViT-B/16.
    Deviations: CoOp's recipe; the original's dropout on prompts and learning-rate grid are not here (nor in MVLPT).
    """

    name: ClassVar[str] = "vpt"
    kind: ClassVar = "vision"
    paper: ClassVar[str] = "Jia et al., ECCV 2022, arXiv:2203.12119"
    axes: ClassVar = Axes("tokens", "vision", prompt="soft_prefix")
    needs: ClassVar[frozenset[str]] = frozenset({"vision_blocks"})

    tokens: int = 16
    deep: bool = True
    place: Literal["after_class", "end"] = "after_class"
    before_norm: bool = False
    start: Literal["uniform", "normal"] = "uniform"
    texts: Literal["photo", "dataset"] = "photo"

    def __post_init__(self) -> None:
        check(self, tokens=1, place=("after_class", "end"), start=("uniform", "normal"), texts=("photo", "dataset"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        tower = task.backbone.vision
        shape = tower.layers if self.deep else 1, self.tokens, tower.width
        if self.start == "normal":
            return {"tokens": gaussian(rng, *shape)}
        bound = (6.0 / (3 * task.backbone.patch_size**2 + tower.width)) ** 0.5
        return {"tokens": uniform(rng, bound, *shape)}

    def text(self, params: Params, task: Task) -> Tensor:
        return task.text if self.texts == "dataset" else task.text_of(("a photo of a {}.",))

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        plan = TokenPlan(params["tokens"].unbind(0), self.place, self.before_norm)
        return task.backbone.encode_patches(batch.patches, Edits(tokens=plan))
