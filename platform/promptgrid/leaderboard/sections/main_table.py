"""The main table: one for each number of shots and backbone, every method a row."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from promptgrid.leaderboard.analysis.verdicts import summary
from promptgrid.leaderboard.citations import paper_link
from promptgrid.leaderboard.columns import shown_columns
from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.method_cards import card_id
from promptgrid.leaderboard.pictures.figures import colour
from promptgrid.leaderboard.pictures.marks import dot, forest
from promptgrid.leaderboard.section import Facts, Figures, Section, beside


def facts(board: Board) -> Facts:
    """Every table with its columns and rows."""
    return {
        "metric": board.report.headline,
        "reference": board.reference,
        "declared": board.declared,
        "tables": [_table(leaderboard, board) for leaderboard in board.leaderboards],
    }


def _table(leaderboard: Leaderboard, board: Board) -> dict[str, Any]:
    places = board.report.axes
    columns = shown_columns(leaderboard)
    return {
        "backbone": leaderboard.backbone,
        "shots": leaderboard.shots,
        "summary": summary(leaderboard, board.reference),
        "columns": [
            {
                "key": c.key,
                "title": c.title,
                "about": c.explained(board.report),
                "text": c.text,
                "quiet": c.quiet,
            }
            for c in columns
        ],
        "rows": [
            {
                "index": index,
                "label": row.label,
                "method": row.method,
                "settings": row.settings,
                "complete": row.complete,
                "apart": row.apart,
                "reference": row.reference,
                "paper": paper_link(board.report.papers.get(row.method, "")),
                "axes": dict(places.get(row.method, {})),
                "cells": {column.key: asdict(column.entry(row)) for column in columns},
            }
            for index, row in enumerate(leaderboard.rows)
        ],
    }


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """Where the cards of methods are; dots in the colours of the curves; an interval plot a row, one axis a table."""
    methods = {row["method"] for table in told["tables"] for row in table["rows"]}
    return {
        "cards": {name: card_id(board.report, name) for name in methods},
        "forests": [
            {**forest(s), "dots": [dot(colour(board, row.label)) for row in s.rows]} for s in board.leaderboards
        ],
    }


SECTION = Section("leaderboard", "Leaderboard", 10, beside(__file__), facts, drawings)
