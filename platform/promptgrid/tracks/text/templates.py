"""Templates: a text written into a sentence with a mask.

A template is one line with fields in braces: ``{text}``, ``{pair}`` (its second text), ``{mask}`` (exactly one), and of
relations ``{subject}``, ``{object}``, with ``{sub}`` and ``{obj}`` for the slots that stand around them, two of each.
Everything else is the template's own words. Examples: ``{text} It was {mask}.``, ``{text}? {mask}, {pair}``,
``{sub} {subject} {sub} {mask} {obj} {object} {obj}. {text}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import Piece, TextBackbone

FIELDS = ("text", "pair", "subject", "object", "mask", "sub", "obj")
_FIELD = re.compile(r"\{([^{}]*)\}")
OWN_WORDS = "template"


@dataclass(frozen=True)
class Filled:
    """N texts in a template, as columns.

    Attributes:
        ids: (N, L) int64.
        attention: (N, L) bool.
        mask_at: (N,) where the mask stands.
        places: (N, n) by name: ``template`` the template's own words, ``sub`` and ``obj`` the slots around entities.
    """

    ids: Tensor
    attention: Tensor
    mask_at: Tensor
    places: Mapping[str, Tensor]

    @property
    def columns(self) -> dict[str, Tensor]:
        """By the names of :class:`promptgrid.tracks.text.task.TextTask`."""
        names = {OWN_WORDS: "template_at", "sub": "subject_at", "obj": "object_at"}
        more = {names[name]: at for name, at in self.places.items() if name in names}
        return {"templated": self.ids, "templated_attention": self.attention, "mask_at": self.mask_at} | more


def check_template(template: str) -> None:
    """Refuse a template that cannot be filled.

    Raises:
        Refused: no text, not exactly one mask, an unknown field, slots that are not two of a kind.
    """
    found = _FIELD.findall(template)
    unknown = sorted(set(found) - set(FIELDS))
    if unknown:
        raise Refused("unknown field of a template", where=template, got=unknown[0], expected=", ".join(FIELDS))
    if found.count("mask") != 1 or found.count("text") != 1:
        raise Refused("a template has one {text} and one {mask}", where=template)
    for slot in ("sub", "obj"):
        if found.count(slot) not in (0, 2):
            raise Refused(f"a template has two {{{slot}}} or none", where=template, got=found.count(slot))


def fill(backbone: TextBackbone, template: str, rows: Mapping[str, Sequence[str]], most: int | None = None) -> Filled:
    """``rows`` in ``template``.

    Args:
        backbone: whose tokens.
        template: see the module.
        rows: N strings by field: ``text``, and ``pair``, ``subject``, ``object`` where the template has them.
        most: the longest row, special tokens included; texts and pairs are shortened at their ends.

    Raises:
        Refused: see :func:`check_template` and :meth:`TextBackbone.tokenize_template`; a field without rows.
    """
    check_template(template)
    missing = [name for name in _FIELD.findall(template) if name in FIELDS[:4] and name not in rows]
    if missing:
        raise Refused("this dataset has no such field", where=template, got=missing[0])
    tokens = backbone.tokenize_template(_pieces(template, rows), most)
    places = {name: at for name, at in tokens.places.items() if name != "mask"}
    return Filled(tokens.ids, tokens.mask, tokens.places["mask"][:, 0], places)


def _pieces(template: str, rows: Mapping[str, Sequence[str]]) -> list[Piece]:
    pieces = []
    for at, part in enumerate(_FIELD.split(template)):
        if at % 2 == 0:
            if part.strip():
                pieces.append(Piece(part, name=OWN_WORDS))
            elif part:
                pieces.append(Piece(part))
        elif part == "mask":
            pieces.append(Piece(masks=1))
        elif part in ("sub", "obj"):
            pieces.append(Piece(slots=1, name=part))
        else:
            pieces.append(Piece(tuple(rows[part]), cut="end" if part in ("text", "pair") else "no"))
    return pieces
