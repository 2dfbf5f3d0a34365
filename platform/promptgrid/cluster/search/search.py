"""What a search is: the trials of every study, their cells, their scores, and the choice. Nothing here runs a cell."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, get_args

from pydantic import ValidationError

from promptgrid.cluster.planner import Plan, plan_requests, requests_of, track_named
from promptgrid.spec import Cell, Refused, Request, Suite, digest, nearest
from promptgrid.spec.metrics import Metric, metric_of
from promptgrid.spec.search import (
    LENGTH,
    MOST_EPOCHS,
    Algorithm,
    Interval,
    Knobs,
    SearchEntry,
    Study,
)
from promptgrid.spec.searched import (
    PlaceFound,
    SearchFound,
    StudyFound,
    TrialCells,
    best_trial,
    incumbents,
    over_datasets,
)
from promptgrid.spec.studies import studies_of, trial_requests
from promptgrid.spec.suite import MAX_CELLS

if TYPE_CHECKING:
    from promptgrid.contract import Track
    from promptgrid.store import Store

Where = tuple[str, str, str, int]
"""Label, backbone, dataset and shots: where one trial is chosen."""


@dataclass(frozen=True)
class Search:
    """A suite to be searched: its cells as written, and one study for each method variant and backbone."""

    suite: Suite
    entry: SearchEntry
    track: Track
    store: Store
    requests: tuple[tuple[str, Request], ...]
    studies: tuple[Study, ...]

    def plan(self, *, retry_failed: bool = False) -> Plan:
        """The validation cells of every trial, and what is missing of them."""
        asked = [(label, request) for _, label, request in self._asked()]
        return plan_requests(self.suite, asked, self.store, self.track, retry_failed=retry_failed)

    def written(self) -> Search:
        """The search with nothing but the first trial of every study: the configurations as written."""
        return replace(self, studies=tuple(replace(study, trials=study.trials[:1]) for study in self.studies))

    @cached_property
    def cells(self) -> tuple[tuple[int, Where, Cell], ...]:
        """(trial, where, cell) of every validation cell."""
        asked = list(self._asked())
        cells = self.track.resolve([request for _, _, request in asked])
        return tuple(
            (trial, where_of(label, request), cell) for (trial, label, request), cell in zip(asked, cells, strict=True)
        )

    @property
    def metric(self) -> Metric:
        """What trials are chosen by: a metric of cells scored on validation examples."""
        return metric_of(self.track.chosen_by(self.suite.protocol))

    @property
    def base(self) -> str:
        """Digest of the keys of the written configurations' cells: which methods, data and code are asked about."""
        return digest(sorted({cell.key for trial, _, cell in self.cells if trial == 0}))

    def scores(self) -> dict[Where, list[float | None]]:
        """Mean of the metric over seeds by trial; None where a cell failed or never ran, or the trial was stopped.

        No trial of a method without knobs differs from the written one, so its list has one score.
        """
        records = self.store.records({cell.key for _, _, cell in self.cells})
        name = self.metric.name
        values = {record.cell.key: record.metrics.get(name) for record in records}
        studies = {(study.label, study.backbone): study for study in self.studies}
        seeds: dict[Where, dict[int, list[float | None]]] = defaultdict(lambda: defaultdict(list))
        for trial, where, cell in self.cells:
            stopped = trial in studies[where[:2]].stopped
            seeds[where][trial].append(None if stopped else values.get(cell.key))
        return {where: [mean_of(found) for _, found in sorted(trials.items())] for where, trials in seeds.items()}

    def ruling(self, scores: Mapping[Where, list[float | None]]) -> dict[Where, list[float | None]]:
        """What is chosen by at every place: its own scores, or means over datasets where one setting is for all."""
        if not self.entry.one_setting:
            return dict(scores)
        groups: dict[tuple[str, str, int], list[list[float | None]]] = defaultdict(list)
        for (label, backbone, _, shots), found in scores.items():
            groups[label, backbone, shots].append(found)
        means = {where: over_datasets(found) for where, found in groups.items()}
        return {where: means[where[0], where[1], where[3]] for where in scores}

    def mean_score(self) -> float:
        """Mean score of the first trials of all studies over datasets and shots; where one has none, the worst."""
        scores = [self.metric.worst if found[0] is None else found[0] for found in self.scores().values()]
        return sum(scores) / len(scores)

    def _asked(self) -> Iterable[tuple[int, str, Request]]:
        return trial_requests(self.requests, self.studies)


