"""Keys and metrics of results computed again, from settings and from kept answers, by this installation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from promptgrid.leaderboard.contributed.findings import Finding
from promptgrid.spec import Cell, Refused, Request
from promptgrid.spec.cell import Setting
from promptgrid.spec.ensembles import ensemble_of

if TYPE_CHECKING:
    from promptgrid.contract import Predictions, Track

SAME = 1e-9
"""Closer than this, two means over the same answers are equal."""
BINNED = "ece"
"""How the names of expected calibration errors end."""
ROUNDED = 1e-5
"""So far a probability from kept float32 logits may be from what it was."""
OF_CELL = ("track", "method", "settings", "shots", "seed", "selection", "precision")
"""What the identity of a cell repeats of it."""


Asked = tuple[str, str, Request, Mapping[str, Any] | None, Sequence[Mapping[str, Setting]]]
"""A name for findings, the key that is claimed, what was asked for, the identity where it is known, and the settings of
the members of an ensemble; none of a plain cell."""


@dataclass
class Recomputed:
    """What was found, and why what could not be looked at was not: sentences with how many cells they are about.

    ``files`` are sentences on what of whole files was not compared.
    """

    wrong: list[Finding] = field(default_factory=list)
    unchecked: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)

    @property
    def sentences(self) -> tuple[str, ...]:
        """``unchecked`` as lines, those of whole files first."""
        return *self.files, *(f"{what} ({number} cells)" for what, number in sorted(self.unchecked.items()))


def request_of(cell: Cell) -> Request:
    """What a suite would have asked for to get ``cell``."""
    return Request(**{name: getattr(cell, name) for name in Request.__dataclass_fields__})


def check_keys(track: Track, asked: Iterable[Asked]) -> Recomputed:
    """Resolve every request here and compare keys.

    A key that cannot be computed here, because the data, the weights or the method's code are not here, is no finding.
    """
    found = Recomputed()
    for name, key, identity, cell in _resolved(track, list(asked), found):
        if cell.key != key:
            why = "made by other code, data or weights than those here, or not by these settings"
            if identity is not None:
                parts = sorted({*identity, *cell.identity})
                differ = [part for part in parts if identity.get(part) != cell.identity.get(part)]
                why = f"they differ in {', '.join(differ)}"
            found.wrong.append(
                Finding("key", name, f"has the key {key[:12]}, its settings give {cell.key[:12]}: {why}")
            )
    return found


def _resolved(
    track: Track, asked: Sequence[Asked], found: Recomputed
) -> Iterator[tuple[str, str, Mapping[str, Any] | None, Cell]]:
    """Those of ``asked`` that can be resolved, many at once: a track reads its files again at every call."""
    try:
        plain = iter(track.resolve([request for one in asked for request in _requests_of(one)]))
        cells = [_cell_of([next(plain) for _ in _requests_of(one)]) for one in asked]
    except (Refused, OSError) as error:
        groups: dict[tuple[str, ...], list[Asked]] = {}
        for one in asked:
            request = one[2]
            groups.setdefault((request.method, request.backbone, request.dataset, request.source), []).append(one)
        if len(groups) > 1:
            for group in groups.values():
                yield from _resolved(track, group, found)
        else:
            found.unchecked[f"keys were not computed again: {' '.join(str(error).split())[:160]}"] += len(asked)
        return
    for (name, key, _, identity, _), cell in zip(asked, cells, strict=True):
        yield name, key, identity, cell


def _requests_of(asked: Asked) -> list[Request]:
    return [asked[2], *(replace(asked[2], settings=dict(settings)) for settings in asked[4])]


def _cell_of(cells: Sequence[Cell]) -> Cell:
    """The cell as written, or the ensemble of those behind it."""
    return ensemble_of(cells[0], cells[1:]) if len(cells) > 1 else cells[0]


def wrong_identity(cell: Cell, name: str) -> list[Finding]:
    """Whether ``cell`` says the same as the identity that its key is of."""
    said = cell.identity
    pairs = {part: (getattr(cell, part), said.get(part)) for part in OF_CELL}
    protocol = said.get("protocol")
    pairs["protocol"] = (cell.protocol, protocol[0] if isinstance(protocol, list) and protocol else protocol)
    pairs["scored"] = (cell.scored, said.get("scored", "test"))
    pairs["reading"] = (cell.reading, said.get("reading", ""))
    return [
        Finding("key", name, f"{part} is {own!r}, its key is of {keyed!r}")
        for part, (own, keyed) in pairs.items()
        if own != keyed
    ]


def check_metrics(
    track: Track, cell: Cell, metrics: Mapping[str, float], answers: Sequence[Predictions], name: str, into: Recomputed
) -> None:
    """Compare ``metrics`` with those of ``answers``; where two classes tie for an answer, nobody knows which it was."""
    try:
        again = track.rescored(cell, answers)
    except (Refused, OSError) as error:
        into.unchecked[f"metrics were not computed again: {' '.join(str(error).split())[:160]}"] += 1
        return
    differ = [one for one in sorted({*metrics, *again}) if not _same(one, metrics.get(one), again.get(one))]
    if differ and any(_ties(part) for part in answers):
        into.unchecked["metrics were not computed again: classes tie for an answer"] += 1
        return
    if differ and all(one.endswith(BINNED) for one in differ) and any(_on_edges(part) for part in answers):
        into.unchecked["calibration was not computed again: an answer is as sure as the edge of a bin"] += 1
        return
    into.wrong += [
        Finding("metric", name, f"{one} is {metrics.get(one)!r}, its answers give {again.get(one)!r}") for one in differ
    ]


def _ties(part: Predictions) -> bool:
    return part.scores.shape[1] > 1 and bool((part.scores[:, 0] == part.scores[:, 1]).any())


def _on_edges(part: Predictions) -> bool:
    """Whether rounding of kept logits may move an answer to another bin of confidence."""
    from promptgrid.engine.scoring import BINS

    if part.logsumexp is None:
        return False
    sure = np.exp(part.scores[:, 0].astype(float) - part.logsumexp) * BINS
    return bool((np.abs(sure - np.round(sure)) <= BINS * ROUNDED).any())


def _same(name: str, one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return abs(one - other) <= (ROUNDED if name.endswith(BINNED) else SAME)
