"""The head of the page: who leads each board and by how much, what transfer gains, and whether that is chance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from promptgrid.leaderboard.analysis.first_two import first_against_second
from promptgrid.leaderboard.analysis.verdicts import answer
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.pictures.strip import strip
from promptgrid.leaderboard.section import Facts, Figures, Section, beside
from promptgrid.leaderboard.transfer.answer import sentence, transfer_answers

OPEN, MATRICES = 3, 4
"""So many boards, and matrices of transfer, are answered at once; the others unfold."""


def facts(board: Board) -> Facts:
    """What the grid is made of, and an answer a board."""
    report, suite = board.report, board.report.suite
    targets = {planned.cell.dataset for planned in board.grid if planned.cell.reading}
    return {
        "title": suite.title or suite.name,
        "suite": suite.name,
        "track": suite.track,
        "protocol": suite.protocol,
        "metric": report.headline,
        "methods": len({planned.entry for planned in board.grid if planned.label not in report.searched}),
        "datasets": len(targets or {planned.cell.dataset for planned in board.grid}),
        "sources": len({planned.cell.source for planned in board.grid} - {""}),
        "readings": list(dict.fromkeys(planned.cell.reading for planned in board.grid if planned.cell.reading)),
        "backbones": board.backbones,
        "shots": sorted({planned.shots for planned in board.grid}),
        "seeds": sorted({planned.seed for planned in board.grid}),
        **board.counts,
        "reference": board.reference,
        "answers": _answers(board),
        "transfers": _transfers(board),
        "open": OPEN,
        "matrices": MATRICES,
    }


def _answers(board: Board) -> list[dict[str, Any]]:
    """One a board, that of most shots first; ``board`` is its place among the leaderboards."""
    contests = first_against_second(board.report, board.leaderboards)
    order = sorted(
        range(len(board.leaderboards)),
        key=lambda k: (board.backbones.index(board.leaderboards[k].backbone), -board.leaderboards[k].shots),
    )
    told = []
    for place in order:
        leaderboard, contest = board.leaderboards[place], contests[place]
        first, rest = answer(leaderboard, board.reference, contest, board.report.examples)
        told.append(
            {
                "board": place,
                "backbone": leaderboard.backbone,
                "shots": leaderboard.shots,
                "first": first,
                "rest": rest,
                "verdict": contest.verdict if contest else "",
                "p_holm": contest.p_holm if contest else None,
                "alone": contest.alone if contest else None,
            }
        )
    return told


def _transfers(board: Board) -> list[dict[str, Any]]:
    """One a matrix of transfer, in plan order; none where no target has sources to choose between."""
    return [
        {**asdict(one), "rest": sentence(one, board.report.metric, board.report.titles)}
        for one in transfer_answers(board.transfers)
    ]


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """A strip of all means for each board, in the order of the leaderboards."""
    return {"strips": [strip(board, leaderboard) for leaderboard in board.leaderboards]}


SECTION = Section("header", "", 0, beside(__file__), facts, drawings)
