"""Zero-shot: the frozen model's own words at the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.method import Method, Params
from promptgrid.contract.settings import check
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.text.methods.parts.priors import CALIBRATIONS, Calibration, prior_states, word_prior
from promptgrid.tracks.text.methods.parts.verbalizers import calibrated, word_chances, word_logits
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class ZeroShot(Method):
    """Zero-shot: which label word the frozen model would write into the dataset's template.

    Source: Zhao et al., section 5, for the calibration, which is about GPT-3.
    ``words: first`` takes the word that names a class, ``all`` the mean log chance of all its words. ``calibration``
    divides chances by the mean chance over texts without an answer: ``empty`` (the template around nothing, the
    paper's content-free input), ``support`` or ``pool`` (unlabelled texts of the train split: needs ``unlabelled``).
    Learns nothing; the states of those texts are kept.
    Deviations: one empty input in the place of the mean over "N/A", "[MASK]" and the empty string.
    """

    name: ClassVar[str] = "zero_shot"
    kind: ClassVar[str] = "zero-shot"
    paper: ClassVar[str] = "Zhao et al., ICML 2021, arXiv:2102.09690"
    axes: ClassVar = Axes(
        "nothing", "nowhere", supervision="none", stage="training_free", access="features", prompt="hard_instruction",
        family="single_tower",
    )  # fmt: skip
    needs: ClassVar[frozenset[str]] = frozenset({"mask", "unlabelled"})
    frozen: ClassVar[frozenset[str]] = frozenset({"texts"})

    words: Literal["first", "all"] = "first"
    calibration: Calibration = "none"

    def __post_init__(self) -> None:
        check(self, words=("first", "all"), calibration=CALIBRATIONS)

    @property
    def assets(self) -> frozenset[str]:
        return frozenset({"unlabelled"}) if self.calibration == "pool" else frozenset()

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads at these settings."""
        return frozenset({"mask_state"})

    def init(self, task: TextTask, rng: torch.Generator) -> Params:
        kept = self.calibration in ("support", "pool")
        return {"texts": prior_states(task, self.calibration) if kept else torch.zeros(0, task.backbone.width)}

    def once(self, params: Params, task: TextTask) -> tuple[Tensor, Tensor | None]:
        known = task.label_words.known
        if self.words == "first":
            known = torch.cat([known[:, :1], torch.zeros_like(known[:, 1:])], 1)
        if self.calibration == "none":
            return known, None
        empty = self.calibration == "empty"
        return known, word_prior(task, prior_states(task, "empty") if empty else params["texts"], known)

    def predict(self, params: Params, batch: Batch, task: TextTask, once: Any = None) -> Tensor:
        known, prior = self.once(params, task) if once is None else once
        chances = word_chances(word_logits(task, batch["mask_state"]), known)
        said = calibrated(chances, torch.ones_like(chances) if prior is None else prior, known)
        return said.masked_fill(~known, 0.0).sum(-1) / known.sum(-1)
