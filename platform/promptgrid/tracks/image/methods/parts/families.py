"""Captions in a tree of clusters, by what they say and what their images show."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.assets import Pairs
from promptgrid.contract.clip import Backbone


def joint(pairs: Pairs, backbone: Backbone) -> Tensor:
    """(captions, 2 width): the unit mean of the unit features of a caption's images, beside its own unit feature."""
    sums = torch.zeros(len(pairs.captions), pairs.features.shape[-1]).to(pairs.features)
    sums = sums.index_add(0, pairs.caption_of, F.normalize(pairs.features, dim=-1))
    with torch.no_grad():
        texts = F.normalize(backbone.encode_prompts(pairs.captions), dim=-1)
    return torch.cat([F.normalize(sums, dim=-1), texts], dim=-1)


def families(points: Tensor, least: int) -> list[tuple[Tensor, Tensor]]:
    """Sibling clusters of ``points`` (N, D) of at least ``least`` each: the tree's last forks, left to right.

    A cluster forks at the middle of its first principal direction (Boley, 1998) until its branches would be smaller
    than two clusters. It leads away from the cluster's first point, whose branch stands first.
    """
    found = []
    waiting = [torch.arange(len(points))]
    while waiting:
        rows = waiting.pop()
        branches = _fork(points, rows)
        if len(rows) >= 4 * least:
            waiting += reversed(branches)
        else:
            found.append((branches[0], branches[1]))
    return found


def _fork(points: Tensor, rows: Tensor) -> list[Tensor]:
    own = points[rows.to(points.device)].double()
    centred = own - own.mean(0)
    along = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[0]
    order = (-along if along[0] > 0 else along).argsort(stable=True).cpu()
    half = len(rows) // 2
    branches = rows[order[:half]].sort().values, rows[order[half:]].sort().values
    return sorted(branches, key=lambda branch: int(branch[0]))
