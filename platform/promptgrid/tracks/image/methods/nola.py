"""NoLA: descriptions label a few images, these teach a head on a second tower, and that a prompted CLIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Number, Outputs, Params, Task, knob
from promptgrid.tracks.image.methods.parts.described import unit_mean
from promptgrid.tracks.image.methods.parts.pseudo import guessed, surest, unseen_from, zero_shot
from promptgrid.tracks.image.methods.parts.student import Student
from promptgrid.tracks.image.methods.parts.teachers import align, alignment_head


@dataclass(frozen=True)
class NoLA(Student):
    """NoLA: guesses of a head on a second backbone teach CLIP's prompts, LayerNorms and a head.

    Source: Imam et al., section 3; fazliimam/NoLA ffd99ac (``trainers/NoLA.py``, ``utils/model_utils.py``).
    (1) Class embeddings T: the normalised mean of the unit features of descriptions and template. (2) Of the images
    that s f̂ T takes for a class, the k = max(16, 0.2 |U| / C) surest; where there are none, of those that take it for
    their second, then third class. They teach a head of 256 hidden units on the second backbone: Adam 1e-3, batch 32,
    50 epochs. (3) On the whole pool the head's guess is the label of the augmented view, which passes 16 tokens behind
    CLS and ``ln_pre``, LayerNorms (shifts) and a head that starts as T, on features that are not normalised:
    cross-entropy with 0.1 smoothing. AdamW .004, decay 1e-4, constant, batch 512, 50 epochs. Learns
    16 x 768 + 2 x 26 x 768 + C x 512 numbers on ViT-B/16. Where the pool is of unseen classes, only those are guessed,
    and C in k counts them alone.
    Deviations: not DINO ViT-B/16 but ``bundled-conv`` (``second``), whose tower learned ImageNet's LABELS, its
    projection captions, and which taught the bundled ViT; 16 tokens, decay 1e-4, as the configuration says (a comment
    says 50, the optimizer .01); those of LaFTer, the last step instead of the epoch best on LABELLED validation images.
    """

    name: ClassVar[str] = "nola"
    paper: ClassVar[str] = "Imam et al., 2024, arXiv:2411.19346"
    needs: ClassVar[frozenset[str]] = frozenset({"vision_blocks", "descriptions", "unlabelled", "second_backbone"})
    frozen: ClassVar[frozenset[str]] = frozenset({"align_in", "align_in_bias", "align_out", "align_out_bias"})

    tokens: int = 16
    second: str = "bundled-conv"
    learning_rate: Number = knob(0.004, low=1e-6, high=1.0, log=True)
    weight_decay: Number = knob(1e-4, low=0.0, high=0.1)
    batch_size: int = 512

    def init(self, task: Task, rng: torch.Generator) -> Params:
        texts, classes, first = unit_mean(task), len(task.classes), unseen_from(task)
        if task.second is None or task.second.unlabelled is None:
            raise ValueError("the pool as the second backbone sees it is missing")
        seen = task.second.unlabelled
        rows, labels = surest(zero_shot(task, texts), max(16, int(0.2 * len(seen) / (classes - first))), first)
        return alignment_head(seen[rows], labels, classes, rng) | self.student(task, rng, texts)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        if out.batch is None or "second" not in out.batch:
            raise ValueError("the images as the second backbone sees them are missing")
        guess = guessed(align(params, out.batch.second), task)
        return {"consistency": F.cross_entropy(out.logits, guess, label_smoothing=0.1)}