def make_search(suite: Suite, store: Store, entry: SearchEntry | None = None, *, track: Track | None = None) -> Search:
    """The search of ``suite``, with the random configurations drawn. Nothing is run and nothing is written.

    Args:
        suite: what to search.
        store: where cells and choices are kept.
        entry: budget and space; by default what the suite says under ``search``.
        track: the wing to ask; by default the one that the suite names.

    Raises:
        Refused: the suite cannot be searched, or its space does not fit the knobs.
    """
    track = track or track_named(suite.track)
    entry = entry or suite.search or SearchEntry()
    requests = tuple(requests_of(suite, track))
    if len(requests) * entry.trials > MAX_CELLS:
        raise Refused(
            f"{entry.trials} trials of {len(requests):,} cells",
            where=suite.name,
            expected=f"at most {MAX_CELLS:,} cells",
        )
    studies = studies_of(suite, knobs_of(track), entry)
    return Search(
        suite, entry, track, store, requests, tuple(study.drawn(entry.seed, entry.trials) for study in studies)
    )


def entry_of(
    suite: Suite,
    *,
    trials: int | None = None,
    algorithm: str | None = None,
    seed: int | None = None,
    one_setting: bool | None = None,
    ensemble: bool | None = None,
) -> SearchEntry:
    """What ``suite`` says of its search, with what is given here in its place.

    Raises:
        Refused: a value is unknown or out of range.
    """
    given = {"trials": trials, "algorithm": algorithm, "seed": seed, "one_setting": one_setting, "ensemble": ensemble}
    value = (suite.search or SearchEntry()).model_dump()
    value |= {key: item for key, item in given.items() if item is not None}
    if value["algorithm"] not in get_args(Algorithm):
        near = nearest(value["algorithm"], get_args(Algorithm))
        raise Refused("unknown algorithm", where="search.algorithm", got=value["algorithm"], hint=near)
    try:
        return SearchEntry.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(first["msg"], where=f"search.{first['loc'][0]}", got=first["input"]) from error


def knobs_of(track: Track) -> Knobs:
    """The knobs of every method that ``track`` knows, and its epochs where it has some."""
    length = {LENGTH: Interval(1, MOST_EPOCHS, log=True, whole=True)}
    return {
        str(row["name"]): {name: Interval(**knob) for name, knob in dict(row.get("knobs") or {}).items()}
        | (length if type(dict(row.get("settings") or {}).get(LENGTH)) is int else {})
        for row in track.describe("methods")
    }


def choose(search: Search, *, retry_failed: bool = False) -> tuple[SearchFound, Plan]:
    """The choice at every place, and the plan of the test cells that follow from it. Nothing is run."""
    scores = search.scores()
    ruling = search.ruling(scores)
    tested = {where: sorted({0, *incumbents(found, search.metric)}) for where, found in ruling.items()}
    asked = list(_test_requests(search, tested))
    plan = plan_requests(
        search.suite, [(label, request) for _, label, request in asked], search.store, search.track,
        retry_failed=retry_failed,
    )  # fmt: skip
    keys: dict[Where, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (trial, label, request), (_, cell) in zip(asked, plan.grid, strict=True):
        keys[where_of(label, request)][trial].append(cell.key)
    places = [
        _place(where, found, best_trial(ruling[where], search.metric), keys[where]) for where, found in scores.items()
    ]
    stopped = {(study.label, study.backbone): study.stopped for study in search.studies}
    cells = {cell.key for trial, where, cell in search.cells if trial not in stopped[where[:2]]}
    return found_of(search, places, search.base, len(cells)), plan


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean, exactly rounded; None where one is missing."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _test_requests(search: Search, tested: Mapping[Where, Sequence[int]]) -> Iterable[tuple[int, str, Request]]:
    trials = {(study.label, study.backbone): study.trials for study in search.studies}
    for label, request in search.requests:
        for trial in tested[where_of(label, request)]:
            changed = trials[label, request.backbone][trial]
            yield trial, label, replace(request, settings={**request.settings, **changed})


def _place(where: Where, scores: list[float | None], best: int | None, keys: Mapping[int, list[str]]) -> PlaceFound:
    label, backbone, dataset, shots = where
    tested = [TrialCells(trial=trial, keys=found) for trial, found in sorted(keys.items())]
    return PlaceFound(
        label=label, backbone=backbone, dataset=dataset, shots=shots, scores=scores, chosen=best,
        tested=tested,
    )  # fmt: skip


def found_of(search: Search, places: list[PlaceFound], base: str, cells: int) -> SearchFound:
    """What is kept of ``search``; see :class:`promptgrid.spec.searched.SearchFound`."""
    entry = search.entry
    return SearchFound(
        suite=search.suite.name,
        base=base,
        algorithm=entry.algorithm,
        trials=entry.trials,
        seed=entry.seed,
        metric=search.metric.name,
        one_setting=entry.one_setting,
        ensemble=entry.ensemble,
        cells=cells,
        studies=[
            StudyFound(
                label=study.label,
                method=study.method,
                backbone=study.backbone,
                space={knob: (place.low, place.high, place.log) for knob, place in sorted(study.space.items())},
                trials=[dict(trial) for trial in study.trials],
            )
            for study in search.studies
        ],
        places=places,
    )


def where_of(label: str, request: Request) -> Where:
    """The place of a request, whatever its seed."""
    return label, request.backbone, request.dataset, request.shots
