"""Several models that answer together: the mean of their probabilities, as an ensemble over draws asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.engine.data import PackData, Prepared


@dataclass(frozen=True)
class Model:
    """A cell's data with what answers for it: its own parameters, or those of a member of its ensemble."""

    ready: Prepared
    params: Params


def members_of(ready: Prepared, data: PackData) -> Iterator[Model]:
    """The models that answer together for a cell, one in memory at a time.

    Raises:
        SourceLost: what one of them learned is not in the store any more.
    """
    for key, settings in zip(ready.cell.needs, ready.cell.members, strict=True):
        yield Model(replace(ready, method=data.opened.method(**settings)), data.learned(key))


def answered_together(logits: Iterable[Tensor]) -> Tensor:
    """(N, C) logarithms of the mean probability of each class, of (N, C) logits of each model.

    Probabilities are averaged, not logits: a model that is sure of one class counts no more than one that is not. In
    float64 and by logarithms, so that no probability is lost as too small. One model alone is left as it is.
    """
    every = iter(logits)
    first = next(every)
    total, count = None, 1
    for one in every:
        total = first.double().log_softmax(1) if total is None else total
        total, count = torch.logaddexp(total, one.double().log_softmax(1)), count + 1
    return first if total is None else total - torch.log(torch.tensor(float(count), dtype=torch.float64))
