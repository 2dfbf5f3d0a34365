"""How far a run is, and what computes it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass
class Sitting:
    """One uninterrupted stretch of a run on one machine."""

    device: str
    samples: int = 0
    seconds: float = 0.0


@dataclass
class Clock:
    """How far a run is: steps, pictures and seconds over all its sittings."""

    steps: int = 0
    sittings: list[Sitting] = field(default_factory=list)

    @property
    def samples(self) -> int:
        """Pictures seen."""
        return sum(sitting.samples for sitting in self.sittings)

    @property
    def seconds(self) -> float:
        """Time spent, by the wall clock."""
        return sum(sitting.seconds for sitting in self.sittings)


def machine(device: str) -> str:
    """The name of what computes: the card's, or how many CPU threads."""
    return torch.cuda.get_device_name() if device.startswith("cuda") else f"CPU, {torch.get_num_threads()} thread(s)"
