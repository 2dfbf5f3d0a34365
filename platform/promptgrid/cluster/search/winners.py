"""What a search chose, with the scores that the choice then had on test examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptgrid.cluster.planner import track_named
from promptgrid.cluster.search.search import mean_of
from promptgrid.spec import Record
from promptgrid.spec.searched import SearchFound

if TYPE_CHECKING:
    from promptgrid.store import Store


@dataclass(frozen=True)
class Winner:
    """What was chosen at one place, or the ensemble there, of which ``draws`` configurations answer together.

    Scores are means over seeds; None where a cell failed or has not run, or nothing was chosen.
    """

    label: str
    backbone: str
    dataset: str
    shots: int
    chosen: int | None
    settings: Mapping[str, float]
    validation: float | None
    test: float | None
    test_as_written: float | None
    draws: int = 0


def winners(found: SearchFound, store: Store) -> list[Winner]:
    """The winners of ``found`` in the suite's order, with the headline metric of their test cells."""
    scores = tested_scores([found], store)
    trials = {(study.label, study.backbone): study.trials for study in found.studies}
    return [
        Winner(
            label=place.label,
            backbone=place.backbone,
            dataset=place.dataset,
            shots=place.shots,
            chosen=place.chosen,
            settings={} if place.chosen is None else trials[place.label, place.backbone][place.chosen],
            validation=None if place.chosen is None else place.scores[place.chosen],
            test=_mean(scores, place.together if found.ensemble else place.keys(place.chosen)),
            test_as_written=_mean(scores, place.keys(0)),
            draws=len(place.draws),
        )
        for place in found.places
    ]


def tested_scores(searches: Iterable[SearchFound], store: Store) -> dict[str, float]:
    """The headline metric of every finished test cell of ``searches``, by key."""
    places = [place for found in searches for place in found.places]
    keys = {key for place in places for tested in place.tested for key in tested.keys}
    keys |= {key for place in places for key in place.together}
    return {record.cell.key: _headline(record) for record in store.records(keys)}


def _headline(record: Record) -> float:
    return record.metrics[track_named(record.cell.track).headline(record.cell.protocol)]


def _mean(scores: Mapping[str, float], keys: Sequence[str]) -> float | None:
    return mean_of([scores.get(key) for key in keys])
