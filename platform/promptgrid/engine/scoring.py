"""Answers over whole evaluation sets, and the scores read off them. One cell at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptgrid.contract.columns import Table
from promptgrid.contract.method import Method, Params
from promptgrid.contract.task import Batch, Task
from promptgrid.contract.track import Predictions
from promptgrid.spec import Refused

TOP = 5
BINS = 15
"""Of confidence, of equal width, in the expected calibration error (Guo et al., ICML 2017)."""
RECALLED = 0.95
"""The share of known examples that is recognised where false positives are counted."""


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


def scores_of(
    logits: Tensor,
    labels: Tensor,
    names: Sequence[str] = ("accuracy", "macro_f1"),
    left_out: int | None = None,
    scored_by: str | None = None,
) -> dict[str, float]:
    """The scores called ``names`` of (N, C) logits and (N,) labels.

    Args:
        logits: the greatest is the answer.
        labels: positions in the classes.
        names: of :data:`SCORES`.
        left_out: the class that ``micro_f1`` does not count.
        scored_by: the score that ``task_score`` stands for; accuracy where it is None.
    """
    told = Told(logits.argmax(1), labels, logits.shape[1], left_out, logits, scored_by)
    return {name: SCORES[name](told) for name in names}


@dataclass(frozen=True)
class Told:
    """Answers (N,) and labels (N,), positions among ``classes`` classes; ``left_out`` is one of them or None.

    ``logits`` (N, classes) are what the answers were read off, (0, 0) where nobody kept them; ``sure`` (N,) are then
    the probabilities of the answers. ``scored_by`` is the task's own score.
    """

    answers: Tensor
    labels: Tensor
    classes: int
    left_out: int | None = None
    logits: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    scored_by: str | None = None
    sure: Tensor | None = None

    def confidences(self) -> Tensor:
        """(N,) probabilities of the answers, by the softmax of the logits as they are.

        Raises:
            Refused: nobody kept them.
        """
        if self.logits.numel():
            return self.logits.double().softmax(1).amax(1)
        if self.sure is None:
            raise Refused("how sure the answers were is not among what was kept of them", where="scores")
        return self.sure.double()

    def counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """(C,) float64 of each class: answered rightly, answered, and there."""
        hit = self.labels[self.answers == self.labels]
        right, said, there = (torch.bincount(own, minlength=self.classes) for own in (hit, self.answers, self.labels))
        return right.double(), said.double(), there.double()


def accuracy(told: Told) -> float:
    """The share of right answers."""
    return float((told.answers == told.labels).double().mean())


def f1(told: Told) -> float:
    """F1 of the second class, as sklearn's of two classes; 0 where it occurs in neither labels nor answers."""
    right, said, there = told.counts()
    return float((2.0 * right / (said + there).clamp(min=1))[1])


def macro_f1(told: Told) -> float:
    """The mean F1 of the classes that occur in labels or answers, as sklearn's macro average."""
    right, said, there = told.counts()
    seen = said + there
    return float((2.0 * right / seen.clamp(min=1))[seen > 0].mean())


def micro_f1(told: Told) -> float:
    """F1 over all classes but the one that is left out, as sklearn's micro average over those; 0 where none occurs."""
    right, said, there = (
        own if told.left_out is None else own[torch.arange(told.classes, device=own.device) != told.left_out]
        for own in told.counts()
    )
    return float(2.0 * right.sum() / (said.sum() + there.sum()).clamp(min=1))


def matthews(told: Told) -> float:
    """Matthews' correlation, -1 .. 1, for any number of classes (Gorodkin, 2004); 0 where it is not defined."""
    right, said, there = told.counts()
    total = there.sum()
    over = right.sum() * total - (said * there).sum()
    under = (total**2 - (said**2).sum()) * (total**2 - (there**2).sum())
    return float(over / under.sqrt()) if under > 0 else 0.0


