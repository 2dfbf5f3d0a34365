"""PCP with a soft template: as PCP, but the template of both fits is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.text.methods.dart import DART
from promptgrid.tracks.text.methods.parts.rounds import LABELS, PromptedPretraining


@dataclass(frozen=True)
class PCPSoft(PromptedPretraining, DART):
    """PCP, soft: PCP whose fits are those of a DART-style soft template; the pool's lines keep the written template.

    Source: Shi and Lipani, section 3; ZhengxiangShi/PowerfulPromptFT b4ecdea.
    Rounds, recipes and ``labels`` as ``pcp``. Learns what ``dart`` learns.
    Deviations: those of ``pcp`` and of ``dart``.
    """

    name: ClassVar[str] = "pcp_soft"
    paper: ClassVar[str] = "Shi and Lipani, NeurIPS 2023, arXiv:2305.01711"
    axes: ClassVar = Axes(
        "context", "weights", supervision="semi_supervised", prompt="soft_tuning", design="data", family="single_tower"
    )

    ratio: float = 10.0

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": ("all",), "labels": LABELS, "pool_steps": 1}

    @property
    def unread(self) -> frozenset[str]:
        """Nothing: the round on the pool fills in words."""
        return frozenset()
