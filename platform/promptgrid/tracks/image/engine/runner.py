"""Runs a pack: data in, training, scoring, outcomes out. A cell's fault stays that cell's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from promptgrid.contract import (
    Backbone,
    Cache,
    Dataset,
    Evaluation,
    Labelled,
    Method,
    Outcome,
    Params,
    Predictions,
    Protocol,
    Split,
    Task,
    stream,
)
from promptgrid.contract.track import Learned, unknown
from promptgrid.spec import Cell, Cost, Pack, Record
from promptgrid.tracks.image.engine.failures import Diverged, failed
from promptgrid.tracks.image.engine.features import FeatureTable, feature_table
from promptgrid.tracks.image.engine.pixels import read_pixels
from promptgrid.tracks.image.engine.provenance import now, peak_memory_mb, provenance
from promptgrid.tracks.image.engine.scoring import logits_of, predictions_of, scores_of
from promptgrid.tracks.image.engine.support import Support
from promptgrid.tracks.image.engine.trainer import Fit, PackedMethod, fit

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Bench:
    """What the cells of one pack share: the plug-ins, opened and loaded."""

    method: type[Method]
    dataset: Dataset
    backbone: Backbone
    protocol: Protocol
    cache: Cache
    device: str
    learned: Learned = unknown


@dataclass(frozen=True)
class Prepared:
    """One cell with its data at hand. ``train``, ``val`` and ``tests`` are features on the device."""

    cell: Cell
    split: Split
    task: Task
    train: Labelled
    pixels: Tensor | None

    def rebound(self, bench: Bench, classes: Sequence[int]) -> Task:
        """The task with other classes to choose between, and nothing to learn from."""
        names = tuple(bench.dataset.card.classes[label] for label in classes)
        return replace(self.task, classes=names, support=None, validation=None)


def run_pack(pack: Pack, bench: Bench, progress: Progress = lambda done: None) -> Iterator[Outcome]:
    """Outcomes of the wanted cells, each finished or failed.

    Slots whose cells are not wanted are filled with a stand-in, so that every tensor has the shape that the whole
    pack gives it: a resumed cell has the bits it would have had the first time. If the pack fails as a whole, its
    cells are run one by one, and only the culprits fail.
    """
    wanted = [cell for cell in pack.cells if cell.key in pack.wanted]
    if not wanted:
        return
    slots = [cell if cell.key in pack.wanted else wanted[0] for cell in pack.cells]
    started = now()
    try:
        yield from _together(pack, slots, bench, progress, started)
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises becomes a record
        if len(slots) == 1 or isinstance(error, torch.OutOfMemoryError):
            yield from (failed(cell, error, provenance(pack, bench.device, started)) for cell in wanted)
            return
        for cell in wanted:
            alone = replace(pack, cells=(cell,), wanted=frozenset({cell.key}))
            yield from run_pack(alone, bench, progress)


def _together(pack: Pack, slots: list[Cell], bench: Bench, progress: Progress, started: str) -> list[Outcome]:
    """All slots as one program; outcomes of the wanted ones. Nothing is given out unless the whole pack went well."""
    prepared = [_prepare(cell, bench) for cell in slots]
    began = time.perf_counter()
    result = _train(prepared, bench, progress)
    seconds = (time.perf_counter() - began) / len(slots)
    outcomes: dict[str, Outcome] = {}
    for slot, ready in enumerate(prepared):
        key = ready.cell.key
        if key in pack.wanted and key not in outcomes:
            outcomes[key] = _score(pack, slot, ready, result, bench, seconds, started)
    return list(outcomes.values())


def build(method: type[Method], cell: Cell) -> Method:
    """The method with the settings of ``cell``."""
    return method(**cell.settings)


def _prepare(cell: Cell, bench: Bench) -> Prepared:
    split = bench.protocol.split(bench.dataset, cell.shots, cell.seed)
    method = build(bench.method, cell)
    task = Task(
        dataset=bench.dataset.card.name,
        classes=tuple(bench.dataset.card.classes[label] for label in split.classes),
        template=bench.dataset.card.template,
        backbone=bench.backbone,
        shots=cell.shots,
    )
    train = _labelled(bench, "train", split.train, split.classes)
    val = _labelled(bench, "val", split.val, split.classes) if split.val else None
    pixels = None
    if "vision_blocks" in method.needs:
        pixels, _ = read_pixels(bench.dataset, split.train, bench.backbone.image_size)
    return Prepared(cell, split, replace(task, support=train, validation=val), train, pixels)


def _table(bench: Bench, split: str, indices: Sequence[int]) -> FeatureTable:
    return feature_table(bench.dataset, split, indices, bench.backbone, bench.cache)


def _labelled(bench: Bench, split: str, indices: Sequence[int], classes: Sequence[int]) -> Labelled:
    position = {label: place for place, label in enumerate(classes)}
    labels = torch.tensor([position[bench.dataset.labels[index]] for index in indices], device=bench.device)
    return Labelled(_table(bench, split, indices).take(indices).to(bench.device), labels)


def _train(prepared: list[Prepared], bench: Bench, progress: Progress) -> tuple[list[Params], Fit]:
    """Final parameters of each slot, and the fit."""
    methods = [build(bench.method, ready.cell) for ready in prepared]
    starts = [
        method.init(ready.task, stream(ready.cell.identity.get("split"), ready.cell.shots, ready.cell.seed, "init"))
        for method, ready in zip(methods, prepared, strict=True)
    ]
    stacked = {name: torch.stack([start[name] for start in starts]).to(bench.device) for name in starts[0]}
    knobs = {
        name: torch.tensor([float(getattr(method, name)) for method in methods], device=bench.device)
        for name in methods[0].knobs()
    }
    support = Support(
        features=torch.stack([ready.train.features for ready in prepared]),
        labels=torch.stack([ready.train.labels for ready in prepared]),
        pixels=_stacked_pixels(prepared),
    )
    shared = replace(prepared[0].task, support=None, validation=None)
    packed = PackedMethod(methods[0], knobs, shared)
    validate = _validator(prepared, methods, bench) if prepared[0].cell.selection == "val" else None
    cells = tuple(ready.cell for ready in prepared)
    result = fit(packed, stacked, support, cells, validate, progress)
    with torch.no_grad():
        finished = [
            method.finish({name: value[slot] for name, value in result.params.items()}, ready.task)
            for slot, (method, ready) in enumerate(zip(methods, prepared, strict=True))
        ]
    return finished, result


def _stacked_pixels(prepared: list[Prepared]) -> Tensor | None:
    pixels = [ready.pixels for ready in prepared if ready.pixels is not None]
    return torch.stack(pixels) if pixels else None


def _validator(prepared: list[Prepared], methods: list[Method], bench: Bench) -> Callable[[Params], Tensor]:
    """Parameters (K, ...) to validation accuracies (K,), over each cell's few validation images."""
    pixels = [
        read_pixels(bench.dataset, ready.split.val, bench.backbone.image_size)[0] if ready.pixels is not None else None
        for ready in prepared
    ]

    def validate(params: Params) -> Tensor:
        scores = []
        for slot, (method, ready) in enumerate(zip(methods, prepared, strict=True)):
            if ready.task.validation is None:
                raise ValueError("selection by validation images, but the split has none")
            own = {name: value[slot] for name, value in params.items()}
            logits = logits_of(method, own, ready.task, ready.task.validation.features, pixels[slot])
            scores.append((logits.argmax(1) == ready.task.validation.labels).double().mean())
        return torch.stack(scores)

    return validate


