"""The columns of the main table. A new column is a new row of :data:`COLUMNS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from promptgrid.leaderboard.analysis.statistics import Interval
from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.leaderboard import Leaderboard, Range, Row
from promptgrid.leaderboard.numbers import DASH, amount, count, p_value, points, signed, span
from promptgrid.spec.metrics import metric_of


@dataclass(frozen=True)
class Entry:
    """One table cell: what is read, what is sorted by and exported, its interval, a small second line, a tooltip."""

    text: str
    value: float | int | str | None = None
    low: float | None = None
    high: float | None = None
    sub: str = ""
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column: key in files, title and explanation for people, and how an entry is made.

    ``quiet`` columns wait in the page's list of columns until a reader asks for them.
    In the explanation stand ``{examples}`` for what the track calls its examples, and ``{scale}``, ``{difference}``
    and ``{tie}`` for how the metric gives scores, differences, and what ties.
    """

    key: str
    title: str
    about: str
    entry: Callable[[Row], Entry]
    shown: Callable[[Leaderboard], bool] = lambda leaderboard: True
    interval: bool = False
    text: bool = False
    tex: bool = False
    quiet: bool = False

    def explained(self, report: ReportInput) -> str:
        """The explanation with the words of this report in place."""
        metric = report.metric
        words = {
            "examples": report.examples.many,
            "scale": metric.scale,
            "difference": f", in{metric.steps}" if metric.steps else "",
            "tie": f"{metric.factor * metric.tie:g}{metric.steps}",
        }
        return self.about.format(**words)


def _place(row: Row) -> Entry:
    if row.place is None:
        return Entry(DASH, None, note=row.apart or "not ranked: cells are missing")
    return Entry(str(row.place), row.place)


def _recipe(row: Row) -> Entry:
    notes = {
        "paper": "as long as the paper trains; other settings that are not its own stand below",
        "searched": f"chosen on validation {row.recipe.examples}, with the budget below",
        "ensemble": "nothing chosen: the models of all draws answer together",
        "cut": row.apart or "cut below what the paper trained",
    }
    return Entry(row.recipe.kind, row.recipe.kind, sub=row.recipe.note, note=notes[row.recipe.kind])


def _method(row: Row) -> Entry:
    return Entry(row.label, row.label, sub=row.kind, note=f"{row.method} {row.settings}")


def _mean(row: Row) -> Entry:
    mark, note = "", ""
    if row.adjusted:
        mark = "†"
        note = "adjusted by the additive model (method + dataset): cells are missing, so this row is not ranked"
    value = None if row.mean.value != row.mean.value else row.mean.value
    return Entry(
        points(row.mean.value, metric=row.metric) + (mark if value is not None else ""),
        value,
        row.mean.low,
        row.mean.high,
        span(row.mean, metric=row.metric),
        note,
    )


def _difference(interval: Interval | None, row: Row, why: str) -> Entry:
    if row.reference:
        return Entry("reference", None)
    if interval is None or interval.value != interval.value:
        return Entry(DASH, None, note="no dataset in common with the reference")
    partial = "" if row.complete else "†"
    note = why if not partial else f"{why}; over the {interval.n} datasets both finished"
    return Entry(
        signed(interval.value, metric=row.metric) + partial,
        interval.value,
        interval.low,
        interval.high,
        span(interval, sign=True, metric=row.metric),
        note,
    )


def _seeds(row: Row) -> Entry:
    return _difference(row.seeds, row, "on these datasets, for new seeds")


def _datasets(row: Row) -> Entry:
    entry = _difference(row.datasets, row, "on new datasets of this sort")
    if row.p_holm is None:
        return entry
    star = " *" if row.p_holm < 0.05 else ""
    note = f"{entry.note}; Holm-adjusted p {p_value(row.p_holm)}"
    return Entry(entry.text + star, entry.value, entry.low, entry.high, entry.sub, note)


def _p(row: Row) -> Entry:
    return Entry(p_value(row.p_holm), row.p_holm)


