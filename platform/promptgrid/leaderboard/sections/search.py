"""Hyper-parameter search: the budget, what was chosen, and what more budget would have bought."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from markupsafe import Markup

from promptgrid.leaderboard.analysis.search_curves import mean_tested
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.pictures.search import curves_by_place, figure_name
from promptgrid.leaderboard.pictures.svg import inline
from promptgrid.leaderboard.section import Facts, Figures, Section, beside
from promptgrid.spec.searched import PlaceFound, SearchFound


def facts(board: Board) -> Facts | None:
    """Budget, means, winners and curves of every search; None where the suite was not searched."""
    parts = [_part(board, number, found) for number, found in enumerate(board.report.searches)]
    return {"parts": parts} if parts else None


def _part(board: Board, number: int, found: SearchFound) -> dict[str, Any]:
    spaces = [
        {"label": study.label, "backbone": study.backbone, "trials": len(study.trials), "space": study.space}
        for study in found.studies
    ]
    return {
        "algorithm": found.algorithm,
        "trials": found.trials,
        "seed": found.seed,
        "one_setting": found.one_setting,
        "cells": found.cells,
        "stale": list(board.report.stale.get(found.question, ())),
        "studies": spaces,
        "rows": _rows(board, found),
        "winners": [_winner(board, found, place) for place in found.places],
        "curves": [
            {
                "backbone": backbone,
                "shots": shots,
                "lines": [{"label": line.label, "validation": line.validation, "test": line.test} for line in lines],
            }
            for (backbone, shots), lines in curves_by_place(board, found).items()
        ],
    }


def _rows(board: Board, found: SearchFound) -> list[dict[str, Any]]:
    """One row for each method, backbone and number of shots: means over datasets, as written and as chosen."""
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for place in found.places:
        groups.setdefault((place.label, place.backbone, place.shots), []).append(_winner(board, found, place))
    counts = {(study.label, study.backbone): len(study.trials) for study in found.studies}
    rows = []
    for (label, backbone, shots), winners in groups.items():
        names = ("validation", "validation_as_written", "test", "test_as_written")
        means = {name: _mean([winner[name] for winner in winners]) for name in names}
        test, before = means["test"], means["test_as_written"]
        gain = test - before if test is not None and before is not None else None
        rows.append(
            {"label": label, "backbone": backbone, "shots": shots, "trials": counts[label, backbone],
             "datasets": len(winners), **means, "gain": gain}
        )  # fmt: skip
    return rows


def _winner(board: Board, found: SearchFound, place: PlaceFound) -> dict[str, Any]:
    trials = {(study.label, study.backbone): study.trials for study in found.studies}
    changed = {} if place.chosen is None else trials[place.label, place.backbone][place.chosen]
    return {
        "label": place.label,
        "backbone": place.backbone,
        "dataset": place.dataset,
        "shots": place.shots,
        "trial": place.chosen,
        "changed": changed,
        "validation": None if place.chosen is None else place.scores[place.chosen],
        "validation_as_written": place.scores[0],
        "test": mean_tested(place, place.chosen, board.report.tested),
        "test_as_written": mean_tested(place, 0, board.report.tested),
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """The pictures of each search, inline, in the order of its curves."""
    return {
        "metrics": [found.chosen_by for found in board.report.searches],
        "pictures": [
            [
                Markup(inline(figures[name], name, f"{found.chosen_by.title} of the best trial against trials"))
                for backbone, shots in curves_by_place(board, found)
                if (name := figure_name(board, number, backbone, shots)) in figures
            ]
            for number, found in enumerate(board.report.searches)
        ],
    }


SECTION = Section("search", "Hyper-parameter search", 55, beside(__file__), facts, drawings)
