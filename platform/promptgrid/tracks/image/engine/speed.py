"""Shortcuts that a GPU may take, chosen by measurement; on a CPU it is always plain fp32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Speed:
    """How the losses of a step are computed. Its text goes into the provenance."""

    autocast: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        return ", ".join(name for name, on in (("bf16 autocast", self.autocast), ("compiled", self.compiled)) if on)

    def of(self, losses: Callable[..., Any]) -> Callable[..., Any]:
        """``losses`` computed this way."""
        function = torch.compile(losses) if self.compiled else losses
        return self._in_bf16(function) if self.autocast else function

    def _in_bf16(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def cast(*args: Any) -> Any:
            with torch.autocast("cuda", torch.bfloat16):
                return function(*args)

        return cast


PLAIN = Speed()
