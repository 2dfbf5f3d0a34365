"""LaFTer: a classifier learned from sentences alone labels images for a prompted image tower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Batch, Number, Outputs, Params, Task, knob
from promptgrid.contract.clip.method import View
from promptgrid.tracks.image.methods.parts.described import every_sentence
from promptgrid.tracks.image.methods.parts.pseudo import guessed, unaugmented
from promptgrid.tracks.image.methods.parts.published import paper_name
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.student import Student
from promptgrid.tracks.image.methods.parts.teachers import sentence_classifier

TEXT_STEPS = {"OxfordFlowers": 600, "FGVCAircraft": 500, "SUN397": 500, "ImageNet": 500, "Caltech101": 500}
"""Steps of the text classifier by dataset; 400 on the others."""


@dataclass(frozen=True)
class LaFTer(Student):
    """LaFTer: a text classifier's guesses on plain images teach prompts, LayerNorms and a head on augmented ones.

    Source: Mirza et al., sections 3.1 and 3.2; jmiemirza/LaFTer a5e3022 (``trainers/LaFTer.py``, ``utils/utils.py``).
    First a linear map W (C, D) learns to name the unit features of all descriptions and of the template, with
    N(0, 0.1²) added: cross-entropy with 0.1 smoothing, AdamW ``text_rate``, decay .01, ``TEXT_STEPS`` full batches.
    Then, on the whole pool, argmax W f̂ of the image without augmentation is the label of the augmented view; W stays,
    f̂ is by the tower under way, its LayerNorms as they have moved but no tokens (``guesses_by: frozen``: by the frozen
    tower). The view passes 50 tokens behind CLS and ``ln_pre``, all LayerNorms of the image tower (shifts) and a head
    that starts as W, on features that are not normalised: cross-entropy with 0.1 smoothing. AdamW 5e-4, decay .01 but
    on biases, constant, batch 50, 50 epochs. Learns 50 x 768 + 2 x 26 x 768 + C x 512 numbers on ViT-B/16. Where the
    pool is of unseen classes, only those are guessed.
    Deviations: the last step is kept (the original reports the epoch that is best on the TEST set); augmented views are
    the suite's (``views: online``; crops and flips, the original adds colours, perspective and blur), without any the
    image teaches itself; the dataset's one template (the original lists several); decay pulls LayerNorms to their
    frozen values instead of 0; fp32.
    """

    name: ClassVar[str] = "lafter"
    paper: ClassVar[str] = "Mirza et al., NeurIPS 2023, arXiv:2305.18287"
    needs: ClassVar[frozenset[str]] = frozenset({"vision_blocks", "descriptions", "unlabelled"})
    frozen: ClassVar[frozenset[str]] = frozenset({"teacher"})
    beside: ClassVar[tuple[View, ...]] = ("centre",)

    text_steps: int = 0
    text_rate: Number = knob(5e-4, low=1e-6, high=1.0, log=True)
    noise: Number = knob(0.1, low=0.0, high=1.0)
    guesses_by: Literal["learning", "frozen"] = "learning"

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, guesses_by=("learning", "frozen"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        (units, labels), classes = every_sentence(task), len(task.classes)
        steps = self.text_steps or TEXT_STEPS.get(paper_name(task.dataset), 400)
        w = sentence_classifier(units, labels, classes, rng, steps, float(self.text_rate), float(self.noise))
        return {"teacher": w} | self.student(task, rng, w)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        with torch.no_grad():
            seen = unaugmented(out) if self.guesses_by == "frozen" else self._seen(params, out, task)
        guess = guessed(F.normalize(seen, dim=-1) @ params["teacher"].mT, task)
        return {"consistency": F.cross_entropy(out.logits, guess, label_smoothing=0.1)}

    def _seen(self, params: Params, out: Outputs, task: Task) -> Tensor:
        """(B, width): the images without augmentation, by the tower as it has become, without its tokens."""
        assert out.batch is not None, "the engine passes what it looked at"
        plain = Batch(features=out.batch.features, patches=out.batch.beside[:, 0])
        return self.image(params | {"tokens": params["tokens"][:0]}, plain, task)
