"""fp16: every cell has a loss scale of its own, and a step that overflows is computed again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from tests.contracts.small_world import MemoryCache, track
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import SGD, Agree, Batches, Number, Outcome, Outputs, Params, Recipe, Task, Trained, knob
from promptgrid.engine.training import programs
from promptgrid.engine.training.loss_scale import BACKOFF, GROWTH, INTERVAL, LEAST, START, LossScale
from promptgrid.engine.training.policies import Moment, gradients
from promptgrid.engine.training.speed import Speed, half_of
from promptgrid.spec import Pack, Request
from promptgrid.tracks.image.track import ImageTrack

CPU = torch.device("cpu")
LARGEST = 65504.0


def test_a_scale_falls_until_the_gradients_fit_and_grows_behind_sound_steps() -> None:
    scale = LossScale.of(3, CPU)
    scale.interval = 4
    slopes = torch.tensor([1e-6, 1.0, 500.0])

    def tries() -> int:
        found = 0
        while True:
            found += 1
            assert scale.scales is not None
            scaled = slopes * scale.scales
            if scale.fits({"w": scaled.masked_fill(scaled > LARGEST, float("inf")).view(3, 1)}):
                return found

    assert tries() == 1 + 9, "from 2**16 to 2**7"
    assert scale.scales is not None
    assert scale.scales.tolist() == [2.0**16, 2.0**15, 2.0**6 if LARGEST < 500.0 * 2**7 else 2.0**7]
    before = scale.scales.tolist()
    assert [tries() for _ in range(3)] == [1, 1, 1]
    assert scale.scales.tolist() == [2 * value for value in before]
    assert tries() == 2, "what has grown too far falls again"
    assert scale.scales.tolist() == [2.0**17, *before[1:]]


def test_what_is_not_finite_at_any_scale_is_let_pass() -> None:
    scale, grads = LossScale.of(2, CPU), {"w": torch.tensor([[1.0, 2.0], [float("nan"), 1.0]])}
    tries = 1
    while not scale.fits(grads):
        tries += 1
    assert tries == 1 + 32
    assert scale.scales is not None
    assert scale.scales.tolist() == [START, LEAST]
    assert scale.fits(grads)


def test_without_scales_everything_is_let_pass() -> None:
    assert LossScale().fits({"w": torch.full((2, 3), float("nan"))})


def test_a_parameter_of_one_number_is_judged_too() -> None:
    assert LossScale.of(2, CPU).fits({"w": torch.zeros(2)})
    assert not LossScale.of(2, CPU).fits({"w": torch.tensor([0.0, float("inf")])})


def test_what_overflows_in_the_guide_of_agree_is_seen() -> None:
    """Else its numbers would pass for numbers to be dropped, and main would not move."""

    def losses(params: Params) -> dict[str, Tensor]:
        scaled = params["w"].sum(1)
        return {"main": 1e-3 * scaled, "guide": 1e35 * scaled}

    scale, params = LossScale.of(1, CPU), {"w": torch.zeros(1, 3)}
    tries = 0
    while True:
        tries += 1
        _, grads = gradients(Agree("main", "guide"), losses, params, Moment(1, torch.tensor([5]), scale.scales))
        if scale.fits(grads):
            break
    assert tries > 1
    plain = gradients(Agree("main", "guide"), losses, params, Moment(1, torch.tensor([5])))[1]
    torch.testing.assert_close(grads, plain)
    assert plain["w"].tolist() == [[pytest.approx(1e-3)] * 3]


def test_scales_are_torchs() -> None:
    scaler = torch.amp.GradScaler("cpu")
    theirs = scaler.get_scale(), scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()
    assert theirs == (START, GROWTH, BACKOFF, INTERVAL)


@dataclass(frozen=True)
class Steep(Trained):
    """A linear head whose loss counts ``weight`` times, in a product that autocast takes in half precision."""

    name: ClassVar[str] = "steep"
    kind: ClassVar = "head"

    weight: Number = knob(1.0, low=1e-9, high=1e9, log=True)
    batch_size: int = 4
    epochs: int = 20

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"w": torch.zeros(len(task.classes), task.text.shape[-1])}

    def recipe(self, task: Task) -> Recipe:
        return Recipe(SGD(0.1 / self.weight), self.epochs, Batches(4))

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return F.normalize(image, dim=-1) @ params["w"].mT

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        return {"loss": self.weight * F.cross_entropy(out.logits, labels)}


def taught(weights: list[float], half: bool, monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    own = track().resolver
    here = ImageTrack({"steep": Steep}, own.datasets, own.backbones, own.protocols, own.columns)
    plain = Request("image", "few_shot", "steep", {}, "small", "pictures", 2, 1, "last", "amp")
    asked = [replace(plain, settings={"weight": weight}) for weight in weights]
    speed = Speed(autocast="fp16" if half else None)
    with monkeypatch.context() as patched:
        patched.setattr(programs, "chooser", lambda device, precision: lambda step, steps, settled: speed)
        cells = tuple(here.resolve(asked))
        return list(here.run(Pack(cells, wanted=frozenset(cell.key for cell in cells)), MemoryCache(), "cpu"))


def test_what_overflows_in_fp16_is_taken_at_a_smaller_scale_and_the_others_do_not_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact, half = (taught([1.0, 1e3], mode, monkeypatch) for mode in (False, True))
    alike = taught([1.0, 1.0 + 1e-3], True, monkeypatch)
    for other in half:
        assert other.record.status == "done", other.record.log_tail
        assert other.record.provenance.speedups == "fp16 autocast"
        assert np.abs(other.state["w"]).max() > 0.1
    np.testing.assert_allclose(half[0].state["w"], exact[0].state["w"], atol=2e-3 * np.abs(exact[0].state["w"]).max())
    assert np.array_equal(half[0].state["w"], alike[0].state["w"])


def test_what_fp16_would_lose_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    (exact,), (half,) = (taught([1e-6], mode, monkeypatch) for mode in (False, True))
    largest = np.abs(exact.state["w"]).max()
    np.testing.assert_allclose(half.state["w"], exact.state["w"], atol=1e-2 * largest)


def test_bf16_where_the_gpu_asked_for_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    turing, ampere = (7, 5), (8, 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", {"cuda:0": ampere, "cuda:1": turing}.get)
    assert [half_of(device) for device in ("cuda:0", "cuda:1")] == ["bf16", "fp16"]


def test_prompts_train_in_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"context_length": 2, "epochs": 3, "batch_size": 4}
    cells = tuple(
        track().resolve([
            Request("image", "few_shot", "coop", settings, "small", "pictures", 2, seed, "last", "amp")
            for seed in (1, 2)
        ])
    )  # fmt: skip
    monkeypatch.setattr(
        programs, "chooser", lambda device, precision: lambda step, steps, settled: Speed(autocast="fp16")
    )
    pack = Pack(cells, wanted=frozenset(cell.key for cell in cells))
    half = list(track().run(pack, MemoryCache(), "cpu"))
    monkeypatch.undo()
    exact = list(track().run(pack, MemoryCache(), "cpu"))
    for one, other in zip(half, exact, strict=True):
        assert one.record.status == "done", one.record.log_tail
        np.testing.assert_allclose(one.record.curves["train_loss"], other.record.curves["train_loss"], atol=0.02)
        assert not np.array_equal(one.record.curves["train_loss"], other.record.curves["train_loss"])
