"""A frozen text tower that methods reach into only with data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from promptgrid.contract import BackboneFamily, Edits

Weights = Mapping[str, Tensor]
"""Tensors that stand in for the frozen ones of the same name; under ``torch.func.vmap`` each cell may have its own."""


@dataclass(frozen=True)
class SpecialIds:
    """Ids of a tokenizer's special tokens; None where it has no such token."""

    pad: int
    begin: int | None
    end: int | None
    mask: int | None


@dataclass(frozen=True)
class Tokens:
    """Texts as ids, padded on the right to the longest.

    Attributes:
        ids: (N, L) int64.
        mask: (N, L) bool, False at padding.
        segments: (N, L) int64, 0 for a text and 1 for its pair; None for a tower that has no segments.
        places: (N, n) int64 by name: where the tokens of named pieces of a template stand, in their order; the mask
            tokens are called ``mask``.
    """

    ids: Tensor
    mask: Tensor
    segments: Tensor | None = None
    places: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """A part of a template; the tokens of the pieces follow each other.

    A piece is one of: words that are the same in every row (``text`` a string); a text of each row (``text`` a
    sequence of N strings); ``masks`` mask tokens; ``slots`` places without a word, for learned embeddings. Write the
    spaces between pieces as they would stand in the whole text: tokenizers that mark spaces read them.

    Attributes:
        text: words, or one text a row.
        cut: the side of this piece that is shortened when a row is too long. What has ``no`` is never shortened.
        name: the name of its tokens in ``Tokens.places``; pieces of one name are joined. Not for texts of rows.
        masks: how many mask tokens.
        slots: how many places without a word; their id is that of padding, their mask is True.
    """

    text: str | Sequence[str] = ""
    cut: Literal["no", "end", "start"] = "no"
    name: str = ""
    masks: int = 0
    slots: int = 0


