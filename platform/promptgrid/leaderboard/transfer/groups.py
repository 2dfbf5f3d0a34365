"""Which tasks to learn together: groups whose members help each other, read from a finished transfer study."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from promptgrid.spec import Refused, nearest

Array = npt.NDArray[np.float64]


def recommended_groups(gain: Array, size: int) -> list[list[int]]:
    """Groups of at most ``size`` tasks in which each pair gains from each other, the strongest group first.

    Args:
        gain: (T, T), what learning on i does to j; NaN where it is not known. The diagonal is not looked at.
        size: of the largest group, at least 2.

    Two tasks are tied as firmly as the smaller of their two gains. Starting from single tasks, the two groups whose
    loosest tie is firmest are merged (complete linkage) for as long as that tie is above 0 and the merged group is no
    larger than ``size``; on equal ties the tasks named first go first. Tasks that no one is tied to are left out.
    """
    if size < 2:
        raise ValueError(f"size: got {size}, a group has at least 2 tasks")
    ties = np.fmin(gain, gain.T)
    ties[~(np.isfinite(gain) & np.isfinite(gain.T))] = -np.inf
    groups = [[task] for task in range(len(gain))]
    while (best := _firmest(groups, ties, size)) is not None:
        one, other = best
        groups[one] = sorted(groups[one] + groups.pop(other))
    whole = [group for group in groups if len(group) > 1]
    return sorted(whole, key=lambda group: (-_loosest(group, group, ties), group))


def _firmest(groups: list[list[int]], ties: Array, size: int) -> tuple[int, int] | None:
    """The two groups (positions, in order) to merge next; None where no merger is both allowed and of use."""
    found: tuple[float, int, int] | None = None
    for one in range(len(groups)):
        for other in range(one + 1, len(groups)):
            tie = _loosest(groups[one], groups[other], ties)
            fits = len(groups[one]) + len(groups[other]) <= size
            if fits and tie > 0 and (found is None or tie > found[0]):
                found = tie, one, other
    return None if found is None else found[1:]


def _loosest(group: list[int], other: list[int], ties: Array) -> float:
    return float(min(ties[one, two] for one in group for two in other if one != two))


def gains_of(results: pd.DataFrame, label: str, reading: str, over: str) -> tuple[list[str], Array]:
    """(tasks, (T, T) mean gains of i on j over seeds) of one method in a transfer study's long-form results.

    Args:
        results: as :func:`promptgrid.leaderboard.results_frame` gives them.
        label: the method.
        reading: ``evaluate`` or ``adapt``.
        over: the label whose plain cells are the baseline: the method's own (from scratch), or a zero-shot one.

    Raises:
        Refused: no such label, or it has no finished cell in that reading or no baseline.
    """
    done = results[(results["status"] == "done") & (results["metric"] == "accuracy")]
    for name in (label, over):
        if name not in set(results["label"]):
            raise Refused("no such method in the study", where="label", got=name, hint=nearest(name, results["label"]))
    moved = done[(done["label"] == label) & (done["reading"] == reading)]
    plain = done[(done["label"] == over) & (done["reading"] == "")]
    if moved.empty or plain.empty:
        what = f"{reading!r} cells of {label!r}" if moved.empty else f"plain cells of {over!r}"
        raise Refused(f"the study has no finished {what}", hint="run it first")
    tasks = [task for task in dict.fromkeys(moved["source"]) if task in set(moved["dataset"])]
    keys = ["dataset", "shots", "seed", "backbone"]
    joined = moved.merge(plain[[*keys, "value"]], on=keys, suffixes=("", "_plain"))
    joined["gain"] = joined["value"] - joined["value_plain"]
    table = joined.pivot_table(index="source", columns="dataset", values="gain", aggfunc="mean")
    return tasks, table.reindex(index=tasks, columns=tasks).to_numpy(dtype=np.float64, copy=True)
