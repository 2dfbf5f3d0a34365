"""Shortcuts are taken when they were measured to pay, and only where the suite allows them; packs fit the memory."""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.contracts import small_world
from tests.contracts.small_world import MemoryCache

from promptgrid.contract.clip import Outcome
from promptgrid.engine import runner
from promptgrid.engine.training import bf16_units, programs, speed, trainer
from promptgrid.engine.training.optimizers import Optimizer
from promptgrid.engine.training.speed import (
    ALIKE,
    PLAIN,
    Found,
    Speed,
    Step,
    chooser,
    fastest,
    plainly,
)
from promptgrid.spec import Cell, Pack, Reason, Request

AMP, COMPILED, CAPTURED = Speed(autocast="bf16"), Speed(compiled=True), Speed(captured=True)


class Machine:
    """A clock that each step moves on by what its way takes; None: that way fails. Compiled steps may be ``off``."""

    def __init__(self, seconds: dict[Speed, float | None], off: float = 0.0) -> None:
        self.seconds = seconds
        self.off = off
        self.now = 0.0
        self.tried: list[Speed] = []

    def step(self, speed: Speed, place: int) -> Found:
        self.tried.append(speed)
        taken = self.seconds[speed]
        if taken is None:
            raise RuntimeError("no kernel")
        self.now += taken
        return torch.ones(1) * (1 + place + self.off * (speed.compiled or speed.captured)), {}

    def choose(self, steps: int, amp: bool, settled: Speed | None = None, graphs: bool = False) -> Speed:
        half = "bf16" if amp else None
        return fastest(self.step, steps, half=half, clock=lambda: self.now, settled=settled, graphs=graphs)


def test_what_is_quicker_is_taken() -> None:
    assert Machine({PLAIN: 1.0, AMP: 0.5}).choose(10, amp=True) == AMP
    assert Machine({PLAIN: 1.0, AMP: 0.95}).choose(10, amp=True) == PLAIN
    both = Speed(autocast="bf16", compiled=True)
    assert Machine({PLAIN: 1.0, AMP: 0.5, both: 0.2}).choose(1000, amp=True) == both
    assert str(both) == "bf16 autocast, compiled"
    assert str(PLAIN) == ""


def test_autocast_is_never_tried_unasked_nor_a_compiler_for_a_short_training() -> None:
    long, short = Machine({PLAIN: 1.0, COMPILED: 0.5}), Machine({PLAIN: 1.0})
    assert long.choose(1000, amp=False) == COMPILED
    assert AMP not in long.tried
    assert short.choose(10, amp=False) == PLAIN


def test_a_graph_is_captured_where_it_is_quicker_and_gives_the_same() -> None:
    assert Machine({PLAIN: 1.0, CAPTURED: 0.1}).choose(100, amp=False, graphs=True) == CAPTURED
    assert Machine({PLAIN: 1.0}).choose(20, amp=False, graphs=True) == PLAIN
    assert Machine({PLAIN: 1.0, CAPTURED: 0.95}).choose(100, amp=False, graphs=True) == PLAIN
    assert Machine({PLAIN: 1.0, CAPTURED: None}).choose(100, amp=False, graphs=True) == PLAIN
    assert Machine({PLAIN: 1.0, CAPTURED: 0.1}, off=1e-2).choose(100, amp=False, graphs=True) == PLAIN
    both = Speed(autocast="bf16", captured=True)
    assert Machine({PLAIN: 1.0, AMP: 0.5, both: 0.1}).choose(100, amp=True, graphs=True) == both
    assert Machine({AMP: 0.5, both: 0.1}).choose(100, amp=True, settled=both, graphs=True) == both
    assert str(both) == "bf16 autocast, CUDA graph"


def test_the_quicker_of_a_graph_and_a_compiler_is_taken() -> None:
    assert Machine({PLAIN: 1.0, CAPTURED: 0.5, COMPILED: 0.1}).choose(1000, amp=False, graphs=True) == COMPILED
    assert Machine({PLAIN: 1.0, CAPTURED: 0.1, COMPILED: 0.5}).choose(1000, amp=False, graphs=True) == CAPTURED


def test_a_shortcut_that_fails_is_not_taken() -> None:
    assert Machine({PLAIN: 1.0, AMP: None, COMPILED: None}).choose(1000, amp=True) == PLAIN


def test_autocast_whose_range_is_too_small_is_not_taken() -> None:
    def step(speed: Speed, place: int) -> Found:
        return torch.tensor([1.0, float("nan") if speed.autocast else 1.0]), {}

    assert fastest(step, 10, half="fp16", clock=iter(range(100)).__next__) == PLAIN