def _rank(row: Row) -> Entry:
    rank = row.rank
    if rank is None:
        return Entry(DASH, None, note=row.apart or "only complete rows are ranked")
    sub = "" if rank.low is None or rank.high is None else f"{rank.low:.1f} to {rank.high:.1f}"
    return Entry(f"{rank.value:.2f}", rank.value, rank.low, rank.high, sub)


def _wins(row: Row) -> Entry:
    if row.wins is None:
        return Entry("" if row.reference else DASH, None)
    wins, ties, losses = row.wins
    return Entry(f"{wins}/{ties}/{losses}", wins, note=f"{wins} won, {ties} tied, {losses} lost")


def _cost(pick: Callable[[Row], Range], show: Callable[[float | None], str]) -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        cost = pick(row)
        if cost.median != cost.median:
            return Entry(DASH, None)
        varies = cost.low != cost.high
        note = f"median of cells; {show(cost.low)} to {show(cost.high)}" if varies else "the same in every cell"
        return Entry(show(cost.median), cost.median, cost.low, cost.high, note=note)

    return entry


def _coverage(row: Row) -> Entry:
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(row.reasons.items()))
    return Entry(f"{row.done}/{row.planned}", row.done / row.planned, note=reasons or "every planned cell finished")


def _verified(row: Row) -> Entry:
    if not row.parity:
        return Entry(DASH, None, note="its card does not say")
    note = ". ".join(part.rstrip(".") for part in (row.parity["said"], row.parity.get("note", "")) if part)
    return Entry(row.parity["result"], row.parity["result"], note=note)


def _score(pick: Callable[[Row], float | None]) -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        value = pick(row)
        return Entry(points(value, metric=row.metric), None if value is None or value != value else value)

    return entry


def _beside(name: str, title: str, about: str) -> Column:
    """A metric that stands beside the headline, where cells have it."""
    metric = metric_of(name)

    def entry(row: Row) -> Entry:
        value = row.beside.get(name, float("nan"))
        return Entry(points(value, metric=metric), None if value != value else value)

    def shown(leaderboard: Leaderboard) -> bool:
        return any(name in row.beside for row in leaderboard.rows)

    return Column(name, title, about, entry, shown, tex=True)


def _several(leaderboard: Leaderboard) -> bool:
    return len(leaderboard.rows) > 1


def _has_split(leaderboard: Leaderboard) -> bool:
    return any(row.split is not None for row in leaderboard.rows)


