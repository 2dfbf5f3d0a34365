"""DiffTPT: test-time prompt tuning on what a generator makes of the test image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor

from promptgrid.contract.clip import Adaptation, Axes, Batch, Number, Task, knob
from promptgrid.tracks.image.methods.parts.confidence import most_confident, most_like
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.tpt import TPT


@dataclass(frozen=True)
class DiffTPT(TPT):
    """DiffTPT: TPT with generated variations among the views, and without those unlike the image.

    Source: Feng et al., section 3; chunmeifeng/DiffTPT 03f1169 (``difftpt_utils.py``).
    To the image and 64 random crops come ``generated`` = 63 variations. Of all but the image itself the share ``near``
    = 0.8 that is most like it by cosine stays; of these and the image the share ``kept`` = 0.3 with the least entropy
    counts: 30 of 128. Then as TPT, with 4 steps. Variations lie beside the user's images (``variations/``), where
    every image needs one at least; all have as many as the one with the fewest. ``variations: stand_in`` puts a strong
    augmentation in their place, which is no generator: crops of half the area and more, with other brightness, contrast
    and colour. ``space`` is what is compared: the features of the frozen image tower, or logits.
    Deviations: ``space: features``, as the paper says (the code compares logits: ``space: logits``); those of TPT.
    """

    name: ClassVar[str] = "diff_tpt"
    paper: ClassVar[str] = "Feng et al., ICCV 2023, arXiv:2308.06038"
    axes: ClassVar = Axes("context", "text", supervision="none", stage="test_time", prompt="soft_tuning", design="data")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "variations"})

    views: int = 65
    kept: float = 0.3
    tuning_rate: Number = knob(0.005, low=1e-6, high=1.0, log=True)
    tuning_steps: int = 4
    generated: int = 63
    near: float = 0.8
    space: Literal["features", "logits"] = "features"
    variations: Literal["folder", "stand_in"] = "folder"

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, generated=1, near=1.0, space=("features", "logits"), variations=("folder", "stand_in"))

    @property
    def assets(self) -> frozenset[str]:
        return super().assets - ({"variations"} if self.variations == "stand_in" else set())

    @property
    def adaptation(self) -> Adaptation:
        return replace(super().adaptation, generated=self.generated, stand_in=self.variations == "stand_in")

    def select_views(self, logits: Tensor, views: Batch, task: Task) -> Tensor:
        alike = most_like(views.features if self.space == "features" else logits, self.near)
        return alike[most_confident(logits[alike], self.kept)]