def qwk(told: Told) -> float:
    """Quadratic weighted kappa of classes that stand in order (Cohen, 1968); -1 .. 1, 0 where it is not defined.

    1 - (sum w O) / (sum w E): O counts (label, answer), E is what chance gives for the same margins, w the squared
    distance of the two places.
    """
    _, said, there = told.counts()
    pairs = torch.bincount(told.labels * told.classes + told.answers, minlength=told.classes**2).double()
    places = torch.arange(told.classes, device=pairs.device).double()
    weights = (places[:, None] - places[None]) ** 2
    by_chance = float((weights * there[:, None] * said[None]).sum() / max(1, len(told.labels)))
    return 1.0 - float((weights * pairs.view(told.classes, -1)).sum()) / by_chance if by_chance > 0 else 0.0


def ece(told: Told) -> float:
    """Expected calibration error: over bins (a, b] of confidence, the share of examples times |accuracy - confidence|.

    Confidence is the probability of the answer, the softmax of the logits as they are.
    """
    sure = told.confidences()
    right = (told.answers == told.labels).double()
    bins = (sure * BINS).ceil().clamp(1, BINS).long() - 1
    gaps = torch.zeros(BINS, dtype=torch.float64, device=sure.device).index_add(0, bins, right - sure)
    return float(gaps.abs().sum() / len(sure))


def roc_auc(told: Told) -> float:
    """The area under the ROC curve, as sklearn's: of two classes that of the second, of more the mean of one against
    the rest over the classes that some examples have and some have not; 0.5 where there is none. Raises Refused: the
    logits of all classes are not there."""
    if not told.logits.numel():
        raise Refused("the area under the ROC curve needs the logits of all classes, and the first few were kept",
                      where="scores", got=f"{told.classes} classes")  # fmt: skip
    if told.classes == 2:
        scores = (told.logits[:, 1] - told.logits[:, 0]).double().unsqueeze(1)
        classes = range(1, 2)
    else:
        scores, classes = told.logits.double().softmax(1), range(told.classes)
    found = []
    for column, label in enumerate(classes):
        own = told.labels == label
        if bool(own.any()) and not bool(own.all()):
            found.append(told_apart(scores[own, column], scores[~own, column])["auroc"])
    return sum(found) / len(found) if found else 0.5


def told_apart(known: Tensor, strange: Tensor) -> dict[str, float]:
    """How well ``known`` (N,) and ``strange`` (M,) examples are told apart by how sure the answers about them are.

    ``auroc``: the chance that a known one is answered more surely than a strange one, ties by half. ``fpr95``: the
    share of strange ones that pass where the threshold lets at least 95 % of the known ones pass.
    """
    ordered = strange.sort().values
    below, upto = (torch.searchsorted(ordered, known, right=right).double() for right in (False, True))
    passed = max(1, math.ceil(RECALLED * len(known) - 1e-9))
    threshold = known.sort(descending=True).values[passed - 1]
    return {
        "auroc": float((below + upto).mean() / (2.0 * len(strange))),
        "fpr95": float((strange >= threshold).double().mean()),
    }


def task_score(told: Told) -> float:
    """The score that papers report of the task: what it is scored by, else accuracy."""
    return SCORES[told.scored_by or "accuracy"](told)


SCORES: Mapping[str, Callable[[Told], float]] = {
    "accuracy": accuracy,
    "task_score": task_score,
    "f1": f1,
    "macro_f1": macro_f1,
    "micro_f1": micro_f1,
    "matthews": matthews,
    "qwk": qwk,
    "ece": ece,
    "roc_auc": roc_auc,
}
"""What a protocol may name in ``scores``."""


def predictions_of(
    evaluation: str, indices: list[int], logits: Tensor, labels: Tensor, names: Sequence[str], classes: Sequence[str]
) -> Predictions:
    """The per-example answers kept with a record: top classes, their logits, and what makes probabilities of them."""
    top = logits.topk(min(TOP, logits.shape[1]), dim=1)
    return Predictions(
        evaluation=evaluation,
        example=np.asarray(indices, dtype=np.int64),
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
