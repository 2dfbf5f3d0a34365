"""BERT for one text at a time, without padding, in the fewest lines: what the references of text methods stand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from tests.reference.text.tiny import HEADS, LAYERS, MLP, WIDTH
from torch import Tensor, nn

Weights = Mapping[str, Tensor]


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    mean, spread = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / (spread + 1e-12).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def bert(w: Weights, x: Tensor, before: Callable[[int, Tensor], Tensor] = lambda layer, x: x) -> Tensor:
    """(L, d) word embeddings to (L, d) last hidden states; ``before`` changes what enters a layer."""
    x = norm(w, "pre", x + w["embeddings.position"][: len(x)] + w["embeddings.segment"][0])
    for layer in range(LAYERS):
        x, name = before(layer, x), f"blocks.{layer}"
        heads = []
        for q, k, v in zip(*(linear(w, f"{name}.{part}", x).chunk(HEADS, 1) for part in "qkv"), strict=True):
            heads.append(torch.softmax(q @ k.T / (WIDTH / HEADS) ** 0.5, 1) @ v)
        x = norm(w, f"{name}.first", x + linear(w, f"{name}.out", torch.cat(heads, 1)))
        inner = nn.functional.gelu(linear(w, f"{name}.fc", x))
        assert inner.shape[1] == MLP
        x = norm(w, f"{name}.second", x + linear(w, f"{name}.proj", inner))
    return x


def transform(w: Weights, state: Tensor) -> Tensor:
    """What the decoder multiplies with its rows."""
    return norm(w, "mask.norm", nn.functional.gelu(linear(w, "mask.dense", state)))


def decoded(w: Weights, state: Tensor) -> Tensor:
    """(d,) a state at the mask to (V,) logits."""
    return transform(w, state) @ w["embeddings.word"].T + w["mask.bias"]


def rows_of(batch: object, ids: str, mask: str) -> list[Tensor]:
    """The ids of each text of a batch without padding."""
    return [row[there] for row, there in zip(batch[ids], batch[mask], strict=True)]  # type: ignore[index]


def five_steps(
    loss: Callable[[dict[str, Tensor], int], Tensor],
    start: dict[str, Tensor],
    moved: list[str],
    rates: dict[str, float],
) -> dict[str, Tensor]:
    """``start`` after five steps of torch's AdamW on ``loss`` (params, step), each parameter at its own rate."""
    params = {name: value.clone().requires_grad_(name in moved) for name, value in start.items()}
    optimizer = torch.optim.AdamW([{"params": [params[name]], "lr": rates.get(name, 1e-3)} for name in moved])
    for step in range(5):
        optimizer.zero_grad()
        loss(params, step).backward()
        optimizer.step()
    return {name: value.detach() for name, value in params.items()}
