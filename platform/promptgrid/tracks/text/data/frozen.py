"""What the frozen tower makes of texts: computed once per (backbone, texts, template), memory-mapped by all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from promptgrid.contract.task import Batch
from promptgrid.contract.track import Arrays, Cache
from promptgrid.spec import canonical_json, digest
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.data.encoded import Encoded, bare, in_template, most_tokens
from promptgrid.tracks.text.datasets.text import TextDataset
from promptgrid.tracks.text.reading import at_mask, pooled, sequence
from promptgrid.tracks.text.reading import bare as bare_of
from promptgrid.tracks.text.reading import templated as templated_of

What = Literal["features", "mask_state"]
CHUNK = 32
WHOLE_SPLIT = 20_000
"""Of a split with at most so many texts all are looked at, once for all cells; of a larger one those that are asked."""
VERSION = 1


def states(
    dataset: TextDataset,
    split: str,
    wanted: Sequence[int],
    what: What,
    template: str,
    backbone: TextBackbone,
    cache: Cache,
    alive: Callable[[], None],
) -> Tensor:
    """(N, d) float32 of the texts ``wanted`` of one split.

    Args:
        dataset: whose texts.
        split: of the dataset.
        wanted: indices.
        what: ``features``, pooled of the bare text, or ``mask_state``, at the mask of the templated one.
        template: of ``mask_state``.
        backbone: frozen.
        cache: of what was computed before.
        alive: called after each few texts.
    """
    whole = dataset.splits[split]
    indices = list(whole) if len(whole) <= WHOLE_SPLIT else sorted(set(wanted))
    texts = [dataset.read(index) for index in indices]
    told = {
        "about": f"{dataset.card.name} through {backbone.id}, {len(indices)} texts, {what}",
        "dataset": dataset.card.sha256,
        "texts": digest(indices),
        "backbone": backbone.digest,
        "what": what,
        "template": template if what == "mask_state" else "",
        "most_tokens": most_tokens(backbone),
        "precision": "fp32",
        "version": VERSION,
    }

    def compute() -> Arrays:
        encoded = bare(backbone, texts) if what == "features" else in_template(backbone, texts, template)
        return {"states": frozen_states(backbone, encoded, what, alive).cpu().numpy()}

    found = cache.get(canonical_json(told), compute)["states"]
    row = {index: place for place, index in enumerate(indices)}
    return torch.from_numpy(np.asarray(found[[row[index] for index in wanted]], dtype=np.float32))


def frozen_states(
    backbone: TextBackbone, encoded: Encoded, what: What, alive: Callable[[], None] = lambda: None
) -> Tensor:
    """(N, d) of ``encoded`` texts, a few of about equal length at a time."""
    mask = encoded.columns["attention" if what == "features" else "templated_attention"]
    order = mask.sum(1).argsort(stable=True)
    parts = []
    with torch.no_grad():
        for chosen in torch.split(order, CHUNK):
            batch = Batch(encoded.rows(chosen.tolist(), pad=backbone.special.pad).columns)
            if what == "features":
                parts.append(pooled(backbone, sequence(backbone, bare_of(batch)), None))
            else:
                parts.append(at_mask(backbone, sequence(backbone, templated_of(batch)), None))
            alive()
    found = torch.cat(parts) if parts else torch.zeros(0, backbone.width)
    return found[order.argsort()].float()
