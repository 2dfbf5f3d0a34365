"""The masked-word loss: some tokens of a text are hidden, and the model fills them in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params
from promptgrid.contract.randomness import gaussian
from promptgrid.tracks.text.task import TextTask

PER_CENT, HIDDEN, OTHER = 15, 0.8, 0.1
"""Of a text's tokens that are asked for; of these, which become the mask token, and which any other token."""
SALT = 91


def masked_word_loss(
    task: TextTask,
    ids: Tensor,
    attention: Tensor,
    weights: Params,
    *,
    never: Tensor | None = None,
    written: Callable[[Tensor], Tensor] = lambda words: words,
) -> Tensor:
    """The mean cross-entropy of the tokens that are asked for.

    Source: Devlin et al., section 3.1. Of each row exactly 15 % are asked for, rounded, at least one, where others ask
    for each token with chance .15: a fixed number can be gathered before the decoder, which is most of the work.

    Args:
        task: with the step's ``seed``.
        ids: (B, L).
        attention: (B, L) False at padding.
        weights: of the model, by name.
        never: (B, L) True at further tokens that are not asked for; special tokens never are.
        written: what is done to the (B, L, d) word embeddings of the changed texts.
    """
    backbone, seed = task.backbone, task.seed
    if seed is None:
        raise ValueError("tokens are hidden by the step's seed, and this task has none")
    open_ = attention & ~_special(task, ids)
    open_ = open_ if never is None else open_ & ~never
    most = max(1, -(-PER_CENT * ids.shape[-1] // 100))
    rank = uniform(attention, ids.shape[-1], seed, SALT).masked_fill(~open_, -1.0)
    at = rank.topk(most).indices
    wanted = ((PER_CENT * open_.sum(-1) + 50) // 100).clamp(min=1)
    asked = (torch.arange(most, device=ids.device) < wanted.unsqueeze(-1)) & open_.gather(-1, at)
    target = ids.gather(-1, at)
    lot = uniform(attention, most, seed, SALT + 1)
    anything = (
        (uniform(attention, most, seed, SALT + 2) * backbone.vocabulary).long().clamp(max=backbone.vocabulary - 1)
    )
    shown = torch.where(lot < HIDDEN, _mask_id(task), torch.where(lot < HIDDEN + OTHER, anything, target))
    changed = ids.scatter(-1, at, torch.where(asked, shown, target))
    words = written(backbone.embed(changed, weights))
    states = backbone.encode_at(words, attention, at, weights=weights)
    losses = F.cross_entropy(backbone.fill(states, weights).flatten(0, 1), target.flatten(), reduction="none")
    counted = asked.flatten().to(losses)
    total: Tensor = (losses * counted).sum()
    return total / counted.sum().clamp(min=1.0)


def uniform(rows: Tensor, size: int, seed: Tensor, salt: int) -> Tensor:
    """(B, ``size``) draws of U(0, 1) for the B rows of ``rows``: a function of (``seed``, ``salt``) alone."""
    drawn: Tensor = torch.special.ndtr(gaussian(rows.float(), size, seed, salt))
    return drawn


def _special(task: TextTask, ids: Tensor) -> Tensor:
    special = task.backbone.special
    found = torch.zeros_like(ids, dtype=torch.bool)
    for each in (special.pad, special.begin, special.end, special.mask):
        if each is not None:
            found = found | (ids == each)
    return found


def _mask_id(task: TextTask) -> int:
    found = task.backbone.special.mask
    if found is None:
        raise ValueError(f"backbone {task.backbone.id} does not fill masks")
    return found
