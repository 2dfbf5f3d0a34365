"""Runs a pack: data in, training, scoring, outcomes out. A cell's fault stays that cell's."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.protocol import Evaluation
from promptgrid.contract.track import Outcome, Predictions
from promptgrid.engine.data import PackData, Prepared, Progress
from promptgrid.engine.ensembles import Model, answered_together, members_of
from promptgrid.engine.outcomes.failures import Diverged, failed
from promptgrid.engine.outcomes.notes import notes_of
from promptgrid.engine.outcomes.provenance import forget_peak, now, peak_memory_mb, provenance
from promptgrid.engine.planning.first_stages import SPENT
from promptgrid.engine.scoring import predictions_of, scores_of, told_apart
from promptgrid.engine.training.programs import Trained, programs_of, start, train, waves_for
from promptgrid.spec import Cell, Cost, Pack, Record
from promptgrid.spec.metrics import VALIDATION


@dataclass(frozen=True)
class _Run:
    """A pack with its data."""

    pack: Pack
    data: PackData
    progress: Progress
    started: str
    waves: int = 1

    def failed(self, cell: Cell, error: BaseException) -> Outcome:
        """The outcome of a cell that ``error`` ended."""
        return failed(cell, error, provenance(self.pack, self.data.device, self.started))


def run_pack(pack: Pack, data: PackData, progress: Progress = lambda done: None) -> Iterator[Outcome]:
    """Outcomes of the wanted cells, each finished or failed.

    A cell whose data cannot be read fails by itself. If the pack fails as a whole, its cells are run one by one, and
    only the culprits fail.
    """
    wanted = [cell for cell in pack.cells if cell.key in pack.wanted]
    if not wanted:
        return
    forget_peak(data.device)
    waves = len(pack.cells) if data.apart else waves_for(pack, data.device, data.method.kind)
    run = _Run(pack, data, progress, now(), waves)
    try:
        yield from _in_memory(run, wanted)
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises becomes a record
        if len(pack.cells) == 1 or isinstance(error, torch.OutOfMemoryError):
            yield from (run.failed(cell, error) for cell in wanted)
            return
        for cell in wanted:
            alone = replace(pack, cells=(cell,), wanted=frozenset({cell.key}))
            yield from run_pack(alone, data, progress)


def _in_memory(run: _Run, wanted: list[Cell]) -> list[Outcome]:
    """The outcomes of :func:`_together`, in twice as many waves whenever a GPU runs out of memory."""
    while True:
        try:
            return _together(run, wanted)
        except torch.OutOfMemoryError:
            if run.waves >= len(run.pack.cells):
                raise
        gc.collect()  # behind the exception, whose frames hold what is to be freed
        torch.cuda.empty_cache()
        run = replace(run, waves=2 * run.waves)


def _together(run: _Run, wanted: list[Cell]) -> list[Outcome]:
    """Outcomes of the wanted cells, trained in packs. Nothing is given out unless the whole pack went well."""
    ready: dict[str, Prepared] = {}
    outcomes = []
    for cell in wanted:
        try:
            ready[cell.key] = run.data.prepare(cell)
        except Exception as error:  # noqa: BLE001 - a cell without its data fails alone
            outcomes.append(run.failed(cell, error))
    trained: dict[str, Trained] = {}
    for program in programs_of(run.pack.cells, run.data, run.waves):
        trained |= train(program, ready, run.data, run.progress)
    for one in ready.values():
        outcomes.append(_score(run, one, trained.get(one.cell.key)))
        run.progress(1.0)
    return outcomes


def _score(run: _Run, ready: Prepared, trained: Trained | None) -> Outcome:
    """The outcome of one cell: scored, or failed by its own numbers. ``trained`` is None where nothing is fitted."""
    data, began, as_it_is = run.data, time.perf_counter(), ready.cell.reading == "evaluate"
    try:
        params = _learned(run, ready, trained) if not ready.cell.members else {}
        finished = time.perf_counter()
        scores, predictions = {}, []
        known: list[Tensor] = []
        for split, evaluation in scored_sets(ready):
            models = members_of(ready, data) if ready.cell.members else (Model(ready, params),)
            logits = answered_together(_answers(split, evaluation, model, run) for model in models)
            sure = data.opened.protocol.certainty(logits)
            if evaluation.strangers:  # no answer about them is right, and none is kept
                scores[evaluation.name] = told_apart(torch.cat(known), sure)
                continue
            known.append(sure)
            scores[evaluation.name], given = _scored(evaluation, logits, run)
            predictions.append(given)
    except Exception as error:  # noqa: BLE001 - a cell that cannot be scored fails alone
        return run.failed(ready.cell, error)
    kept_as_it_is = ready.method.frozen - ready.method.moved
    sizes = {name: value.numel() for name, value in params.items() if name not in kept_as_it_is}
    tested = ready.cell.scored == "test"
    begun = data.opened.first(ready.cell) if tested else None
    spent = {} if begun is None else {SPENT: float(begun.examples)}
    record = Record(
        cell=ready.cell,
        metrics=data.opened.protocol.metrics(scores) | spent if tested else validation_metrics(scores),
        curves=_curves(trained, data.opened.protocol.choose_by),
        cost=Cost(
            trainable_parameters=0 if as_it_is else sum(sizes.values()),
            train_seconds=0.0 if as_it_is else finished - began + (trained.seconds if trained is not None else 0.0),
            eval_seconds=time.perf_counter() - finished,
            peak_memory_mb=peak_memory_mb(data.device),
            packed_with=len(run.pack.cells),
        ),
        provenance=provenance(run.pack, data.device, run.started, trained.speed if trained is not None else ""),
        notes=notes_of(data.opened.dataset, ready.split, ready.cell, not data.opened.protocol.per_cent),
    )
    kept = {} if as_it_is else params  # the source's cell keeps it already
    state = {name: value.detach().cpu().numpy() for name, value in kept.items()}
    return Outcome(record, tuple(predictions), state, data.about(ready))


def _learned(run: _Run, ready: Prepared, trained: Trained | None) -> Params:
    """What a cell answers with. Raises Diverged where its numbers are not finite."""
    if trained is not None:
        _refuse_diverged(trained)
    with torch.no_grad():
        params = trained.params if trained is not None else start(ready, run.data.device)
        if ready.cell.reading != "evaluate":
            params = ready.method.finish(params, ready.task)
    _refuse_not_finite(params)
    return params


def scored_sets(ready: Prepared) -> list[tuple[str, Evaluation]]:
    """(split of the dataset, evaluation) for every set that scores a cell: its few validation examples in a search."""
    if ready.cell.scored == "val":
        return [("val", ready.split.validation(ready.method))]
    return [("test", evaluation) for evaluation in ready.split.evaluations]


def validation_metrics(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """``val_accuracy`` and its companions: names that no one takes for test scores."""
    return {VALIDATION + name: value for name, value in scores["val"].items()}


def _answers(split: str, evaluation: Evaluation, model: Model, run: _Run) -> Tensor:
    """(N, C) logits of a scored set."""
    data, indices, ready, params = run.data, evaluation.indices, model.ready, model.params
    task = data.rebound(ready, evaluation.classes)
    each = evaluation.together or len(indices)
    parts = [indices[first : first + each] for first in range(0, len(indices), each)] or [indices]
    logits = torch.cat([data.answers(ready, params, task, split, part, run.progress) for part in parts])
    if not bool(torch.isfinite(logits).all()):
        raise Diverged(f"the logits of {evaluation.name!r} are not finite")
    return logits


def _scored(evaluation: Evaluation, logits: Tensor, run: _Run) -> tuple[dict[str, float], Predictions]:
    data, dataset, indices = run.data, run.data.opened.dataset, evaluation.indices
    labels = data.labels(indices, evaluation.classes)
    names = [dataset.example_name(index) for index in indices]
    classes = [dataset.card.classes[label] for label in evaluation.classes]
    given = predictions_of(evaluation.name, list(indices), logits, labels, names, classes)
    left_out = None if evaluation.left_out is None else evaluation.classes.index(evaluation.left_out)
    return scores_of(logits, labels, data.opened.protocol.scores, left_out, evaluation.scored_by), given


def _refuse_diverged(trained: Trained) -> None:
    if not bool(torch.isfinite(trained.losses).all()):
        epoch = int(torch.isfinite(trained.losses).logical_not().nonzero()[0])
        raise Diverged(f"the training loss is not finite from epoch {epoch + 1} on")
    _refuse_not_finite(trained.params)


def _refuse_not_finite(params: Params) -> None:
    for name, value in params.items():
        if not bool(torch.isfinite(value).all()):
            raise Diverged(f"the parameter {name!r} is not finite after training")


def _curves(trained: Trained | None, choose_by: str) -> dict[str, list[float]]:
    curves = {}
    if trained is not None:
        curves["train_loss"] = [float(np.float32(loss)) for loss in trained.losses]
        if trained.validation:
            curves[VALIDATION + choose_by] = trained.validation
        if trained.queries:
            curves["queries"] = [float(asked) for asked in trained.queries]
        if trained.checkpoints:
            curves["val_queries"] = [float(asked) for asked in trained.checkpoints]
    return curves
