"""Column ``segments``: which text of a pair."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import TokenColumn


class Segments(TokenColumn):
    """(B, L) 0 for a text and 1 for its pair, only of pairs on a tower with segments."""

    name = "segments"
    beside = "tokens"
