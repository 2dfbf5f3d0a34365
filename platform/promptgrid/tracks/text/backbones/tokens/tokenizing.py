"""Texts to ids by the tokenizer.json of a model, cut and padded by our own rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import Piece, SpecialIds, Tokens
from promptgrid.tracks.text.backbones.tokens.cutting import to_fit

MASK = "mask"


@dataclass(frozen=True)
class Frame:
    """The special tokens that a tokenizer puts before a text, between the texts of a pair, and behind, as ids."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    behind: tuple[int, ...]

    @classmethod
    def of(cls, reader: Any) -> Frame:
        """As ``reader``, a ``tokenizers.Tokenizer``, puts them around two words."""
        pair = reader.encode("a", "b")
        places = [place for place, special in enumerate(pair.special_tokens_mask) if not special]
        first = [place for place in places if pair.sequence_ids[place] == 0]
        second = [place for place in places if pair.sequence_ids[place] == 1]
        ids = pair.ids
        return cls(tuple(ids[: first[0]]), tuple(ids[first[-1] + 1 : second[0]]), tuple(ids[second[-1] + 1 :]))


class Tokenizer:
    """A ``tokenizers.Tokenizer`` behind the verbs of the contract.

    Special tokens that a text spells out are read as plain words, so no example can hold a mask or end itself.

    Args:
        written: the content of tokenizer.json.
        pad: id of padding.
        mask: id of the mask token, or None.
        most: what rows are cut to when not told otherwise.
        longest: what the tower reads.
        segments: whether the tower tells a text from its pair.
        where: the model, for messages.
    """

    def __init__(
        self, written: str, pad: int, mask: int | None, most: int, longest: int, segments: bool, where: str
    ) -> None:
        from tokenizers import Tokenizer as Reader  # planning needs no tokens

        self._reader: Any = Reader.from_str(written)
        self._reader.no_truncation()
        self._reader.no_padding()
        self._reader.encode_special_tokens = True
        self.frame = frame = Frame.of(self._reader)
        begin, end = (frame.before or (None,))[0], (frame.behind or (None,))[-1]
        self.special = SpecialIds(pad=pad, begin=begin, end=end, mask=mask)
        self.most, self.longest = most, longest
        self._segments, self._where = segments, where
        self._spaced = self.ids([" a"]) != self.ids(["a"])

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return 1 + max(map(int, self._reader.get_vocab(with_added_tokens=True).values()))

    def spelled(self, token: int) -> str:
        """A token as the vocabulary spells it."""
        return str(self._reader.id_to_token(token))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text without special tokens."""
        found = self._reader.encode_batch_fast(list(texts), add_special_tokens=False)
        return [list(one.ids) for one in found]

    def words(self, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Ids of each text as it is spelled inside a sentence."""
        spelled = [f" {text.lstrip()}" for text in texts] if self._spaced else texts
        return tuple(tuple(found) for found in self.ids(spelled))

    def tokenize(self, texts: Sequence[str], pairs: Sequence[str] | None, most: int | None) -> Tokens:
        """As :meth:`TextBackbone.tokenize`."""
        if pairs is not None and len(pairs) != len(texts):
            raise Refused("texts and their pairs differ in number", where=self._where, got=(len(texts), len(pairs)))
        frame = self.frame
        between = () if pairs is None else frame.between
        around = len(frame.before) + len(between) + len(frame.behind)
        room = self._room(most, around + 1) - around
        first, second = self.ids(texts), [[]] * len(texts) if pairs is None else self.ids(pairs)
        rows, starts = [], []
        for a, b in zip(first, second, strict=True):
            a, b = to_fit([a, b], ["end", "end"], room)
            rows.append([*frame.before, *a, *between, *b, *frame.behind])
            starts.append(len(rows[-1]) if pairs is None else len(frame.before) + len(a) + len(between))
        return self._padded(rows, starts, {})

    def template(self, pieces: Sequence[Piece], most: int | None) -> Tokens:
        """As :meth:`TextBackbone.tokenize_template`."""
        frame, count = self.frame, self._rows_of(pieces)
        read = [self._piece(piece, count) for piece in pieces]
        around = len(frame.before) + len(frame.behind)
        room = self._room(most, around + 1) - around
        kept = [own for piece, own in zip(pieces, read, strict=True) if piece.cut == "no"]
        longest = max(sum(len(own[number]) for own in kept) for number in range(count)) if count else 0
        if longest > room:
            raise Refused("what may not be cut of a template is too long", where=self._where,
                          got=f"{longest + around} tokens", expected=f"at most {room + around}")  # fmt: skip
        rows, places = [], []
        for number in range(count):
            parts = to_fit([own[number] for own in read], [piece.cut for piece in pieces], room)
            rows.append([*frame.before, *(token for part in parts for token in part), *frame.behind])
            places.append(_places(pieces, parts, len(frame.before)))
        named = {name: torch.tensor([row[name] for row in places]) for name in (places[0] if places else {})}
        return self._padded(rows, [len(row) for row in rows], named)

    def _piece(self, piece: Piece, count: int) -> list[list[int]]:
        """Ids of a piece in each row."""
        if piece.masks:
            if self.special.mask is None:
                raise Refused("this tower has no mask token", where=self._where)
            return [[self.special.mask] * piece.masks] * count
        if piece.slots:
            return [[self.special.pad] * piece.slots] * count
        return self.ids([piece.text]) * count if isinstance(piece.text, str) else self.ids(piece.text)

    def _rows_of(self, pieces: Sequence[Piece]) -> int:
        """How many rows a template has.

        Raises:
            Refused: pieces that contradict themselves or each other.
        """
        for piece in pieces:
            words = isinstance(piece.text, str)
            if (piece.masks > 0) + (piece.slots > 0) + (piece.text != "") != 1:
                raise Refused("a piece is words, texts, masks or slots: one of them", where=self._where, got=piece)
            if piece.name and (not words or piece.cut != "no"):
                raise Refused("only what is the same in every row has a name", where=self._where, got=piece.name)
            if piece.cut != "no" and (piece.masks or piece.slots):
                raise Refused("masks and slots are never cut", where=self._where, got=piece)
        counts = {len(piece.text) for piece in pieces if not isinstance(piece.text, str)}
        if len(counts) > 1:
            raise Refused("the pieces of a template differ in their number of rows", where=self._where, got=counts)
        return counts.pop() if counts else 1

    def _room(self, most: int | None, least: int) -> int:
        wanted = self.most if most is None else most
        if not least <= wanted <= self.longest:
            raise Refused("no such length", where=self._where, got=f"{wanted} tokens",
                          expected=f"{least} (what is never cut) to {self.longest}")  # fmt: skip
        return wanted

    def _padded(self, rows: list[list[int]], starts: list[int], places: dict[str, Tensor]) -> Tokens:
        """Rows side by side; the second segment of each begins at its place in ``starts``."""
        longest = max(map(len, rows), default=0)
        filled = [row + [self.special.pad] * (longest - len(row)) for row in rows]
        ids = torch.tensor(filled, dtype=torch.int64).view(len(rows), longest)
        here, lengths = torch.arange(longest), torch.tensor([len(row) for row in rows], dtype=torch.int64)
        mask = here < lengths.unsqueeze(-1)
        second = (here >= torch.tensor(starts, dtype=torch.int64).unsqueeze(-1)) & mask
        return Tokens(ids, mask, second.long() if self._segments else None, places)


def _places(pieces: Sequence[Piece], parts: Sequence[Sequence[int]], start: int) -> dict[str, list[int]]:
    """Where named pieces and masks stand in one row."""
    found: dict[str, list[int]] = {}
    for piece, part in zip(pieces, parts, strict=True):
        name = piece.name or (MASK if piece.masks else "")
        if name:
            found.setdefault(name, []).extend(range(start, start + len(part)))
        start += len(part)
    return found
