"""Logits over whole evaluation sets, and the scores read off them. One cell at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptgrid.contract import Batch, Method, Params, Predictions, Task
from promptgrid.tracks.image.data.pixels import shown

TOP = 5
CHUNK = 512
CHUNK_INSIDE_TOWER = 64


def logits_of(
    method: Method,
    params: Params,
    task: Task,
    features: Tensor,
    pixels: Tensor | None = None,
    second: Tensor | None = None,
) -> Tensor:
    """(N, classes) logits of all images; class texts are encoded once, images go in chunks.

    Args:
        method: with its knobs as numbers.
        params: of one cell.
        task: with the classes to choose between; its ``seed`` is None.
        features: (N, width) frozen features.
        pixels: (N, 3, size, size) uint8, for methods inside the image tower.
        second: (N, second width) features of the second backbone, for methods that look through one.
    """
    with torch.no_grad():
        text = method.text(params, task)
        rows = [
            method.head(params, method.image(params, batch, task), text, task)
            for batch in _chunks(method, features, pixels, second, task)
        ]
    return torch.cat(rows)


def _chunks(
    method: Method, features: Tensor, pixels: Tensor | None, second: Tensor | None, task: Task
) -> Iterator[Batch]:
    size = CHUNK if pixels is None else CHUNK_INSIDE_TOWER
    if method.joint:
        size = max(1, len(features))
    for start in range(0, features.shape[0], size):
        part = slice(start, start + size)
        seen = shown(task.backbone, method.needs, None if pixels is None else pixels[part])
        yield Batch(features[part], second=None if second is None else second[part], **seen)


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
    """The per-image answers kept with a record: top classes and their logits, and what makes probabilities of them."""
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
