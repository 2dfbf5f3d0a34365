"""Column ``attention``: where bare texts end."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import TokenColumn


class Attention(TokenColumn):
    """(B, L) False at padding of ``tokens``."""

    name = "attention"
    beside = "tokens"
