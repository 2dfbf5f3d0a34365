"""The metrics of a cell computed again from the answers that were kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from promptgrid.contract.protocol import Protocol
from promptgrid.contract.track import Predictions
from promptgrid.engine.runner import validation_metrics
from promptgrid.engine.scoring import SCORES, Told
from promptgrid.spec import Cell, Refused


def metrics_again(
    protocol: Protocol, cell: Cell, predictions: Sequence[Predictions], left_out: Mapping[str, int]
) -> dict[str, float]:
    """What ``protocol`` makes of the kept answers to each scored set of ``cell``.

    Args:
        protocol: of the cell.
        cell: whose answers they are.
        predictions: one for each scored set.
        left_out: by scored set, the position of the class that ``micro_f1`` does not count.

    Raises:
        Refused: the answers do not say how many classes there were, or are not about the sets that the protocol scores.
    """
    scores = {}
    for part in predictions:
        if not part.classes or not len(part.label):
            raise Refused("the answers do not say between which classes they choose", where=part.evaluation)
        answers, labels = torch.from_numpy(part.top[:, 0].astype("int64")), torch.from_numpy(part.label.astype("int64"))
        told = Told(answers, labels, len(part.classes), left_out.get(part.evaluation))
        scores[part.evaluation] = {name: SCORES[name](told) for name in protocol.scores}
    try:
        return protocol.metrics(scores) if cell.scored == "test" else validation_metrics(scores)
    except (KeyError, ValueError) as error:
        raise Refused(f"the protocol scores other sets: {error}", where=cell.protocol, got=sorted(scores)) from error
