"""Column ``mask_at``: where the mask stands."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import TokenColumn


class MaskAt(TokenColumn):
    """(B,) where the mask stands in ``templated``."""

    name = "mask_at"
    beside = "templated"
    long = False
