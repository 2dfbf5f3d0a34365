"""Methods that adapt to each test image against their references, one image at a time. They share the views.

AdamW's first step has full length whatever the size of a gradient, so float32 can turn numbers whose gradient is all
rounding; in float64 everything agrees to 1e-8.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest
import torch
from tests.reference.bench import SHOTS, Bench, first
from tests.reference.task import Params, Plain
from torch import Tensor

from promptgrid.contract.clip import Backbone, Labelled, Task
from promptgrid.contract.clip.method import adaptation_of
from promptgrid.spec import Cell
from promptgrid.tracks.image.data.adapting import adapted_logits
from promptgrid.tracks.image.data.test_views import Looks, looks_at

TOLERANCE, EXACT = 1e-5, 1e-8
FEW: dict[str, Any] = {"views": 9, "kept": 0.4}
STAND_IN: dict[str, Any] = {"views": 6, "generated": 5, "variations": "stand_in", "near": 0.7, "kept": 0.5}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "tpt": ("tpt", {}),
    "tpt-five_steps": ("tpt", FEW | {"tuning_steps": 5}),
    "diff_tpt": ("diff_tpt", STAND_IN),
    "diff_tpt-logits": ("diff_tpt", STAND_IN | {"space": "logits", "tuning_steps": 5}),
    "prompt_align": ("prompt_align", FEW),
    "prompt_align-five_steps": ("prompt_align", FEW | {"tuning_steps": 5, "tuning_rate": 0.005, "layers": 4}),
}
every_case = pytest.mark.parametrize("case", CASES)


@every_case
def test_answers_to_the_test_images(bench: Bench, case: str) -> None:
    cell = _cell(bench, case)
    (outcome,) = bench.run([cell])
    assert outcome.record.status == "done", outcome.record.log_tail
    plain = bench.plain(cell)
    learned = _learned(cell, plain, _start(bench, cell, bench.encoder))
    state = {name: torch.from_numpy(value) for name, value in outcome.state.items()}
    for name, value in learned.items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=TOLERANCE * max(1.0, float(value.abs().max())))
    views, unit = _views(bench, cell), bench.encoder.logit_scale
    wanted = torch.stack([_reference(cell).answer(plain, state, each, **cell.settings) for each in views])
    (given,) = outcome.predictions
    found = torch.zeros(given.scores.shape).scatter(
        1, torch.from_numpy(given.top).long(), torch.from_numpy(given.scores)
    )
    torch.testing.assert_close(found[::2] / unit, wanted / unit, rtol=0, atol=TOLERANCE)
    with torch.no_grad():
        before = _reference(cell).logits(plain, state, views[:, 0], **cell.settings)
    assert float((wanted - before).abs().max()) > 100 * TOLERANCE * unit, "adapting changed nothing"


@every_case
def test_answers_in_float64(bench: Bench, case: str) -> None:
    cell = _cell(bench, case)
    plain, views = bench.plain(cell, exact=True), _views(bench, cell)
    start = {name: value.double() for name, value in _start(bench, cell, bench.encoder).items()}
    learned = _learned(cell, plain, _reference(cell).start(plain, start, **cell.settings))
    inside = "vision_blocks" in bench.method(cell).needs
    features = torch.stack([bench.exact.encode_pixels(each) for each in views])
    looks = Looks(features, (lambda low, high: views[low:high]) if inside else None)
    found = adapted_logits(bench.method(cell), learned, _task(bench, bench.exact), looks)
    wanted = torch.stack([_reference(cell).answer(plain, learned, each, **cell.settings) for each in views])
    assert found.dtype == wanted.dtype == torch.float64
    torch.testing.assert_close(found, wanted, rtol=0, atol=EXACT * bench.encoder.logit_scale)


@pytest.mark.parametrize("case", ["prompt_align"])
def test_statistics_are_of_the_training_images(bench: Bench, case: str) -> None:
    cell = _cell(bench, case)
    plain, task = bench.plain(cell), _task(bench, bench.encoder)
    start = _start(bench, cell, bench.encoder)
    features = bench.encoder.encode_pixels(plain.train.pixels)
    task = task.but(support=Labelled(features, plain.train.labels, pixels=lambda: plain.train.pixels))
    with torch.no_grad():
        found = bench.method(cell).finish(start, task)
        means, variances = _reference(cell).statistics(plain, start, plain.train.pixels, 3)
    torch.testing.assert_close(found["means"], means, rtol=0, atol=TOLERANCE * float(means.abs().max()))
    torch.testing.assert_close(found["variances"], variances, rtol=0, atol=TOLERANCE * float(variances.abs().max()))
    assert float(variances.max()) > 0


def test_every_method_that_adapts_has_a_reference(bench: Bench) -> None:
    methods = bench.track.resolver.methods.items()
    assert {name for name, method in methods if adaptation_of(method()) is not None} == {
        name for name, _ in CASES.values()
    }


def _cell(bench: Bench, case: str) -> Cell:
    method, settings = CASES[case]
    return bench.cell(method, settings, 1)


def _reference(cell: Cell) -> ModuleType:
    return importlib.import_module(f"tests.reference.{cell.method}")


def _learned(cell: Cell, plain: Plain, start: Params) -> Params:
    """What every image starts from."""
    reference = _reference(cell)
    found = reference.train(plain, start, **cell.settings) if hasattr(reference, "train") else start
    return {name: value.detach() for name, value in found.items()}


def _task(bench: Bench, tower: Backbone) -> Task:
    card = bench.task.card
    return Task.of(card.name, tuple(card.classes), card.template, tower, shots=SHOTS)


def _start(bench: Bench, cell: Cell, tower: Backbone) -> Params:
    return first(bench, cell, bench.method(cell), _task(bench, tower))


def _views(bench: Bench, cell: Cell) -> Tensor:
    """(N, V, 3, s, s): the documented views of every second test image."""
    images = [bench.task.read(index) for index in bench.task.splits["test"]]
    looks = looks_at(images[::2], bench.method(cell).adaptation, bench.encoder, inside=True)
    assert looks.pixels is not None
    return looks.pixels(0, len(images[::2]))
