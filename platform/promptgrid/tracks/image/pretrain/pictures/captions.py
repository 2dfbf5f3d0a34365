"""Captions as tokens: phrases put into templates, a whole batch at once by tensor operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

MAX_SEEN = 9000  # tokens with a row of their own in the shipped token table
LONGEST = 20  # tokens of a phrase
FILLERS = 16  # arbitrary tokens that may stand for a template
FULL_STOP = 269

TEMPLATES = (
    "{}", "{}.", "a {}", "a {}.", "the {}", "an icon of a {}", "a {} icon", "an icon of {}.", "an emoji of a {}.",
    "a {} emoji", "a picture of a {}.", "a picture of {}", "a drawing of a {}.", "a drawing of {}.", "a photo of a {}.",
    "a photo of the {}.", "an image of a {}.", "clip art of a {}.", "a symbol of {}.", "a small picture showing a {}.",
    "a sketch of the {}.", "a black and white icon of a {}.", "a cartoon {}.", "a simple drawing that shows {}.",
    "a photo of a {}, a kind of picture.", "a centered image of a {} on a plain background.", "one {}.", "some {}.",
)  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """Token rows of different lengths: `ids` (n, longest), filled with zeros behind `length` (n,)."""

    ids: Tensor
    length: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Rows:
        """The rows of a list."""
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], dtype=torch.long)
        return cls(ids.view(len(rows), longest), torch.tensor([len(row) for row in rows]))

    def take(self, places: Tensor) -> Rows:
        """The rows at these places."""
        return Rows(self.ids[places], self.length[places])

    def to(self, device: str) -> Rows:
        """The same rows on a device."""
        return Rows(self.ids.to(device), self.length.to(device))


def joined(parts: Sequence[Rows]) -> tuple[Tensor, Tensor]:
    """Row by row the parts one behind the other: tokens (n, longest) and the place of each row's last token (n,)."""
    ids = torch.cat([part.ids for part in parts], 1)
    real = torch.cat([torch.arange(p.ids.shape[1], device=ids.device) < p.length[:, None] for p in parts], 1)
    place = (real.cumsum(1) - 1).masked_fill(~real, ids.shape[1])  # what is no token goes to a column behind the last
    tokens = ids.new_zeros(len(ids), ids.shape[1] + 1).scatter_(1, place, ids)
    length = real.sum(1)
    return tokens[:, : int(length.max())], length - 1


class Captions:
    """Puts phrases into captions and captions into tokens.

    Args:
        phrases: the corpus's phrases.
        encode: text to BPE ids, without start and end.
        start, end: the ids around every caption.
        device: where captions are drawn.
    """

    def __init__(
        self, phrases: Sequence[str], encode: Callable[[str], list[int]], start: int, end: int, device: str = "cpu"
    ) -> None:
        said = [encode(phrase)[:LONGEST] for phrase in (*phrases, *(phrase + "s" for phrase in phrases))]
        around = [[encode(part) for part in template.split("{}")] for template in TEMPLATES]
        count = Counter(token for ids in (*said, *(ids for parts in around for ids in parts)) for token in ids)
        seen = sorted({token for token, _ in count.most_common(MAX_SEEN - 2)} | {start, end})
        self.count, self.start, self.end = len(phrases), start, end
        self.seen = torch.tensor(seen, device=device)
        self._said = Rows.of(said).to(device)
        self._before = Rows.of([before for before, _ in around]).to(device)
        self._after = Rows.of([after for _, after in around]).to(device)
        self._start, self._end = (Rows.of([[token]]).to(device) for token in (start, end))
        self._stop = Rows.of([[FULL_STOP]]).to(device)

    def draw(self, rows: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Tokens (n, longest) and the place of the end token (n,) of one caption for each phrase number.

        One batch in five has up to 16 arbitrary tokens for a template: learned contexts are such tokens.
        """
        none = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        plural = torch.rand(len(rows), generator=rng, device=rng.device) < 0.08
        said = self._said.take(rows + self.count * plural)
        before, after = self._around(len(rows), rng)
        return joined([self._start.take(none), before, said, after, self._end.take(none)])

    def _around(self, n: int, rng: Generator) -> tuple[Rows, Rows]:
        coin, length = torch.rand(2, generator=rng, device=rng.device).tolist()
        if coin < 0.2:
            filler = 1 + int(length * FILLERS)
            noise = self.seen[torch.randint(0, len(self.seen), (n, filler), generator=rng, device=rng.device)]
            same = torch.zeros(n, dtype=torch.long, device=rng.device)
            return Rows(noise, torch.full_like(same, filler)), self._stop.take(same)
        pick = torch.randint(0, len(TEMPLATES), (n,), generator=rng, device=rng.device)
        return self._before.take(pick), self._after.take(pick)
