"""What `promptgrid new method` writes: a working method on a dual encoder, to be filled in."""

STUB = '''"""{title}: say in one sentence what is learned and where (Author et al., venue year).

Equations: name those you implement. Deviations from the paper: list every one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Number, Params, Task, Trained, knob
from promptgrid.contract.clip.method import Kind


@dataclass(frozen=True)
class {title}(Trained):
    """{title}: a learned shift of every class's text feature."""

    name: ClassVar[str] = "{name}"
    kind: ClassVar[Kind] = "head"
    paper: ClassVar[str] = "Author et al., venue year"
    axes: ClassVar = Axes("class_offsets", "head", access="features")  # its place in `promptgrid taxonomy`
    zero_shot_at_start: ClassVar[bool] = True

    strength: Number = knob(1.0, low=0.0, high=10.0)  # a knob changes numbers only; a plain field changes shapes

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {{"shift": torch.zeros(task.text.shape)}}

    def text(self, params: Params, task: Task) -> Tensor:
        return task.text + self.strength * params["shift"]
'''
"""A file, with ``{name}`` and ``{title}`` to be put in."""