COLUMNS: tuple[Column, ...] = (
    Column("place", "#", "Place by mean among ranked rows; equal means share a place.", _place),
    Column("method", "Method", "Name in the suite, and its kind.", _method, text=True, tex=True),
    Column(
        "recipe",
        "Recipe",
        "paper: trained as long as its paper was. searched: as a search on validation {examples} chose, with its "
        "budget. cut: trained less than that, so never ranked.",
        _recipe,
        text=True,
        tex=True,
    ),
    Column(
        "mean",
        "Mean",
        "Mean over datasets of means over seeds, {scale}. Interval: 95 %, pooled-seed t, for new seeds on these "
        "datasets. † adjusted: see How to read this.",
        _mean,
        interval=True,
        tex=True,
    ),
    Column(
        "source",
        "Source",
        "Mean on the tasks learned from, which are no part of Mean.",
        _score(lambda r: r.source),
        lambda leaderboard: any(row.source is not None for row in leaderboard.rows),
        tex=True,
    ),
    Column(
        "base",
        "Base",
        "Mean on the classes trained on.",
        _score(lambda r: r.split.base if r.split else None),
        _has_split,
        tex=True,
    ),
    Column(
        "new",
        "New",
        "Mean on the classes never trained on.",
        _score(lambda r: r.split.new if r.split else None),
        _has_split,
        tex=True,
    ),
    Column(
        "h_of_means",
        "H of means",
        "Harmonic mean of the two means: what papers print.",
        _score(lambda r: r.split.h_of_means if r.split else None),
        _has_split,
        tex=True,
    ),
    Column(
        "mean_of_h",
        "Mean of H",
        "Mean over datasets of each dataset's harmonic mean: punishes a collapse on one dataset.",
        _score(lambda r: r.split.mean_of_h if r.split else None),
        _has_split,
        tex=True,
    ),
    _beside("base_ece", "ECE base", "Expected calibration error on the classes trained on; lower is better."),
    _beside("new_ece", "ECE new", "Expected calibration error on the classes never trained on; lower is better."),
    _beside("fpr95", "FPR95", "Share of strangers that pass where 95 % of the known {examples} do; lower is better."),
    _beside("accuracy", "Accuracy", "On known {examples}, among known classes."),
    _beside("tail_accuracy", "Tail", "Accuracy on {examples} of the rarer half of the classes, among all classes."),
    Column(
        "difference",
        "Δ, these datasets",
        "Mean minus the reference's{difference}. 95 %, pooled-seed t on seed-by-seed differences: would new seeds on "
        "these datasets agree?",
        _seeds,
        _several,
        interval=True,
        tex=True,
    ),
    Column(
        "difference_new",
        "Δ, new datasets",
        "The same difference with a paired t interval over datasets: would other datasets of this sort agree? "
        "* Holm-adjusted p below .05.",
        _datasets,
        _several,
        interval=True,
    ),
    Column(
        "p_holm",
        "p (Holm)",
        "Paired t over datasets against the reference, Holm-adjusted over the ranked rows of this table.",
        _p,
        _several,
        quiet=True,
    ),
    Column(
        "wins",
        "W/T/L",
        "Datasets won, tied (within {tie}) and lost against the reference.",
        _wins,
        _several,
        tex=True,
    ),
    Column(
        "mean_rank",
        "Mean rank",
        "Mean over datasets of the rank among ranked rows. Interval: 95 %, bootstrap over datasets, approximate.",
        _rank,
        interval=True,
        tex=True,
    ),
    Column(
        "trainable_parameters",
        "Parameters",
        "Trainable parameters, median of cells.",
        _cost(lambda r: r.trainable, count),
        interval=True,
        tex=True,
    ),
    Column(
        "train_seconds",
        "Train s",
        "Training seconds a cell, median; the share of its pack where cells were packed.",
        _cost(lambda r: r.train, amount),
        interval=True,
        tex=True,
    ),
    Column(
        "stage_one_examples",
        "Stage 1",
        "Training {examples} looked at in a first stage that all cells of the row begin from, each as often as it was "
        "seen: what the row cost before the columns beside it begin to count.",
        _cost(lambda r: r.first_stage, count),
        lambda leaderboard: any(row.first_stage.low == row.first_stage.low for row in leaderboard.rows),
        interval=True,
        tex=True,
    ),
    Column(
        "eval_seconds",
        "Eval s",
        "Evaluation seconds a cell, median.",
        _cost(lambda r: r.evaluate, amount),
        interval=True,
        quiet=True,
    ),
    Column(
        "peak_memory_mb",
        "Peak MB",
        "Peak memory, median of cells, in MB.",
        _cost(lambda r: r.memory, amount),
        interval=True,
    ),
    Column("coverage", "Cells", "Finished of planned cells.", _coverage),
    Column(
        "selection",
        "Selection",
        "Which checkpoint counts; never chosen on test data.",
        lambda r: Entry(r.selection, r.selection),
        lambda leaderboard: len({row.selection for row in leaderboard.rows}) > 1,
        text=True,
    ),
    Column(
        "verified",
        "Verified",
        "Against the authors' code: equal to it, in part, mended since and not compared again, not compared, or "
        "there is none.",
        _verified,
        lambda leaderboard: any(row.parity for row in leaderboard.rows),
        text=True,
    ),
)


def shown_columns(leaderboard: Leaderboard) -> list[Column]:
    """The columns that have something to say about ``leaderboard``."""
    return [column for column in COLUMNS if column.shown(leaderboard)]
