"""What a grid looks at before its first cell begins, and what of it is there already."""

from __future__ import annotations

import json

import pytest

from promptgrid import api
from promptgrid.engine.planning.packing import ROOMS
from promptgrid.spec import Cell
from promptgrid.towers.clip.costs import Shape
from promptgrid.tracks.image.data.looking import look_seconds
from promptgrid.tracks.image.track import ImageTrack


def cell_of(image_track: ImageTrack, **changes: object) -> Cell:
    suite = api.as_suite(
        {"name": "s", "protocol": "few_shot", "methods": ["coop"], "datasets": ["weather"], "shots": [1], "seeds": [1]}
        | changes
    )
    (cell,) = image_track.resolve([request for _, request in suite.requests([])])
    return cell


def kept(cell: Cell, dataset: str, images: int) -> str:
    """A name in the cache of features."""
    named = {"about": f"weather through x, {images} images", "backbone": cell.identity["backbone"], "dataset": dataset}
    return json.dumps(named, separators=(",", ":"))


def test_every_image_that_a_cell_may_need_is_counted_once(image_track: ImageTrack) -> None:
    splits = image_track.resolver.dataset("weather").card.splits
    shape = Shape(9, 0, **image_track.resolver.sizes("bundled"))
    each = look_seconds(shape, ROOMS["cpu"])
    found = image_track.shared(cell_of(image_track), [])
    assert found is not None
    assert found.name == "weather through bundled"
    assert found.seconds == pytest.approx((splits["train"] + splits["test"]) * each)
    chosen = image_track.shared(cell_of(image_track, selection="val", shots=[4]), [])
    assert chosen is not None
    assert chosen.seconds == pytest.approx(sum(splits.values()) * each)


def test_what_is_in_the_cache_is_not_looked_at_again(image_track: ImageTrack) -> None:
    splits = image_track.resolver.dataset("weather").card.splits
    cell, data = cell_of(image_track), image_track.resolver.dataset("weather").card.sha256
    train, test = kept(cell, data, splits["train"]), kept(cell, data, splits["test"])
    assert image_track.shared(cell, [train, test]) is None
    part, whole = image_track.shared(cell, [test]), image_track.shared(cell, [kept(cell, "0" * 64, splits["train"])])
    assert part is not None
    assert whole is not None
    assert part.seconds == pytest.approx(whole.seconds * splits["train"] / (splits["train"] + splits["test"]))


def test_a_run_leaves_what_the_next_plan_finds(image_track: ImageTrack, tmp_path: object) -> None:
    suite = {"name": "s", "protocol": "few_shot", "methods": ["tip_adapter"], "datasets": ["weather"], "shots": [1]}
    before = api.plan({**suite, "seeds": [1]}, str(tmp_path))
    assert before.packs[0].shared is not None
    assert before.seconds > sum(pack.seconds for pack in before.packs)
    api.run({**suite, "seeds": [1]}, str(tmp_path), local=True, mlflow=False)
    assert [pack.shared for pack in api.plan({**suite, "seeds": [2]}, str(tmp_path)).packs] == [None]


def test_a_larger_tower_takes_what_its_arithmetic_says() -> None:
    assert look_seconds(Shape(10, 0, patches=49), ROOMS["cpu"]) == pytest.approx(0.147, rel=0.1)  # ViT-B/32
    assert look_seconds(Shape(10, 0), ROOMS["cpu"]) > 3 * look_seconds(Shape(10, 0, patches=49), ROOMS["cpu"])
