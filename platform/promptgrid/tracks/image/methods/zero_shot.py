"""Zero-shot CLIP, with one template or an ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Classifier, Params, Task
from promptgrid.tracks.image.methods.parts.published import paper_name
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.templates import EIGHTY, SEVEN


@dataclass(frozen=True)
class ZeroShot(Classifier):
    """Zero-shot CLIP: the class whose text is nearest.

    Source: Radford et al., sections 3.1.2 and 3.1.4; KaiyangZhou/CoOp ff61507 (``zsclip.py``).
    ``templates``: ``single`` is the dataset's own template (the "CLIP" row of base-to-new tables); ``seven`` CLIP's
    selection of 7, with the dataset's own template beside them where the dataset is not ImageNet (as CoOp's code
    does); ``eighty`` CLIP's ImageNet list. Ensembles are means of unit features, normalised again.
    Deviations: none known.
    """

    name: ClassVar[str] = "zero_shot"
    kind: ClassVar = "zero-shot"
    paper: ClassVar[str] = "Radford et al., ICML 2021, arXiv:2103.00020"
    axes: ClassVar = Axes(
        "nothing", "nowhere", "none", "training_free", "features", prompt="hard_instruction", design="data"
    )
    zero_shot_at_start: ClassVar[bool] = True

    templates: Literal["single", "seven", "eighty"] = "single"

    def __post_init__(self) -> None:
        check(self, templates=("single", "seven", "eighty"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {}

    def text(self, params: Params, task: Task) -> Tensor:
        own = (task.template,)
        selection = SEVEN if paper_name(task.dataset) == "ImageNet" else SEVEN + own
        return task.text_of({"single": own, "seven": selection, "eighty": EIGHTY}[self.templates])
