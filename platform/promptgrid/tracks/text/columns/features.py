"""Column ``features``: frozen features."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import FrozenColumn


class Features(FrozenColumn):
    """(B, d) what the frozen tower pools of the bare text."""

    name = "features"
    beside = "features"
