"""Ragged packs: cells of several shots, seeds and rates train together and each as it would alone."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.contracts import small_world
from tests.contracts.small_world import MemoryCache
from tests.tracks.image.looked_at import still
from torch import Tensor

from promptgrid.contract.clip import SGD, Batch, Batches, Classifier, Method, Outcome, Params, Recipe, Task
from promptgrid.engine.planning.packing import (
    LARGEST,
    LONGEST,
    ROOMS,
    Expectation,
    packs_of,
)
from promptgrid.engine.training.sampling import Sampler
from promptgrid.engine.training.schedule import Schedule
from promptgrid.engine.training.trainer import PackedMethod, fit
from promptgrid.spec import Cell, Pack, Reason, Request
from promptgrid.towers.clip.costs import Shape, halves_mb, step_flops
from promptgrid.tracks.image.methods.bar import BAR
from promptgrid.tracks.image.methods.vp_spsa import VPSpsa

SHOTS, SEEDS, RATES = (1, 2, 7, 8), (1, 2), (0.01, 0.05)
"""On five classes with batches of 8: batches of 5, and of 8 at one, four and five steps an epoch."""


REQUEST = Request("image", "few_shot", "coop", {}, "small", "pictures", 1, 1, "last", "fp32")


def cells(method: str, views: Any = 0, **settings: Any) -> list[Cell]:
    plain = replace(REQUEST, method=method, views=views)
    return small_world.track().resolve([
        replace(plain, settings={**settings, "learning_rate": rate}, shots=shots, seed=seed)
        for shots in SHOTS for seed in SEEDS for rate in RATES
    ])  # fmt: skip


def run(pack: Pack, wanted: list[Cell] | None = None, cache: MemoryCache | None = None) -> dict[str, Outcome]:
    keys = frozenset(cell.key for cell in (pack.cells if wanted is None else wanted))
    found = small_world.track().run(replace(pack, wanted=keys), cache or MemoryCache(), "cpu")
    return {outcome.record.cell.key: outcome for outcome in found}


def same_bits(one: Outcome, other: Outcome) -> bool:
    return one.state.keys() == other.state.keys() and all(
        np.array_equal(one.state[name], other.state[name]) for name in one.state
    )


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("clip_adapter", {"batch_size": 8, "epochs": 3}),
        ("taskres", {"batch_size": 8, "epochs": 3}),
        ("tip_adapter_f", {"batch_size": 8, "epochs": 3}),
        ("coop", {"batch_size": 8, "epochs": 3, "context_length": 2}),
        ("prograd", {"batch_size": 8, "epochs": 3, "context_length": 2}),
        ("vpt", {"batch_size": 8, "epochs": 2, "tokens": 2}),
        ("clip_lora", {"batch_size": 8, "epochs": 2, "rate": 0.5}),
    ],
)
def test_cells_of_all_shots_train_together_as_each_would_alone(method: str, settings: dict[str, Any]) -> None:
    asked = cells(method, **settings)
    assert len({cell.group for cell in asked}) == 1
    together = run(Pack(tuple(asked)))
    for cell in asked[::3]:
        (alone,) = run(Pack((cell,))).values()
        found = together[cell.key]
        assert found.record.status == alone.record.status == "done", found.record.log_tail
        for name, value in alone.state.items():
            unit = max(1.0, float(np.abs(value).max()))
            np.testing.assert_allclose(found.state[name], value, rtol=0, atol=1e-5 * unit, err_msg=name)
        np.testing.assert_allclose(
            found.record.curves["train_loss"], alone.record.curves["train_loss"], rtol=1e-5, atol=1e-5
        )


def test_cells_of_one_shape_give_the_same_bits_in_any_company_of_their_shape() -> None:
    asked = cells("clip_adapter", batch_size=8, epochs=3)
    pack = Pack(tuple(asked))
    turned = Pack(tuple(reversed(asked)))
    one, other = run(pack), run(turned)
    assert all(same_bits(one[cell.key], other[cell.key]) for cell in asked)


@pytest.mark.parametrize("method", ["clip_adapter", "tip_adapter_f"])
@pytest.mark.parametrize("views", [0, 2])
def test_a_resumed_ragged_pack_gives_the_bits_of_the_whole_one(method: str, views: int) -> None:
    asked = cells(method, views, batch_size=8, epochs=3)
    pack, cache = Pack(tuple(asked)), MemoryCache()
    whole = run(pack, cache=cache)
    for wanted in (asked[::5], asked[-1:], asked[:1]):
        for key, outcome in run(pack, wanted, cache).items():
            assert same_bits(outcome, whole[key])
            assert outcome.record.metrics == whole[key].record.metrics


@pytest.mark.parametrize("sick", [2, -1])
def test_a_diverging_cell_leaves_the_others_untouched_to_the_bit(sick: int) -> None:
    """Whether it has the fewest steps of its program or the most: the tensors keep their shapes."""
    asked = cells("clip_adapter", batch_size=8, epochs=3)
    (worse,) = small_world.track().resolve([_request(asked[sick], ratio=1.0, learning_rate=1.0, weight_decay=0.1)])
    explosive = worse.model_copy(update={"settings": {**worse.settings, "learning_rate": 1e30}})
    healthy, harmed = run(Pack(tuple(asked))), run(_with(asked, sick, explosive))
    assert harmed[explosive.key].record.reason is Reason.NAN_LOSS
    rest = [cell for cell in asked if cell.key != asked[sick].key]
    assert all(same_bits(healthy[cell.key], harmed[cell.key]) for cell in rest)


def _request(cell: Cell, **settings: Any) -> Request:
    fields = {name: getattr(cell, name) for name in Request.__dataclass_fields__}
    return Request(**fields | {"settings": {**cell.settings, **settings}})


def _with(asked: list[Cell], place: int, other: Cell) -> Pack:
    changed = list(asked)
    changed[place] = other
    return Pack(tuple(changed))


class Spoiled(MemoryCache):
    """Says that the training images ``gone`` could not be read."""

    def __init__(self, gone: int) -> None:
        super().__init__()
        self.gone = gone

    def spoil(self, arrays: Any) -> Any:
        text = f'{{"{self.gone}": "OSError: truncated"}}'.encode()
        return {**arrays, "damaged": np.frombuffer(text, dtype=np.uint8)}


def test_a_cell_without_its_images_fails_alone_and_the_others_keep_their_bits() -> None:
    asked = cells("clip_adapter", batch_size=8, epochs=3)
    splits = {cell.key: small_world.track().resolver.split(cell) for cell in asked}
    few = set(splits[asked[0].key].train)
    gone = next(image for image in few if sum(image in split.train for split in splits.values()) < len(asked))
    whole, harmed = run(Pack(tuple(asked))), run(Pack(tuple(asked)), cache=Spoiled(gone))
    for cell in asked:
        if gone in splits[cell.key].train:
            assert harmed[cell.key].record.reason is Reason.DATA_CORRUPT
        else:
            assert same_bits(harmed[cell.key], whole[cell.key])
    assert {outcome.record.status for outcome in harmed.values()} == {"done", "failed"}


@dataclass(frozen=True)
class Counting(Classifier):
    """Adds the number of images to its only number, and says how many cells each step had."""

    name = "counting"
    kind = "head"

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"sum": torch.zeros(1)}

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return batch.features + params["sum"]


def fitted(totals: list[int], seen: list[int]) -> tuple[Any, list[Schedule]]:
    backbone = small_world.backbone()
    task = Task.of("d", ("a", "b"), "{}", backbone, shots=1)
    features, labels = (
        torch.randn(8, backbone.width, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0, 1] * 4),
    )
    training = still(features, labels)
    recipe = Recipe(SGD(0.1, 5e-4), batches=Batches(4))
    schedules = [Schedule(recipe, None, 4, 2, total) for total in totals]
    (cell, *_) = cells("clip_adapter")

    class Watched(PackedMethod):
        def losses(self, params: Params, *rest: Any) -> dict[str, Tensor]:
            seen.append(len(params["sum"]))
            return super().losses(params, *rest)

    sampler = Sampler([training] * len(totals), [cell] * len(totals), schedules)
    start = {"sum": torch.zeros(len(totals), 1)}
    return fit(Watched(Counting(), {}, task), start, sampler, schedules), schedules


def test_finished_cells_leave_and_nothing_is_computed_for_them() -> None:
    seen: list[int] = []
    found, _ = fitted([7, 7, 4, 1], seen)
    assert seen == [4, 3, 3, 3, 2, 2, 2]
    assert [len(losses) for losses in found.losses] == [4, 4, 2, 1]
    assert torch.equal(found.params["sum"][0], found.params["sum"][1])
    assert not torch.equal(found.params["sum"][1], found.params["sum"][2])


def test_slots_that_are_not_longest_first_are_refused() -> None:
    with pytest.raises(ValueError, match="longest first"):
        fitted([1, 4], [])


def test_a_schedule_knows_its_rates_and_checkpoints() -> None:
    schedule = Schedule(Recipe(SGD(1.0), epochs=3), None, batch=4, each=2, total=5)
    rates = schedule.rates()
    assert rates[:4] == [1e-5, 1e-5, 1.0, 1.0]
    assert rates[4] == pytest.approx(0.75)
    assert schedule.checkpoints() == {2, 4, 5}


def test_packs_are_of_about_equal_load_and_longest_first() -> None:
    asked = cells("clip_adapter")
    loads = {shots: Expectation(steps=10 * shots, seconds=LONGEST * shots / 32, memory_mb=1.0) for shots in SHOTS}
    packs = packs_of(asked, lambda cell: loads[cell.shots])
    assert sorted(cell.key for pack in packs for cell in pack.cells) == sorted(cell.key for cell in asked)
    assert [cell.shots for pack in packs for cell in pack.cells] == sorted((cell.shots for cell in asked), reverse=True)
    seconds = [pack.seconds for pack in packs]
    assert max(seconds) <= 1.3 * LONGEST
    assert min(seconds) >= 0.5 * max(seconds)


@pytest.mark.parametrize(
    ("one", "sizes"),
    [
        (Expectation(1, 0.0, 0.0), [16]),
        (Expectation(1, 0.0, ROOMS["cpu"].memory_mb / 4), [4, 4, 4, 4]),
        (Expectation(1, 0.0, ROOMS["cpu"].memory_mb / 8, ROOMS["cpu"].memory_mb / 2), [4, 4, 4, 4]),
        (Expectation(1, 0.0, ROOMS["cpu"].memory_mb / 8, 2 * ROOMS["cpu"].memory_mb), [2] * 8),
        (Expectation(1, 2 * LONGEST, 0.0), [1] * 16),
        (Expectation(1, LONGEST, 0.0), [1] * 16),
    ],
)
def test_packs_stay_below_their_bounds(one: Expectation, sizes: list[int]) -> None:
    assert [len(pack.cells) for pack in packs_of(cells("clip_adapter"), lambda cell: one)] == sizes
    assert LARGEST >= 16


@pytest.mark.parametrize(("method", "towers"), [("coop", "t"), ("vpt", "i"), ("maple", "ti"), ("clip_adapter", "")])
def test_half_precision_makes_room_for_the_towers_it_rounds(method: str, towers: str) -> None:
    """Two bytes of every number in the products of their blocks, once a pack; unless told, a tower is ViT-B/16."""
    track = small_world.track()
    kind = track.resolver.method(method)()
    exact, amp = track.resolve([replace(REQUEST, method=method, precision=name) for name in ("fp32", "amp")])
    more = track.pack([amp])[0].gpu_memory_mb - track.pack([exact])[0].gpu_memory_mb
    assert more == pytest.approx(halves_mb(kind, Shape(classes=5, images=5)), abs=1e-6)
    expected = halves_mb(kind, Shape.of(small_world.backbone(), 5, 5))
    blocks = {"t": small_world.open_clip_model().transformer, "i": small_world.open_clip_model().visual.transformer}
    read = [weight for name in towers for weight in blocks[name].parameters() if weight.dim() == 2]
    assert expected == 2 * sum(weight.numel() for weight in read) / 2**20


@pytest.mark.parametrize(
    ("method", "looks"), [(BAR(), 6), (BAR(estimates=1), 2), (VPSpsa(), 10), (VPSpsa(estimates=2), 4)]
)
def test_a_black_box_is_expected_to_be_looked_at_as_often_as_the_step_policy_says(method: Method, looks: int) -> None:
    """One forward pass of a tower is 24 width² layers tokens; what the head takes is little beside it."""
    shape, batch = Shape(classes=10, images=160), 32
    forward = 24.0 * 768**2 * 12 * (196 + 17) * batch
    assert step_flops(method, shape, batch) / forward == pytest.approx(looks, rel=1e-3)


@pytest.mark.parametrize("method", ["clip_adapter", "tip_adapter_f", "coop", "vpt"])
def test_a_pack_that_is_over_leaves_no_tensor_behind(method: str) -> None:
    """A worker lives through thousands of packs, and Python looks for circles of large objects late."""
    settings = {"epochs": 1, **{name: 2 for name in ("context_length", "tokens") if name in _knobs(method)}}
    packs = [Pack((cell,)) for cell in cells(method, **settings)[::4]]
    run(packs[0])
    gc.collect()
    gc.disable()
    try:
        before = living_tensors()
        for pack in packs[1:]:
            run(pack)
        assert living_tensors() <= before
    finally:
        gc.enable()


def _knobs(method: str) -> set[str]:
    return set(small_world.track().resolver.method(method).defaults())


def living_tensors() -> int:
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())
