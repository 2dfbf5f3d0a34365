"""Answers over whole evaluation sets, and the scores read off them. One cell at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptgrid.contract.columns import Table
from promptgrid.contract.method import Method, Params
from promptgrid.contract.task import Batch, Task
from promptgrid.contract.track import Predictions

TOP = 5


def answers_of(method: Method, params: Params, task: Task, columns: Mapping[str, Table], chunk: int) -> Tensor:
    """(N, ...) answers about all examples; what no batch changes is worked out once, examples go in chunks.

    Args:
        method: with its knobs as numbers.
        params: of one cell.
        task: with the classes to choose between; its ``seed`` is None.
        columns: of the N examples.
        chunk: examples at a time; methods that are ``joint`` see all of them.
    """
    examples = len(next(iter(columns.values())).values)
    size = max(1, examples) if method.joint else chunk
    with torch.no_grad():
        once = method.once(params, task)
        rows = []
        for start in range(0, examples, size):
            part = slice(start, start + size)
            seen = {name: column.show(column.values[part]) for name, column in columns.items()}
            rows.append(method.predict(params, Batch(seen), task, once))
    return torch.cat(rows)


def scores_of(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """``accuracy`` (micro) and ``macro_f1`` (mean over the classes that occur, as sklearn's macro average)."""
    predicted = logits.argmax(1)
    classes = logits.shape[1]
    hit = torch.bincount(labels[predicted == labels], minlength=classes).double()
    seen = torch.bincount(labels, minlength=classes) + torch.bincount(predicted, minlength=classes)
    present = seen > 0
    f1 = (2.0 * hit / seen.clamp(min=1))[present].mean()
    return {"accuracy": float((predicted == labels).double().mean()), "macro_f1": float(f1)}


def predictions_of(
    evaluation: str, indices: list[int], logits: Tensor, labels: Tensor, names: Sequence[str], classes: Sequence[str]
) -> Predictions:
    """The per-example answers kept with a record: top classes, their logits, and what makes probabilities of them."""
    top = logits.topk(min(TOP, logits.shape[1]), dim=1)
    return Predictions(
        evaluation=evaluation,
        image=np.asarray(indices, dtype=np.int64),
        label=labels.cpu().numpy().astype(np.int32),
        top=top.indices.cpu().numpy().astype(np.int32),
        scores=_float32(top.values),
        of_label=_float32(logits.gather(1, labels.to(logits.device).unsqueeze(1)).squeeze(1)),
        logsumexp=_float32(torch.logsumexp(logits.double(), dim=1)),
        names=tuple(names),
        classes=tuple(classes),
    )


def _float32(values: Tensor) -> npt.NDArray[np.float32]:
    return values.cpu().numpy().astype(np.float32)
