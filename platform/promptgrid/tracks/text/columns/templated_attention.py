"""Column ``templated_attention``: where templated texts end."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import TokenColumn


class TemplatedAttention(TokenColumn):
    """(B, L) False at padding of ``templated``."""

    name = "templated_attention"
    beside = "templated"
