"""Figures that papers report: tables of them, read and checked, and rows joined with what our methods' settings are.

A row is one figure: ``method`` is our name of the method (empty where we have none), ``label`` the source's own;
``value`` is in percent, as printed. ``shots`` is 0 for what learns from no labelled example, and empty where it is not
few-shot. ``settings`` are those under which our method is the paper's, ``learned_on`` the source dataset of a
transfer, ``differs`` what keeps the figure from being comparable with our protocols.

``evidence``: R authors' README, log or figure; C authors' code; S quoted by another paper or repository; A abstract;
M from memory, D derived by arithmetic, P proposed: the last three are nobody's published result.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from promptgrid.contract.method import Method
from promptgrid.engine.cards.prose import written
from promptgrid.spec import Refused
from promptgrid.spec.cell import Setting
from promptgrid.spec.reading import parse_yaml

EVIDENCE = "RCSAMDP"
UNPUBLISHED = frozenset("MDP")
"""Marks of figures that may never stand as a paper's result."""
METRICS = frozenset(
    {"accuracy", "source_accuracy", "base_accuracy", "new_accuracy", "harmonic_mean", "h_of_means", "mean_of_h"}
)
RARE = ("accuracy_seed_", "accuracy_sd", "gain_")
"""Beginnings of metrics that only a few sources print; gains may be negative."""


@dataclass(frozen=True)
class Figure:
    """One published number; see the module for its fields."""

    method: str
    label: str
    dataset: str
    protocol: str
    backbone: str
    shots: int | None
    metric: str
    value: float
    evidence: str
    source: str
    settings: dict[str, Setting]
    learned_on: str
    differs: str
    table: str

    @property
    def place(self) -> tuple[object, ...]:
        """What no two figures share."""
        where = (self.method, self.label, self.dataset, self.protocol, self.backbone, self.shots, self.metric)
        return (*where, self.source, repr(self.settings))


def nobody_knows(name: str) -> str:
    """Papers know none of ours."""
    return ""


@dataclass(frozen=True)
class Published:
    """The published figures of one wing.

    Attributes:
        folder: of its tables, CSV files.
        averages: by name the datasets that an average is taken over, where they are known, so that ours can be taken
            over the same.
        dataset: the papers' name of one of our datasets, '' for another.
        backbone: the papers' name of one of our backbones, '' for another.
    """

    folder: Path
    averages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dataset: Callable[[str], str] = nobody_knows
    backbone: Callable[[str], str] = nobody_knows

    def rows(self, methods: Mapping[str, type[Method]]) -> list[dict[str, Any]]:
        """One row a figure, in the order of the tables.

        ``over`` lists the datasets of an average whose datasets are known. ``full_settings`` are all settings that make
        our method the source's, None where the method is none of ``methods``. ``shown`` says whether the figure may
        stand on a page as published: remembered, derived and proposed ones may not. ``reading``: our method is a
        reading of the paper, so that the figure is only what the paper claims.
        """
        return [
            {
                **asdict(figure),
                "over": list(self.averages.get(figure.dataset, ())),
                "full_settings": _settled(methods.get(figure.method), figure),
                "shown": figure.evidence not in UNPUBLISHED,
                "reading": figure.method in methods and _is_reading(methods[figure.method]),
            }
            for figure in figures(self.folder)
        ]


@cache
def figures(folder: Path) -> tuple[Figure, ...]:
    """Every figure of every table in ``folder``, in the order of the files.

    Raises:
        Refused: see :func:`read_table`; also a figure that stands in two tables.
    """
    found = [figure for path in sorted(folder.glob("*.csv")) for figure in read_table(path)]
    refuse_twins(found)
    return tuple(found)


def read_table(path: Path) -> list[Figure]:
    """The figures of one file.

    Raises:
        Refused: another header, an unknown evidence mark or metric, a value out of range, a name that is missing.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        wanted = [item.name for item in fields(Figure) if item.name != "table"]
        if reader.fieldnames != wanted:
            raise Refused(
                "other columns than expected", where=path.name, got=reader.fieldnames, expected=", ".join(wanted)
            )
        return [_figure(row, path.stem, f"{path.name}, line {reader.line_num}") for row in reader]


def refuse_twins(found: Sequence[Figure]) -> None:
    """Raise Refused where two figures stand for the same thing in the same source."""
    seen: dict[tuple[object, ...], Figure] = {}
    for figure in found:
        other = seen.setdefault(figure.place, figure)
        if other is not figure:
            raise Refused("a figure stands twice", where=f"{other.table} and {figure.table}", got=figure.place)


def _settled(method: type[Method] | None, figure: Figure) -> dict[str, Setting] | None:
    return None if method is None else method.defaults() | figure.settings


@cache
def _is_reading(method: type[Method]) -> bool:
    """Whether the card of ``method`` says so; read once, as every card asks for all figures."""
    return bool(written(method)["reading"])


def _figure(row: dict[str, str], table: str, where: str) -> Figure:
    for name in ("label", "dataset", "protocol", "source"):
        if not row[name]:
            raise Refused(f"no {name}", where=where)
    if row["evidence"] not in tuple(EVIDENCE):
        raise Refused("unknown evidence mark", where=where, got=row["evidence"], expected=f"one of {EVIDENCE}")
    metric = row["metric"]
    if metric not in METRICS and not metric.startswith(RARE):
        raise Refused("unknown metric", where=where, got=metric, expected=", ".join(sorted(METRICS)))
    return Figure(
        **{name: row[name] for name in ("method", "label", "dataset", "protocol", "backbone", "evidence", "source")},
        shots=_shots(row["shots"], where),
        metric=metric,
        value=_value(row["value"], metric, where),
        settings=_settings(row["settings"], where),
        learned_on=row["learned_on"],
        differs=row["differs"],
        table=table,
    )


def _shots(text: str, where: str) -> int | None:
    if text and not text.isdigit():
        raise Refused("shots", where=where, got=text, expected="a whole number, or nothing")
    return int(text) if text else None


def _value(text: str, metric: str, where: str) -> float:
    low = -100.0 if metric.startswith("gain_") else 0.0
    try:
        value = float(text)
    except ValueError as error:
        raise Refused("not a number", where=where, got=text) from error
    if not low <= value <= 100.0:
        raise Refused("a value out of range", where=where, got=text, expected=f"{low:g} to 100, in percent")
    return value


def _settings(text: str, where: str) -> dict[str, Setting]:
    """``context_length=4; words=a photo of a`` as settings, values read as in a suite."""
    pairs = [part.split("=", 1) for part in text.split("; ") if part]
    if any(len(pair) != 2 for pair in pairs):
        raise Refused("settings", where=where, got=text, expected="name=value; name=value")
    return {name: parse_yaml(value, where) for name, value in pairs}
