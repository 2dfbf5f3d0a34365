"""The pictures of a study of transfer: heat maps and scatter plots."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.numbers import DASH, correlation, p_value, points, signed
from promptgrid.leaderboard.pictures.heat import Heat, HeatCell, Swatch, heat_svg
from promptgrid.leaderboard.pictures.scatter import Panel, scatter_svg
from promptgrid.leaderboard.text import shorten, slug
from promptgrid.leaderboard.transfer import gains as tr
from promptgrid.leaderboard.transfer.matrices import SCRATCH, ZERO_SHOT, Transfer
from promptgrid.spec.metrics import ACCURACY, Metric

MEASURES = (SCRATCH, ZERO_SHOT, "normalised", "raw")
"""The matrices of a study, the one that is drawn large first."""
SHORT = {SCRATCH: "gain_over_scratch", ZERO_SHOT: "gain_over_zero_shot", "normalised": "normalised", "raw": "raw"}


def measure_title(measure: str, metric: Metric) -> str:
    """What people call one of :data:`MEASURES`, with its unit."""
    gain, score = (f", {unit.strip()}" if unit else "" for unit in (metric.steps, metric.symbol))
    titles = {
        SCRATCH: f"gain over scratch{gain}",
        ZERO_SHOT: f"gain over zero-shot{gain}",
        "normalised": "share of the headroom reached, %",
        "raw": f"score{score}",
    }
    return titles.get(measure, measure)


def drawn(board: Board) -> list[Transfer]:
    """The matrices worth a picture: two sources that meet one target, so that something can be compared."""
    return [item for item in board.transfers if (~item.own & item.planned).sum(axis=0).max(initial=0) > 1]


def file_stem(board: Board, item: Transfer) -> str:
    """``transfer_1-CoOp-evaluate``: what the files of one matrix begin with."""
    return f"transfer_{board.transfers.index(item) + 1}-{slug(item.label)}"


def map_name(board: Board, item: Transfer, measure: str) -> str:
    """File name of :func:`map_svg`."""
    return f"{file_stem(board, item)}_{SHORT[measure]}.svg"


def scatter_name(board: Board, item: Transfer) -> str:
    """File name of :func:`similarity_svg`."""
    return f"{file_stem(board, item)}_similarity.svg"


def transfer_figures(board: Board) -> dict[str, str]:
    """{file name: SVG} of every matrix and measure that has numbers, and of what goes with similarity."""
    figures = {}
    for item in drawn(board):
        rows, columns = orders(board, item)
        for measure in MEASURES:
            if np.isfinite(item.apart(measure)).any():
                figures[map_name(board, item, measure)] = map_svg(board, item, measure, rows, columns)
        if any(math.isfinite(found.rho) for found in item.correlations.values()):
            figures[scatter_name(board, item)] = similarity_svg(item)
    return figures


def orders(board: Board, item: Transfer) -> tuple[list[int], list[int]]:
    """Clustered orders of the sources and the targets of ``item``.

    Every matrix over the same tasks gets the same order, so that maps can be laid side by side. Where sources and
    targets are the same tasks, both axes have one order: a task is described by all it does and all that is done to it.
    """
    alike = [
        other
        for other in board.transfers
        if (other.backbone, other.shots, other.sources, other.targets)
        == (item.backbone, item.shots, item.sources, item.targets)
    ]
    gains = [other.apart(other.base) for other in alike]
    if item.sources == item.targets:
        order = tr.cluster_order(np.concatenate([side for gain in gains for side in (gain, gain.T)], axis=1))
        return order, order
    return tr.cluster_order(np.concatenate(gains, axis=1)), tr.cluster_order(np.concatenate([g.T for g in gains], 1))


def map_svg(board: Board, item: Transfer, measure: str, rows: Sequence[int], columns: Sequence[int]) -> str:
    """The heat map of one measure."""
    names = board.report.titles
    values = item.apart(measure)
    scale = _scale(values[np.isfinite(values)], measure, item.metric)
    cells = [[_cell(board, item, measure, i, j, scale) for j in columns] for i in rows]
    tests = len(item.q_values.get(measure, {}))
    marked = {0: "", 1: "negative transfer"}.get(tests, "negative transfer: by both tests, by one")
    return heat_svg(
        Heat(
            rows=[names.get(item.sources[i], item.sources[i]) for i in rows],
            columns=[names.get(item.targets[j], item.targets[j]) for j in columns],
            cells=cells,
            key=_key(scale, measure, item.metric),
            marked=f"{marked} (false discovery rate {tr.DISCOVERY:.0%})" if marked else "",
        )
    )


def _scale(values: tr.Array, measure: str, metric: Metric) -> tuple[float, float]:
    """(middle, reach) of the colours: gains around 0 up to their 95th percentile, scores over their range."""
    if not len(values):
        return 0.0, 1.0
    if measure == "raw":
        return float(values.min()), max(float(np.ptp(values)), 1e-9)
    return 0.0, max(float(np.quantile(np.abs(values), 0.95)), 10 * metric.tie)


def _key(scale: tuple[float, float], measure: str, metric: Metric) -> list[Swatch]:
    middle, reach = scale
    if measure == "raw":
        return [
            Swatch(points(middle + reach * part, metric.digits - 1, metric), part)
            for part in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
    ends = (-1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3, 1.0)
    digits = metric.digits - 1 if reach >= 100 * metric.tie else metric.digits
    texts = [signed(reach * part, digits, _printed(measure, metric)) for part in ends]
    return [Swatch(text, part) for text, part in zip(texts, ends, strict=True)]


def _printed(measure: str, metric: Metric) -> Metric:
    """What a measure prints as: a share of the headroom is a fraction, whatever the scores are."""
    return ACCURACY if measure == "normalised" else metric


def _cell(board: Board, item: Transfer, measure: str, i: int, j: int, scale: tuple[float, float]) -> HeatCell:
    about = _about(board, item, i, j) if measure == item.base else ""
    reason = item.reasons.get((i, j), "")
    if item.own[i, j]:
        own = float(item.measures["raw"][i, j] if measure == "raw" else item.baseline(SCRATCH)[i, j])
        return HeatCell(
            points(own, metric=item.metric) if math.isfinite(own) else "", about=about, quiet=True, framed=True
        )
    value = float(item.measures[measure][i, j])
    if math.isnan(value):
        text = {"": DASH, "MISSING": "·", "NOT_PLANNED": ""}.get(reason, "×")
        return HeatCell(text, about=about, quiet=True)
    show = signed if measure in (SCRATCH, ZERO_SHOT) else points
    text = show(value, 0 if measure == "normalised" else None, _printed(measure, item.metric))
    mark = item.marks(measure)[i][j] if measure in item.q_values else ""
    tint = (value - scale[0]) / scale[1]
    return HeatCell(text + ("†" if reason else ""), tint, mark, about)  # type: ignore[arg-type]  # one of the marks


def _about(board: Board, item: Transfer, i: int, j: int) -> str:
    """The tooltip: every number of a pair."""
    names = board.report.titles
    pair = " → ".join(shorten(names.get(task, task), 40) for task in (item.sources[i], item.targets[j]))
    parts = [f"score {points(float(item.measures['raw'][i, j]), metric=item.metric)}"]
    for base, word in ((SCRATCH, "scratch"), (ZERO_SHOT, "zero-shot")):
        score = float(item.baseline(base)[i, j])
        gain = signed(float(item.measures[base][i, j]), metric=item.metric)
        parts.append(f"{word} {points(score, metric=item.metric)} ({gain})")
    tests = item.q_values[item.base]
    parts += [f"q {p_value(float(q[i, j]))} over {name}" for name, q in tests.items() if math.isfinite(q[i, j])]
    reason = item.reasons.get((i, j))
    return f"{pair}: {', '.join(parts)}{f'; {reason}' if reason else ''}"


def similarity_svg(item: Transfer) -> str:
    """A panel for each similarity: the gain of every pair against it."""
    word = "scratch" if item.base == SCRATCH else "zero-shot"
    panels = []
    for name, found in item.correlations.items():
        x, y = similarity_pairs(item, name)
        told = f"ρ = {correlation(found.rho)}, p {_p(found.p)}; within targets {correlation(found.within)}"
        panels.append(Panel(f"similarity: {name}", told, x, y))
    unit = f", {item.metric.steps.strip()}" if item.metric.steps else ""
    return scatter_svg(panels, f"gain over {word}{unit}", item.metric.factor)


def similarity_pairs(item: Transfer, name: str) -> tuple[list[float], list[float]]:
    """(similarity, gain) of the pairs of :attr:`Transfer.correlations`."""
    known = item.similarities
    if known is None:
        return [], []
    place = {task: k for k, task in enumerate(known.tasks)}
    gain = item.apart(item.base)
    pairs = [
        (float(known.matrices[name][place[source], place[target]]), float(gain[i, j]))
        for i, source in enumerate(item.sources)
        for j, target in enumerate(item.targets)
        if source in place and target in place and math.isfinite(gain[i, j])
    ]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
