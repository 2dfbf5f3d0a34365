"""All methods against all, only where the number of datasets lets a test say something."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.numbers import many
from promptgrid.leaderboard.pictures.figures import rank_name
from promptgrid.leaderboard.pictures.svg import inline
from promptgrid.leaderboard.section import Facts, Figures, Section, beside


def facts(board: Board) -> Facts | None:
    """Ranks, groups and reasons a leaderboard; equal reasons are said once. None with one method."""
    if len(board.labels) < 2:
        return None
    tables = []
    for leaderboard in board.leaderboards:
        found = leaderboard.comparison
        tables.append(
            {
                "backbone": leaderboard.backbone,
                "shots": leaderboard.shots,
                "ranks": found.ranks,
                "groups": found.groups,
                "friedman_p": found.friedman_p,
                "why_not": found.why_not,
            }
        )
    return {"tables": tables, "drawn": any(not part["why_not"] for part in tables), "silent": _silent(board, tables)}


def _silent(board: Board, tables: list[dict[str, Any]]) -> list[dict[str, str]]:
    places: dict[str, list[str]] = {}
    for part in tables:
        if part["why_not"]:
            behind = f" on {part['backbone']}" if len(board.backbones) > 1 else ""
            places.setdefault(part["why_not"], []).append(f"{many(part['shots'], 'shot')}{behind}")
    return [{"where": ", ".join(where), "why_not": why} for why, where in places.items()]


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """One diagram a leaderboard that has one, in order."""
    names = [rank_name(board, leaderboard) for leaderboard in board.leaderboards if not leaderboard.comparison.why_not]
    return {"diagrams": [Markup(inline(figures[name], name, "mean ranks")) for name in names]}


SECTION = Section("ranks", "All against all", 40, beside(__file__), facts, drawings)
