"""Assets reach the methods that need them, in training, in scoring and in restored methods; nobody else sees any."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from promptgrid.catalog import track
from promptgrid.contract.clip import Batch, Params, Task, Trained
from promptgrid.spec import Pack, Request
from promptgrid.tracks.image.data.pixels import prepared, read_pixels
from promptgrid.tracks.image.datasets.bundled import Bundled
from promptgrid.tracks.image.pairs import pair_pool
from promptgrid.tracks.image.track import ImageTrack

SQUARE = Request("image", "semi_supervised", "collector", {"epochs": 1}, "bundled", "emoji_faces", 2, 1, "last", "fp32")
SEEN: dict[str, Any] = {}


class Memory:
    """A cache without a disk."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def get(self, name, compute):
        return self.held.setdefault(name, None) or self.held.__setitem__(name, compute()) or self.held[name]


CACHE = Memory()


@dataclass(frozen=True)
class Collector(Trained):
    """Learns an offset a class and writes down what it is shown."""

    name = "collector"
    kind = "head"
    paper = "unpublished"
    needs: ClassVar[frozenset[str]] = frozenset()
    second: str = "bundled-conv"

    def init(self, task: Task, rng: torch.Generator) -> Params:
        SEEN["init"] = task
        return {"offset": torch.zeros(len(task.classes))}

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        if task.seed is not None:
            SEEN["step"] = task, tuple(batch.second.shape) if "second" in batch else None
        else:
            SEEN["scored"] = task, batch.columns.get("second")
        return batch.features

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return super().head(params, image, text, task) + params["offset"]


@pytest.fixture
def collect(monkeypatch):
    """``collect(needs, square)``: runs the square, gives what was seen and the outcome."""
    shipped = track("image").resolver  # type: ignore[attr-defined]
    methods = {**shipped.methods, "collector": Collector}
    wing = ImageTrack(methods, shipped.datasets, shipped.backbones, shipped.protocols, shipped.columns)

    def run(needs: set[str], square: Request = SQUARE):
        monkeypatch.setattr(Collector, "needs", frozenset(needs))
        SEEN.clear()
        [cell] = wing.resolve([square])
        [outcome] = wing.run(Pack((cell,), wanted=frozenset({cell.key})), CACHE, "cpu")
        assert outcome.record.status == "done", outcome.record.message
        return wing, cell, outcome

    return run


def test_a_method_that_needs_nothing_is_told_nothing(collect) -> None:
    collect(set())
    task = SEEN["init"]
    assert (task.descriptions, task.unlabelled, task.second, task.pairs, task.domains) == (None, None, None, None, ())
    assert SEEN["step"][1] is None
    assert SEEN["scored"][1] is None


def test_the_pool_is_features_of_the_other_training_images_without_labels(collect) -> None:
    wing, cell, _ = collect({"unlabelled"})
    split, task = wing.resolver.split(cell), SEEN["init"]
    assert task.unlabelled.shape == (len(split.unlabelled), task.backbone.width)
    assert (task.seen, len(task.classes)) == (9, 9)
    one = wing.resolver.dataset("emoji_faces")
    again = task.backbone.encode_pixels(read_pixels(one, split.unlabelled[:3], task.backbone.preprocessing))
    assert torch.allclose(task.unlabelled[:3], again, atol=1e-4)
    assert SEEN["step"][0].unlabelled is None, "a step of a pack belongs to no one cell"
    assert SEEN["scored"][0].unlabelled is None


def test_unseen_classes_come_behind_the_seen_ones_where_the_pool_is_needed(collect) -> None:
    square = replace(SQUARE, protocol="transductive_zero_shot")
    wing, cell, outcome = collect({"unlabelled"}, square)
    split, task = wing.resolver.split(cell), SEEN["init"]
    names = wing.resolver.dataset("emoji_faces").card.classes
    assert task.classes == tuple(names[label] for label in split.classes + split.unseen)
    assert task.seen == len(split.classes) == 5
    assert set(outcome.record.metrics) == {"seen_accuracy", "unseen_accuracy", "harmonic_mean"}
    restored = wing.restore(outcome.record, outcome.state, outcome.about, "cpu")
    assert restored.classes == task.classes
    assert {len(given.label) for given in outcome.predictions} == {len(e.indices) for e in split.evaluations}


