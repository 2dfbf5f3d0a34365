"""A search written down: which knobs vary, how far, and which configurations are tried."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

DIGITS = 5
"""Significant digits of a drawn value: the last bits of ``exp`` differ between machines, and cells are named by it."""
MOST_EPOCHS = 10_000
LENGTH = "epochs"
"""The setting that says how long a method trains: no knob, as it makes other packs, but a search may vary it."""
Algorithm = Literal["random", "optuna", "asha", "pbt"]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2)]


class SearchEntry(BaseModel):
    """What a suite may say about its search: the budget of every method, and where the knobs are narrowed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    trials: int = Field(default=20, ge=1, le=1000, description="configurations of each method, the written one first")
    seed: int = Field(default=1, ge=0, lt=2**31)
    algorithm: Algorithm = "random"
    epochs: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="[low, high]: also how long each method that has epochs trains"
    )
    one_setting: bool = Field(
        default=False, description="choose one configuration for all datasets, not one for each of them"
    )
    ensemble: bool = Field(
        default=False,
        description="choose nothing: the models of all drawn configurations answer together, by mean probability",
    )
    space: dict[str, dict[str, Bounds]] = Field(default={}, description="method: {knob: [low, high]}")

    @field_validator("epochs")
    @classmethod
    def rising(cls, epochs: list[int] | None) -> list[int] | None:
        if epochs is not None and not 1 <= epochs[0] <= epochs[1] <= MOST_EPOCHS:
            raise ValueError(f"epochs are {epochs}, expected [low, high] within 1 to {MOST_EPOCHS:,}")
        return epochs

    @field_validator("space")
    @classmethod
    def ordered(cls, space: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, list[float]]]:
        for method, knobs in space.items():
            for knob, (low, high) in knobs.items():
                if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                    raise ValueError(
                        f"{method}.{knob} is [{low}, {high}], expected two finite numbers, the lower first"
                    )
        return space


@dataclass(frozen=True)
class Interval:
    """Where the values of a knob come from: uniform between the bounds, of the logarithm where ``log``.

    ``whole``: whole numbers only, for a setting that is no knob.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def at(self, share: float) -> float:
        """The value ``share`` (0 to 1) of the way from low to high, rounded as :meth:`kept`."""
        if self.log:
            return self.kept(math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low))))
        return self.kept(self.low + share * (self.high - self.low))

    def kept(self, value: float) -> float:
        """``value`` with DIGITS significant digits, inside the bounds; rounded to an int where only those count."""
        if self.whole:
            return min(max(round(value), int(self.low)), int(self.high))
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


Knobs = Mapping[str, Mapping[str, Interval]]
"""Of every method a track knows: its knobs with their whole ranges."""


@dataclass(frozen=True)
class Study:
    """One method variant on one backbone: its space, and the configurations tried, in order.

    ``trials`` say what they change in the settings as written; the first changes nothing. Those in ``stopped`` were
    given up before their full budget.
    """

    label: str
    method: str
    backbone: str
    space: Mapping[str, Interval] = field(default_factory=dict)
    trials: tuple[Mapping[str, float], ...] = ({},)
    stopped: frozenset[int] = frozenset()

    def drawn(self, seed: int, trials: int) -> Study:
        """The study with the first ``trials`` of its list of random configurations."""
        count = trials if self.space else 1
        return replace(self, trials=({}, *(configuration(self, seed, trial) for trial in range(1, count))))


def share(seed: int, method: str, knob: str, trial: int) -> float:
    """A number in [0, 1) that belongs to one knob of one trial, whoever asks and in whichever order."""
    raw = hashlib.sha256("\x1f".join(("search", str(seed), method, knob, str(trial))).encode()).digest()
    return int.from_bytes(raw[:6], "big") / 2**48


def configuration(study: Study, seed: int, trial: int) -> dict[str, float]:
    """Values of all knobs of ``study`` in one trial: lists of 20 trials are the beginning of lists of 40."""
    return {knob: place.at(share(seed, study.method, knob, trial)) for knob, place in sorted(study.space.items())}
