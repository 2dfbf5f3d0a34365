"""On a GPU: packs equal their cells, every method learns what it learns on a CPU, and memory that ends is no end.

`make gpu` runs these on a bare machine; `PROMPTGRID_GPU_DEVICE=cpu` rehearses what a CPU can do of them.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from tests.contracts import small_world
from tests.contracts.small_world import MemoryCache, brief, protocol_of

from promptgrid.contract.clip import Backbone, Outcome
from promptgrid.engine import runner
from promptgrid.engine.training import programs, speed
from promptgrid.engine.training.speed import Speed
from promptgrid.spec import Cell, Pack, Request
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.track import ImageTrack

DEVICE = os.environ.get("PROMPTGRID_GPU_DEVICE", "cuda")
ON_GPU = DEVICE.startswith("cuda")
pytestmark = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not ON_GPU, reason="a CPU cannot rehearse this")

FP32 = 1e-4
"""How far a loss, as a share of the largest of its curve, may be from the same on a CPU or in other company."""
HALF = {"bf16": 0.1, "fp16": 0.025}
"""The same in half precision, over four steps of towers whose weights are twice the usual (seen: .050 and .012)."""
ESTIMATED = 2e-2
"""The same, also of a cosine, where gradients are differences of losses, in which rounding weighs a hundred times."""
PACKED: dict[str, dict[str, Any]] = {
    "clip_adapter": {},
    "taskres": {},
    "tip_adapter_f": {},
    "coop": {"context_length": 2},
    "prograd": {"context_length": 2},
    "cocoop": {},
    "maple": {"context_length": 2, "depth": 2},
    "vpt": {"tokens": 2},
    "clip_lora": {"rate": 0.25},
    "promptsrc": {},
    "upt": {},
}
HALVES = ("coop", "cocoop", "maple", "vpt", "clip_lora", "clip_adapter")
GRAPHED = ("clip_adapter", "coop", "vpt", "maple", "prograd")
COMPILED = ("clip_adapter", "coop", "vpt")
METHODS = sorted(small_world.track().resolver.methods)


class OnDevice(small_world.SmallBackbones):
    """The small towers, on the device that is asked for."""

    def load(self, name: str, device: str) -> Backbone:
        return _towers(device)


@cache
def _towers(device: str) -> DualEncoder:
    cpu = small_world.backbone()
    if device == "cpu":
        return cpu
    model = copy.deepcopy(small_world.open_clip_model()).to(device)
    tokenizer = small_tokenizer()
    return DualEncoder("small", "0" * 64, model, tokenizer, small_world.MEAN, small_world.STD)


def small_tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


@pytest.fixture(scope="module")
def wing() -> ImageTrack:
    small = small_world.track()
    found = ImageTrack(
        small.resolver.methods,
        [small_world.SmallDatasets()],
        [OnDevice()],
        small.resolver.protocols,
        small.resolver.columns,
    )
    found.resolver.assets.pairs = small.resolver.assets.pairs
    return found


@pytest.fixture(autouse=True)
def whole_numbers() -> Iterator[None]:
    """The engine's fp32 is fp32: no TF32 in products, unless a test asks for half precision."""
    before = torch.get_float32_matmul_precision()
    yield
    assert torch.get_float32_matmul_precision() == before == "highest"


def cells(
    wing: ImageTrack, method: str, seeds: int = 2, shots: tuple[int, ...] = (2, 4), **settings: Any
) -> list[Cell]:
    known = wing.resolver.method(method).defaults()
    own = {name: value for name, value in {**brief(method), **settings}.items() if name in known}
    plain = Request("image", protocol_of(method), method, own, "small", "pictures", 2, 1, "last", "fp32")
    asked = [replace(plain, seed=seed, shots=count) for seed in range(1, seeds + 1) for count in shots]
    return list({cell.key: cell for cell in wing.resolve(asked)}.values())


def run(wing: ImageTrack, pack: Pack, device: str = DEVICE, wanted: list[Cell] | None = None) -> dict[str, Outcome]:
    keys = frozenset(cell.key for cell in (pack.cells if wanted is None else wanted))
    found = {o.record.cell.key: o for o in wing.run(replace(pack, wanted=keys), MemoryCache(), device)}
    for outcome in found.values():
        assert outcome.record.status == "done", f"{outcome.record.reason}: {outcome.record.log_tail}"
    return found


def gap(one: Outcome, other: Outcome) -> float:
    """The largest difference of a training loss, as a share of the largest loss of the curve."""
    curves = (np.array(o.record.curves.get("train_loss", [0.0])) for o in (one, other))
    first, second = curves
    return float(np.abs(first - second).max() / max(1.0, float(np.abs(first).max())))


def score_gap(one: Outcome, other: Outcome) -> float:
    """The largest difference of a stored score, on the scale of cosines."""
    scale = small_world.backbone().logit_scale
    return max(
        float(np.abs(np.sort(a.scores, 1) - np.sort(b.scores, 1)).max()) / scale
        for a, b in zip(one.predictions, other.predictions, strict=True)
    )


def worst(pairs: Callable[[Outcome, Outcome], float], one: dict[str, Outcome], other: dict[str, Outcome]) -> float:
    return max(pairs(outcome, other[key]) for key, outcome in one.items())


