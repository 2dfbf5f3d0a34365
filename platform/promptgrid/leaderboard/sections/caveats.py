"""What a reader should know before citing the tables."""

from __future__ import annotations

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.numbers import many
from promptgrid.leaderboard.section import Facts, Section, beside

FEW_SEEDS = 3


def facts(board: Board) -> Facts | None:
    """{what: [lines]} in the order of the page; None where nothing is to be said."""
    found = {
        "The pretraining saw": _seen(board),
        "Not as the paper trains": _recipes(board),
        "Not compared with the authors’ code since": _parity(board),
        "Few seeds": _seeds(board),
        "More than one machine or version": _machines(board),
    }
    told = {what: lines for what, lines in found.items() if lines}
    return {"told": told} if told else None


def _seen(board: Board) -> list[str]:
    names = dict.fromkeys(planned.cell.dataset for planned in board.grid)
    alike: dict[str, list[str]] = {}
    for name in names:
        if name in board.report.seen:
            alike.setdefault(board.report.seen[name], []).append(board.report.titles.get(name, name))
    return [f"{', '.join(titles)}: {said}" for said, titles in alike.items()]


def _recipes(board: Board) -> list[str]:
    rows = {row.label: row.recipe for leaderboard in board.leaderboards for row in leaderboard.rows}
    alike: dict[str, list[str]] = {}
    for label, recipe in rows.items():
        if recipe.note:
            alike.setdefault(f"{recipe.kind}, {recipe.note}", []).append(label)
    return [f"{said}: {'; '.join(labels)}" for said, labels in alike.items()]


def _parity(board: Board) -> list[str]:
    rows = {row.method: row for leaderboard in board.leaderboards for row in leaderboard.rows}
    return [
        f"{method}: {row.parity.get('note') or row.parity['said']}"
        for method, row in rows.items()
        if row.parity and row.parity["result"] in ("mended", "in part")
    ]


def _seeds(board: Board) -> list[str]:
    seeds = len(board.report.suite.seeds)
    if seeds >= FEW_SEEDS:
        return []
    told = "no interval can be given" if seeds == 1 else "intervals rest on the spread pooled over all datasets"
    return [f"{many(seeds, 'seed')}: {told}"]


def _machines(board: Board) -> list[str]:
    places = {
        (at.host, at.device, at.torch, at.promptgrid_version)
        for planned in board.grid
        if planned.record is not None
        for at in [planned.record.provenance]
        if at.device
    }
    return [] if len(places) < 2 else [f"{len(places)} of them: seconds and memory do not compare across (Provenance)"]


SECTION = Section("caveats", "Before you cite this", 108, beside(__file__), facts)
