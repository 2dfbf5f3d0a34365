"""Everything about a pretraining run that changes its result, and its length."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """How a backbone is trained; the defaults are those of one CPU core.

    `batch` pictures a step, of which the first `texts` get a caption, beside `words` plain words and `candidates` other
    phrases to choose among; `taught` is the share of the batch that Lite0 sees beside the ViT; `keep` is the share of
    patches the ViT sees until `whole_after` of the time is over; `lag` is the time constant of the averaged weights as
    a share of the run.
    """

    backbone: str
    minutes: float
    batch: int = 256
    texts: int = 96
    words: int = 32
    candidates: int = 2048
    rate: float = 1e-3
    decay: float = 0.05
    taught: float = 0.5
    keep: float = 0.6
    whole_after: float = 0.87
    lag: float = 0.04
    seed: int = 20261122

    @classmethod
    def on(cls, device: str, backbone: str, minutes: float) -> Recipe:
        """The recipe of a device: larger batches, a higher rate and whole pictures on a GPU."""
        recipe = cls(backbone, minutes)
        if not device.startswith("cuda"):
            return recipe
        if backbone == "bundled-conv":
            return replace(recipe, batch=512, texts=256, words=96, candidates=4096, rate=1.2e-3)
        return replace(recipe, batch=1024, texts=384, words=128, candidates=4096, rate=1.5e-3, keep=1.0)

    def rate_at(self, done: float) -> float:
        """The learning rate when this share of the time is over: a short rise, a plateau, a fall to nothing."""
        rise, fall = min(1.0, done / 0.02), min(1.0, (1 - done) / 0.45)
        return self.rate * max(0.0, min(rise, 0.5 - 0.5 * math.cos(math.pi * max(0.0, fall)))) + 1e-6
