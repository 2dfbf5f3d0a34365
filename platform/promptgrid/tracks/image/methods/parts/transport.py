"""POUF's losses of a batch without labels: texts and images are brought together, both ways."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cosines(image: Tensor, text: Tensor) -> Tensor:
    """(B, C) of features (B, width) and (C, width), which need not be normalised."""
    return F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).mT


def transport(cosine: Tensor, logits: Tensor) -> Tensor:
    """Mean over images of sum_c p(c | x) (1 - cosine) + mean over classes of sum_x p(x | c) (1 - cosine).

    p(c | x) is the softmax of ``logits`` (B, C) over the classes, p(x | c) that over the images.
    """
    cost = 1.0 - cosine
    return (cost * logits.softmax(1)).sum(1).mean() + (cost * logits.softmax(0)).sum(0).mean()


def information(logits: Tensor) -> Tensor:
    """The mean entropy of the images' guesses less the entropy of the mean guess: minus mutual information."""
    likely = logits.softmax(1)
    mean = likely.mean(0)
    return (mean * (mean + 1e-6).log()).sum() - (likely * (likely + 1e-5).log()).sum(1).mean()
