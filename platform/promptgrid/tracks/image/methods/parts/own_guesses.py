"""Learning from a model's own guesses on images without augmentation, as far as it is sure of them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Number
from promptgrid.tracks.image.methods.parts.pseudo import masked_mean


def agreement(logits: Tensor, guesses: Tensor, threshold: Number, first: int = 0) -> Tensor:
    """Mean cross-entropy of ``logits`` with the argmax of ``guesses``, both (B, C), where those are surer than that.

    0 where none are. No gradient passes through the guesses. Guessed are only classes from ``first`` on.
    """
    guesses = guesses.detach()[..., first:]
    sure = (guesses.softmax(-1).amax(-1) > threshold).to(logits)
    return masked_mean(F.cross_entropy(logits, guesses.argmax(-1) + first, reduction="none"), sure)


def one_sidedness(logits: Tensor, first: int = 0) -> Tensor:
    """sum_c m log m, m the mean softmax of the batch: minus the entropy of what is guessed on the whole.

    Guessed are only classes from ``first`` on.
    """
    mean = logits[..., first:].softmax(-1).mean(0)
    return (mean * (mean + 1e-6).log()).sum()
