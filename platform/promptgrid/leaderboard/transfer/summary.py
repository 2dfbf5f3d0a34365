"""What a study of transfer comes to: shares and means of each matrix, and the best source of each target."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from promptgrid.leaderboard.transfer import gains as tr
from promptgrid.leaderboard.transfer.groups import recommended_groups
from promptgrid.leaderboard.transfer.matrices import SCRATCH, ZERO_SHOT, Transfer

GROUP = 3
"""Tasks in a recommended group at most, as the command ``groups`` has it."""


def summary(item: Transfer) -> dict[str, Any]:
    """Numbers over the pairs of different tasks that have a score; shares are of those with a gain.

    ``negative`` counts pairs by test after correction for false discoveries, ``both`` those that all tests name.
    """
    planned = ~item.own & item.planned
    gain = item.apart(item.base)
    known = gain[np.isfinite(gain)]
    ratio = item.apart("normalised")
    r, symmetric_pairs = tr.asymmetry(gain) if item.sources == item.targets else (math.nan, 0)
    marks = np.array(item.marks(item.base))
    return {
        "planned": int(planned.sum()),
        "scored": int(np.isfinite(item.apart("raw")).sum()),
        "partial": sum(bool(planned[place]) for place in item.reasons),
        "score": _mean(item.apart("raw")),
        "gain_over_scratch": _mean(item.apart(SCRATCH)),
        "gain_over_zero_shot": _mean(item.apart(ZERO_SHOT)),
        "normalised": _mean(ratio),
        "normalised_pairs": int(np.isfinite(ratio).sum()),
        "positive": float((known > 0).mean()) if len(known) else math.nan,
        "negative": {test: int(item.negative(item.base, test).sum()) for test in item.q_values[item.base]},
        "both": int((marks == "all").sum()),
        "gains": len(known),
        "asymmetry": r,
        "asymmetry_pairs": symmetric_pairs,
    }


def best_sources(item: Transfer) -> list[dict[str, Any]]:
    """For each target the source with the greatest mean gain, and in how many seeds it is the greatest.

    The best of many is partly luck: ``agreeing`` says how often each seed alone would have chosen it.
    """
    gain = item.apart(item.base)
    by_seed = np.where(item.own[..., None], np.nan, item.gains[item.base])
    rows: list[dict[str, Any]] = []
    for j, target in enumerate(item.targets):
        column = gain[:, j]
        if not np.isfinite(column).any():
            rows.append({"target": target, "source": None})
            continue
        i = int(np.nanargmax(column))
        seeds = [n for n in range(len(item.seeds)) if np.isfinite(by_seed[:, j, n]).any()]
        rows.append(
            {
                "target": target,
                "source": item.sources[i],
                "score": float(item.measures["raw"][i, j]),
                "scratch": float(item.baseline(SCRATCH)[i, j]),
                "zero_shot": float(item.baseline(ZERO_SHOT)[i, j]),
                "gain_over_scratch": float(item.measures[SCRATCH][i, j]),
                "gain_over_zero_shot": float(item.measures[ZERO_SHOT][i, j]),
                "agreeing": sum(int(np.nanargmax(by_seed[:, j, n])) == i for n in seeds),
                "seeds": len(seeds),
                "sources": int(np.isfinite(column).sum()),
                "helpful": int((column[np.isfinite(column)] > 0).sum()),
            }
        )
    return rows


def correlations(item: Transfer) -> list[dict[str, Any]]:
    """One row a similarity that could be compared."""
    return [{"name": name, **asdict(found)} for name, found in item.correlations.items() if math.isfinite(found.rho)]


def groups(item: Transfer) -> dict[str, list[list[str]]]:
    """By baseline: tasks to learn together, as :func:`recommended_groups` finds them; none where axes differ."""
    if item.sources != item.targets:
        return {}
    found = {base: recommended_groups(item.apart(base), GROUP) for base in (SCRATCH, ZERO_SHOT)}
    return {base: [[item.targets[task] for task in group] for group in some] for base, some in found.items() if some}


def _mean(values: tr.Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
