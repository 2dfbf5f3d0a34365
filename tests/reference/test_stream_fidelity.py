"""Methods that let the images of a batch know of each other against their references, one batch at a time."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from tests.reference.bench import Bench
from tests.reference.task import Plain
from tests.tracks.image.looked_at import logits_of
from torch import Tensor

from promptgrid.contract.clip import Backbone, Task
from promptgrid.engine.protocols.test_stream import BATCH
from promptgrid.spec import Cell, Request

TOLERANCE, EXACT = 1e-5, 1e-8
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "stata": ("stata", {}),
    "stata-soft": ("stata", {"counts": "soft", "alpha": 3.0}),
    "stata-other": ("stata", {"neighbours": 2, "smoothness": 4.0, "alpha": 0.1, "rounds": 3}),
    "stata-alone": ("stata", {"smoothness": 0.0}),
}
every_case = pytest.mark.parametrize("case", CASES)


@every_case
def test_probabilities_of_a_batch(bench: Bench, case: str) -> None:
    cell = _cell(bench, case)
    (outcome,) = bench.run([cell])
    assert outcome.record.status == "done", outcome.record.log_tail
    (given,) = outcome.predictions
    assert len(given.example) <= BATCH, "all of them are one batch"
    plain = _plain(bench)
    wanted = _reference(cell, plain, bench.pictures(given.example).pixels).exp()
    scores = torch.zeros(given.scores.shape)
    found = scores.scatter(1, torch.from_numpy(given.top).long(), torch.from_numpy(given.scores)).softmax(1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)
    texts = plain.clip.classes_in(plain.template, plain.classes)
    before = plain.clip.cosine_logits(plain.clip.image(bench.pictures(given.example).pixels), texts).softmax(1)
    assert float((wanted - before).abs().max()) > 100 * TOLERANCE, "the batch changed nothing"


@every_case
def test_log_probabilities_in_float64(bench: Bench, case: str) -> None:
    cell = _cell(bench, case)
    plain, pixels = _plain(bench, exact=True), bench.pictures(bench.task.splits["test"]).pixels
    found = logits_of(bench.method(cell), {}, _task(bench, bench.exact), bench.exact.encode_pixels(pixels))
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, _reference(cell, plain, pixels), rtol=0, atol=EXACT)


def test_every_joint_method_has_a_reference(bench: Bench) -> None:
    joint = {name for name, method in bench.track.resolver.methods.items() if method.joint}
    assert joint == {name for name, _ in CASES.values()}


def _cell(bench: Bench, case: str) -> Cell:
    method, settings = CASES[case]
    asked = Request("image", "test_stream", method, settings, "given", "cut", 0, 1, "last", "fp32")
    return bench.track.resolve([asked])[0]


def _plain(bench: Bench, exact: bool = False) -> Plain:
    """Classes and texts; the training images of it are nobody's."""
    return bench.plain(bench.cell("zero_shot", {}, 1), exact)


def _reference(cell: Cell, plain: Plain, pixels: Tensor) -> Tensor:
    module = importlib.import_module(f"tests.reference.{cell.method}")
    with torch.no_grad():
        found: Tensor = module.logits(plain, {}, pixels, **cell.settings)
    return found


def _task(bench: Bench, tower: Backbone) -> Task:
    card = bench.task.card
    return Task.of(card.name, tuple(card.classes), card.template, tower, shots=0)
