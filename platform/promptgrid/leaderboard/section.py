"""What a section of the page is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.leaderboard.leaderboard import Board

Facts = dict[str, Any]
Figures = Mapping[str, str]


def beside(module: str) -> str:
    """The template that lies beside a section's module, under the same name; a short one may be a literal instead."""
    return Path(module).with_suffix(".html.j2").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Section:
    """One part of the page.

    ``facts`` are plain numbers and text computed from the board; they go to ``report.json`` as they are, so every
    number on the page is in that file. ``template`` (Jinja, escaped) shows them; it sees the facts by name, ``board``,
    ``examples`` (what the track calls its examples), and the macros of ``page/macros.html.j2`` as ``ui``. ``facts``
    returns None where the section has nothing to say.
    ``drawings`` adds what only the page needs (SVG), by name, from the figure files of the report (name to SVG text)
    and from the section's own facts.
    """

    key: str
    title: str
    order: int
    template: str
    facts: Callable[[Board], Facts | None]
    drawings: Callable[[Board, Figures, Facts], dict[str, Any]] = lambda board, figures, told: {}
