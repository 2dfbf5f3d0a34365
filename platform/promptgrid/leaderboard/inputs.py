"""What a report is made from, and the files it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from promptgrid.spec import EXAMPLES, Cell, Noun, Record, Suite
from promptgrid.spec.imported import Imported
from promptgrid.spec.metrics import Metric, metric_of
from promptgrid.spec.searched import BY_ACCURACY, SearchFound

if TYPE_CHECKING:
    from promptgrid.contract.track import Predictions, Thumbnail

Correct = npt.NDArray[np.bool_]
ReadAnswers = Callable[[str], "Sequence[Predictions]"]
Show = Callable[[str, Sequence[int]], "Mapping[int, Thumbnail]"]


def no_answers(key: str) -> Sequence[Predictions]:
    """Where no answers are kept."""
    return ()


def nothing_shown(dataset: str, examples: Sequence[int]) -> Mapping[int, Thumbnail]:
    """Where examples are not shown."""
    return {}


@dataclass(frozen=True)
class Similarities:
    """How alike tasks are to one backbone: by name, a (K, K) matrix from source (row) to target, in this order."""

    tasks: tuple[str, ...]
    matrices: Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class SearchedRow:
    """A row made of what a search chose, or of all its draws ``together``: for which method, with which budget.

    ``lengths`` says whether the search varied how long the method trains, so that no cut of it was given beforehand.
    """

    entry: str
    budget: str
    lengths: bool
    together: bool = False


@dataclass(frozen=True)
class ReportInput:
    """A planned grid and what is known of it.

    ``grid`` are (method label, cell) in plan order; ``records`` and ``failures`` map cell keys to finished and
    failed records (a key in both counts as finished; keys outside the plan are ignored). ``headline`` names the
    metric that ranks. ``titles`` maps datasets to names for people, ``kinds`` maps methods to their kind.
    ``command`` reproduces the run; ``revision`` is the code's commit, with ``-dirty`` behind it where it was.
    ``published`` are rows of figures that papers report (see ``Track.published``), ``known_as`` maps those of our
    datasets and backbones that papers know to the papers' names: for one section, never for a rank.
    ``about`` says of methods what they are in a sentence, ``papers`` which papers they are from; ``seen`` says of
    datasets what the pretraining saw of them.
    ``axes`` maps methods to their place in the taxonomy, axis by axis, ``parities`` to how they stand to their authors'
    code (see ``Track.parities``), ``cards`` to what a page says of each beside: titles with their lines.
    For studies of transfer, both optional: ``correct`` maps cell keys to (examples,) bool, which test examples were
    answered right, in one order for all cells of a dataset; ``similarities`` maps backbones to likeness of tasks.
    ``searches`` are those made of this suite; ``tested`` maps the keys of their test cells to the headline metric.
    ``stale`` says of a search (by its ``question``) what of it the suite as it is now no longer bears out.
    ``searched`` names the rows among ``grid`` that a search chose; ``cuts`` says by cell key what its settings take
    away from the training that the paper used; ``defaults`` are the settings of methods as published.
    ``answers`` reads what a finished cell answered, by its key; ``show`` makes small pictures of test examples, by
    dataset and index, of those that can be shown.
    ``imported`` are results of other tools, for one section; those that are ranked stand in ``grid`` and ``records``.
    ``beside`` are the files that lie beside the page.
    ``examples`` is what the track calls its examples; ``chosen_by`` names the metric that chooses on validation ones.

    Raises:
        ValueError: a record stands under a key that is not its own, has the wrong status, or is finished without
            the headline metric.
    """

    suite: Suite
    grid: Sequence[tuple[str, Cell]]
    records: Mapping[str, Record]
    failures: Mapping[str, Record]
    headline: str
    scores_digest: str = ""
    command: str = ""
    version: str = ""
    revision: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cards: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    papers: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)
    published: Sequence[Mapping[str, Any]] = ()
    known_as: Mapping[str, str] = field(default_factory=dict)
    correct: Mapping[str, Correct] = field(default_factory=dict)
    similarities: Mapping[str, Similarities] = field(default_factory=dict)
    searches: Sequence[SearchFound] = ()
    tested: Mapping[str, float] = field(default_factory=dict)
    stale: Mapping[str, Sequence[str]] = field(default_factory=dict)
    searched: Mapping[str, SearchedRow] = field(default_factory=dict)
    cuts: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    imported: Sequence[Imported] = ()
    examples: Noun = EXAMPLES
    chosen_by: str = BY_ACCURACY
    beside: Sequence[str] = ("leaderboard.csv", "results.parquet", "report.json", "tables/", "SHA256SUMS")
    answers: ReadAnswers = no_answers
    show: Show = nothing_shown

    @cached_property
    def metric(self) -> Metric:
        """What the leaderboards rank by."""
        return metric_of(self.headline)

    @cached_property
    def validation(self) -> Metric:
        """What chooses on validation examples."""
        return metric_of(self.chosen_by)

    def __post_init__(self) -> None:
        for status, records in (("done", self.records), ("failed", self.failures)):
            for key, record in records.items():
                if record.cell.key != key:
                    raise ValueError(f"record {key[:12]} holds the cell {record.cell.key[:12]}: verify the store")
                if record.status != status:
                    raise ValueError(f"record {key[:12]} is {record.status}, expected {status}")
        for key in {cell.key for _, cell in self.grid} & set(self.records):
            if self.headline not in self.records[key].metrics:
                known = ", ".join(sorted(self.records[key].metrics))
                raise ValueError(f"record {key[:12]} has no metric {self.headline!r}; it has {known}")


@dataclass(frozen=True)
class ReportPaths:
    """The files of one report. ``figures`` are the pictures that are too large for the page."""

    folder: Path
    html: Path
    leaderboard_csv: Path
    results_parquet: Path
    json: Path
    sums: Path
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]
