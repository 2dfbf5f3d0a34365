"""PVP: what is tuned inside an image tower is pre-trained on a source before it meets the few images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Method, Params, Recipe
from promptgrid.contract.first_stage import FirstStage
from promptgrid.towers.methods.adapter import Adapters
from promptgrid.towers.methods.deep_prompts import DeepPrompts
from promptgrid.towers.methods.lora import LoRA
from promptgrid.towers.methods.parts.headed import Headed
from promptgrid.towers.methods.prompt_tuning import PromptTuning
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.told import told

LOW_RANK = frozenset({"down", "up"})
HOSTS: Mapping[str, tuple[type[Headed], frozenset[str]]] = {
    "prompt_tuning": (PromptTuning, frozenset({"prompt"})),
    "deep_prompts": (DeepPrompts, frozenset({"prompt"})),
    "lora": (LoRA, LOW_RANK),
    "adapter": (Adapters, LOW_RANK | {"down_bias", "up_bias"}),
}
"""The methods that can be hosts, with the names of what stage 1 hands on."""
OWN = ("steps", "batch_size")


@dataclass(frozen=True)
class PVP(Method):
    """PVP: stage 1 tunes a ``host`` on a ``source`` with many labels, stage 2 goes on from it with the few images.

    Source: Song et al., the abstract; no code is public.
    Stage 1, once for all tasks: phi*, h_p = argmin CE(h_p(f_phi(x))) over the source's training images, at most
    ``source_shots`` a class, for ``source_steps`` steps of ``source_batch`` images; h_p is thrown away. Stage 2: phi
    starts from phi*, a new head h_d is drawn, both descend CE on the task. The tower f is frozen in both. A host is a
    method with a linear head: VPT-shallow (``prompt_tuning``), VPT-deep, LoRA, adapters; ``host_settings`` are told it
    in both stages, as ``rank=4; learning_rate=0.01``. The source shares no class and no image with the task. Learns
    what the host learns. Without a ``source`` there is no stage 1: the host from a random start.
    Deviations: all that the abstract leaves open, listed in the card.
    """

    name: ClassVar[str] = "pvp"
    kind: ClassVar[str] = "tokens"
    paper: ClassVar[str] = "Song et al., 2023, arXiv:2304.13639"
    axes: ClassVar = Axes("tokens", "weights", stage="pre_training", prompt="soft_prefix", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})
    hosts: ClassVar[Mapping[str, tuple[type[Headed], frozenset[str]]]] = HOSTS

    host: str = "deep_prompts"
    host_settings: str = ""
    steps: int = 200
    batch_size: int = 16
    source: str = ""
    source_shots: int = 4096
    source_steps: int = 500
    source_batch: int = 32
    source_seed: int = 1

    def __post_init__(self) -> None:
        check(self, host=tuple(self.hosts), steps=1, source_shots=1, source_steps=1, source_batch=1)
        _ = self._hosted

    @property
    def open_vocabulary(self) -> bool:
        return False

    @property
    def first_stage(self) -> FirstStage | None:
        if not self.source:
            return None
        kind, kept = self.hosts[self.host]
        own = _told(kind, self.host_settings) | {"steps": self.source_steps, "batch_size": self.source_batch}
        return FirstStage(self.host, self.source, kept, own, self.source_shots, self.source_seed)

    @property
    def _hosted(self) -> Headed:
        return _host(self.hosts[self.host][0], self.host_settings, self.steps, self.batch_size)

    def init(self, task: Any, rng: torch.Generator) -> Params:
        return self._hosted.init(task, rng)

    def recipe(self, task: Any) -> Recipe | None:
        return self._hosted.recipe(task)

    def predict(self, params: Params, batch: Batch, task: Any, once: Any = None) -> Tensor:
        return self._hosted.predict(params, batch, task, once)


def _told(kind: type[Headed], written: str) -> dict[str, Any]:
    return told(cast(Any, kind), written, "host_settings", OWN)


@lru_cache(maxsize=64)
def _host(kind: type[Headed], written: str, steps: int, batch_size: int) -> Headed:
    return kind(**_told(kind, written) | {"steps": steps, "batch_size": batch_size})
