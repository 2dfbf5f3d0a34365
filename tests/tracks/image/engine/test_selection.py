"""Which checkpoint is kept, and what a resumed pack computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from promptgrid.contract.clip import SGD, Outcome, Recipe
from promptgrid.engine.training.keeping import Keeper
from promptgrid.engine.training.schedule import Schedule
from promptgrid.spec import Pack, Refused, Request
from promptgrid.store import FeatureCache
from promptgrid.tracks.image.track import ImageTrack


def ask(selection: str = "last", dataset: str = "digits", seeds: tuple[int, ...] = (1, 2)) -> list[Request]:
    settings = {"epochs": 6, "learning_rate": 0.02}
    return [
        Request("image", "few_shot", "taskres", settings, "bundled", dataset, 2, seed, selection, "fp32")
        for seed in seeds
    ]


def outcomes(track: ImageTrack, pack: Pack, cache: FeatureCache, wanted: frozenset[str]) -> dict[str, Outcome]:
    return {found.record.cell.key: found for found in track.run(replace(pack, wanted=wanted), cache, "cpu")}


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache")


def test_the_best_checkpoint_is_kept_per_cell_and_the_later_on_ties() -> None:
    scores = {0: iter([0.5, 0.4, 0.5]), 1: iter([0.2, 0.2, 0.1])}
    schedule = Schedule(Recipe(SGD(0.1), epochs=3), None, batch=4, each=2, total=6)
    keeper = Keeper(lambda slot, params: next(scores[slot]), [schedule, schedule])
    for steps in range(1, 7):
        keeper.see(steps, 2, {"w": torch.full((2, 1), float(steps))})
    assert keeper.stacked()["w"].flatten().tolist() == [6.0, 4.0]
    assert keeper.scores == [[0.5, 0.4, 0.5], [0.2, 0.2, 0.1]]


def test_selection_by_validation_images_records_its_curve_and_its_own_cells(
    image_track: ImageTrack, cache: FeatureCache
) -> None:
    last, val = image_track.resolve(ask()), image_track.resolve(ask("val"))
    assert not {cell.key for cell in last} & {cell.key for cell in val}
    (pack,) = image_track.pack(val)
    for found in outcomes(image_track, pack, cache, frozenset(cell.key for cell in val)).values():
        assert found.record.status == "done"
        assert len(found.record.curves["val_accuracy"]) == 6


def test_a_resumed_pack_gives_the_bits_of_the_whole_one(image_track: ImageTrack, cache: FeatureCache) -> None:
    cells = image_track.resolve(ask(seeds=(1, 2, 3)))
    (pack,) = image_track.pack(cells)
    whole = outcomes(image_track, pack, cache, frozenset(cell.key for cell in cells))
    for cell in cells:
        (alone,) = outcomes(image_track, pack, cache, frozenset({cell.key})).values()
        assert np.array_equal(alone.state["residual"], whole[cell.key].state["residual"])
        assert alone.record.metrics == whole[cell.key].record.metrics


def test_test_images_never_select(image_track: ImageTrack) -> None:
    resolver = image_track.resolver
    dataset = resolver.dataset("digits")
    split = resolver.protocol("few_shot").split(dataset, 4, 1)
    scored = set(split.evaluations[0].indices)
    assert not scored & (set(split.train) | set(split.val))


@pytest.mark.parametrize("change", [{"shots": 4}, {"seed": 9}, {"settings": {"epochs": 7, "learning_rate": 0.02}}])
def test_what_makes_the_result_makes_the_key(image_track: ImageTrack, change: dict[str, object]) -> None:
    request = ask()[0]
    changed = replace(request, **change)  # type: ignore[arg-type]
    first, second = image_track.resolve([request, changed])
    assert first.key != second.key
    assert image_track.resolve([request])[0].key == first.key


def test_a_refusal_names_the_nearest(image_track: ImageTrack) -> None:
    wrong: list[tuple[Callable[[Request], Request], str]] = [
        (lambda request: replace(request, settings={"epoch": 3}), "did you mean 'epochs'"),
        (lambda request: replace(request, settings={"learning_rate": -1.0}), "out of range"),
        (lambda request: replace(request, settings={"epochs": "many"}), "wrong type"),
        (lambda request: replace(request, dataset="digit"), "did you mean 'digits'"),
        (lambda request: replace(request, protocol="base_to_new"), "classes it was not trained on"),
    ]
    for change, words in wrong:
        with pytest.raises(Refused, match=words):
            image_track.resolve([change(ask()[0])])
