"""Words that stand for classes, as tokens of a tower."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import TextBackbone


@dataclass(frozen=True, eq=False)
class LabelWords:
    """C classes with W words at most, of S tokens at most.

    Attributes:
        tokens: (T,) ids of all tokens that any word has.
        spelled: (C, W, S) which of ``tokens`` a word is made of.
        there: (C, W, S) False behind a word's last token, and where a class has fewer words.
    """

    tokens: Tensor
    spelled: Tensor
    there: Tensor

    def to(self, device: torch.device) -> LabelWords:
        """The same on ``device``."""
        return LabelWords(self.tokens.to(device), self.spelled.to(device), self.there.to(device))

    @property
    def known(self) -> Tensor:
        """(C, W) whether there is such a word."""
        return self.there.any(-1)

    @property
    def single(self) -> Tensor:
        """(C,) whether the word that names a class is one token."""
        return self.there[:, 0].sum(-1) == 1

    @property
    def first(self) -> Tensor:
        """(C,) id of the first token of each class's first word."""
        return self.tokens[self.spelled[:, 0, 0]]

    def of_words(self, by_token: Tensor) -> Tensor:
        """(T, ...) values of tokens to (C, W, ...): the mean over a word's tokens, 0 where there is no word."""
        shape = (*self.there.shape, *(1,) * (by_token.dim() - 1))
        own = by_token[self.spelled] * self.there.to(by_token).reshape(shape)
        counts = self.there.sum(-1).clamp(min=1).to(by_token)
        return own.sum(2) / counts.reshape(*counts.shape, *(1,) * (by_token.dim() - 1))


@lru_cache(maxsize=64)
def label_words(backbone: TextBackbone, words: tuple[tuple[str, ...], ...]) -> LabelWords:
    """The ``words`` of each class as ``backbone`` spells them inside a sentence.

    Raises:
        Refused: a class without a word, or a word without a token.
    """
    spelled = [backbone.words(own) for own in words]
    for own, said in zip(words, spelled, strict=True):
        if not own or not all(said):
            raise Refused("every class needs a label word that the backbone can spell", got=own)
    tokens = sorted({token for own in spelled for word in own for token in word})
    place = {token: at for at, token in enumerate(tokens)}
    shape = len(words), max(map(len, words)), max(len(word) for own in spelled for word in own)
    ids, there = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.bool)
    for c, of_class in enumerate(spelled):
        for w, word in enumerate(of_class):
            ids[c, w, : len(word)] = torch.tensor([place[token] for token in word])
            there[c, w, : len(word)] = True
    return LabelWords(torch.tensor(tokens), ids, there)
