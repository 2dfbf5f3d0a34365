"""PCP from its description: fit, guess the pool, fill masks in its lines, fit again."""

from __future__ import annotations

import torch
from tests.reference.text.plain import bert, decoded, rows_of
from tests.reference.text.tiny import BEGIN, END, MASK, VOCABULARY
from torch import Tensor

from promptgrid.contract.randomness import normals
from promptgrid.contract.task import Batch
from promptgrid.tracks.text.task import TextTask

SALT = 91


def tower(p: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("tower."): value for name, value in p.items() if name.startswith("tower.")}


def logits(task: TextTask, p: dict[str, Tensor], batch: object) -> Tensor:
    """The mean logit of the tokens of each class's first word at the mask."""
    w, found = tower(p), []
    words = task.backbone.words([own[0] for own in task.words.values()])
    for row, ids in enumerate(rows_of(batch, "templated", "templated_attention")):
        said = decoded(w, bert(w, w["embeddings.word"][ids])[batch["mask_at"][row]])  # type: ignore[index]
        found.append(torch.stack([said[list(tokens)].mean() for tokens in words]))
    return torch.stack(found)


def fit_loss(task: TextTask, p: dict[str, Tensor], batch: Batch) -> Tensor:
    return torch.nn.functional.cross_entropy(logits(task, p, batch), batch["labels"])


def chance(rows: int, size: int, seed: int, salt: int) -> Tensor:
    """U(0, 1) from the step's seed: the reference shares the draws, and nothing of what is done with them."""
    return torch.special.ndtr(normals((rows, size), seed, salt))


def line_loss(task: TextTask, p: dict[str, Tensor], batch: Batch, seed: int) -> Tensor:
    """Masked words of the lines of a batch, with the word of each label written into them."""
    w, losses = tower(p), []
    width = batch["templated"].shape[1]
    most = -(-15 * width // 100)
    order = chance(len(batch), width, seed, SALT)
    lot, other = (chance(len(batch), most, seed, SALT + i) for i in (1, 2))
    words = task.backbone.words([own[0] for own in task.words.values()])
    for row, ids in enumerate(rows_of(batch, "templated", "templated_attention")):
        line, slot, label = ids.tolist(), int(batch["mask_at"][row]), words[int(batch["labels"][row])]
        line[slot] = label[0]
        may = [i for i, token in enumerate(line) if token not in (BEGIN, END) and not (i == slot and len(label) > 1)]
        may.sort(key=lambda i: -float(order[row, i]))
        asked = may[: max(1, (15 * len(may) + 50) // 100)]
        shown = list(line)
        for place, i in enumerate(asked):
            if lot[row, place] < 0.8:
                shown[i] = MASK
            elif lot[row, place] < 0.9:
                shown[i] = int(float(other[row, place]) * VOCABULARY)
        x = list(w["embeddings.word"][shown])
        if len(label) > 1:
            x[slot] = w["embeddings.word"][list(label)].mean(0)
        hidden = bert(w, torch.stack(x))
        losses += [-decoded(w, hidden[i]).log_softmax(0)[line[i]] for i in asked]
    return torch.stack(losses).mean()
