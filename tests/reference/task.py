"""What a reference implementation is given: one few-shot task as plain tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from tests.reference.clip import Clip
from torch import Generator, Tensor

Params = dict[str, Tensor]


@dataclass(frozen=True)
class Pictures:
    """uint8 pixels (N, 3, s, s) and class positions (N,)."""

    pixels: Tensor
    labels: Tensor


Batches = list[list[tuple[Tensor, int]]]


@dataclass(frozen=True)
class Plain:
    """One task. ``batches`` lists, epoch by epoch and step by step, (positions in ``train``, dropout seed).

    ``later`` are those of a second stage, ``domains`` names the domain of each image of ``train``. ``shown`` are other
    images with a caption each, ``start_rng`` the stream that the start is drawn from. ``said`` holds descriptions
    by class. ``beside`` gives the views (B, 2, 3, s, s) of MoCo and of AugMix of positions in ``train``, at a step with
    this seed. ``whole_val`` are all validation images of these classes, of which ``val`` are a few.
    """

    clip: Clip
    classes: tuple[str, ...]
    template: str
    train: Pictures
    val: Pictures
    batches: Batches
    later: Batches = field(default_factory=list)
    domains: tuple[str, ...] = ()
    shown: Tensor = field(default_factory=lambda: torch.zeros(0))
    captions: tuple[str, ...] = ()
    start_rng: Callable[[], Generator] = Generator
    said: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: Callable[[Tensor, int], Tensor] = field(default=lambda chosen, seed: torch.zeros(0))
    whole_val: Pictures = field(default=Pictures(torch.zeros(0), torch.zeros(0)))


@dataclass(frozen=True)
class Pooled(Plain):
    """One task with an unlabelled ``pool`` (M, 3, s, s); ``train`` may be empty.

    ``draw`` gives the batches of a round over so many images, labelled ones first; ``start_of`` what a round starts
    from where it starts afresh, ``rng`` the stream that the first start is drawn from. The first ``seen`` classes are
    those of the labelled images. The second backbone is the first one again.
    """

    pool: Tensor = field(kw_only=True)
    draw: Callable[[int, int], Batches] = field(kw_only=True)
    start_of: Callable[[int], Params] = field(kw_only=True)
    rng: Callable[[], Generator] = field(kw_only=True)
    seen: int = 0
