"""The pretraining corpus: pictures with the phrases that name them, and the captions those phrases are put into.

Phrases come from what the sources themselves say (names, keywords, categories). Nothing here knows the evaluation
tasks, except that every picture in `EXCLUDE.parquet` (by content and by item) and every held-out source is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from promptgrid.spec.parquet import read_parquet
from promptgrid.tracks.image.pretrain.pictures.sources import load_sources
from promptgrid.tracks.image.pretrain.training.views import decode

EXCLUDE = "EXCLUDE.parquet"
MAX_PHRASES = 8
NAME, KEYWORD, CATEGORY = 1.0, 0.3, 0.35  # how often a phrase of each kind is taken, beside the others of a picture

UPRIGHT = frozenset({"glyphs", "flag", "circle-flags", "cif"})
EMOJI = ("noto", "twemoji", "fluent-emoji-flat", "emojione", "noto-v1", "openmoji", "streamline-emojis")
COLOUR = ("flat-color-icons", "streamline-color", "streamline-plump-color", "streamline-flex-color", "fluent-color")
RICH = ("openclipart", "streamline-ultimate-color", "streamline-kameleon-color", "meteocons")
# Pictures with colour and shape of their own are seen more often than one-colour interface icons.
TURNS = dict.fromkeys((*EMOJI, *RICH), 2.0) | dict.fromkeys(COLOUR, 1.5) | {"tux-stamps": 4.0, "glyphs": 1.5}

STYLE_WORDS = frozenset(
    ("outline", "outlined", "line", "sharp", "rounded", "round", "filled", "fill", "bold", "thin", "light", "duotone",
     "twotone", "solid", "flat", "rtl", "ltr", "alt")
)  # fmt: skip
EMPTY_PHRASES = frozenset(
    {"", "various cliparts", "unsorted", "other", "people & body", "computer", "icons", "flat theme"}
)


class NoExclusion(RuntimeError):
    """The pool has no list of evaluation pictures yet: training could leak them."""


@dataclass(frozen=True)
class Corpus:
    """N pictures and P phrases.

    `pictures` (N, 3, 64, 64) uint8; `upright` (N,) must not be mirrored; `turns` (N,) how often each is drawn;
    `own` (N, 8) its phrases as numbers, -1 past the last, and `odds` (N, 8) how often each is taken; `sources` name and
    kept pictures, in order.
    """

    pictures: Tensor
    upright: Tensor
    turns: Tensor
    own: Tensor
    odds: Tensor
    phrases: list[str]
    sources: dict[str, int]

    @property
    def frequency(self) -> Tensor:
        """How often each phrase is drawn, (P,), summing to 1."""
        mass = self.turns[:, None] * self.odds
        count = torch.zeros(len(self.phrases)).index_add_(0, self.own.clamp_min(0).flatten(), mass.flatten())
        return count / count.sum()


def is_upright(source: str) -> bool:
    """Whether a mirrored picture of this source would be wrong."""
    return source in UPRIGHT


def load_corpus(pool_dir: Path) -> Corpus:
    """The corpus of a pool folder.

    Raises:
        NoExclusion: `EXCLUDE.parquet` is missing.
    """
    if not (pool_dir / EXCLUDE).exists():
        raise NoExclusion(f"{pool_dir / EXCLUDE} is not there; build the evaluation tasks first")
    banned = read_parquet(pool_dir / EXCLUDE).to_pylist()
    hashes = {row["sha256"] for row in banned if row.get("sha256")}
    items = {(row["source"], row["item"]) for row in banned if row.get("item")}
    tables = {source.name: pool_dir / f"{source.name}.parquet" for source in load_sources() if not source.held_out}
    rows: list[dict[str, Any]] = []
    for name, path in tables.items():
        for row in read_parquet(path).to_pylist() if path.exists() else ():
            if row["sha256"] not in hashes and (name, row["item"]) not in items:
                rows.append(row)
    return assemble(rows)


def assemble(rows: Sequence[dict[str, Any]]) -> Corpus:
    """A corpus of pool rows; rows without a phrase are left out."""
    described = [(row, found) for row in rows if (found := phrases_of(row))]
    number: dict[str, int] = {}
    own = torch.full((len(described), MAX_PHRASES), -1)
    odds = torch.zeros(len(described), MAX_PHRASES)
    for i, (_, found) in enumerate(described):
        for j, (phrase, weight) in enumerate(list(found.items())[:MAX_PHRASES]):
            own[i, j], odds[i, j] = number.setdefault(phrase, len(number)), weight
    sources = [str(row["source"]) for row, _ in described]
    return Corpus(
        pictures=decode([row["image"] for row, _ in described]),
        upright=torch.tensor([is_upright(source) for source in sources]),
        turns=torch.tensor([TURNS.get(source, 1.0) for source in sources]) / _crowding([row for row, _ in described]),
        own=own,
        odds=odds / odds.sum(1, keepdim=True),
        phrases=list(number),
        sources=dict(Counter(sources)),
    )


def _crowding(rows: Sequence[dict[str, Any]]) -> Tensor:
    """Above 1 for pictures that share their name with more than 50 others of the source (1,358 drawings of a star)."""
    count = Counter((row["source"], row["name"]) for row in rows)
    return torch.tensor([max(1.0, count[row["source"], row["name"]] / 50) for row in rows])


def phrases_of(row: dict[str, Any]) -> dict[str, float]:
    """The phrases of a picture with how often each is taken: name first, then keywords, then categories."""
    glyph = row["source"] == "glyphs"
    category = row["category"] or ""
    parts = [part for part in re.split(r"\s*[/>+]\s*", category) if part]
    glued = {part.lower() for part in parts} | {category.lower()}
    keywords = [word for word in row["keywords"] if word.lower() not in glued]
    found: dict[str, float] = {}
    for weight, texts in ((NAME, [row["name"]]), (KEYWORD, keywords), (CATEGORY, parts)):
        for text in texts:
            phrase = text.strip().lower() if glyph else plain(text)
            if phrase not in EMPTY_PHRASES and len(phrase.split()) <= 6:
                found.setdefault(phrase, weight / max(1, len(texts)) ** 0.5)
    return found


def plain(text: str) -> str:
    """A phrase as a person would type it: camel case and dashes split, style words and numbers at the end dropped."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    words = re.sub(r"[^\w\s&']+|_", " ", spaced.lower()).split()
    while len(words) > 1 and (words[-1] in STYLE_WORDS or re.fullmatch(r"\d+x?", words[-1])):
        words.pop()
    return " ".join(words)
