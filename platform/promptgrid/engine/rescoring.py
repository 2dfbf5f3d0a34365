"""The metrics of a cell computed again from the answers that were kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from promptgrid.contract.protocol import Evaluation, Protocol
from promptgrid.contract.track import Predictions
from promptgrid.engine.runner import validation_metrics
from promptgrid.engine.scoring import SCORES, Told
from promptgrid.spec import Cell, Refused


def metrics_again(
    protocol: Protocol, cell: Cell, predictions: Sequence[Predictions], sets: Mapping[str, Evaluation]
) -> dict[str, float]:
    """What ``protocol`` makes of the kept answers to each scored set of ``cell``.

    Args:
        protocol: of the cell.
        cell: whose answers they are.
        predictions: one for each scored set.
        sets: the scored sets by name, as far as a score asks for more than answers and labels.

    Raises:
        Refused: the answers do not say how many classes there were, are not about the sets that the protocol scores, or
            keep too little for one of its scores.
    """
    scores = {}
    for part in predictions:
        if not part.classes or not len(part.label):
            raise Refused("the answers do not say between which classes they choose", where=part.evaluation)
        answers, labels = torch.from_numpy(part.top[:, 0].astype("int64")), torch.from_numpy(part.label.astype("int64"))
        one = sets.get(part.evaluation)
        none = None if one is None or one.left_out is None else one.classes.index(one.left_out)
        own = one.scored_by if one is not None else None
        told = Told(answers, labels, len(part.classes), none, _logits(part), own, _sure(part))
        scores[part.evaluation] = {name: SCORES[name](told) for name in protocol.scores}
    try:
        return protocol.metrics(scores) if cell.scored == "test" else validation_metrics(scores)
    except (KeyError, ValueError) as error:
        raise Refused(f"the protocol scores other sets: {error}", where=cell.protocol, got=sorted(scores)) from error


def _logits(part: Predictions) -> torch.Tensor:
    """(N, C) logits where all of them were kept, else (0, 0): of more classes only the first few are."""
    if part.top.shape[1] < len(part.classes):
        return torch.zeros(0, 0)
    found = torch.zeros(len(part.label), len(part.classes))
    return found.scatter(1, torch.from_numpy(part.top.astype("int64")), torch.from_numpy(part.scores.copy()))


def _sure(part: Predictions) -> torch.Tensor | None:
    """(N,) probabilities of the answers, to the precision of kept logits; None in records of version 1."""
    if part.logsumexp is None:
        return None
    return torch.from_numpy(np.exp(part.scores[:, 0].astype(np.float64) - part.logsumexp))
