"""Column ``template_at``: where the template's words stand."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import TokenColumn


class TemplateAt(TokenColumn):
    """(B, n) where the template's own words stand in ``templated``."""

    name = "template_at"
    beside = "templated"
    long = False
