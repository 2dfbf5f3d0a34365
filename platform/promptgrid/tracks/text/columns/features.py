"""Column ``features``: frozen features."""

from __future__ import annotations

from promptgrid.tracks.text.data.wanted import FrozenColumn


class Features(FrozenColumn):
    """(B, d) what the frozen tower pools of the bare text."""

    name = "features"
    beside = "features"
