"""Nearest class mean: an image is of the class whose few images it is most like; no text is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Classifier, Params, Task
from promptgrid.contract.task import required


@dataclass(frozen=True)
class NearestMean(Classifier):
    """Nearest class mean: the mean of each class's unit image features, compared by cosine.

    Source: Mensink et al., section 3.2, for features that are not learned; as prototypes Snell et al., NeurIPS 2017.
    m_c is the mean of f / |f| over the shots of c (and over their views, where the suite declares some); logits are
    s cos(f, m_c). The vision-only baseline beside zero-shot, which looks at texts alone: what images say without words.
    Nothing is trained or searched. Keeps C x D numbers; cannot score unseen classes; a class without a shot has a mean
    of zero, which no image is like.
    Deviations: cosine, in the place of a Euclidean or a learned distance.
    """

    name: ClassVar[str] = "nearest_mean"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "Mensink et al., TPAMI 2013, doi:10.1109/TPAMI.2013.83"
    axes: ClassVar = Axes("classifier", "head", stage="training_free", access="features")

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        support = required(task.support, "support images")
        seen = support.features[None] if support.augmented is None else support.augmented()
        unit = F.normalize(seen.float(), dim=-1).mean(0)  # (N, D), over the views
        own = F.one_hot(support.labels, len(task.classes)).to(unit)
        return {"means": own.mT @ unit / own.sum(0).clamp_min(1.0).unsqueeze(1)}

    def text(self, params: Params, task: Task) -> Tensor:
        return params["means"]