@pytest.mark.parametrize("method", PACKED)
def test_a_pack_equals_its_cells(wing: ImageTrack, method: str, record_property: Any) -> None:
    asked = cells(wing, method, **PACKED[method])
    together = run(wing, Pack(tuple(asked)))
    alone = {key: outcome for cell in asked for key, outcome in run(wing, Pack((cell,))).items()}
    record_property("loss gap", worst(gap, alone, together))
    record_property("cosine gap", worst(score_gap, alone, together))
    assert worst(gap, alone, together) < FP32


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_what_it_learns_on_a_cpu(wing: ImageTrack, method: str, record_property: Any) -> None:
    """A packed cell of two shots; scores within 1e-3 of a cosine, as two steps on noise can part at a tie."""
    asked = cells(wing, method, seeds=2, shots=(2,))
    here, there = run(wing, Pack(tuple(asked)), "cpu"), run(wing, Pack(tuple(asked)))
    record_property("loss gap", worst(gap, here, there))
    record_property("cosine gap", worst(score_gap, here, there))
    room = ESTIMATED if "logits" in wing.resolver.method(method).needs else 1e-3
    assert worst(gap, here, there) < room
    assert worst(score_gap, here, there) < room


@pytest.mark.parametrize("half", ["bf16", "fp16"])
@pytest.mark.parametrize("method", HALVES)
@needs_gpu
def test_half_precision_stays_within_its_tolerance(
    wing: ImageTrack, method: str, half: Any, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    pack = Pack(tuple(cells(wing, method, **PACKED[method])))
    exact = run(wing, pack)
    monkeypatch.setattr(programs, "chooser", lambda device, precision: lambda step, steps, before: Speed(half))
    found = run(wing, pack)
    assert {outcome.record.provenance.speedups for outcome in found.values()} == {f"{half} autocast"}
    record_property("loss gap", worst(gap, exact, found))
    assert worst(gap, exact, found) < HALF[half]


def test_a_resumed_pack_has_its_bits(wing: ImageTrack) -> None:
    asked = cells(wing, "coop", seeds=3, context_length=2)
    pack = Pack(tuple(asked))
    whole = run(wing, pack)
    for key, outcome in run(wing, pack, wanted=asked[::2]).items():
        assert all(np.array_equal(outcome.state[name], whole[key].state[name]) for name in outcome.state)
        assert outcome.record.metrics == whole[key].record.metrics


@needs_gpu
def test_memory_that_ends_makes_waves(wing: ImageTrack, monkeypatch: pytest.MonkeyPatch, record_property: Any) -> None:
    asked = cells(wing, "vpt", seeds=16, shots=(4,), tokens=8, batch_size=20, epochs=2)
    pack = Pack(tuple(asked))
    waves: list[int] = []
    real = runner.programs_of

    def counted(members: Any, bench: Any, parts: int = 1) -> Any:
        waves.append(parts)
        return real(members, bench, parts)

    monkeypatch.setattr(runner, "programs_of", counted)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    whole = run(wing, pack)
    taken = torch.cuda.max_memory_allocated() - before
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 0.6 * taken) / total)
    waves.clear()
    try:
        parted = run(wing, pack)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    record_property("waves", waves)
    record_property("MB of the whole", taken / 2**20)
    assert waves[0] == 1
    assert waves[-1] > 1
    assert worst(gap, whole, parted) < FP32


def test_the_engine_settles_on_a_way_by_itself(wing: ImageTrack, record_property: Any) -> None:
    """With ``precision: amp`` it may be half precision; unasked it never is."""
    asked = cells(wing, "vpt", tokens=2)
    plain = run(wing, Pack(tuple(asked)))
    assert not any("autocast" in outcome.record.provenance.speedups for outcome in plain.values())
    amp = [cell.model_copy(update={"precision": "amp"}) for cell in asked]
    chosen = {outcome.record.provenance.speedups for outcome in run(wing, Pack(tuple(amp))).values()}
    record_property("chosen", sorted(chosen))
    assert all(said.startswith(("bf16 autocast", "fp16 autocast", "CUDA graph", "fp32: ")) for said in chosen)


@pytest.mark.parametrize("method", [*PACKED, "r_amt", "linear_probe", "tpt"])
@needs_gpu
def test_captured_steps_keep_the_losses(
    wing: ImageTrack, method: str, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Where a graph may be had it is taken; a method that draws as it goes has none, and learns the same."""
    pack = Pack(tuple(cells(wing, method, **PACKED.get(method, {}))))
    monkeypatch.setattr(speed, "WORTH_CAPTURING", 10**9)
    exact = run(wing, pack)
    monkeypatch.setattr(speed, "WORTH_CAPTURING", 0)
    monkeypatch.setattr(speed, "GAIN", 1e9)
    found = run(wing, pack)
    taken = {outcome.record.provenance.speedups for outcome in found.values()}
    record_property("taken", sorted(taken))
    record_property("loss gap", worst(gap, exact, found))
    assert worst(gap, exact, found) < FP32
    if method in GRAPHED:
        assert taken == {"CUDA graph"}


@pytest.mark.parametrize("method", COMPILED)
@needs_gpu
def test_compiled_steps_keep_the_losses(
    wing: ImageTrack, method: str, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    pack = Pack(tuple(cells(wing, method, shots=(4,), **PACKED[method])))
    exact = run(wing, pack)
    compiled = Speed(compiled=True)
    monkeypatch.setattr(programs, "chooser", lambda device, precision: lambda step, steps, before: compiled)
    found = run(wing, pack)
    assert {outcome.record.provenance.speedups for outcome in found.values()} == {"compiled"}
    record_property("loss gap", worst(gap, exact, found))
    assert worst(gap, exact, found) < 1e-3
