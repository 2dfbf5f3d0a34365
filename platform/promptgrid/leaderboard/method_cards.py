"""The card of a method as a page shows it: what a reader asks for before believing a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptgrid.engine.cards.lines import card_lines
from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.text import slug
from promptgrid.spec import Noun

SHOWN = {
    "learns": "learns",
    "recipe": "recipe",
    "cost": "cost",
    "parity": "verified",
    "quirks": "traps",
    "deviations": "differs",
    "our reading": "our reading",
}
"""Titles of a whole card that a page has room for, and what it calls them; ``promptgrid methods NAME`` has the rest."""


def page_card(card: Mapping[str, Any], examples: Noun) -> dict[str, Sequence[str]]:
    """The lines of ``card`` (see ``Track.card``) that a page shows, by title; none of a method without a card.

    What is said of all methods alike is left out: how they were compared.
    """
    if not card:
        return {}
    lines = card_lines(card, examples)
    how = (card["parity"] or {}).get("how", "")
    kept = {title: [line for line in lines.get(own, ()) if line != how] for own, title in SHOWN.items()}
    return {title: [_plain(line) for line in found] for title, found in kept.items() if found}


def _plain(line: str) -> str:
    return line.replace("``", "").replace(" numbers on ", " parameters on ")


def card_id(report: ReportInput, method: str) -> str:
    """Where on the page the card of ``method`` is; empty where it has none there."""
    return f"card-{slug(method)}" if report.cards.get(method) and report.papers.get(method) else ""
