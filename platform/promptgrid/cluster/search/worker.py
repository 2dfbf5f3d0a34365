"""The Tune trainable of a search: scores one configuration after another by running ordinary packs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from promptgrid.cluster.on_ray.worker import ReusedWorker
from promptgrid.cluster.search.search import Search, make_search
from promptgrid.cluster.workers.work_order import WorkerSetup, WorkOrder, read_order, settle
from promptgrid.spec import Suite
from promptgrid.spec.search import SearchEntry, Study
from promptgrid.store import Store

SCORE = "score"
"""What Tune compares trials by: the result of :func:`evaluate`."""
CUT = 3
"""Each rung has this many times the epochs of the one before, and about one in so many trials goes on."""


@dataclass(frozen=True)
class StudyOrder:
    """What the workers of one study are sent, as a JSON file beside the store.

    Attributes:
        suite: what is searched.
        entry: budget and space of the search.
        label: the method variant of the study.
        backbone: the backbone of the study.
        setup: how the worker works.
        rungs: epochs of each rung; None: as written.
    """

    suite: Suite
    entry: SearchEntry
    label: str
    backbone: str
    setup: WorkerSetup
    rungs: tuple[int | None, ...]

    def write(self, path: Path) -> Path:
        """Write to ``path``, for :meth:`read`."""
        told: dict[str, Any] = {"suite": self.suite.model_dump_json(), "entry": self.entry.model_dump_json()}
        told |= {"label": self.label, "backbone": self.backbone, "setup": asdict(self.setup), "rungs": self.rungs}
        path.write_text(json.dumps(told))
        return path

    @classmethod
    def read(cls, path: Path) -> StudyOrder:
        """The order in ``path``. Raises as :func:`promptgrid.cluster.workers.work_order.read_order`."""
        told = read_order(path)
        suite, entry = Suite.model_validate_json(told["suite"]), SearchEntry.model_validate_json(told["entry"])
        setup = WorkerSetup(**told["setup"])
        return cls(suite, entry, told["label"], told["backbone"], setup, tuple(told["rungs"]))

    def study(self) -> tuple[Search, Study]:
        """The search with nothing but the cells of this study, and the study."""
        whole = make_search(self.suite, Store(self.setup.store), self.entry)
        mine = tuple(pair for pair in whole.requests if (pair[0], pair[1].backbone) == (self.label, self.backbone))
        study = next(one for one in whole.studies if (one.label, one.backbone) == (self.label, self.backbone))
        return replace(whole, requests=mine, studies=(study,)), study


class TrialWorker(ReusedWorker):
    """One configuration after another in one process; a step is a rung."""

    def begin(self, config: dict[str, Any]) -> None:
        self._order = StudyOrder.read(Path(config["order"]))
        self._knobs: dict[str, float] = dict(config["knobs"])
        self._rung = 0

    def step(self) -> dict[str, Any]:
        """Run the cells of the next rung, and say how good the configuration was."""
        epochs = self._order.rungs[self._rung]
        score, done, failed = evaluate(self._order, self._knobs, epochs)
        self._rung += 1
        last = self._rung == len(self._order.rungs)
        return {SCORE: score, "budget": CUT ** (self._rung - 1), "cells": [done, failed], "done": last}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "rung.json").write_text(json.dumps(self._rung))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self._rung = json.loads((Path(checkpoint) / "rung.json").read_text())


def evaluate(order: StudyOrder, knobs: Mapping[str, float], epochs: int | None) -> tuple[float, int, int]:
    """Mean score over the study's datasets and shots, and the cells that this call finished and failed.

    A place (dataset and shots) where a cell failed counts as the metric's worst: a configuration that diverges is bad.
    """
    search, study = order.study()
    settings = configuration_of(study, knobs) | ({} if epochs is None else {"epochs": epochs})
    search = replace(search, studies=(replace(study, trials=(settings,)),))
    done = failed = 0
    for pack in search.plan().packs:
        for settled in settle(WorkOrder(pack, order.setup)):
            failed += settled.reason is not None
            done += settled.reason is None
    return search.mean_score(), done, failed


def configuration_of(study: Study, knobs: Mapping[str, Any]) -> dict[str, float]:
    """The knobs of ``study`` as they enter a cell: rounded, inside their bounds."""
    return {name: place.kept(float(knobs[name])) for name, place in sorted(study.space.items())}