def test_methods_without_a_pool_learn_the_seen_classes_and_score_all(collect) -> None:
    wing, _, outcome = collect(set(), replace(SQUARE, protocol="transductive_zero_shot", method="kgcoop"))
    assert max(int(given.label.max()) for given in outcome.predictions) == 8
    assert len(wing.restore(outcome.record, outcome.state, outcome.about, "cpu").classes) == 5


def test_descriptions_stay_when_scored_and_restored(collect) -> None:
    wing, _, outcome = collect({"descriptions"})
    assert "sleepy" in SEEN["init"].descriptions
    assert [len(said) >= 2 for said in SEEN["scored"][0].described()] == [True] * 9
    assert len(SEEN["step"][0].described()) == 9
    assert len(wing.restore(outcome.record, outcome.state, outcome.about, "cpu").task.described()) == 9
    with pytest.raises(ValueError, match="'unicorn' has no description"):
        replace(SEEN["init"], classes=("unicorn",)).described()


def test_a_second_backbone_is_seen_in_every_batch(collect) -> None:
    wing, cell, outcome = collect({"second_backbone", "unlabelled"})
    second, split = SEEN["init"].second, wing.resolver.split(cell)
    width = second.support.shape[1]
    assert second.support.shape[0] == len(split.train)
    assert second.unlabelled.shape == (len(split.unlabelled), width)
    assert SEEN["step"][1] == (len(split.train), width)
    assert SEEN["scored"][1].shape == (len(split.evaluations[0].indices), width)
    assert width != SEEN["init"].backbone.width or second.support.shape == SEEN["init"].support.features.shape
    restored = wing.restore(outcome.record, outcome.state, outcome.about, "cpu")
    image = wing.resolver.dataset("emoji_faces").read(split.evaluations[0].indices[0])
    best = restored.logits([image]).argmax(1)
    assert int(best) == int(outcome.predictions[0].top[0, 0])
    assert torch.allclose(SEEN["scored"][1], second_of_scored(restored, image), atol=1e-4)


def second_of_scored(restored, image) -> Tensor:
    return restored.second.encode_pixels(prepared(image, restored.second.preprocessing)[None])


def test_rows_of_the_second_backbone_belong_to_the_rows_of_the_first(collect) -> None:
    """With the first backbone for a second one, both say the same of every image of every batch."""
    rows = []

    class Compare(Collector):
        def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
            rows.append((batch.second - batch.features).abs().sum())
            return batch.features

    wing, cell, _ = collect({"second_backbone"}, replace(SQUARE, settings={"epochs": 1, "second": "bundled"}))
    wing.resolver.methods["collector"] = Compare
    [outcome] = wing.run(Pack((cell,), wanted=frozenset({cell.key})), CACHE, "cpu")
    assert outcome.record.status == "done", outcome.record.message
    scored = [row for row in rows if not torch._C._functorch.is_batchedtensor(row)]
    assert scored
    assert all(float(row) == 0 for row in scored)


def test_pairs_and_domains(collect, monkeypatch) -> None:
    tasks = [Bundled().open(name) for name in ("emoji_faces", "emoji_gestures", "digits")]
    few = pair_pool(tasks[0], tasks)
    monkeypatch.setattr("promptgrid.tracks.image.assets.pair_pool", lambda dataset, bundled: few)
    wing, cell, _ = collect({"image_text_pairs", "domain_labels"}, replace(SQUARE, protocol="few_shot"))
    task, split = SEEN["init"], wing.resolver.split(cell)
    assert task.domains == tuple(tasks[0].domain_labels[index] for index in split.train)
    assert len(task.pairs.features) == len(task.pairs.caption_of) == len(few.captions())
    assert task.pairs.captions[int(task.pairs.caption_of[-1])].startswith("the handwritten digit ")
    assert sorted(set(task.pairs.caption_of.tolist())) == list(range(29)) == list(range(len(task.pairs.captions)))


def test_without_labels_zero_shot_runs_and_descent_says_what_is_missing(collect, monkeypatch) -> None:
    square = replace(SQUARE, protocol="unsupervised", shots=0)
    collect({"unlabelled"}, replace(square, method="zero_shot", settings={}))
    monkeypatch.setattr(Collector, "needs_labels", False)
    with pytest.raises(AssertionError, match="no labelled example to train on"):
        collect({"unlabelled"}, square)
