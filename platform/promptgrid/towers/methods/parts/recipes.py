"""Recipes of methods on a tower of tokens: the one place that builds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from promptgrid.contract.recipe import AdamW, Batches, Cosine, Number, Recipe, Rule


def adamw(
    learning_rate: Number,
    weight_decay: Number,
    steps: int,
    batch_size: int,
    *,
    rates: Mapping[str, float] | None = None,
    undecayed: Iterable[str] = (),
    clip: float | None = None,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
) -> Recipe:
    """AdamW for ``steps`` steps, a cosine by step from ``learning_rate`` to zero, without warm-up.

    Args:
        learning_rate: of the first step.
        weight_decay: decoupled.
        steps: of the whole fit.
        batch_size: examples a step; an epoch's last batch may be smaller.
        rates: what the rate of single parameters is multiplied by.
        undecayed: parameters without weight decay.
        clip: the most that the norm of the whole gradient may be.
        betas: of the two running means.
        epsilon: beside the root of the second.
    """
    rules = {name: Rule(rate=rate) for name, rate in (rates or {}).items()}
    for name in undecayed:
        rules[name] = replace(rules.get(name, Rule()), decay=0.0)
    return Recipe(
        AdamW(learning_rate, weight_decay, betas, epsilon),
        batches=Batches(batch_size, keep_last=True),
        schedule=Cosine(per="iteration"),
        rules=rules,
        clip=clip,
        iterations=steps,
    )
