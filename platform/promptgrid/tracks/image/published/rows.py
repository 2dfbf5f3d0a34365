"""Published figures as rows for the report and the command line, joined with what our methods' settings would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from promptgrid.contract.clip import Method
from promptgrid.tracks.image.cards.prose import written
from promptgrid.tracks.image.published.figures import UNPUBLISHED, figures
from promptgrid.tracks.image.published.names import AVERAGES


def published_rows(methods: Mapping[str, type[Method]]) -> list[dict[str, Any]]:
    """One row a figure, in the order of the tables.

    ``over`` lists the datasets of an average whose datasets are known. ``full_settings`` are all settings that make
    our method the source's, None where the method is none of ``methods``. ``shown`` says whether the figure may stand
    on a page as published: remembered, derived and proposed ones may not. ``reading``: our method is a reading of the
    paper, so that the figure is only what the paper claims.
    """
    return [
        {
            **asdict(figure),
            "over": list(AVERAGES.get(figure.dataset, ())),
            "full_settings": methods[figure.method].defaults() | figure.settings if figure.method in methods else None,
            "shown": figure.evidence not in UNPUBLISHED,
            "reading": figure.method in methods and _is_reading(methods[figure.method]),
        }
        for figure in figures()
    ]


@cache
def _is_reading(method: type[Method]) -> bool:
    """Whether the card of ``method`` says so; read once, as every card asks for all figures."""
    return bool(written(method)["reading"])
