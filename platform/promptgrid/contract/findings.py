"""What a look at a published dataset on somebody's disk finds, before a grid starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Findings:
    """Sentences about one dataset; each begins with the file or folder that it is about.

    Attributes:
        layout: the name that was asked for, as in ``family:dataset``.
        address: as a suite would name it.
        splits: examples found, by split.
        missing: what is not there.
        wrong: what is there and not as published.
        extra: what is there and is no part of the dataset.
    """

    layout: str
    address: str
    splits: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
