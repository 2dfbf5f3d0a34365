"""Inside each dataset: accuracy by class, what is taken for what, calibration, and telling examples."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from markupsafe import Markup

from promptgrid.leaderboard.analysis.sheets import Sheet
from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.pictures.figures import colour
from promptgrid.leaderboard.pictures.reliability import reliability_svg
from promptgrid.leaderboard.section import Facts, Figures, Section, beside

CLASSES, MATRIX, CONFUSED, SHOWN = 100, 26, 8, 60
"""At most so many classes a table, classes a confusion matrix, pairs of confused classes, and examples a page."""
NAMED = 8
"""So many methods, those of the least calibration error, are named beside the rows of the tables."""
EACH = 8
"""At most so many examples a dataset: half of them the hardest, half those that methods differ on."""


def facts(board: Board) -> Facts | None:
    """Of the leaderboard with most shots on each backbone; None where no answers are kept."""
    parts = [_part(board, board.backbones[0], each=_each(board))] if board.backbones else []
    parts += [_part(board, backbone, each=0) for backbone in board.backbones[1:]]
    parts = [part for part in parts if part["datasets"]]
    return {"parts": parts} if parts else None


def _each(board: Board) -> int:
    return min(EACH, SHOWN // max(1, len(board.sheets[board.backbones[0]])))


def _part(board: Board, backbone: str, each: int) -> dict[str, Any]:
    leaderboard = [one for one in board.leaderboards if one.backbone == backbone][-1]
    found = [sheet for sheet in board.sheets[backbone] if sheet.rows]
    named = {sheet.dataset for sheet in found}
    several = len(found) > len(named)
    return {
        "backbone": backbone,
        "shots": leaderboard.shots,
        "datasets": [
            {
                "name": sheet.dataset,
                "title": board.report.titles.get(sheet.dataset, sheet.dataset),
                "evaluation": sheet.evaluation if several else "",
                **_told(sheet, _rows(leaderboard, sheet), each),
            }
            for sheet in found
        ],
    }


def _rows(leaderboard: Leaderboard, sheet: Sheet) -> list[str]:
    """Whom the tables show: the first three rows, the best on this dataset, and the reference."""
    order = [row.label for row in leaderboard.rows if row.label in sheet.rows]
    best = max(order, key=lambda label: float(sheet.rows[label].right(sheet.label).mean()))
    reference = [row.label for row in leaderboard.rows if row.reference and row.label in sheet.rows]
    return list(dict.fromkeys([*order[:3], best, *reference]))


def _told(sheet: Sheet, rows: Sequence[str], each: int) -> dict[str, Any]:
    by_class = {label: sheet.by_class(label) for label in rows}
    present = [one for one in range(len(sheet.classes)) if sheet.counts[one]]
    order = sorted(present, key=lambda one: (float(by_class[rows[0]][one]), sheet.classes[one]))
    confusion = sheet.rows[rows[0]].confusion(sheet.label, len(sheet.classes))
    errors = {label: row.error(sheet.label) for label, row in sheet.rows.items()}
    known = {label: error for label, error in errors.items() if error is not None}
    bins = {label: sheet.rows[label].bins(sheet.label) for label in rows if label in known}
    return {
        "examples": len(sheet.index),
        "left_out": sheet.left_out,
        "rows": list(rows),
        "classes": [
            {
                "name": sheet.classes[one],
                "examples": int(sheet.counts[one]),
                "scores": {label: float(by_class[label][one]) for label in rows},
            }
            for one in order[:CLASSES]
        ],
        "more_classes": max(0, len(order) - CLASSES),
        "confused": _confused(sheet, confusion),
        "matrix": confusion.tolist() if len(sheet.classes) <= MATRIX else None,
        "names": list(sheet.classes) if len(sheet.classes) <= MATRIX else None,
        "calibration_error": {label: known[label] for label in _by_value(known)},
        "named": [label for place, label in enumerate(_by_value(known)) if place < NAMED or label in rows],
        "reliability": {label: [asdict(one) for one in found] for label, found in bins.items()},
        "shown": _shown(sheet, rows, each),
    }


def _by_value(errors: dict[str, float]) -> list[str]:
    return sorted(errors, key=lambda label: errors[label])


def _confused(sheet: Sheet, confusion: Any) -> list[dict[str, Any]]:
    """The commonest wrong answers, as a share of the answers given to examples of the true class."""
    totals = confusion.sum(axis=1)
    pairs = [(int(confusion[a, b]), int(a), int(b)) for a, b in zip(*np.nonzero(confusion), strict=True) if a != b]
    pairs.sort(key=lambda pair: (-pair[0] / totals[pair[1]], -pair[0], pair[1], pair[2]))
    return [
        {"true": sheet.classes[a], "answer": sheet.classes[b], "share": count / int(totals[a])}
        for count, a, b in pairs[:CONFUSED]
    ]


def _shown(sheet: Sheet, rows: Sequence[str], each: int) -> list[dict[str, Any]]:
    if not each:
        return []
    hardest = sheet.hardest(each // 2)
    places = [(place, "hardest") for place in hardest]
    places += [(place, "disputed") for place in sheet.disputed(each - len(hardest), hardest)]
    return [
        {
            "index": sheet.index[place],
            "name": sheet.names[place],
            "class": sheet.classes[int(sheet.label[place])],
            "kind": kind,
            "right": float(sheet.right[:, place].mean()),
            "answers": {label: sheet.classes[sheet.rows[label].guess(place)] for label in rows},
        }
        for place, kind in places
    ]


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """Reliability curves, and small pictures of the examples from the data itself, by dataset and index."""
    curves, small = {}, {}
    for part in told["parts"]:
        for own in part["datasets"]:
            place = part["backbone"], own["name"], own["evaluation"]
            curves[place] = Markup(reliability_svg(own["reliability"], lambda label: colour(board, label)))
            wanted = [one["index"] for one in own["shown"]]
            for index, one in (board.report.show(own["name"], wanted) if wanted else {}).items():
                small[own["name"], index] = {"src": _address(one.picture), "words": one.words}
    return {"curves": curves, "small": small}


def _address(picture: bytes) -> str:
    kind = "png" if picture.startswith(b"\x89PNG") else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}" if picture else ""


SECTION = Section("inside", "Inside each dataset", 22, beside(__file__), facts, drawings)
