"""Trains the tower and a masked-LM head on; the word and position embeddings stay as they are."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.pretrain.batches import Step, steps
from promptgrid.tracks.text.pretrain.recipe import Recipe
from promptgrid.tracks.text.pretrain.tables import Tables

logger = logging.getLogger(__name__)
MASK_ROW = "mask_row"
"""The word embedding of the mask token, the only one that is trained."""


def new_head(tower: Transformer, counts: Tensor) -> dict[str, Tensor]:
    """An untrained mask head whose bias knows how frequent each token is.

    Args:
        tower: whose width it has.
        counts: (V,) how often each token stands in the corpus.
    """
    width = tower.width
    generator = torch.Generator().manual_seed(0)
    return {
        "mask.dense.weight": torch.randn(width, width, generator=generator) * 0.02 + torch.eye(width),
        "mask.dense.bias": torch.zeros(width),
        "mask.norm.weight": torch.full((width,), 0.3),
        "mask.norm.bias": torch.zeros(width),
        "mask.bias": ((counts + 0.1) / (counts + 0.1).sum()).log(),
    }


def with_head(tower: Transformer, counts: Tensor) -> Transformer:
    """The tower with an untrained mask head."""
    tensors = {**tower.weights(), **new_head(tower, counts)}
    return Transformer(tower.id, "", tower.shape, tensors, tower.tokenizer, tower.preprocessing)


def trainable(tower: Transformer) -> dict[str, Tensor]:
    """Copies of all that is trained, by name, and the mask token's word embedding.

    In the order of their names, by which an optimiser's state is kept: that of a file's tensors may differ each time.
    """
    fixed = ("embeddings.word", "embeddings.position", "embeddings.segment")
    found = {name: value.clone() for name, value in sorted(tower.weights().items()) if name not in fixed}
    assert tower.special.mask is not None
    found[MASK_ROW] = tower.weights()["embeddings.word"][tower.special.mask].clone()
    return found


def loss_of(tower: Transformer, params: Mapping[str, Tensor], step: Step) -> Tensor:
    """Mean cross-entropy over the masked tokens, in nats."""
    weights = {name: value for name, value in params.items() if name != MASK_ROW}
    assert tower.special.mask is not None
    is_mask = step.ids.eq(tower.special.mask).unsqueeze(-1)
    embeddings = torch.where(is_mask, params[MASK_ROW], tower.embed(step.ids))
    everywhere = torch.ones_like(step.ids, dtype=torch.bool)
    hidden = tower.encode_at(embeddings, everywhere, step.places, weights=weights)
    return F.cross_entropy(tower.fill(hidden, weights).flatten(0, 1), step.wanted.flatten())


def train(
    tower: Transformer,
    tables: Tables,
    recipe: Recipe,
    home: Path,
    stop_at: int | None = None,
    save_every: float = 300.0,
) -> Path:
    """Train for ``recipe.steps``, those included that a checkpoint in ``home`` has behind it.

    With ``stop_at`` the run ends at that step, on the way. Step n draws the same rows and masks whether or not the run
    was cut before it.

    Returns:
        The checkpoint, ``home/checkpoint.pt``: ``params``, ``steps``, ``seconds`` of processor time.
    """
    path = home / "checkpoint.pt"
    tower = with_head(tower, tables.counts)
    params = {name: value.requires_grad_() for name, value in trainable(tower).items()}
    head = [name for name in params if name.startswith("mask.")]
    groups = [
        {"params": [params[name] for name in params if name not in head], "base": recipe.rate},
        {"params": [params[name] for name in head], "base": recipe.head_rate},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)
    number, spent = 0, 0.0
    if path.exists():
        kept = torch.load(path, weights_only=True)
        optimizer.load_state_dict(kept["optimizer"])
        for name, value in kept["params"].items():
            params[name].data.copy_(value)
        number, spent = kept["steps"], kept["seconds"]
    began, saved = time.process_time() - spent, time.monotonic()
    assert tower.special.mask is not None
    mean = 0.0
    logger.info("at step %d", number)
    for step in steps(tables.rows, recipe, tower.special.mask, number):
        if number >= (recipe.steps if stop_at is None else stop_at):
            break
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * recipe.slope(number / recipe.steps)
        optimizer.zero_grad()
        loss = loss_of(tower, params, step)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(params.values()), recipe.clip)
        optimizer.step()
        number += 1
        mean += (float(loss.detach()) - mean) / min(number, 50)
        if number % 50 == 0:
            logger.info("step %d of %d, loss %.3f", number, recipe.steps, mean)
        if time.monotonic() - saved > save_every:
            saved = time.monotonic()
            _save(path, params, optimizer, number, time.process_time() - began)
    _save(path, params, optimizer, number, time.process_time() - began)
    return path


def _save(
    path: Path, params: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, number: int, seconds: float
) -> None:
    fresh = path.with_suffix(".new")
    plain = {name: value.detach() for name, value in params.items()}
    torch.save({"params": plain, "optimizer": optimizer.state_dict(), "steps": number, "seconds": seconds}, fresh)
    fresh.replace(path)
