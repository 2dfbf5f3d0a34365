"""Similarity of tasks: prototypes and class names, by hand and on bundled tasks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.contracts import small_world
from tests.contracts.small_world import MemoryCache
from torch.nn import functional as F

from promptgrid.spec import Refused
from promptgrid.tracks.image import similarity
from promptgrid.tracks.image.data.pixels import read_pixels
from promptgrid.tracks.image.datasets.corrupted import Corrupted


def unit(*rows: tuple[float, ...]) -> torch.Tensor:
    return F.normalize(torch.tensor(rows), dim=-1)


def test_nearest_class_by_hand_is_not_symmetric() -> None:
    source, target = unit((1.0, 0.0), (0.0, 1.0)), unit((1.0, 1.0))
    assert similarity.nearest_class(source, target) == pytest.approx(2**-0.5)
    wide = unit((1.0, 0.0), (-1.0, 0.0))
    assert similarity.nearest_class(unit((1.0, 0.0)), wide) == pytest.approx(0.0)  # 1 for one class, -1 for the other
    assert similarity.nearest_class(wide, unit((1.0, 0.0))) == pytest.approx(1.0)
    assert similarity.centroid(source, target) == pytest.approx(1.0)


def test_a_prototype_is_the_mean_of_its_classes_training_images() -> None:
    dataset, backbone = small_world.Pictures(), small_world.backbone()
    found = similarity.prototypes(dataset, backbone, MemoryCache())
    mine = [index for index in dataset.splits["train"] if dataset.labels[index] == 2]
    pixels = read_pixels(dataset, mine, backbone.preprocessing)
    expected = F.normalize(F.normalize(backbone.encode_pixels(pixels), dim=-1).mean(dim=0), dim=-1)
    assert found.shape == (len(dataset.card.classes), backbone.width)
    assert torch.allclose(found[2], expected, atol=1e-5)


def test_targets_without_training_images_are_refused_and_their_page_does_without() -> None:
    """As corrupted copies are; a report leaves the similarities out."""
    damaged = Corrupted(small_world.Pictures(), ("fog",), 1, "fog-1")
    with pytest.raises(Refused, match="no training images to compare tasks by"):
        similarity.similarities(small_world.backbone(), [small_world.Pictures(), damaged], MemoryCache())


def test_a_class_without_examples_has_no_prototype() -> None:
    dataset = small_world.Pictures()
    dataset.splits = {**dataset.splits, "train": [i for i in dataset.splits["train"] if dataset.labels[i] != 1]}
    found = similarity.prototypes(dataset, small_world.backbone(), MemoryCache())
    assert len(found) == len(dataset.card.classes) - 1


def test_very_many_images_are_sampled_class_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "WHOLE_SPLIT", 10)
    monkeypatch.setattr(similarity, "IMAGES_A_CLASS", 3)
    dataset = small_world.Pictures()
    kept = similarity._sample(dataset)
    counts = np.bincount([dataset.labels[index] for index in kept])
    assert counts.tolist() == [3] * len(dataset.card.classes)
    assert set(kept) <= set(dataset.splits["train"])


def test_bundled_tasks_resemble_themselves_and_their_kin(image_track) -> None:  # type: ignore[no-untyped-def]
    tasks = ["weather", "emoji_gestures", "digits"]
    found = image_track.similarities("bundled", tasks, MemoryCache())
    assert list(found) == [*("visual, nearest class", "visual, centroid", "label, nearest class", "label, centroid")]
    for matrix in found.values():
        assert matrix.shape == (3, 3)
        assert np.diag(matrix) == pytest.approx(1.0, abs=1e-5)
        assert (matrix[~np.eye(3, dtype=bool)] < 0.999).all()
    assert found["visual, centroid"] == pytest.approx(found["visual, centroid"].T)
    assert not np.allclose(found["visual, nearest class"], found["visual, nearest class"].T, atol=1e-4)
