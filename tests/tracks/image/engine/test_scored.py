"""While hyper-parameters are searched the few validation images score a cell, and nobody looks at a test image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promptgrid.contract.clip import Outcome
from promptgrid.spec import Reason, Refused, Request
from promptgrid.store import FeatureCache
from promptgrid.tracks.image.track import ImageTrack

SETTINGS = {"epochs": 2}


def ask(scored: str, dataset: str = "digits", method: str = "taskres", protocol: str = "few_shot") -> Request:
    settings = SETTINGS if method == "taskres" else {}
    return Request("image", protocol, method, settings, "bundled", dataset, 2, 1, "last", "fp32", scored=scored)


def run(track: ImageTrack, cache: FeatureCache, *requests: Request) -> list[Outcome]:
    cells = track.resolve(requests)
    packs = [replace(pack, wanted=frozenset(cell.key for cell in pack.cells)) for pack in track.pack(cells)]
    found = {one.record.cell.key: one for pack in packs for one in track.run(pack, cache, "cpu")}
    return [found[cell.key] for cell in cells]


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache")


@pytest.fixture
def folder_with_unreadable_test_images(tmp_path: Path) -> str:
    """Two classes of one colour each; every test image is a saved error page."""
    root = tmp_path / "colours"
    for label, colour in {"red": (200, 30, 20), "blue": (20, 40, 210)}.items():
        for split, count in {"train": 3, "val": 3, "test": 2}.items():
            place = root / split / label
            place.mkdir(parents=True)
            for number in range(count):
                if split == "test":
                    (place / f"{number}.png").write_bytes(b"<html>no picture</html>" + bytes([number, len(label)]))
                else:
                    shade = tuple(part + 7 * number + 3 * len(split) for part in colour)
                    Image.new("RGB", (48, 48), shade).save(place / f"{number}.png")
    return f"imagefolder:{root}"


def test_only_validation_images_are_scored(image_track: ImageTrack, cache: FeatureCache) -> None:
    (outcome,) = run(image_track, cache, ask("val"))
    split = image_track.resolver.protocol("few_shot").split(image_track.resolver.dataset("digits"), 2, 1)
    (predictions,) = outcome.predictions
    assert predictions.evaluation == "val"
    assert predictions.example.tolist() == list(split.val)
    assert set(outcome.record.metrics) == {"val_accuracy", "val_macro_f1"}
    right = float(np.mean(predictions.top[:, 0] == predictions.label))
    assert outcome.record.metrics["val_accuracy"] == pytest.approx(right)


def test_test_images_that_cannot_be_read_do_not_stop_a_search(
    image_track: ImageTrack, cache: FeatureCache, folder_with_unreadable_test_images: str
) -> None:
    dataset = folder_with_unreadable_test_images
    searched, tested = run(image_track, cache, ask("val", dataset), ask("test", dataset))
    assert searched.record.status == "done"
    assert tested.record.reason == Reason.DATA_CORRUPT


def test_what_is_scored_names_the_cell_and_plain_cells_keep_their_keys(image_track: ImageTrack) -> None:
    plain, searched = image_track.resolve([ask("test"), ask("val")])
    assert plain.key != searched.key
    assert "scored" not in plain.identity
    assert plain.identity == {key: value for key, value in searched.identity.items() if key != "scored"}
    assert len(image_track.pack([plain, searched])) == 2


def test_base_to_new_is_searched_on_base_classes_alone(image_track: ImageTrack, cache: FeatureCache) -> None:
    (outcome,) = run(image_track, cache, ask("val", method="clip_adapter", protocol="base_to_new"))
    assert int(outcome.predictions[0].label.max()) == 4
    assert "harmonic_mean" not in outcome.record.metrics


def test_a_dataset_without_validation_images_is_refused(image_track: ImageTrack, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("left", "right"):
            place = tmp_path / "photos" / split / label
            place.mkdir(parents=True)
            Image.new("RGB", (40, 40), (len(split) * 20, len(label) * 30, 0)).save(place / "a.png")
    with pytest.raises(Refused, match="validation examples"):
        image_track.resolve([ask("val", f"imagefolder:{tmp_path / 'photos'}")])


def test_a_tuned_tower_is_expected_among_what_is_learned(image_track: ImageTrack, cache: FeatureCache) -> None:
    """Within a tenth of what the state really weighs: biases, norms and the projection are not counted."""
    request = replace(ask("test", method="zero_shot"), method="image_finetune", settings={"epochs": 1})
    (outcome,) = run(image_track, cache, request)
    weighs = sum(value.nbytes for value in outcome.state.values()) / 1e6
    assert image_track.state_mb(outcome.record.cell) == pytest.approx(weighs, rel=0.1)
    assert image_track.state_mb(image_track.resolve([ask("test")])[0]) == 0.0
