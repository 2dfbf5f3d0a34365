"""A task of image classification on a frozen dual encoder: classes, prompts, support examples, assets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract import task as core
from promptgrid.contract.assets import Descriptions, Pairs, Second
from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.clip.prompt_tokens import PromptTokens

Position = Literal["end", "middle", "front"]


class Task(core.Task):
    """One few-shot classification task on one dual encoder.

    ``support`` are the few labelled training images and ``validation`` the few validation images (at most four a
    class), both as frozen features; neither is there on a task that was rebound to new classes. Assets are there for
    methods that need them. While a method trains on the pool, ``turn`` counts its rounds from 0, and ``mixture`` says
    how many labelled images and how many of the pool it trains on in this round.
    """

    KEPT: ClassVar[frozenset[str]] = frozenset({"template", "templates", "task_of_class", "descriptions", "seen"})
    backbone: Backbone

    @classmethod
    def of(
        cls, dataset: str, classes: tuple[str, ...], template: str, backbone: Backbone, *, shots: int = 0, **given: Any
    ) -> Task:
        """A task whose classes are spoken of as ``template`` says; ``given`` are support examples and assets."""
        return cls(dataset, classes, backbone, shots).but(template=template, **given)

    @property
    def template(self) -> str:
        """How the dataset speaks of a class: ``a photo of a {}.``"""
        return str(self["template"])

    @property
    def templates(self) -> tuple[str, ...]:
        """On datasets joined side by side, how that of each class speaks of it; else empty."""
        return tuple(self.given.get("templates", ()))

    @property
    def task_of_class(self) -> tuple[int, ...]:
        """On datasets joined side by side, which of them each class belongs to; else empty."""
        return tuple(self.given.get("task_of_class", ()))

    @property
    def descriptions(self) -> Descriptions | None:
        """Sentences about every class."""
        return self.given.get("descriptions")

    @property
    def seen(self) -> int:
        """How many of the classes, the first ones, have labelled images beside a pool."""
        return int(self.given.get("seen", 0))

    @property
    def unlabelled_pixels(self) -> Tensor | None:
        """(M, 3, size, size) uint8 images of the pool, for methods inside the image tower."""
        return self.given.get("unlabelled_pixels")

    @property
    def domains(self) -> tuple[str, ...]:
        """The domain of each support image."""
        return tuple(self.given.get("domains", ()))

    @property
    def second(self) -> Second | None:
        """What a second backbone makes of the task's own images."""
        return self.given.get("second")

    @property
    def pairs(self) -> Pairs | None:
        """Images with captions."""
        return self.given.get("pairs")

    @property
    def tower(self) -> Any:
        """The backbone's image tower as methods on any tower of tokens see it."""
        return self.backbone.image_tokens_tower

    @property
    def scale(self) -> float:
        """exp(logit_scale) of the backbone, frozen."""
        return self.backbone.logit_scale

    @cached_property
    def text(self) -> Tensor:
        """(C, width) unit text features of the dataset's own template, of each class's own where they differ."""
        if not self.templates:
            return self.text_of((self.template,))
        own = {template: self.text_of((template,)) for template in dict.fromkeys(self.templates)}
        return torch.stack([own[template][row] for row, template in enumerate(self.templates)])

    def text_of(self, templates: tuple[str, ...]) -> Tensor:
        """(C, width): encode, normalise each, mean, normalise again (CLIP's ensemble rule). Frozen; cached."""
        return F.normalize(self.mean_text(templates), dim=-1)

    def mean_text(self, templates: tuple[str, ...]) -> Tensor:
        """(C, width): the mean of the unit features of ``templates``, before the last normalisation."""
        return _mean_text(self.backbone, self.classes, templates)

    def ask(self, pixels: Tensor) -> Tensor:
        """(B, C) logits of images (B, 3, size, size), normalised, with each class named as its template does."""
        said = self.templates or (self.template,) * len(self.classes)
        texts = (template.format(name) for template, name in zip(said, spoken(self.classes), strict=True))
        return self.backbone.ask(pixels, tuple(texts))

    def words(self, text: str) -> Tensor:
        """(n, text width) token embeddings of ``text`` without SOS and EOT: the usual start of a context."""
        tokens = self.backbone.tokenize([text])[0]
        return self.backbone.embed_tokens(tokens[1 : int(tokens.argmax())])

    def described(self) -> tuple[tuple[str, ...], ...]:
        """The sentences about each class, in the order of the classes.

        Raises:
            ValueError: a class has none: it was never part of this dataset.
        """
        known = self.descriptions or {}
        for name in self.classes:
            if name not in known:
                raise ValueError(f"class {name!r} has no description")
        return tuple(known[name] for name in self.classes)

    def prompts(self, context_length: int, position: Position = "end", behind: str = "") -> PromptTokens:
        """Prompts ``[SOS, context, behind name ., EOT]`` (``position='end'``), ready to be filled.

        ``middle`` puts half the context behind the name, ``front`` all of it; ``behind`` is frozen text between the
        context and the name (MaPLe's "of a"). Cached.

        A name has as many tokens as it has by itself, and the full stop is what is left (CoOp's rule): behind a bracket
        or a quotation mark there may be one token for both, which then stays with the name.
        """
        return _prompts(self.backbone, self.classes, context_length, position, behind)


@lru_cache(maxsize=256)
def _mean_text(backbone: Backbone, classes: tuple[str, ...], templates: tuple[str, ...]) -> Tensor:
    mean: Tensor | None = None
    with torch.no_grad():
        for template in templates:
            features = backbone.encode_prompts([template.format(name) for name in spoken(classes)])
            unit = F.normalize(features, dim=-1) / len(templates)
            mean = unit if mean is None else mean + unit
    if mean is None:
        raise ValueError("an ensemble needs at least one template")
    return mean


@lru_cache(maxsize=256)
def _prompts(
    backbone: Backbone, classes: tuple[str, ...], context_length: int, position: Position, behind: str
) -> PromptTokens:
    filler = " ".join(["X"] * context_length)
    lead = f"{behind} " if behind else ""
    names = [f"{lead}{name}" for name in spoken(classes)]
    tokens = backbone.tokenize([f"{filler} {name}.".strip() for name in names])
    ends, alone = tokens.argmax(-1), backbone.tokenize(names).argmax(-1) - 1
    moved = torch.zeros_like(tokens)
    slots = torch.full_like(tokens, -1)
    first = context_length // 2 if position == "middle" else context_length if position == "end" else 0
    for row, (ids, end, length) in enumerate(zip(tokens.tolist(), ends.tolist(), alone.tolist(), strict=True)):
        body = ids[1 + context_length : end]  # behind, the name and the full stop
        name, stop = body[:length], body[length:]
        after = context_length - first
        order = [ids[0], *ids[1 : 1 + first], *name, *ids[1 : 1 + after], *stop, *ids[end:]]
        moved[row] = torch.tensor(order)
        slots[row, 1 : 1 + first] = torch.arange(first)
        start = 1 + first + len(name)
        slots[row, start : start + after] = torch.arange(first, context_length)
    with torch.no_grad():
        return PromptTokens(backbone.embed_tokens(moved), slots, ends)


def spoken(classes: Sequence[str]) -> list[str]:
    """Class names as they enter a prompt: underscores become spaces."""
    return [name.replace("_", " ") for name in classes]
