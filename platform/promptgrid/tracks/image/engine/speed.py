"""Shortcuts that a GPU may take, chosen by measurement when a program starts; on a CPU it is always plain fp32."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

GAIN = 0.9
"""A shortcut is taken when a step takes at most this share of its time without it."""
WORTH_COMPILING = 300.0
"""Seconds of training left below which torch.compile, which takes minutes itself, is not tried."""
REPEATS = 3
Half = Literal["bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speed:
    """How the losses of a step are computed. Its text goes into the provenance."""

    autocast: Half | None = None
    compiled: bool = False

    def __str__(self) -> str:
        names = ((f"{self.autocast} autocast", self.autocast), ("compiled", self.compiled))
        return ", ".join(name for name, on in names if on)

    def of(self, losses: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
        """``losses`` computed this way on ``device``."""
        function = torch.compile(losses) if self.compiled else losses
        if self.autocast is None:
            return function
        dtype = _DTYPES[self.autocast]

        def cast(*args: Any) -> Any:
            with torch.autocast(device.type, dtype):
                return function(*args)

        return cast


PLAIN = Speed()
Step = Callable[[Speed], None]
"""Takes one step the given way and throws its result away."""
Choose = Callable[[Step, int], Speed]
"""From a step and the number of steps ahead to the way to take them."""


def plainly(step: Step, steps: int) -> Speed:
    """No shortcut."""
    return PLAIN


def chooser(device: str, precision: str) -> Choose:
    """What chooses on ``device``: plain fp32 on a CPU, measurement on a GPU.

    Autocast is tried only where the suite says ``precision: amp``: it changes numbers, so it is part of the cell's
    key. It is bf16, or fp16 on a GPU that can but emulate bf16 (before Ampere). Compiling is a matter of speed alone.
    """
    if not device.startswith("cuda"):
        return plainly
    return lambda step, steps: fastest(step, steps, half=half_of() if precision == "amp" else None, clock=_gpu_clock)


def half_of() -> Half:
    """The half precision that the GPU at hand computes in."""
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def fastest(step: Step, steps: int, *, half: Half | None, clock: Callable[[], float]) -> Speed:
    """The quickest of the shortcuts that are allowed; one that fails is not taken, and the log says why."""
    best, least = PLAIN, _seconds(step, PLAIN, clock)
    if half is not None:
        best, least = _better(step, Speed(autocast=half), best, least, clock)
    if least * steps >= WORTH_COMPILING:
        best, least = _better(step, replace(best, compiled=True), best, least, clock)
    return best


def _better(step: Step, other: Speed, best: Speed, least: float, clock: Callable[[], float]) -> tuple[Speed, float]:
    """``other`` and its seconds where it is quicker than ``best``, else ``best``."""
    try:
        seconds = _seconds(step, other, clock)
    except Exception as error:  # noqa: BLE001 - a compiler that cannot is no reason to stop
        _log.warning("training goes on without %s: %s", other, error)
        return best, least
    return (other, seconds) if seconds <= GAIN * least else (best, least)


def _seconds(step: Step, speed: Speed, clock: Callable[[], float]) -> float:
    """The least seconds of a step, after one that warms up."""
    step(speed)
    times = []
    for _ in range(REPEATS):
        began = clock()
        step(speed)
        times.append(clock() - began)
    return min(times)


def _gpu_clock() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()
