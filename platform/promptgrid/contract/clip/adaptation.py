"""Fitting parameters to one test image, from nothing but that image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Adaptation:
    """How a method fits its parameters to a test image; before the next image all of that is forgotten.

    The engine looks at ``views`` of the image: its centre crop, then random resized crops with flips, drawn from
    streams that the image alone names. Behind them come ``generated`` variations, from the asset ``variations`` or,
    with ``stand_in``, of a strong augmentation in their place. :meth:`Method.select_views` says once, before the first
    step, which of them count; AdamW (0.9, 0.999, 1e-8) then takes ``steps`` on :meth:`Method.adapt_loss`, every image
    by itself, and the centre crop is answered.
    """

    learning_rate: float
    weight_decay: float = 1e-2
    steps: int = 1
    views: int = 64
    generated: int = 0
    stand_in: bool = False
