"""What a method is given: classes, prompts, support examples, frozen features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.assets import Descriptions, Pairs, Second
from promptgrid.contract.backbone import Backbone
from promptgrid.contract.prompt_tokens import PromptTokens

Position = Literal["end", "middle", "front"]


@dataclass(frozen=True)
class Labelled:
    """Frozen features (N, width), not normalised, with their labels (N,).

    ``augmented`` is there where the suite declares ``views``: called, it gives (V, N, width) features of V augmented
    views of each image. ``pixels`` is there for methods inside the image tower when they finish: called, it gives the
    images themselves (N, 3, size, size) uint8. ``whole`` is there on the few validation images: called, it gives all
    that the dataset has of the task's classes.
    """

    features: Tensor
    labels: Tensor
    augmented: Callable[[], Tensor] | None = None
    pixels: Callable[[], Tensor] | None = None
    whole: Callable[[], Labelled] | None = None


@dataclass(frozen=True)
class Chosen:
    """Images of the unlabelled pool to train on: ``positions`` (N,) in the pool, ``labels`` (N,), -1 for none."""

    positions: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Batch:
    """The images of one step or one evaluation chunk.

    ``features`` (B, width) are the frozen image features, not normalised; ``patches`` (B, P, vision width) are there
    for methods that declare ``needs = {"vision_blocks"}``, ``second`` (B, second width), the features of the second
    backbone, for those that need ``second_backbone``. In training on an unlabelled pool ``pseudo`` (B,) marks the
    images of the pool, whose labels are the method's own or -1, and where the suite declares views ``plain`` (B, width)
    are the features of the same images without augmentation. In training, methods that need ``domain_labels`` find in
    ``domain`` (B,) which of the sorted names in ``task.domains`` each image is of. ``pixels`` (B, 3, size, size) are
    the images as floats, normalised as :meth:`Backbone.encode_image` reads them, for methods that need ``pixels`` or
    ``logits``; for the latter ``features`` have no columns. In training ``beside`` (B, views, P, vision width) are the
    patches of the views that the method names in ``beside``.
    """

    features: Tensor
    patches: Tensor | None = None
    second: Tensor | None = None
    pseudo: Tensor | None = None
    plain: Tensor | None = None
    domain: Tensor | None = None
    pixels: Tensor | None = None
    beside: Tensor | None = None

    @property
    def weak(self) -> Tensor:
        """(B, width) frozen features of the images without augmentation."""
        return self.features if self.plain is None else self.plain

    @property
    def normalised(self) -> Tensor:
        """Features on the unit sphere."""
        return F.normalize(self.features, dim=-1)


@dataclass(frozen=True)
class Task:
    """One few-shot classification task on one backbone.

    ``seed`` is this training step's random number (int64 scalar), None when evaluating. ``support`` are the few
    labelled training images and ``validation`` the few validation images (at most four a class), both as frozen
    features; neither is there on a task that was rebound to new classes. On datasets joined side by side
    ``task_of_class`` says which of them each class belongs to, and ``templates`` how that one speaks of it.

    Assets are there for methods that need them. ``unlabelled`` (M, width) are features of training images whose
    labels nobody tells, in an order that says nothing, ``unlabelled_pixels`` (M, 3, size, size) uint8 the images
    themselves for methods inside the image tower; ``seen`` of the ``classes``, the first ones, have labelled images.
    ``domains`` names the domain of each support image. Only ``descriptions`` stay when a task is rebound. While a
    method trains on the pool, ``turn`` counts its rounds from 0, and ``mixture`` says how many labelled images and how
    many of the pool it trains on in this round.
    """

    dataset: str
    classes: tuple[str, ...]
    template: str
    backbone: Backbone
    shots: int = 0
    support: Labelled | None = None
    validation: Labelled | None = None
    seed: Tensor | None = None
    task_of_class: tuple[int, ...] = ()
    templates: tuple[str, ...] = ()
    descriptions: Descriptions | None = None
    unlabelled: Tensor | None = None
    unlabelled_pixels: Tensor | None = None
    seen: int = 0
    domains: tuple[str, ...] = ()
    second: Second | None = None
    pairs: Pairs | None = None
    turn: int = 0
    mixture: tuple[int, int] = (0, 0)

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

    def without_images(self) -> Task:
        """The same task with nothing to learn from: no images, labelled or not."""
        return replace(self, support=None, validation=None, unlabelled=None, unlabelled_pixels=None, domains=(),
                       second=None, pairs=None)  # fmt: skip

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
