"""A text tower that is not causal, computed the long way: every token sees every other, padding too (SigLIP's)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptgrid.contract.clip import Edits
from promptgrid.towers.blocks import Block
from promptgrid.towers.clip.towers import TextTower
from promptgrid.towers.edited import normed

Tokenizer = Callable[[list[str]], Tensor]
"""Texts to (N, context length) ids: words, an end, and padding up to the length; without a token ahead of them."""


@dataclass(frozen=True)
class WholeTextTower(TextTower):
    """A bidirectional text transformer pooled at its last position (SigLIP; Zhai et al., ICCV 2023, and SigLIP 2).

    Prompts come as CLIP's do, so that methods need not know: a first token, which is left out here since such towers
    have none, then the words, and the end at ``ends``, whose id is the largest of the row. What stands behind the end
    is padding, and counts: each prompt is filled up to the context length, and nothing is shared or cut.
    """

    tokenizer: Tokenizer
    end: int
    padding: int

    @classmethod
    def with_tokenizer(cls, model: Any, tokenizer: Tokenizer) -> WholeTextTower:
        """The text tower of an open_clip ``CustomTextCLIP`` with the tokenizer that it was trained with.

        Raises:
            TypeError: causal, not pooled at the last position, or with blocks of another kind.
        """
        source = getattr(model, "text", model)
        whole = getattr(source, "attn_mask", 0) is None and getattr(source, "pool_type", None) == "last"
        if not whole or getattr(source, "cls_emb", 0) is not None or getattr(source, "use_pad_mask", True):
            raise TypeError("text tower is not bidirectional and pooled at its last position")
        if not isinstance(source.text_projection, nn.Linear | Tensor):
            raise TypeError("text tower has no projection")
        end, *_, padding = tokenizer([""])[0].tolist()
        if int(tokenizer(["a"])[0, 0]) in (end, padding):
            raise TypeError("the tokenizer puts a token ahead of the words")
        blocks = tuple(Block.of(block) for block in source.transformer.resblocks)
        return cls(source, blocks, source.positional_embedding.shape[-1], tokenizer, end, padding)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """(N, L) ids as CLIP's tokenizer orders them: a first token, the words, the end with the largest id."""
        first = self.source.token_embedding.num_embeddings
        rows = self.tokenizer(list(texts)).tolist()
        words = [row[: self._ended(row)] for row in rows]
        longest = max(map(len, words))
        return torch.tensor([[first, *own, first + 1, *[self.padding] * (longest - len(own))] for own in words])

    def embed(self, tokens: Tensor) -> Tensor:
        """(..., L) ids of :meth:`tokenize` to (..., L, width); the first token's are never read."""
        first = self.source.token_embedding.num_embeddings
        own = torch.where(tokens == first + 1, self.end, torch.where(tokens == first, self.padding, tokens))
        found: Tensor = self.source.token_embedding(own)
        return found

    def pooled(self, x: Tensor, edits: Edits | None = None) -> Tensor:
        """(..., width) last tokens behind the last block to (..., joint width)."""
        behind, own = normed(self.source.ln_final, x, "post", edits), self.source.text_projection
        return F.linear(behind, own.weight, own.bias) if isinstance(own, nn.Linear) else behind @ own

    def __call__(self, embeddings: Tensor, ends: Tensor, edits: Edits | None) -> Tensor:
        """(N, L, width) prompts with their end at ``ends`` (N,) to (N, joint width)."""
        x = self._filled(embeddings, ends) + self.source.positional_embedding
        *blocks, last = self.blocks
        for layer, block in enumerate(blocks):
            x = block(x, layer, False, edits)
        return self.pooled(last.pooled(x, torch.full_like(ends, x.shape[1] - 1), len(blocks), False, edits), edits)

    def ends_behind(self, embeddings: Tensor, ends: Tensor, edits: Edits | None, layers: Sequence[int]) -> NoReturn:
        """Not offered: what such a tower says stands at its last position."""
        raise NotImplementedError("a bidirectional text tower gives no tokens at the end of its prompts")

    def _filled(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        """(N, context length, width): without the first token, and padding from behind the end on."""
        length = self.source.positional_embedding.shape[0]
        padding = self.source.token_embedding.weight[self.padding]
        own = embeddings[:, 1 : length + 1]
        own = torch.cat([own, padding.expand(own.shape[0], length - own.shape[1], -1)], dim=1)
        inside = torch.arange(length, device=own.device) < ends.unsqueeze(1)  # the end stands at ends - 1 here
        return torch.where(inside.unsqueeze(-1), own, padding)

    def _ended(self, row: list[int]) -> int:
        """Where the words of a row of ids end; the last place is kept for the end where a row is cut."""
        ends = [place for place, id in enumerate(row) if id in (self.end, self.padding)]
        return ends[0] if ends else len(row) - 1


def reads_whole(text: Mapping[str, Any]) -> bool:
    """Whether a resolved ``text_cfg`` builds such a tower, beside a tokenizer that puts nothing ahead of the words."""
    odd = text["hf_model_name"] or text["embed_cls"] or text.get("use_pad_mask") or text["proj_type"] == "none"
    return bool(text["hf_tokenizer_name"] and text["no_causal_mask"] and text["pool_type"] == "last" and not odd)
