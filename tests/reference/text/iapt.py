"""IAPT from the formulas: each layer's prompt is pooled from its own hidden states."""

from __future__ import annotations

import torch
from tests.reference.text.plain import bert, decoded, rows_of
from torch import Tensor

from promptgrid.tracks.text.task import TextTask


def bend(x: Tensor, c: Tensor | None, activation: str) -> Tensor:
    if activation == "relu":
        return x.clamp(min=0)
    if activation == "gelu":
        return x * 0.5 * (1 + torch.erf(x / 2**0.5))
    assert c is not None
    top = sum(c[j] * x**j for j in range(6))
    bottom = sum(c[5 + j] * x**j for j in range(1, 5))
    return top / (1 + abs(bottom))  # type: ignore[no-any-return]


def logits(
    task: TextTask,
    p: dict[str, Tensor],
    batch: object,
    activation: str = "rational",
    shared: bool = True,
    answers: str = "head",
) -> Tensor:
    w, k, found = task.backbone.weights(), p["pool"].shape[2], []

    def before(layer: int, x: Tensor) -> Tensor:
        own, text = 0 if shared else layer, torch.cat([x[:1], x[1 + k :]])
        low = text @ p["down"][own]
        attention = torch.softmax((low @ p["pool"][layer]).T, dim=1)
        c = p["activation"][layer] if activation == "rational" else None
        made = bend(attention @ low, c, activation) @ p["up"][own]
        return torch.cat([x[:1], made, x[1 + k :]])

    words = answers == "words"
    rows = rows_of(batch, *(("templated", "templated_attention") if words else ("tokens", "attention")))
    for row, ids in enumerate(rows):
        x = w["embeddings.word"][ids]
        hidden = bert(w, torch.cat([x[:1], torch.zeros(k, x.shape[1], dtype=x.dtype), x[1:]]), before)
        if words:
            said = decoded(w, hidden[batch["mask_at"][row] + k])  # type: ignore[index]
            spelled = task.backbone.words([own[0] for own in task.words.values()])
            found.append(torch.stack([said[list(tokens)].mean() for tokens in spelled]))
        else:
            text = torch.cat([hidden[:1], hidden[1 + k :]])
            found.append(p["head_weight"] @ text.mean(0) + p["head_bias"])
    return torch.stack(found)
