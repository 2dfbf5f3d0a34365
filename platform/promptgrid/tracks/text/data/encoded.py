"""Texts as tokens: bare, or written into a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.datasets.text import Text, TextCard
from promptgrid.tracks.text.templates import fill

GONE = -1
"""Stands at padding where padding is to be cut off again."""
RELATION = "{sub} {subject} {sub} {mask} {obj} {object} {obj}. {text}"
"""KnowPrompt's template, for relations whose dataset has none with both entities in it."""
MOST = 128
"""Tokens of a text with its template, at most, where the tower reads as many; its own limit where it reads fewer."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """N texts as tokens.

    Attributes:
        columns: by the names of :class:`promptgrid.tracks.text.task.TextTask`.
        padded: the names of those that are (N, L).
    """

    columns: dict[str, Tensor]
    padded: frozenset[str]

    @property
    def width(self) -> int:
        """L."""
        return max((self.columns[name].shape[1] for name in self.padded), default=0)

    @property
    def attention(self) -> Tensor:
        """(N, L) bool, False at padding."""
        return self.columns["attention" if "attention" in self.padded else "templated_attention"]

    def rows(self, chosen: Sequence[int], width: int | None = None, pad: int = 0) -> Encoded:
        """Texts ``chosen``, cut or padded to ``width``; to the longest of them when None."""
        own = {name: value[list(chosen)] for name, value in self.columns.items()}
        if width is None:
            width = int(self.attention[list(chosen)].sum(1).max()) if chosen else 1
        for name in self.padded:
            fits = own[name][:, :width]
            own[name] = F.pad(fits, (0, width - fits.shape[1]), value=pad if name in ("tokens", "templated") else 0)
        return Encoded(own, self.padded)

    def open_ended(self) -> dict[str, Tensor]:
        """The columns with ``GONE`` at padding, for :func:`cut_off`."""
        gone = ~self.attention
        ids = {name for name in self.padded if self.columns[name].dtype != torch.bool}
        return {name: value.masked_fill(gone, GONE) if name in ids else value for name, value in self.columns.items()}


def cut_off(pad: int, values: Tensor) -> Tensor:
    """(B, L) with ``GONE`` or False at padding to (B, longest); ``pad`` stands at what padding is left."""
    there = values if values.dtype == torch.bool else values != GONE
    longest = int(there.sum(1).max()) if len(values) else 0
    return torch.where(there, values, pad)[:, :longest] if values.dtype != torch.bool else values[:, :longest]


def bare(backbone: TextBackbone, texts: Sequence[Text]) -> Encoded:
    """``texts``, or pairs of texts, with the tower's special tokens."""
    pairs = [text.b for text in texts] if any(text.b for text in texts) else None
    tokens = backbone.tokenize([text.a for text in texts], pairs, most_tokens(backbone))
    own = {"tokens": tokens.ids, "attention": tokens.mask}
    if tokens.segments is not None and pairs is not None:
        own["segments"] = tokens.segments
    return Encoded(own, frozenset(own))


def in_template(backbone: TextBackbone, texts: Sequence[Text], template: str) -> Encoded:
    """``texts`` written into ``template``."""
    rows = {
        "text": [text.a for text in texts],
        "pair": [text.b for text in texts],
        "subject": [text.subject for text in texts],
        "object": [text.object for text in texts],
    }
    own = fill(backbone, template, rows, most_tokens(backbone)).columns
    return Encoded(own, frozenset({"templated", "templated_attention"}))


def most_tokens(backbone: TextBackbone) -> int:
    """The longest text that is read."""
    return min(MOST, backbone.most_tokens)


def template_of(card: TextCard, *, marked: bool = False) -> str:
    """The template of a dataset in the words of :mod:`promptgrid.tracks.text.templates`.

    It is the first that the card gives; without one, the text and behind it how the card speaks of a class.

    Args:
        card: of the dataset.
        marked: whether slots stand around both entities of a relation.
    """
    given = card.mask_templates[0] if card.mask_templates else "{text} " + card.template.format("{mask}")
    plain = given.replace("{text_b}", "{pair}")
    if not marked:
        return plain
    if "{subject}" not in plain or "{object}" not in plain:
        return RELATION
    return plain.replace("{subject}", "{sub} {subject} {sub}").replace("{object}", "{obj} {object} {obj}")