class TextBackbone(ABC):
    """A frozen transformer over tokens.

    Every verb works under ``torch.func.vmap`` over a leading cell axis of embeddings, edits and weights; products with
    frozen weights are one product for all cells.

    Attributes:
        id: the name in suites.
        digest: 64 hex digits that name the whole model, as :meth:`BackboneFamily.facts` does.
        width: of hidden states and word embeddings, d below.
        layers: blocks.
        heads: of attention.
        most_tokens: the longest sequence it reads, special tokens and prompt slots included.
        vocabulary: V, rows of the word embeddings.
        special: ids of special tokens.
        offers: what a method may ask for: ``features`` (always), ``tokens`` (learned prompt embeddings), ``blocks``
            (:class:`TextEdits` inside), ``weights`` (other weights in place of the frozen ones), ``mask`` (fills
            masks).
        preprocessing: how texts become features, as plain values: at least ``lower_case``, ``most_tokens``
            (what :meth:`tokenize` cuts to when not told) and ``pooling`` (``mean``, ``cls`` or ``last``).
    """

    id: str
    digest: str
    width: int
    layers: int
    heads: int
    most_tokens: int
    vocabulary: int
    special: SpecialIds
    offers: frozenset[str]
    preprocessing: Mapping[str, object]

    @abstractmethod
    def tokenize(self, texts: Sequence[str], pairs: Sequence[str] | None = None, most: int | None = None) -> Tokens:
        """Texts, or pairs of texts, with the model's own special tokens.

        Too long ones are cut as the model's own tokenizer cuts: the end of a text; of a pair the end of whichever is
        longer, token by token. Special tokens that are spelled out in a text are read as plain words.

        Args:
            texts: N of them.
            pairs: N second texts.
            most: the longest row, special tokens included; ``preprocessing["most_tokens"]`` when None.

        Raises:
            Refused: ``most`` is over ``most_tokens`` or has no room for a word.
        """

    @abstractmethod
    def tokenize_template(self, pieces: Sequence[Piece], most: int | None = None) -> Tokens:
        """The rows of a template, with the special tokens around them; one segment.

        A row that is too long loses tokens of its cuttable pieces, the longest of them first, one token at a time.

        Raises:
            Refused: the pieces that may not be cut are too long by themselves; a mask is wanted of a tower without
                one; texts of rows differ in number.
        """

    @abstractmethod
    def words(self, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Ids of each text as it is spelled inside a sentence, without special tokens: label words, for one."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """The frozen tensors by name; names are the same for every tower that has such a part."""

    @abstractmethod
    def embed(self, ids: Tensor, weights: Weights | None = None) -> Tensor:
        """(..., L) ids to (..., L, d) word embeddings, without positions and segments."""

    @abstractmethod
    def encode(
        self,
        embeddings: Tensor,
        mask: Tensor,
        edits: Edits | None = None,
        *,
        segments: Tensor | None = None,
        weights: Weights | None = None,
    ) -> Tensor:
        """Last hidden states of sequences given as word embeddings.

        Positions, segments and the embedding LayerNorm are added inside. There is no dropout but that of the edits.

        Args:
            embeddings: (B, L, d).
            mask: (B, L) bool, False at padding.
            edits: deep prompts, deltas, and all else of :class:`TextEdits`.
            segments: (B, L); zeros when None.
            weights: in place of frozen ones, by name.

        Returns:
            (B, L, d); what stands at padding means nothing.
        """

    def encode_at(
        self,
        embeddings: Tensor,
        mask: Tensor,
        at: Tensor,
        edits: Edits | None = None,
        *,
        segments: Tensor | None = None,
        weights: Weights | None = None,
    ) -> Tensor:
        """The last hidden states of some tokens alone, at (B, n) places: (B, n, d).

        Equal to those of :meth:`encode`; a tower may save the rest of its last block.
        """
        return taken(self.encode(embeddings, mask, edits, segments=segments, weights=weights), at)

    @abstractmethod
    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(B, L, d) last hidden states to (B, d) by the model's own pooling, not normalised."""

    def fill(self, hidden: Tensor, weights: Weights | None = None) -> Tensor:
        """(..., d) last hidden states at masks to (..., V) logits; part of ``mask``."""
        raise NotImplementedError(f"backbone {self.id} does not fill masks")

    def fill_words(self, hidden: Tensor, ids: Tensor, weights: Weights | None = None) -> Tensor:
        """The same for a few tokens: (..., d) and (n,) ids to (..., n); part of ``mask``."""
        raise NotImplementedError(f"backbone {self.id} does not fill masks")

    def decoder_input(self, hidden: Tensor, weights: Weights | None = None) -> Tensor:
        """(..., d) last hidden states to what the decoder multiplies with its rows, (..., d); part of ``mask``."""
        raise NotImplementedError(f"backbone {self.id} does not fill masks")

    def decoder_rows(self, ids: Tensor, weights: Weights | None = None) -> tuple[Tensor, Tensor]:
        """Rows (n, d) and biases (n,) of the decoder: its logits are input @ rowsᵀ + biases; part of ``mask``."""
        raise NotImplementedError(f"backbone {self.id} does not fill masks")

    @property
    def first_slot(self) -> int:
        """Where prompt slots begin: behind the first special token, or at 0 in a tower without one."""
        return 0 if self.special.begin is None else 1

    def with_prompt(self, embeddings: Tensor, mask: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Sequences with learned tokens in their prompt slots.

        Args:
            embeddings: (B, L, d).
            mask: (B, L).
            prompt: (n, d) for all rows, or (B, n, d).

        Returns:
            (B, L + n, d) and (B, L + n): places of the text's tokens from ``first_slot`` on grow by n.
        """
        at = self.first_slot
        rows = prompt.expand(embeddings.shape[0], *prompt.shape[-2:])
        here = mask.new_ones(mask.shape[0], prompt.shape[-2])
        return (
            torch.cat([embeddings[:, :at], rows, embeddings[:, at:]], 1),
            torch.cat([mask[:, :at], here, mask[:, at:]], 1),
        )


def taken(hidden: Tensor, at: Tensor) -> Tensor:
    """Tokens of (B, L, d) at (B, n) places: (B, n, d)."""
    return hidden.gather(1, at.unsqueeze(-1).expand(*at.shape, hidden.shape[-1]))


class TextBackboneFamily(BackboneFamily):
    """A way to find text towers.

    ``facts`` has ``digest``, ``preprocessing`` (plain values), ``offers`` (list), ``model`` (plain values that the
    digest is of) and ``sizes`` (width, layers, heads, most_tokens, vocabulary).
    """

    @abstractmethod
    def load(self, backbone: str, device: str) -> TextBackbone:
        """The tower, frozen, on ``device``."""
