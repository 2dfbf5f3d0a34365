"""Column ``mask_state``: frozen states at the mask."""

from __future__ import annotations

from promptgrid.tracks.text.data.column_sources import FrozenColumn


class MaskState(FrozenColumn):
    """(B, d) the frozen last hidden state at the mask of the templated text."""

    name = "mask_state"
    beside = "mask_state"
