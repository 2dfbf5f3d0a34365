"""IFPL: see GRIP."""

from __future__ import annotations

from typing import Any

from tests.reference import grip
from tests.reference.grip import logits, start
from tests.reference.task import Params, Pooled

__all__ = ["logits", "start", "train"]


def train(plain: Pooled, begin: Params, **settings: Any) -> Params:
    return grip.train(plain, begin, strategy="ifpl", **settings)
