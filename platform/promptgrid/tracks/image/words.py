"""Which words a learned prompt is nearest to, as CoOp's ``interpret_prompt`` asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from promptgrid.contract.track import Kept
from promptgrid.engine.exporting import arrays_of
from promptgrid.spec import Refused

SPOKEN = ("coop", "cocoop", "kgcoop", "prograd")
"""Methods whose context enters the text tower as it was learned, where words do."""


def nearest_words(kept: Kept, load: Callable[[str, str, str], Any], count: int) -> list[dict[str, Any]]:
    """The ``count`` words nearest to each token, by Euclidean distance between embeddings, nearest first.

    Rows have ``of`` (a class, where each has its own context), ``token`` (from 1), ``rank``, ``word`` (``</w>`` ends
    one) and ``distance``. ``load`` gives the backbone of an id, a device and a digest.

    Raises:
        Refused: no context of words was learned; nothing is loaded then.
    """
    cell = kept.record.cell
    if cell.method not in SPOKEN or "context" not in arrays_of(kept):
        raise Refused("learned no context of words", where=cell.key[:12], got=cell.method,
                      expected=f"a cell of {', '.join(SPOKEN)}")  # fmt: skip
    words, embedded = load(cell.backbone, "cpu", str(cell.identity["backbone"])).vocabulary()
    context = torch.from_numpy(arrays_of(kept)["context"].copy()).double()
    classes = list(kept.about.get("classes", ())) if context.dim() == 3 else [""]
    rows = []
    for name, tokens in zip(classes, context if context.dim() == 3 else context[None], strict=True):
        distances = torch.cdist(tokens, embedded.double(), compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distances.sort(dim=1, stable=True)
        for token, (far, ids) in enumerate(zip(nearest.values.tolist(), nearest.indices.tolist(), strict=True), 1):
            rows += [
                {"of": name, "token": token, "rank": rank, "word": words[ids[rank - 1]], "distance": far[rank - 1]}
                for rank in range(1, min(count, len(words)) + 1)
            ]
    return rows
