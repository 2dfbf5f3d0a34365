"""What images say for the cards of their methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptgrid.contract.clip import Method
from promptgrid.contract.clip.method import adaptation_of
from promptgrid.engine.cards.admission import Asked
from promptgrid.engine.cards.card import Cards
from promptgrid.spec import Suite
from promptgrid.tracks.image.cards.counting import cost, counts, losses, recipe

COMPARED = (
    "compared by running both on one random CLIP (12 + 12 layers, width 128, 64 pixels) from the same weights, starts, "
    "images and batches: six steps, fp32, on the cosine scale; no fp16, no published weights"
)
"""How all that were compared with their authors' code were."""
VIEWS = {
    "default": Suite.model_fields["views"].default,
    "means": "the centre crop of each training image, in every epoch, where a suite says nothing",
    "papers": "nearly all papers draw a fresh random crop and flip in every epoch: `views: online` in a suite",
}
"""Which views of the training images a method sees: a matter of the suite, the same for all methods."""


def views_of(method: Method) -> Mapping[str, Any] | None:
    """None where views make no difference: nothing is augmented for what looks at texts and test images alone."""
    return VIEWS if method.kind != "zero-shot" and adaptation_of(method) is None else None


CARDS = Cards(
    asked=Asked("image", target="emoji_twemoji", source="emoji_noto"),
    computed={"counts": counts, "losses": losses, "recipe": recipe, "cost": cost},
    views=views_of,
    compared=COMPARED,
)
