"""What each domain learns of its own, side by side in mixed batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def by_domain(logits: Tensor, labels: Tensor, domain: Tensor) -> Tensor:
    """The sum over domains of the mean cross-entropy of their own images; 0 of one that a batch does not show.

    Args:
        logits: (domains, B, C), of each image with what each domain has learned.
        labels: (B,) classes.
        domain: (B,) which domain each image is of.
    """
    own = (domain == torch.arange(len(logits), device=domain.device).unsqueeze(1)).to(logits)
    each = torch.stack([F.cross_entropy(rows, labels, reduction="none") for rows in logits])
    return ((own * each).sum(1) / own.sum(1).clamp_min(1.0)).sum()
