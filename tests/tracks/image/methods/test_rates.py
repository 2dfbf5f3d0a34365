"""The learning rate of every step of every shipped method, against formulas written out here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import pytest

from promptgrid.catalog import track
from promptgrid.contract.clip import Task
from promptgrid.engine.training.schedule import Schedule

CLASSES = tuple("abcdefghij")
METHODS = track("image").resolver.methods


def dassl(rate: float, epochs: int) -> list[float]:
    """One epoch at 1e-5, then the cosine from its beginning."""
    return [1e-5] + [rate * (1 + cos(pi * n / epochs)) / 2 for n in range(epochs - 1)]


def cosine(rate: float, moves: int) -> list[float]:
    return [rate * (1 + cos(pi * n / moves)) / 2 for n in range(moves)]


def constant(rate: float, moves: int) -> list[float]:
    return [rate] * moves


def menghini(rate: float, epochs: int) -> list[float]:
    """Five epochs up from 0, then the cosine over what is left."""
    return [rate * n / 5 for n in range(5)] + cosine(rate, epochs - 5)


def spg_stage_2(rate: float, epochs: int) -> list[float]:
    return [rate * n / 4 for n in range(4)] + cosine(rate, epochs - 4)


def three_warm(rate: float, epochs: int) -> list[float]:
    return [1e-5] * 3 + cosine(rate, epochs)[:-3]


def visual_prompting(rate: float, epochs: int) -> list[float]:
    """A tenth of the epochs up from .1, then the cosine from its beginning."""
    warm = epochs // 10
    return [0.1] + [rate * n / warm for n in range(1, warm)] + cosine(rate, epochs)[:-warm]


def lora(rate: float, steps: int) -> list[float]:
    return [1e-6 + (rate - 1e-6) * (1 + cos(pi * n / steps)) / 2 for n in range(steps)]


def bar(rate: float, steps: int) -> list[float]:
    return [0.1 + (rate - 0.1) * max(0.0, 1 - (n + 1) / (0.9 * steps)) ** 0.9 for n in range(steps)]


def pouf(rate: float, steps: int) -> list[float]:
    return [rate * (1 + 2e-4 * n) ** -0.75 for n in range(steps)]


def spsa_gc(rate: float, steps: int) -> list[float]:
    return [rate / (k + 1) ** 0.4 for k in range(1, steps + 1)]


def tfup_first(rate: float, steps: int) -> list[float]:
    """The first sixth of one cosine over both phases."""
    return cosine(rate, 6 * steps)[:steps]


def tfup_second(rate: float, steps: int) -> list[float]:
    whole = steps // 5 * 6
    return cosine(rate, whole)[whole - steps :]


@dataclass(frozen=True)
class Plain:
    """A recipe at defaults, on a dataset that no paper names. ``epochs`` at 1, 4 and 16 shots."""

    rate: float
    batch: int
    epochs: int | tuple[int, int, int] | None
    of: Callable[[float, int], list[float]] = dassl
    by_step: bool = False
    whole: bool = False
    steps: tuple[int, int, int] = (0, 0, 0)


COOP = (50, 100, 200)
RECIPES = {
    **dict.fromkeys(("coop", "clip_adapter", "gram", "prograd", "upt", "vpt"), Plain(2e-3, 32, COOP)),
    **dict.fromkeys(("apt", "kapt", "pre", "upl", "spg"), Plain(2e-3, 32, 50)),
    **dict.fromkeys(("mvlpt_coop", "mvlpt_upt", "mvlpt_vpt"), Plain(2e-3, 32, 200)),
    **dict.fromkeys(("cocoop", "ctp_tft"), Plain(2e-3, 1, 10)),
    **dict.fromkeys(("ivlp", "promptsrc", "restore", "dpl"), Plain(2.5e-3, 4, 20)),
    **dict.fromkeys(("fpl", "ifpl", "grip", "grip_visual"), Plain(0.1, 16, 150, menghini)),
    **dict.fromkeys(("amt", "mmt", "pmt", "r_amt"), Plain(8e-5, 32, 30, cosine)),
    **dict.fromkeys(("ln_tuning", "bitfit"), Plain(1e-3, 32, 50, cosine)),
    **dict.fromkeys(("cones", "taskres"), Plain(2e-3, 256, (100, 100, 200))),
    "grip_multimodal": Plain(0.01, 16, 150, menghini),
    "deep_language": Plain(2.5e-3, 4, 5),
    "maple": Plain(3.5e-3, 4, 5),
    "prompt_align": Plain(2.6e-3, 4, 2),
    "gopro": Plain(2e-3, 4, 50),
    "kgcoop": Plain(2e-3, 128, 100),
    "mocoop": Plain(0.032, 32, 25, three_warm),
    "lafter": Plain(5e-4, 50, 50, constant),
    "nola": Plain(4e-3, 512, 50, constant),
    "lp_plus_plus": Plain(1.0, 10**6, 300, constant),
    "vp": Plain(40.0, 64, 1000, visual_prompting),
    "bar": Plain(5.0, 128, 5000, bar, by_step=True),
    "blackvip": Plain(0.01, 128, 5000, spsa_gc, by_step=True),
    "vp_spsa": Plain(10.0, 128, 5000, spsa_gc, by_step=True),
    "pouf": Plain(0.01, 96, None, pouf, by_step=True, steps=(5000, 5000, 5000)),
    "clip_lora": Plain(2e-4, 32, None, lora, by_step=True, whole=True, steps=(500, 2000, 8000)),
    "clap": Plain(0.1, 256, 300),
    "image_finetune": Plain(1e-5, 16, 300, cosine, by_step=True),
    "prolip": Plain(1e-5, 10**6, 300, cosine),
    "two_stage": Plain(2e-4, 32, None, lora, by_step=True, whole=True, steps=(180, 720, 2880)),
    "tip_adapter_f": Plain(1e-3, 256, 20, cosine, by_step=True, whole=True),
    "tfup_t": Plain(0.012, 256, 5, tfup_first, by_step=True),
    **dict.fromkeys(
        ("adaptformer", "dvpt", "mapped_head", "pvp_head", "tower_bitfit"),
        Plain(1e-3, 16, None, cosine, by_step=True, whole=True, steps=(200, 200, 200)),
    ),
    "pvp": Plain(5e-3, 16, None, cosine, by_step=True, whole=True, steps=(200, 200, 200)),
}
SECOND = {
    "spg": Plain(2e-4, 32, 70, spg_stage_2),
    "tfup_t": Plain(0.012, 256, 25, tfup_second, by_step=True),
    "two_stage": Plain(2e-4, 32, None, lora, by_step=True, whole=True, steps=(120, 480, 1920)),
}
NOT_FITTED = {
    "diff_tpt",
    "linear_probe",
    "nearest_mean",
    "stata",
    "tfup",
    "tip_adapter",
    "tower_probe",
    "tpt",
    "zero_shot",
}


def test_every_shipped_method_stands_here() -> None:
    shipped = {name for name, kind in METHODS.items() if kind.__module__.startswith("promptgrid.tracks.image.methods.")}
    assert RECIPES.keys() | NOT_FITTED == shipped
    assert not RECIPES.keys() & NOT_FITTED


@pytest.mark.parametrize("name", sorted(NOT_FITTED))
def test_the_others_fit_nothing_by_descent(name: str) -> None:
    assert METHODS[name]().recipe(_task(4, 0)) is None


@pytest.mark.parametrize("shots", [1, 4, 16])
@pytest.mark.parametrize(
    ("name", "turn", "plain"),
    [(name, 0, plain) for name, plain in RECIPES.items()] + [(name, 1, plain) for name, plain in SECOND.items()],
)
def test_rates_are_those_of_the_formula(name: str, turn: int, plain: Plain, shots: int) -> None:
    method: Any = METHODS[name]
    schedule = Schedule.of(method(), _task(shots, turn), len(CLASSES) * shots)
    assert schedule is not None
    at, images = (1, 4, 16).index(shots), len(CLASSES) * shots
    each = max(1, -(-images // plain.batch) if plain.whole else images // plain.batch)
    epochs = plain.epochs[at] if isinstance(plain.epochs, tuple) else plain.epochs
    steps = plain.steps[at] or epochs * each if epochs else plain.steps[at]
    moves = plain.of(plain.rate, steps if plain.by_step else steps // each)
    wanted = moves if plain.by_step else [rate for rate in moves for _ in range(each)]
    assert schedule.batch == min(plain.batch, images)
    assert schedule.rates() == pytest.approx(wanted, rel=1e-11, abs=1e-18)


def _task(shots: int, turn: int) -> Task:
    return Task.of("meadow", CLASSES, "{}", None, shots=shots, turn=turn)  # type: ignore[arg-type]
