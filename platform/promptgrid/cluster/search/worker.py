"""The Ray side of a search: a Tune trainable that scores one configuration after another by ordinary packs."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ray import tune

from promptgrid.cluster.search.search import Search, make_search
from promptgrid.cluster.workers.work_order import Errand, leave, settle
from promptgrid.spec import Suite
from promptgrid.spec.search import OBJECTIVE, SearchEntry, Study
from promptgrid.store import Store

CUT = 3
"""Each rung has this many times the epochs of the one before, and about one in so many trials goes on."""


@dataclass(frozen=True)
class Assignment:
    """What the workers of one study are sent, as a JSON file beside the store.

    ``rungs`` are the epochs of each rung; None: as written.
    """

    suite: str
    entry: str
    label: str
    backbone: str
    store: str
    device: str
    threads: int
    stall_seconds: float
    rungs: tuple[int | None, ...]

    def write(self, path: Path) -> Path:
        """Write to ``path``, for :meth:`read`."""
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def read(cls, path: Path) -> Assignment:
        """The assignment in ``path``.

        Raises:
            FileNotFoundError: this machine does not see the store's folder.
        """
        if not path.is_file():
            raise FileNotFoundError(
                f"this worker does not see {path}: give --store a folder that all machines of the cluster share"
            )
        content = json.loads(path.read_text())
        return cls(**{**content, "rungs": tuple(content["rungs"])})

    def study(self) -> tuple[Search, Study]:
        """The search with nothing but the squares of this study, and the study."""
        suite = Suite.model_validate_json(self.suite)
        whole = make_search(suite, Store(self.store), SearchEntry.model_validate_json(self.entry))
        mine = tuple(pair for pair in whole.squares if (pair[0], pair[1].backbone) == (self.label, self.backbone))
        study = next(one for one in whole.studies if (one.label, one.backbone) == (self.label, self.backbone))
        return replace(whole, squares=mine, studies=(study,)), study


class TrialWorker(tune.Trainable):
    """One configuration after another in one process; a step is a rung."""

    def setup(self, config: dict[str, Any]) -> None:
        signal.signal(signal.SIGTERM, leave)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Run the cells of the next rung, and say how good the configuration was."""
        epochs = self._assignment.rungs[self._rung]
        score, done, failed = evaluate(self._assignment, self._knobs, epochs)
        self._rung += 1
        last = self._rung == len(self._assignment.rungs)
        return {OBJECTIVE: score, "budget": CUT ** (self._rung - 1), "cells": [done, failed], "done": last}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "rung.json").write_text(json.dumps(self._rung))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self._rung = json.loads((Path(checkpoint) / "rung.json").read_text())

    def _begin(self, config: dict[str, Any]) -> None:
        self._assignment = Assignment.read(Path(config["assignment"]))
        self._knobs: dict[str, float] = dict(config["knobs"])
        self._rung = 0


def evaluate(assignment: Assignment, knobs: Mapping[str, float], epochs: int | None) -> tuple[float, int, int]:
    """Mean validation accuracy over the study's datasets and shots, and the cells that this call finished and failed.

    A dataset where a cell failed counts as 0: a configuration that diverges is a bad one.
    """
    search, study = assignment.study()
    settings = configuration_of(study, knobs) | ({} if epochs is None else {"epochs": epochs})
    search = replace(search, studies=(replace(study, trials=(settings,)),))
    done = failed = 0
    for pack in search.plan().packs:
        errand = Errand(pack, assignment.store, assignment.device, assignment.threads, assignment.stall_seconds)
        for settled in settle(errand):
            failed += settled.reason is not None
            done += settled.reason is None
    scores = [found[0] or 0.0 for found in search.scores().values()]
    return sum(scores) / len(scores), done, failed


def configuration_of(study: Study, knobs: Mapping[str, Any]) -> dict[str, float]:
    """The knobs of ``study`` as they enter a cell: rounded, inside their bounds."""
    return {name: place.kept(float(knobs[name])) for name, place in sorted(study.space.items())}
