"""When a grid will end: the seconds of work that are left, divided by the seconds of work done in each second."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

from promptgrid.cluster.schedule import shared_parts
from promptgrid.cluster.timing.cost_model import spent
from promptgrid.spec import Pack, Record

GAP_SECONDS = 60.0
"""A pause of this length between two records ends a run: what came before says nothing about today's workers."""


@dataclass(frozen=True)
class Forecast:
    """``seconds`` of wall time to the end, with ``at_once`` seconds of work done in each of them."""

    seconds: float
    at_once: float


@dataclass(frozen=True)
class RunningPack:
    """A pack that runs now: the keys of the cells it computes, and when it started (seconds since 1970)."""

    keys: frozenset[str]
    started: float


def predict(expected: Mapping[str, float], ages: Mapping[str, float], done: float, busy: float) -> Forecast | None:
    """When the packs of ``expected`` will be over.

    Args:
        expected: seconds still expected of each pack that is left, by its key; one that runs is counted whole.
        ages: seconds that packs have been running: they count as worked off, as far as was expected.
        done: seconds of work behind us, without what ``ages`` stands for.
        busy: wall seconds that it took.

    Returns:
        None while nothing is known of the pace. Never less than the longest pack that is left.
    """
    elapsed = {key: min(age, expected[key]) for key, age in ages.items() if key in expected}
    behind = done + sum(elapsed.values())
    if behind <= 0 or busy <= 0:
        return None
    at_once = behind / busy
    left = sum(expected.values()) - sum(elapsed.values())
    longest = max((seconds - elapsed.get(key, 0.0) for key, seconds in expected.items()), default=0.0)
    return Forecast(max(left / at_once, longest), at_once)


def forecast(
    packs: Sequence[Pack], records: Iterable[Record], running_packs: Sequence[RunningPack], now: float
) -> Forecast | None:
    """When a running or interrupted grid will end, computed from its store; None while that says too little.

    Args:
        packs: what is missing, with seconds corrected by the records.
        records: finished cells of the grid. Those of its latest run tell the pace.
        running_packs: what is being run; empty: the grid was interrupted, and the forecast holds from its next start.
        now: seconds since 1970.
    """
    dated = [(found, record) for record in records if (found := span(record))]
    first, last = _latest_run([found for found, _ in dated] + [(running.started, now) for running in running_packs])
    of_run = [record for (began, _), record in dated if began >= first]
    home = {key: pack for pack in packs for key in pack.wanted}
    expected = {pack.key: pack.seconds for pack in packs} | shared_parts(packs)
    ages: dict[str, float] = {}
    counted = 0.0
    for running in running_packs:
        pack = next((home[key] for key in running.keys if key in home), None)
        if pack is not None:
            age = max(0.0, now - running.started)
            if pack.shared is not None:  # it is not in the cache yet, so this worker is at it or waits for it
                name = pack.shared.name
                ages[name] = max(ages.get(name, 0.0), min(age, expected[name]))
                age = max(0.0, age - expected[name])
            ages[pack.key] = age
            own = sum(spent(record) for record in of_run if record.cell.key in running.keys)
            counted += min(own, min(ages[pack.key], pack.seconds))
    done = sum(spent(record) for record in of_run) + _looked(of_run) - counted
    if not last > first:
        return None
    busy = last - first if running_packs else done / max(done / (last - first), _at_once(of_run))
    return predict(expected, ages, done, busy)


def _looked(records: Sequence[Record]) -> float:
    """Seconds that the first pack of each dataset on each backbone took beside its cells: it read the data."""
    first: dict[tuple[str, str], tuple[float, str]] = {}
    packs: dict[str, list[Record]] = {}
    for record in records:
        packs.setdefault(record.provenance.pack, []).append(record)
        began, _ = span(record) or (math.inf, 0.0)
        place = record.cell.dataset, record.cell.backbone
        first[place] = min(first.get(place, (math.inf, "")), (began, record.provenance.pack))
    beside = 0.0
    for _, name in first.values():
        spans = [found for record in packs[name] if (found := span(record))]
        whole = max((ended for _, ended in spans), default=0.0) - min((began for began, _ in spans), default=0.0)
        beside += max(0.0, whole - sum(spent(record) for record in packs[name]))
    return beside


def _at_once(records: Sequence[Record]) -> float:
    """Work got through in a second while all workers were at it; what a run did not bring to its end is gone.

    The most packs that were under way together, times the part of their time that went into cells.
    """
    spans: dict[str, tuple[float, float]] = {}
    for record in records:
        began, ended = span(record) or (0.0, 0.0)
        first, last = spans.get(record.provenance.pack, (began, ended))
        spans[record.provenance.pack] = min(first, began), max(last, ended)
    whole = sum(ended - began for began, ended in spans.values())
    turns = sorted([(began, 1) for began, _ in spans.values()] + [(ended, -1) for _, ended in spans.values()])
    together = max(accumulate(turn for _, turn in turns), default=0)
    return together * min(1.0, sum(spent(record) for record in records) / whole) if whole else 0.0


def span(record: Record) -> tuple[float, float] | None:
    """When the work on ``record`` began and ended (seconds since 1970); None where it does not say."""
    try:
        return _moment(record.provenance.started), _moment(record.provenance.finished)
    except ValueError:
        return None


def _latest_run(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(begin, end) of the last stretch that ``spans`` of (begin, end) cover without a long pause."""
    first = last = -math.inf
    for began, ended in sorted(spans):
        if began > last + GAP_SECONDS:
            first = began
        last = max(last, ended)
    return first, last


def _moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 text (UTC where it names no zone). Raises ValueError where it is none."""
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
