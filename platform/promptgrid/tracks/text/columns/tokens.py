"""Column ``tokens``: bare texts as ids."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import TokenColumn


class Tokens(TokenColumn):
    """(B, L) ids of the bare text, or pair of texts, with the tower's special tokens."""

    name = "tokens"
    beside = "tokens"
