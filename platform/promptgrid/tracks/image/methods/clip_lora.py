"""CLIP-LoRA: low-rank deltas on the attention of both towers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Edits, LowRank, Number, Params, Task, Trained, knob
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.contract.edits import Part
from promptgrid.contract.recipe import AdamW, Batches, Cosine, Recipe
from promptgrid.tracks.image.methods.parts.sentences import sentences
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import uniform

PHOTO = "a photo of a {}."
PARTS: tuple[Part, ...] = ("q", "k", "v")
IMAGE_SALT = 1_000_000  # keeps the dropout masks of the image tower apart from those of the text tower


@dataclass(frozen=True)
class ClipLora(Trained):
    """CLIP-LoRA: low-rank deltas on the attention of every block of both towers.

    Source: Zanella and Ben Ayed, method section; CLIP-LoRA 358f0d7. W + (alpha / √r) B A on q, k and v.
    A starts as torch's Linear (U(±1/√d)), B at zero; dropout ``rate`` on the deltas' input, own masks for q, k and v.
    Texts are "a photo of a {}." on every dataset, as the code has it (``texts: dataset``: the dataset's template), and
    are encoded at each step. r 2, alpha 1 (scale alpha / √r, as the code), rate .25; AdamW 2e-4, weight decay .01,
    batch 32, ``steps_per_shot`` 500 x shots, cosine per step to 1e-6. An epoch's last batch may be smaller
    (``keep_last``). Learns 184,320 numbers on ViT-B/16. Deviation: fp32 where the original scales fp16 gradients.
    """

    name: ClassVar[str] = "clip_lora"
    kind: ClassVar = "weights"
    paper: ClassVar[str] = "Zanella and Ben Ayed, CVPRW 2024, arXiv:2405.18541"
    axes: ClassVar = Axes("weight_deltas", "weights")
    needs: ClassVar[frozenset[str]] = frozenset({"text_blocks", "vision_blocks"})
    zero_shot_at_start: ClassVar[bool] = True

    rank: int = 2
    alpha: Number = knob(1.0, low=0.1, high=64.0, log=True)
    rate: float = 0.25
    learning_rate: Number = knob(2e-4, low=1e-6, high=1e-1, log=True)
    weight_decay: Number = knob(0.01, low=0.0, high=0.1)
    steps_per_shot: int = 500
    keep_last: bool = True
    texts: Literal["photo", "dataset"] = "photo"

    def __post_init__(self) -> None:
        check(self, rank=1, rate=0.99, steps_per_shot=1, texts=("photo", "dataset"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        down, up = self._start(task.backbone.text, rng)
        image_down, image_up = self._start(task.backbone.vision, rng)
        return {"text_down": down, "text_up": up, "image_down": image_down, "image_up": image_up}

    def recipe(self, task: Task) -> Recipe:
        optimizer, batches = AdamW(self.learning_rate, self.weight_decay), Batches(self.batch_size, self.keep_last)
        iterations = None if self.epochs else self.steps_per_shot * max(1, task.shots)
        return Recipe(optimizer, self.epochs, batches, Cosine(1e-6, per="iteration"), iterations=iterations)

    def text(self, params: Params, task: Task) -> Tensor:
        edits = Edits(deltas=self._deltas(params["text_down"], params["text_up"], 0), seed=task.seed)
        return task.backbone.encode_text(*sentences(task, task.template if self.texts == "dataset" else PHOTO), edits)

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        edits = Edits(deltas=self._deltas(params["image_down"], params["image_up"], IMAGE_SALT), seed=task.seed)
        return task.backbone.encode_patches(batch.patches, edits)

    def _start(self, tower: TowerShape, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """A (layers, 3, rank, width) and B (layers, 3, width, rank)."""
        stacked = (tower.layers, len(PARTS))
        down = uniform(rng, tower.width**-0.5, *stacked, self.rank, tower.width)
        return down, torch.zeros(*stacked, tower.width, self.rank)

    def _deltas(self, down: Tensor, up: Tensor, salt: int) -> dict[tuple[int, Part], LowRank]:
        scale = self.alpha / self.rank**0.5
        places = [(layer, i) for layer in range(down.shape[0]) for i in range(len(PARTS))]
        return {
            (layer, PARTS[i]): LowRank(down[layer, i], up[layer, i], scale, self.rate, salt + len(PARTS) * layer + i)
            for layer, i in places
        }
