"""Class sentences of a fixed template, as they are or with their words open to be learned."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone, PromptTokens, Task
from promptgrid.contract.clip.task import spoken


def sentences(task: Task, template: str) -> tuple[Tensor, Tensor]:
    """Embeddings (C, L, text width) of ``template`` with each class name, and the index of EOT (C,). Cached."""
    return _sentences(task.backbone, task.classes, template)


def raw_text(task: Task, templates: tuple[str, ...]) -> Tensor:
    """(C, width): the mean over ``templates`` of text features that are NOT normalised. Cached."""
    return _raw_text(task.backbone, task.classes, templates)


@lru_cache(maxsize=256)
def _raw_text(backbone: Backbone, classes: tuple[str, ...], templates: tuple[str, ...]) -> Tensor:
    names = spoken(classes)
    return torch.stack([backbone.encode_prompts([each.format(name) for name in names]) for each in templates]).mean(0)


def around(task: Task, template: str) -> PromptTokens:
    """Prompts of ``template`` without its full stop, all its words open to be learned, in their order. Cached."""
    return _around(task.backbone, task.classes, template)


@lru_cache(maxsize=256)
def _around(backbone: Backbone, classes: tuple[str, ...], template: str) -> PromptTokens:
    before, after = template.rstrip(".").split("{}")
    tokens = backbone.tokenize([f"{before}{name}{after}" for name in spoken(classes)])
    ends = tokens.argmax(-1)
    first, last = (int(backbone.tokenize([words])[0].argmax()) - 1 for words in (before, after))
    places = torch.arange(tokens.shape[1], device=tokens.device)
    leading = (places >= 1) & (places <= first)
    behind = places - ends.unsqueeze(1) + last  # (C, L): 0 at the first word behind the name
    slots = torch.where(leading, places - 1, torch.full_like(tokens, -1))
    slots = torch.where((behind >= 0) & (behind < last), behind + first, slots)
    with torch.no_grad():
        return PromptTokens(backbone.embed_tokens(tokens), slots, ends)


@lru_cache(maxsize=256)
def _sentences(backbone: Backbone, classes: tuple[str, ...], template: str) -> tuple[Tensor, Tensor]:
    tokens = backbone.tokenize([template.format(name) for name in spoken(classes)])
    with torch.no_grad():
        return backbone.embed_tokens(tokens), tokens.argmax(-1)
