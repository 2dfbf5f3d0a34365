"""The methods of the page in a sentence each, with their papers as links and BibTeX."""

from __future__ import annotations

from promptgrid.leaderboard.citations import bibtex, paper_link
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Section, beside


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


SECTION = Section("citations", "Methods and papers", 125, beside(__file__), facts)