@pytest.mark.parametrize(
    ("gradient", "same"),
    [
        ([[1000.0, 0.0], [0.5, 0.5]], True),
        ([[1000.0, 0.0], [-0.4, 0.0]], False),
        ([[1000.5, 1e-4], [0.5, 0.5]], True),
    ],
)
def test_compiled_steps_are_held_to_the_plain_ones_cell_by_cell(gradient: list[list[float]], same: bool) -> None:
    loss, truth = torch.ones(2), {"w": torch.tensor([[1000.0, 0.0], [0.5, 0.5]])}
    assert speed._alike((loss, {"w": torch.tensor(gradient)}), (loss, truth), 1e-3) is same
    faint = {"w": 5e-7 * truth["w"].sign()}
    assert not speed._alike((loss, {"w": -faint["w"]}), (loss, faint), 1e-3)


def test_a_refused_compiler_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(synchronize=lambda device: None))
    ticks = iter(range(10_000))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: float(next(ticks)))
    tried: list[Speed] = []

    def step(way: Speed, place: int) -> Found:
        tried.append(way)
        return torch.ones(1), {}

    choose = chooser("cuda:0", "fp32")
    assert choose(step, 1000, None) == PLAIN
    assert COMPILED in tried
    tried.clear()
    assert choose(step, 1000, PLAIN) == PLAIN
    assert COMPILED not in tried


def test_a_compiler_that_changes_numbers_is_not_taken() -> None:
    assert Machine({PLAIN: 1.0, COMPILED: 0.5}, off=1e-4).choose(1000, amp=False) == COMPILED
    assert Machine({PLAIN: 1.0, COMPILED: 0.5}, off=1e-2).choose(1000, amp=False) == PLAIN


def test_autocast_is_settled_once_and_a_compiler_asked_again_where_many_steps_are_left() -> None:
    both = Speed(autocast="bf16", compiled=True)
    later = Machine({PLAIN: 0.1, AMP: 1.0, both: 0.5})
    assert later.choose(1000, amp=True, settled=AMP) == both
    assert PLAIN not in later.tried
    few = Machine({})
    assert few.choose(10, amp=True, settled=both) == AMP
    assert not few.tried
    assert Machine({PLAIN: 1.0, COMPILED: 2.0}).choose(1000, amp=True, settled=PLAIN) == PLAIN


def test_a_cpu_is_plain_unless_half_precision_is_asked_for() -> None:
    assert chooser("cpu", "fp32") is plainly
    assert chooser("cuda:0", "fp32") is not plainly


def test_a_cpu_without_bf16_units_is_not_asked_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "bf16_units", lambda: "")
    machine = Machine({})
    found = chooser("cpu", "amp")(machine.step, 1000, None)
    assert found == PLAIN
    assert not machine.tried
    assert str(found) == "fp32: this CPU has no bf16 units"


@pytest.mark.parametrize(("took", "said"), [(0.5, "bf16 autocast"), (0.95, "fp32: bf16 autocast was not quicker")])
def test_a_cpu_with_bf16_units_takes_what_it_measures_and_never_compiles(
    monkeypatch: pytest.MonkeyPatch, took: float, said: str
) -> None:
    monkeypatch.setattr(speed, "bf16_units", lambda: "amx_bf16")
    machine = Machine({PLAIN: 1.0, AMP: took})
    monkeypatch.setattr(speed.time, "process_time", lambda: machine.now)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    found = chooser("cpu", "amp")(machine.step, 10_000, None)
    assert str(found) == said
    machine.tried.clear()
    assert str(chooser("cpu", "amp")(machine.step, 10_000, found)) == said
    assert not machine.tried


def test_long_steps_are_timed_less_often() -> None:
    short, long = Machine({PLAIN: 0.5, AMP: 1.0}), Machine({PLAIN: 50.0, AMP: 1.0})
    short.choose(1, amp=True)
    long.choose(1, amp=True)
    assert short.tried.count(PLAIN) == 1 + speed.REPEATS + 1  # one that warms up, and one on the other batch
    assert long.tried.count(PLAIN) == 3


def test_flags_are_read_as_the_system_tells_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "flags\t\t: fpu avx512_bf16 amx_bf16 amx_tile": "amx_bf16",
        "flags\t\t: fpu avx512f avx512_bf16": "avx512_bf16",
        "Features\t: fp asimd bf16": "bf16",
        "flags\t\t: fpu avx2\nbugs\t\t: avx512_bf16": "",
        "": "",
    }
    for place, (text, units) in enumerate(told.items()):
        cpuinfo = tmp_path / str(place)
        cpuinfo.write_text(f"processor\t: 0\n{text}\n")
        monkeypatch.setattr(bf16_units, "CPUINFO", cpuinfo)
        assert bf16_units.bf16_units.__wrapped__() == units
    monkeypatch.setattr(bf16_units, "CPUINFO", tmp_path / "none")
    assert bf16_units.bf16_units.__wrapped__() == ""


