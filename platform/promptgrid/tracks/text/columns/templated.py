"""Column ``templated``: texts in their template as ids."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import TokenColumn


class Templated(TokenColumn):
    """(B, L) ids of the text in its template."""

    name = "templated"
    beside = "templated"
