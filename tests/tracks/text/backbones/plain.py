"""Forwards written from the papers' formulas over Hugging Face's tensors, one row at a time, heads in a loop."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def hidden(kind: str, config: dict[str, Any], state: State, ids: Tensor) -> Tensor:
    """(L,) ids of one text without padding to (L, d) last hidden states."""
    return {"gpt2": _gpt2, "t5": _t5}.get(kind, _encoder)(config, state, ids)


def _apply(state: State, name: str, x: Tensor) -> Tensor:
    y = x @ state[f"{name}.weight"].T
    return y + state[f"{name}.bias"] if f"{name}.bias" in state else y


def _norm(state: State, name: str, x: Tensor, eps: float) -> Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / (variance + eps).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int, scale: float, more: Any, causal: bool) -> Tensor:
    """Heads in a loop; ``more(head, i, j)`` is added to a score before the softmax."""
    length, width = query.shape[0], query.shape[1] // heads
    found = []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        scores = query[:, own] @ key[:, own].T * scale
        for i in range(length):
            for j in range(length):
                scores[i, j] = -math.inf if causal and j > i else scores[i, j] + more(head, i, j)
        found.append(scores.softmax(-1) @ value[:, own])
    return torch.cat(found, -1)


def _encoder(config: dict[str, Any], state: State, ids: Tensor) -> Tensor:
    """BERT, RoBERTa, DeBERTa."""
    kind, eps = config["model_type"], config["layer_norm_eps"]
    root = kind.split("-")[0] + "."
    x = state[f"{root}embeddings.word_embeddings.weight"][ids]
    if config.get("position_biased_input", True):
        first = 1 + config["pad_token_id"] if kind == "roberta" else 0
        x = x + state[f"{root}embeddings.position_embeddings.weight"][first : first + len(ids)]
    if config["type_vocab_size"]:
        x = x + state[f"{root}embeddings.token_type_embeddings.weight"][0]
    x = _norm(state, f"{root}embeddings.LayerNorm", x, eps)
    for layer in range(config["num_hidden_layers"]):
        block = f"{root}encoder.layer.{layer}"
        gathered = _gathered(config, state, f"{block}.attention.self", x)
        x = _norm(state, f"{block}.attention.output.LayerNorm",
                  x + _apply(state, f"{block}.attention.output.dense", gathered), eps)  # fmt: skip
        inner = F.gelu(_apply(state, f"{block}.intermediate.dense", x))
        x = _norm(state, f"{block}.output.LayerNorm", x + _apply(state, f"{block}.output.dense", inner), eps)
    return x


def _gathered(config: dict[str, Any], state: State, name: str, x: Tensor) -> Tensor:
    heads, d = config["num_attention_heads"], config["hidden_size"]
    width, kind = d // heads, config["model_type"]
    if not kind.startswith("deberta"):
        query, key, value = (_apply(state, f"{name}.{part}", x) for part in ("query", "key", "value"))
        return _attend(query, key, value, heads, width**-0.5, lambda head, i, j: 0.0, causal=False)
    table = state["deberta.encoder.rel_embeddings.weight"]
    if kind == "deberta":
        rows = state[f"{name}.in_proj.weight"].view(heads, 3, width, d)
        query, key, value = (x @ rows[:, part].reshape(d, d).T for part in range(3))
        query, value = query + state[f"{name}.q_bias"], value + state[f"{name}.v_bias"]
        keys, queries = _apply(state, f"{name}.pos_proj", table), _apply(state, f"{name}.pos_q_proj", table)
    else:
        query, key, value = (_apply(state, f"{name}.{part}_proj", x) for part in ("query", "key", "value"))
        table = _norm(state, "deberta.encoder.LayerNorm", table, config["layer_norm_eps"])
        asked = ("key_proj", "query_proj") if config["share_att_key"] else ("pos_key_proj", "pos_query_proj")
        keys, queries = (_apply(state, f"{name}.{part}", table) for part in asked)
    span, scale = len(table) // 2, (3 * width) ** -0.5

    def more(head: int, i: int, j: int) -> Tensor:
        own = slice(head * width, (head + 1) * width)
        far = i - j if kind == "deberta" else _deberta_bucket(i - j, span, config["max_position_embeddings"])
        place = min(max(far + span, 0), 2 * span - 1)
        return (query[i, own] @ keys[place, own] + key[j, own] @ queries[place, own]) * scale

    return _attend(query, key, value, heads, scale, more, causal=False)


def _deberta_bucket(far: int, buckets: int, farthest: int) -> int:
    middle = buckets // 2
    if abs(far) <= middle:
        return far
    grown = math.ceil(math.log(abs(far) / middle) / math.log((farthest - 1) / middle) * (middle - 1)) + middle
    return int(math.copysign(grown, far))


def _gpt2(config: dict[str, Any], state: State, ids: Tensor) -> Tensor:
    heads, d, eps = config["n_head"], config["n_embd"], 1e-5
    x = state["transformer.wte.weight"][ids] + state["transformer.wpe.weight"][: len(ids)]

    def conv(name: str, x: Tensor) -> Tensor:
        return x @ state[f"{name}.weight"] + state[f"{name}.bias"]

    for layer in range(config["n_layer"]):
        block = f"transformer.h.{layer}"
        query, key, value = conv(f"{block}.attn.c_attn", _norm(state, f"{block}.ln_1", x, eps)).split(d, -1)
        gathered = _attend(query, key, value, heads, (d // heads) ** -0.5, lambda head, i, j: 0.0, causal=True)
        x = x + conv(f"{block}.attn.c_proj", gathered)
        inner = conv(f"{block}.mlp.c_fc", _norm(state, f"{block}.ln_2", x, eps))
        inner = 0.5 * inner * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
        x = x + conv(f"{block}.mlp.c_proj", inner)
    return _norm(state, "transformer.ln_f", x, eps)


def _t5(config: dict[str, Any], state: State, ids: Tensor) -> Tensor:
    heads = config["num_heads"]
    bias = state["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]

    def norm(name: str, x: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * state[f"{name}.weight"]

    def more(head: int, i: int, j: int) -> Tensor:
        return bias[_t5_bucket(j - i, config), head]

    x = state["shared.weight"][ids]
    for layer in range(config["num_layers"]):
        block = f"encoder.block.{layer}.layer"
        given = norm(f"{block}.0.layer_norm", x)
        query, key, value = (_apply(state, f"{block}.0.SelfAttention.{name}", given) for name in "qkv")
        gathered = _attend(query, key, value, heads, 1.0, more, causal=False)
        x = x + _apply(state, f"{block}.0.SelfAttention.o", gathered)
        given = norm(f"{block}.1.layer_norm", x)
        if config["feed_forward_proj"] == "relu":
            inner = _apply(state, f"{block}.1.DenseReluDense.wi", given).relu()
        else:
            inner = F.gelu(_apply(state, f"{block}.1.DenseReluDense.wi_0", given), approximate="tanh")
            inner = inner * _apply(state, f"{block}.1.DenseReluDense.wi_1", given)
        x = x + _apply(state, f"{block}.1.DenseReluDense.wo", inner)
    return norm("encoder.final_layer_norm", x)


def _t5_bucket(ahead: int, config: dict[str, Any]) -> int:
    half = config["relative_attention_num_buckets"] // 2
    exact, far = half // 2, abs(ahead)
    if far >= exact:
        grown = math.log(far / exact) / math.log(config["relative_attention_max_distance"] / exact) * (half - exact)
        far = min(exact + int(grown), half - 1)
    return far + (half if ahead > 0 else 0)