def cells(precision: str = "fp32") -> list[Cell]:
    plain = Request("image", "few_shot", "clip_adapter", {"epochs": 3}, "small", "pictures", 2, 1, "last", precision)
    return small_world.track().resolve([replace(plain, seed=seed) for seed in (1, 2, 3, 4)])


def run(pack: Pack, cache: MemoryCache | None = None) -> list[Outcome]:
    wanted = frozenset(cell.key for cell in pack.cells)
    return list(small_world.track().run(replace(pack, wanted=wanted), cache or MemoryCache(), "cpu"))


def test_precision_makes_another_cell_and_never_shares_a_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "bf16_units", lambda: "")
    plain, amp = cells(), cells("amp")
    assert not {cell.key for cell in plain} & {cell.key for cell in amp}
    assert len(small_world.track().pack(plain + amp)) == 2
    for outcome in run(Pack(tuple(amp))):
        assert outcome.record.status == "done"
        assert outcome.record.provenance.speedups == "fp32: this CPU has no bf16 units"


HALVED = {
    "coop": {"context_length": 2},
    "cocoop": {},
    "maple": {"context_length": 2, "depth": 2},
    "vpt": {"tokens": 2},
    "clip_lora": {"rate": 0.0},
    "vp": {},
    "clip_adapter": {},
}


@pytest.mark.parametrize("method", HALVED)
def test_half_precision_learns_near_full_precision_on_the_same_frozen_features(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    settings = HALVED[method] | {"epochs": 2}
    plain = Request("image", "few_shot", method, settings, "small", "pictures", 2, 1, "last", "fp32")
    exact, rough = MemoryCache(), MemoryCache()
    wanted = run(_pack_of([plain, replace(plain, seed=2)]), exact)
    monkeypatch.setattr(programs, "chooser", lambda device, precision: lambda step, steps, settled: AMP)
    found = run(_pack_of([replace(plain, seed=seed, precision="amp") for seed in (1, 2)]), rough)
    for one, other in zip(found, wanted, strict=True):
        assert one.record.status == "done", one.record.log_tail
        assert one.record.provenance.speedups == "bf16 autocast"
        losses = np.array(one.record.curves["train_loss"]), np.array(other.record.curves["train_loss"])
        gap = np.abs(losses[0] - losses[1]).max()
        assert gap <= ALIKE["bf16"] * losses[1].max()
        assert (gap == 0.0) == (method == "clip_adapter"), "it asks no tower: heads are exact"
    assert exact.kept.keys() == rough.kept.keys()
    for name, arrays in exact.kept.items():
        for part, value in arrays.items():
            assert np.array_equal(rough.kept[name][part], value), "features are cached in full precision"


def _pack_of(requests: list[Request]) -> Pack:
    return Pack(tuple(small_world.track().resolve(requests)))


@pytest.mark.parametrize(("free", "waves"), [(10_000, 1), (3_000, 2), (600, 4)])
def test_a_pack_goes_in_as_many_waves_as_the_free_memory_asks_for(
    monkeypatch: pytest.MonkeyPatch, free: int, waves: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * 2**20, 80_000 * 2**20))
    pack = Pack(tuple(cells()), gpu_memory_mb=5000.0)
    assert programs.waves_for(pack, "cuda", "text") == waves
    assert programs.waves_for(pack, "cpu", "text") == 1


@pytest.mark.parametrize(("times", "waves"), [(1, 1), (4, 1), (5, 2), (16, 4)])
def test_heads_train_near_the_cache_of_a_cpu(times: int, waves: int) -> None:
    assert programs.waves_for(Pack(tuple(cells()) * times), "cpu", "head") == waves


def test_waves_train_every_cell_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = Pack(tuple(cells()))
    whole = run(pack)
    monkeypatch.setattr(runner, "waves_for", lambda pack, device, kind: 3)
    for one, other in zip(whole, run(pack), strict=True):
        assert one.record.cell.key == other.record.cell.key
        for name, value in one.state.items():
            np.testing.assert_allclose(other.state[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("fits", "reason"), [(4, None), (1, None), (0, Reason.OOM_GPU)])
def test_a_gpu_that_runs_out_of_memory_gets_smaller_waves(
    monkeypatch: pytest.MonkeyPatch, fits: int, reason: Reason | None
) -> None:
    real = runner.train

    def train(program: programs.Program, *rest: object) -> object:
        if len(program.cells) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(program, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "train", train)
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(empty_cache=lambda: None))
    assert {outcome.record.reason for outcome in run(Pack(tuple(cells())))} == {reason}


