"""GRIP: a text context learned from few labels, or none, and from more and more pseudo-labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Chosen, Params, Task
from promptgrid.contract.clip.task import spoken
from promptgrid.tracks.image.methods.parts.pseudo import zero_shot
from promptgrid.tracks.image.methods.parts.rounds import Pseudolabelled
from promptgrid.tracks.image.methods.parts.starts import gaussian


@dataclass(frozen=True)
class GRIP(Pseudolabelled):
    """GRIP: ten rounds of CoOp, each on more pseudo-labelled images than the last, the tenth on all.

    Source: Menghini et al., section 4.2 and appendix A; BatsResearch/menghini-neurips23-code 2094fa5
    (``training_strategies.py``, ``textual_fpl.py``).
    Each class keeps a leaderboard of its K likeliest pool images, K = floor(i |U| / (10 C)) in round i and the whole
    pool in the tenth. Loss: gamma CE(labelled) + CE(pseudo), gamma = |pseudo| / |labelled|; where classes are unseen,
    CE(labelled) + CE(pseudo) / gamma, and only unseen classes are guessed; without labels CE(pseudo). 16 vectors,
    N(0, 0.02²), drawn afresh each round; SGD .1, decay .1, batch 16, 150 epochs: linear warm-up over 5, cosine.
    Learns 16 x 512 = 8,192 numbers on ViT-B/16. Protocols set SSL, TRZSL or UL.
    Deviations: an image that loses its place on a leaderboard applies to its next class, so that none is on two and the
    order of the pool does not matter; no pseudo-labelled image is held out (the original keeps 20 % for a validation
    that chooses nothing); whole batches only; gamma is |pseudo| / |labelled| throughout (the original's turns over
    after the first round); a full stop stands behind the name; the first guesses are by the dataset's own template
    (the original's begin with a pair of braces that nobody filled, "a photo of a {}tench": ``braces``); fp32.
    """

    name: ClassVar[str] = "grip"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Menghini et al., NeurIPS 2023, arXiv:2306.01669"
    axes: ClassVar = Axes("context", "text", supervision="semi_supervised", prompt="soft_tuning", design="data")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "unlabelled"})

    context_length: int = 16
    braces: bool = False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"context": gaussian(rng, self.context_length, task.backbone.text.width)}

    def text(self, params: Params, task: Task) -> Tensor:
        return task.backbone.encode_context(task.prompts(self.context_length), params["context"])

    def relabel(self, task: Task, logits: Tensor | None) -> Chosen:
        if logits is None and self.braces:
            logits = zero_shot(
                task, task.backbone.encode_prompts([f"a photo of a {{}}{x}" for x in spoken(task.classes)])
            )
        return super().relabel(task, logits)
