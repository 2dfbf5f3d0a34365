"""Transfer between tasks: who helps whom, who harms whom, and what goes with it."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.pictures.svg import inline
from promptgrid.leaderboard.section import Facts, Figures, Section, beside
from promptgrid.leaderboard.transfer import gains as tr
from promptgrid.leaderboard.transfer.matrices import Transfer, least_headroom
from promptgrid.leaderboard.transfer.pictures import (
    MEASURES,
    SHORT,
    drawn,
    map_name,
    measure_title,
    orders,
    scatter_name,
)
from promptgrid.leaderboard.transfer.summary import GROUP, best_sources, correlations, groups, summary

PAGE_SHARE = 1_300_000
"""Bytes of pictures that this section may put into the page; the rest stays in the figures folder."""


def facts(board: Board) -> Facts | None:
    """Matrices (fractions, in drawn order), tests, summaries; None where nothing starts from a source."""
    if not board.transfers:
        return None
    with_map = drawn(board)
    return {
        "metric": board.report.headline,
        "floor": least_headroom(board.report.metric),
        "discovery": tr.DISCOVERY,
        "permutations": tr.PERMUTATIONS,
        "group_size": GROUP,
        "studies": [_study(board, item, item in with_map) for item in board.transfers],
    }


def _study(board: Board, item: Transfer, mapped: bool) -> dict[str, Any]:
    rows, columns = orders(board, item)
    marks = item.marks(item.base)
    return {
        "label": item.label,
        "method": item.entry,
        "reading": item.reading,
        "backbone": item.backbone,
        "shots": item.shots,
        "seeds": item.seeds,
        "baseline": item.base,
        "tests": list(item.q_values[item.base]),
        "mapped": mapped,
        "summary": summary(item),
        "best": best_sources(item),
        "correlations": correlations(item),
        "groups": groups(item),
        "sources": [item.sources[i] for i in rows],
        "targets": [item.targets[j] for j in columns],
        "matrices": {
            SHORT[name]: [[float(values[i, j]) for j in columns] for i in rows]
            for name, values in item.measures.items()
        },
        "q": {name: [[float(q[i, j]) for j in columns] for i in rows] for name, q in item.q_values[item.base].items()},
        "marks": [[marks[i][j] for j in columns] for i in rows],
        "reasons": [[item.reasons.get((i, j), "") for j in columns] for i in rows],
    }


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """The maps of the main gain first, as long as the page has room; then the others, and what goes with similarity."""
    items = list(board.transfers)
    names = {(k, item.base): map_name(board, item, item.base) for k, item in enumerate(items)}
    names |= {(k, "similarity"): scatter_name(board, item) for k, item in enumerate(items)}
    names |= {
        (k, measure): map_name(board, item, measure)
        for measure in MEASURES
        for k, item in enumerate(items)
        if measure != item.base
    }
    pictures: list[dict[str, Any]] = [{"main": None, "similarity": None, "others": [], "files": []} for _ in items]
    room = PAGE_SHARE
    for (k, kind), name in names.items():
        if name not in figures:
            continue
        picture = inline(
            figures[name], name, str(escape(f"{measure_title(kind, board.report.metric)}: {items[k].label}"))
        )
        room -= len(picture)
        if room < 0:
            pictures[k]["files"].append(name)
        elif kind == items[k].base:
            pictures[k]["main"] = Markup(picture)
        elif kind == "similarity":
            pictures[k] |= {"similarity": Markup(picture), "similarity_width": 250 * len(items[k].correlations) + 50}
        else:
            pictures[k]["others"].append(
                {"title": measure_title(kind, board.report.metric), "picture": Markup(picture)}
            )
    titles = {item.base: measure_title(item.base, item.metric) for item in items}
    return {"pictures": pictures, "measure_titles": titles, "people": board.report.titles}


SECTION = Section("transfer", "Transfer", 32, beside(__file__), facts, drawings)
