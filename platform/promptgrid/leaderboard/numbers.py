"""Numbers as people read them. Scores print in the unit of their metric, fractions in percent."""

from __future__ import annotations

import math

from promptgrid.leaderboard.analysis.statistics import SAME, Interval
from promptgrid.spec.metrics import ACCURACY, Metric

DASH = "–"


def points(value: float | None, digits: int | None = None, metric: Metric = ACCURACY) -> str:
    """A score of ``metric`` as it is printed: of a fraction 0.7123 is ``71.2``."""
    if value is None or math.isnan(value):
        return DASH
    return _minus(f"{metric.factor * value:.{metric.digits if digits is None else digits}f}")


def signed(value: float | None, digits: int | None = None, metric: Metric = ACCURACY) -> str:
    """A difference of scores of ``metric`` with its sign: of fractions, in points, ``+8.9``, ``−1.2``, ``0.0``."""
    if value is None or math.isnan(value):
        return DASH
    text = f"{metric.factor * value:+.{metric.digits if digits is None else digits}f}"
    return text[1:] if float(text) == 0 else _minus(text)


def correlation(value: float | None) -> str:
    """A correlation with its sign: ``+0.42``."""
    return DASH if value is None or math.isnan(value) else _minus(f"{value:+.2f}")


def span(interval: Interval | None, *, sign: bool = False, metric: Metric = ACCURACY) -> str:
    """``70.9 to 71.6``; empty where there is no interval, or one without width (nothing varies with the seed)."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    if interval.high - interval.low < 10**-SAME:
        return ""
    show = signed if sign else points
    return f"{show(interval.low, metric=metric)} to {show(interval.high, metric=metric)}"


def count(value: float | None) -> str:
    """A count: ``2,048``, ``1.23M``."""
    if value is None or math.isnan(value):
        return DASH
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if value >= size:
            divisor = 1e3 if letter == "k" else size
            return f"{value / divisor:.3g}{letter}" if value / divisor < 1000 else f"{value / divisor:.0f}{letter}"
    return f"{value:,.0f}"


def amount(value: float | None) -> str:
    """A measured amount with three significant digits: ``0.0123``, ``12.3``, ``1,234``."""
    if value is None or math.isnan(value):
        return DASH
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else f"{value:.1e}"


def many(number: int, thing: str) -> str:
    """``1 shot``, ``16 shots``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def p_value(value: float | None) -> str:
    """``0.013``, ``< 0.001``; :data:`DASH` where no test was made."""
    if value is None or math.isnan(value):
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _minus(text: str) -> str:
    return text.replace("-", "−")