COMPILABLE = {
    "clip_adapter": {"epochs": 2},
    "coop": {"epochs": 2, "context_length": 2},
    "prograd": {"epochs": 2, "context_length": 2},
    "maple": {"epochs": 1, "context_length": 2, "depth": 2},
    "vpt": {"epochs": 1, "tokens": 2},
}


@pytest.mark.parametrize("method", COMPILABLE)
def test_a_compiled_program_learns_what_a_plain_one_learns(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """What is compiled are the steps as written down; coop's go through the compiler, up to its kernels."""
    plain = Request("image", "few_shot", method, COMPILABLE[method], "small", "pictures", 2, 1, "last", "fp32")
    asked = [replace(plain, seed=seed, shots=shots) for seed in (1, 2) for shots in (2, 4)]
    pack = Pack(tuple(small_world.track().resolve(asked)))
    exact = run(pack)
    compiler = partial(torch.compile, backend="aot_eager", fullgraph=True)
    monkeypatch.setattr(torch, "compile", compiler if method == "coop" else lambda written: written)
    monkeypatch.setattr(programs, "chooser", lambda device, precision: lambda step, steps, settled: COMPILED)
    for one, other in zip(exact, run(pack), strict=True):
        assert other.record.status == "done", other.record.log_tail
        assert other.record.provenance.speedups == "compiled"
        np.testing.assert_allclose(other.record.curves["train_loss"], one.record.curves["train_loss"], atol=1e-5)
        for name, value in one.state.items():
            np.testing.assert_allclose(other.state[name], value, atol=1e-4 * max(1.0, np.abs(value).max()))


def test_a_program_is_compiled_once_until_cells_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of other lengths are no other shapes."""
    compiled: list[object] = []

    def counted(graph: object, inputs: object) -> object:
        compiled.append(graph)
        return graph

    monkeypatch.setattr(trainer, "WINDOW", 4)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counted))
    monkeypatch.setattr(programs, "chooser", lambda device, precision: lambda step, steps, settled: COMPILED)
    plain = Request("image", "few_shot", "clip_adapter", {"epochs": 5}, "small", "pictures", 2, 1, "last", "fp32")
    asked = [replace(plain, seed=seed, shots=shots) for seed in (1, 2) for shots in (2, 4)]
    found = run(
        Pack(
            tuple(
                small_world.track().resolve([replace(one, settings={"epochs": 5, "batch_size": 10}) for one in asked])
            )
        )
    )
    assert [outcome.record.status for outcome in found] == ["done"] * 4
    assert len(compiled) == 2


def test_a_program_that_failed_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the smaller waves that it is tried again in would run out of memory too."""
    held: list[weakref.ref[object]] = []

    def update(self: Optimizer, *args: object, **more: object) -> None:
        held.append(weakref.ref(self))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Optimizer, "update", update)
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(empty_cache=lambda: None))
    monkeypatch.setattr(runner.gc, "collect", lambda: None)
    assert {outcome.record.reason for outcome in run(Pack(tuple(cells())))} == {Reason.OOM_GPU}
    assert len(held) > 1
    assert not [one for one in held if one() is not None]


@pytest.mark.parametrize(
    ("method", "settings", "taken"),
    [("clip_lora", {"rate": 0.0}, "compiled"), ("clip_lora", {"rate": 0.5}, ""), ("r_amt", {}, "")],
)
def test_what_is_drawn_outside_of_tensors_is_never_compiled(
    monkeypatch: pytest.MonkeyPatch, method: str, settings: dict[str, Any], taken: str
) -> None:
    """A dropout mask that was written down would be the mask of every step."""
    settings = {"epochs": 2, "batch_size": 4} | settings
    plain = Request("image", "few_shot", method, settings, "small", "pictures", 4, 1, "last", "fp32")
    pack = Pack(tuple(small_world.track().resolve([plain])))
    exact = run(pack)
    monkeypatch.setattr(torch, "compile", lambda written: written)
    monkeypatch.setattr(speed, "WORTH_COMPILING", 0.0)
    monkeypatch.setattr(speed, "GAIN", 1e9)

    def choose(step: Step, steps: int, settled: Speed | None) -> Speed:
        return fastest(step, steps, half=None, clock=time.perf_counter, settled=settled)

    monkeypatch.setattr(programs, "chooser", lambda device, precision: choose)
    for one, other in zip(exact, run(pack), strict=True):
        assert other.record.status == "done", other.record.log_tail
        assert other.record.provenance.speedups == taken
        np.testing.assert_allclose(other.record.curves["train_loss"], one.record.curves["train_loss"], atol=1e-5)
