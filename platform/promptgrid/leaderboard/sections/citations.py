"""The methods of the page in a sentence each, with their papers as links and BibTeX."""

from __future__ import annotations

from typing import Any

from promptgrid.leaderboard.citations import bibtex, paper_link
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.method_cards import card_id
from promptgrid.leaderboard.section import Facts, Figures, Section, beside


def facts(board: Board) -> Facts | None:
    """One entry a method that names a paper, in plan order; None where none does."""
    papers = board.report.papers
    methods = [name for name in dict.fromkeys(planned.cell.method for planned in board.grid) if papers.get(name)]
    entries = [
        {
            "method": name,
            "about": board.report.about.get(name, ""),
            "paper": papers[name],
            "link": paper_link(papers[name]),
            "bibtex": bibtex(name, papers[name]),
        }
        for name in methods
    ]
    return {"entries": entries} if entries else None


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """What of the card of each method stands under its name, and where that is."""
    methods = [one["method"] for one in told["entries"]]
    return {"cards": board.report.cards, "ids": {name: card_id(board.report, name) for name in methods}}


SECTION = Section("citations", "Methods and papers", 125, beside(__file__), facts, drawings)
