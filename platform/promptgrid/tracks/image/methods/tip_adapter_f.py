"""Tip-Adapter-F: Tip-Adapter's cache, with keys that are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.contract.clip import AdamW, Axes, Batches, Cosine, Number, Recipe, Task, knob
from promptgrid.tracks.image.methods.parts.published import paper_name
from promptgrid.tracks.image.methods.tables.tip_adapter import EPOCHS
from promptgrid.tracks.image.methods.tip_adapter import TipAdapter


@dataclass(frozen=True)
class TipAdapterF(TipAdapter):
    """Tip-Adapter-F: Tip-Adapter whose keys are then trained by cross-entropy.

    Source: as Tip-Adapter.
    AdamW .001, epsilon 1e-4, weight decay .01, cosine per iteration, batch 256, 20 epochs (EuroSAT 100), with alpha and
    beta as before the search; then the search. An epoch's last batch may be smaller (``keep_last``): 592 images are 3
    steps. Learns N x D numbers.
    Deviations: those of Tip-Adapter; the last epoch is kept (the original reports the best on the TEST set, so expect
    lower figures); without ``views`` each image meets its own key in training, which overfits sooner.
    """

    name: ClassVar[str] = "tip_adapter_f"
    axes: ClassVar = Axes("cache", "head", access="features")
    frozen: ClassVar[frozenset[str]] = frozenset({"values", "alpha", "beta"})

    learning_rate: Number = knob(1e-3, low=1e-6, high=1e-1, log=True)
    weight_decay: Number = knob(0.01, low=0.0, high=0.1)
    batch_size: int = 256
    epochs: int = 0
    keep_last: bool = True

    def recipe(self, task: Task) -> Recipe:
        optimizer = AdamW(self.learning_rate, self.weight_decay, epsilon=1e-4)
        epochs = self.epochs or EPOCHS.get(paper_name(task.dataset), 20)
        return Recipe(optimizer, epochs, Batches(self.batch_size, self.keep_last), Cosine(per="iteration"))
