"""The base of those who give columns of texts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, cast

from promptgrid.contract.columns import Column, ColumnSource, Show, Table, as_it_is
from promptgrid.contract.method import Method
from promptgrid.tracks.text.data.encoded import cut_off
from promptgrid.tracks.text.data.frozen import What
from promptgrid.tracks.text.data.pack_data import Drawn, TextData
from promptgrid.tracks.text.data.wanted import columns_of


class TextColumn(ColumnSource):
    """A column that comes with the one called ``beside``, in training and in scoring alike."""

    beside: ClassVar[str]

    def wanted(self, method: Method | type[Method]) -> bool:
        return self.beside in columns_of(method)

    @abstractmethod
    def training(self, data: TextData, drawn: Drawn) -> Column | None:
        """As in the contract, of the wing's own data."""

    @abstractmethod
    def scoring(self, data: TextData, split: str, indices: Sequence[int]) -> Table | None:
        """As in the contract, of the wing's own data."""


class TokenColumn(TextColumn):
    """A column that the tokenizer gives, called ``name``; ``long`` ones are (N, L) and cut to what is read together."""

    long: ClassVar[bool] = True

    def training(self, data: TextData, drawn: Drawn) -> Column | None:
        found = data.training_tokens(self.name, drawn.indices)
        if found is None:
            return None
        return Table(found, self.show(data.backbone.special.pad)) if data.apart else Table(found)

    def scoring(self, data: TextData, split: str, indices: Sequence[int]) -> Table | None:
        found = data.scored_tokens(self.name, split, tuple(indices))
        return None if found is None else Table(found, self.show(data.backbone.special.pad))

    def show(self, pad: int) -> Show:
        """What a method sees of texts that are scored together."""
        return partial(cut_off, pad) if self.long else as_it_is


class FrozenColumn(TextColumn):
    """A column that the frozen tower gives, called ``name``."""

    def training(self, data: TextData, drawn: Drawn) -> Column:
        return self.scoring(data, "train", drawn.indices)

    def scoring(self, data: TextData, split: str, indices: Sequence[int]) -> Table:
        return Table(data.states(cast(What, self.name), split, tuple(indices)))
