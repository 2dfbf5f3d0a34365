"""Initial values of parameters, drawn from the cell's own generator."""

from __future__ import annotations

import torch
from torch import Tensor

from promptgrid.contract.clip import Task


def gaussian(rng: torch.Generator, *shape: int, std: float = 0.02) -> Tensor:
    """``shape`` draws of N(0, std²)."""
    return torch.randn(*shape, generator=rng) * std


def uniform(rng: torch.Generator, bound: float, *shape: int) -> Tensor:
    """``shape`` draws of U(-bound, bound)."""
    return (torch.rand(*shape, generator=rng) * 2.0 - 1.0) * bound


def linear(rng: torch.Generator, inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
    """Weight (outputs, inputs) and bias (outputs,) as ``torch.nn.Linear`` starts them: U(±1/√inputs)."""
    bound = inputs**-0.5
    return uniform(rng, bound, outputs, inputs), uniform(rng, bound, outputs)


def context(task: Task, rng: torch.Generator, length: int, words: str) -> Tensor:
    """(length, text width): the embeddings of ``words``, or N(0, 0.02²) where no words are given.

    Raises:
        ValueError: the words are not ``length`` tokens.
    """
    if not words:
        return gaussian(rng, length, task.backbone.text.width)
    start = task.words(words).detach().clone()
    if len(start) != length:
        raise ValueError(f"words: {words!r} has {len(start)} tokens, context_length is {length}")
    return start


def check_words(words: str, length: int) -> None:
    """Raise ValueError where ``words`` cannot be ``length`` tokens: a word is at least one token."""
    if words and len(words.split()) != length:
        hint = f"set context_length: {len(words.split())}, or words: '' for a random start"
        raise ValueError(f"context_length: got {length}, but words {words!r} has {len(words.split())} words; {hint}")
