"""Our figures against those that papers report: which may be compared, and whether they agree within noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

from scipy.stats import t as student

from promptgrid.leaderboard.analysis.published.reported import Measured, averages, measured
from promptgrid.leaderboard.inputs import ReportInput

PAPER_SEEDS = 3
"""What the papers' means are over in this field, taken to spread as ours do."""
ALIKE = 0.0005
"""Closer than this (0.05 points) figures print alike."""
READING = "ours is a reading of the paper"
"""Why a figure is no more than claimed: without the authors' code or full text, a difference may be the reading's."""
Verdict = Literal["within noise", "off", "one seed", "protocol differs", "claimed"]


@dataclass(frozen=True)
class Agreement:
    """One of our figures beside a paper's. Scores and differences are fractions.

    ``z`` is the difference over sd √(1/n + 1/3), n our seeds; None where nothing varies, or with one seed. ``why``
    says what differs where figures cannot be compared; that is so wherever our method is a reading of its paper.
    """

    label: str
    dataset: str
    protocol: str
    backbone: str
    shots: int
    metric: str
    ours: float
    sd: float | None
    seeds: int
    paper: float
    paper_label: str
    source: str
    evidence: str
    difference: float
    z: float | None
    verdict: Verdict
    why: str


def agreements(report: ReportInput) -> list[Agreement]:
    """Every figure of ours that a published one stands beside, in plan order; averages behind their datasets.

    Remembered, derived and proposed figures take no part. Where a figure under the same conditions exists, those under
    others are left out.
    """
    figures = [row for row in report.published if row["shown"]]
    over = {str(row["dataset"]): row["over"] for row in figures if row["over"]}
    rows = measured(report)
    return [pair for ours in [*rows, *averages(rows, over)] for pair in _of(report, ours, figures)]


def _of(report: ReportInput, ours: Measured, figures: Sequence[Mapping[str, Any]]) -> list[Agreement]:
    found = []
    for metric, seeds in sorted(ours.metrics.items()):
        named = [(row, _reasons(report, ours, row)) for row in figures if seeds and _same_place(ours, metric, row)]
        least = min((len(reasons) for _, reasons in named), default=0)
        found += [_pair(ours, metric, list(seeds.values()), row, why) for row, why in named if len(why) == least]
    return found


def _same_place(ours: Measured, metric: str, row: Mapping[str, Any]) -> bool:
    cell = ours.cell
    placed = (row["method"], row["dataset"], row["protocol"], row["metric"])
    return placed == (cell.method, ours.dataset, cell.protocol, metric) and row["shots"] in (0, cell.shots)


def _reasons(report: ReportInput, ours: Measured, row: Mapping[str, Any]) -> list[str]:
    """What keeps a published figure from being one for the same experiment; empty where nothing is known to."""
    cell = ours.cell
    reasons = []
    if report.known_as.get(cell.backbone, "") != row["backbone"]:
        reasons.append(f"backbone {cell.backbone}, there {row['backbone'] or 'not said'}")
    for name, theirs in (row["full_settings"] or row["settings"]).items():
        if cell.settings.get(name) != theirs:
            reasons.append(f"{name} {cell.settings.get(name)!r}, there {theirs!r}")
    if row["learned_on"] and report.known_as.get(cell.source, cell.source) != row["learned_on"]:
        reasons.append(f"learned on {cell.source or cell.dataset}, there on {row['learned_on']}")
    reasons += [row["differs"]] * bool(row["differs"])
    return reasons + [READING] * bool(row["reading"])


def _pair(
    ours: Measured, metric: str, values: Sequence[float], row: Mapping[str, Any], reasons: Sequence[str]
) -> Agreement:
    mean, paper = fmean(values), row["value"] / 100.0
    spread = stdev(values) if len(values) > 1 else None
    z, verdict = judged(mean - paper, spread, len(values))
    return Agreement(
        label=ours.label,
        dataset=ours.dataset,
        protocol=ours.cell.protocol,
        backbone=ours.cell.backbone,
        shots=ours.cell.shots,
        metric=metric,
        ours=mean,
        sd=spread,
        seeds=len(values),
        paper=paper,
        paper_label=row["label"],
        source=row["source"],
        evidence=row["evidence"],
        difference=mean - paper,
        z=None if reasons else z,
        verdict="claimed" if row["reading"] else "protocol differs" if reasons else verdict,
        why="; ".join(reasons),
    )


def judged(difference: float, spread: float | None, seeds: int) -> tuple[float | None, Verdict]:
    """(z, verdict) of a difference, from the spread over ``seeds`` of ours: two-sided t test at 5 %.

    A difference below the print's precision is noise whatever the spread; without one it is off.
    """
    if abs(difference) <= ALIKE:
        error = (spread or 0.0) * math.sqrt(1 / seeds + 1 / PAPER_SEEDS)
        return (difference / error if error else None), "within noise"
    if spread is None:
        return None, "one seed"
    if spread == 0.0:
        return None, "off"
    z = difference / (spread * math.sqrt(1 / seeds + 1 / PAPER_SEEDS))
    return z, "within noise" if abs(z) <= float(student.ppf(0.975, seeds - 1)) else "off"