def _score(
    pack: Pack,
    slot: int,
    ready: Prepared,
    trained: tuple[list[Params], Fit],
    bench: Bench,
    seconds: float,
    started: str,
) -> Outcome:
    """The outcome of one slot: scored, or failed by its own numbers."""
    params, result = trained[0][slot], trained[1]
    method = build(bench.method, ready.cell)
    began = time.perf_counter()
    try:
        _refuse_diverged(params, result.losses[:, slot] if len(result.losses) else torch.zeros(0))
        scores, predictions = {}, []
        for split, evaluation in scored_sets(ready):
            scores[evaluation.name], given = _evaluate(split, evaluation, ready, method, params, bench)
            predictions.append(given)
    except Exception as error:  # noqa: BLE001 - a cell that cannot be scored fails alone
        return failed(ready.cell, error, provenance(pack, bench.device, started))
    record = Record(
        cell=ready.cell,
        metrics=bench.protocol.metrics(scores) if ready.cell.scored == "test" else validation_metrics(scores),
        curves=_curves(result, slot),
        cost=Cost(
            trainable_parameters=sum(value.numel() for name, value in params.items() if name not in method.frozen),
            train_seconds=seconds,
            eval_seconds=time.perf_counter() - began,
            peak_memory_mb=peak_memory_mb(bench.device),
            packed_with=len(pack.cells),
        ),
        provenance=provenance(pack, bench.device, started),
    )
    state = {name: value.detach().cpu().numpy() for name, value in params.items()}
    return Outcome(record, tuple(predictions), state)


def scored_sets(ready: Prepared) -> list[tuple[str, Evaluation]]:
    """(split of the dataset, evaluation) for every set that scores a cell: its few validation images in a search."""
    if ready.cell.scored == "val":
        return [("val", Evaluation("val", ready.split.classes, ready.split.val))]
    return [("test", evaluation) for evaluation in ready.split.evaluations]


def validation_metrics(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """``val_accuracy`` and its companions: names that no one takes for test scores."""
    return {f"val_{name}": value for name, value in scores["val"].items()}


def _evaluate(
    split: str, evaluation: Evaluation, ready: Prepared, method: Method, params: Params, bench: Bench
) -> tuple[dict[str, float], Predictions]:
    examples = _labelled(bench, split, evaluation.indices, evaluation.classes)
    pixels = None
    if "vision_blocks" in method.needs:
        pixels, _ = read_pixels(bench.dataset, evaluation.indices, bench.backbone.image_size)
    task = ready.rebound(bench, evaluation.classes)
    logits = logits_of(method, params, task, examples.features, pixels)
    if not bool(torch.isfinite(logits).all()):
        raise Diverged(f"the logits of {evaluation.name!r} are not finite")
    given = predictions_of(evaluation.name, list(evaluation.indices), logits, examples.labels)
    return scores_of(logits, examples.labels), given


def _refuse_diverged(params: Params, losses: Tensor) -> None:
    if not bool(torch.isfinite(losses).all()):
        epoch = int(torch.isfinite(losses).logical_not().nonzero()[0])
        raise Diverged(f"the training loss is not finite from epoch {epoch + 1} on")
    for name, value in params.items():
        if not bool(torch.isfinite(value).all()):
            raise Diverged(f"the parameter {name!r} is not finite after training")


def _curves(result: Fit, slot: int) -> dict[str, list[float]]:
    curves = {}
    if len(result.losses):
        curves["train_loss"] = [float(np.float32(loss)) for loss in result.losses[:, slot]]
    if result.validation is not None:
        curves["val_accuracy"] = [float(score) for score in result.validation[:, slot]]
    return curves
