"""The pretraining corpus: pictures with the phrases that name them, and the captions those phrases are put into.

Phrases come from what the sources themselves say (names, keywords, categories). Nothing here knows the evaluation
tasks, except that every picture in `EXCLUDE.parquet` (by content and by item) and every held-out source is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from promptgrid.spec.parquet import read_parquet
from promptgrid.tracks.image.pretrain.sources import load_sources
from promptgrid.tracks.image.pretrain.views import decode

EXCLUDE = "EXCLUDE.parquet"
MAX_PHRASES = 8
MAX_SEEN = 9000  # tokens with a row of their own in the shipped token table
NAME, KEYWORD, CATEGORY = 1.0, 0.3, 0.35  # how often a phrase of each kind is taken, beside the others of a picture

UPRIGHT = frozenset({"glyphs", "flag", "circle-flags", "cif"})
EMOJI = ("noto", "twemoji", "fluent-emoji-flat", "emojione", "noto-v1", "openmoji", "streamline-emojis")
COLOUR = ("flat-color-icons", "streamline-color", "streamline-plump-color", "streamline-flex-color", "fluent-color")
RICH = ("openclipart", "streamline-ultimate-color", "streamline-kameleon-color", "meteocons")
VIEWS = (
    dict.fromkeys((*EMOJI, *RICH, *COLOUR), 3)
    | dict.fromkeys(("mdi", "game-icons", "ph", "glyphs"), 2)
    | {"tux-stamps": 10}
)
# Pictures with colour and shape of their own are seen more often than one-colour interface icons.
TURNS = dict.fromkeys((*EMOJI, *RICH), 2.0) | dict.fromkeys(COLOUR, 1.5) | {"tux-stamps": 4.0, "glyphs": 1.5}

STYLE_WORDS = frozenset(
    ("outline", "outlined", "line", "sharp", "rounded", "round", "filled", "fill", "bold", "thin", "light", "duotone",
     "twotone", "solid", "flat", "rtl", "ltr", "alt")
)  # fmt: skip
EMPTY_PHRASES = frozenset(
    {"", "various cliparts", "unsorted", "other", "people & body", "computer", "icons", "flat theme"}
)

TEMPLATES = (
    "{}", "{}.", "a {}", "a {}.", "the {}", "an icon of a {}", "a {} icon", "an icon of {}.", "an emoji of a {}.",
    "a {} emoji", "a picture of a {}.", "a picture of {}", "a drawing of a {}.", "a drawing of {}.", "a photo of a {}.",
    "a photo of the {}.", "an image of a {}.", "clip art of a {}.", "a symbol of {}.", "a small picture showing a {}.",
    "a sketch of the {}.", "a black and white icon of a {}.", "a cartoon {}.", "a simple drawing that shows {}.",
    "a photo of a {}, a kind of picture.", "a centered image of a {} on a plain background.", "one {}.", "some {}.",
)  # fmt: skip


class NoExclusion(RuntimeError):
    """The pool has no list of evaluation pictures yet: training could leak them."""


@dataclass(frozen=True)
class Corpus:
    """N pictures and P phrases.

    `pictures` (N, 3, 64, 64) uint8; `upright` (N,) must not be mirrored; `turns` (N,) how often each is drawn;
    `own` (N, 8) its phrases as numbers, -1 past the last, and `odds` (N, 8) how often each is taken; `row` (N,) its
    place in its source's pool file; `sources` name and kept rows, in order.
    """

    pictures: Tensor
    upright: Tensor
    turns: Tensor
    own: Tensor
    odds: Tensor
    row: Tensor
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
        for place, row in enumerate(read_parquet(path).to_pylist()) if path.exists() else ():
            if row["sha256"] not in hashes and (name, row["item"]) not in items:
                rows.append({**row, "row": place})
    return assemble(rows)


def assemble(rows: Sequence[dict[str, Any]]) -> Corpus:
    """A corpus of pool rows (with `row`, their place in the pool file); rows without a phrase are left out."""
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
        row=torch.tensor([row["row"] for row, _ in described]),
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


class Captions:
    """Puts phrases into captions and captions into tokens.

    Args:
        encode: text to BPE ids, without start and end.
        start, end: the ids around every caption.
    """

    def __init__(self, phrases: Sequence[str], encode: Any, start: int, end: int) -> None:
        self.start, self.end = start, end
        self._phrases = [tuple(encode(phrase))[:20] for phrase in phrases]
        self._plurals = [tuple(encode(phrase + "s"))[:20] for phrase in phrases]
        self._templates = [tuple(tuple(encode(part)) for part in template.split("{}")) for template in TEMPLATES]
        count = Counter(token for ids in self._tokens() for token in ids)
        self.seen = torch.tensor(sorted({token for token, _ in count.most_common(MAX_SEEN - 2)} | {start, end}))

    def _tokens(self) -> Iterator[tuple[int, ...]]:
        yield from self._phrases
        yield from self._plurals
        for parts in self._templates:
            yield from parts

    def draw(self, rows: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Tokens (n, longest) and the place of the end token (n,) of one caption for each phrase number.

        One batch in five has up to 16 arbitrary tokens for a template: learned contexts are such tokens.
        """
        filler = int(torch.randint(1, 17, (1,), generator=rng)) if torch.rand(1, generator=rng) < 0.2 else 0
        picks = torch.randint(0, len(self._templates), (len(rows),), generator=rng).tolist()
        plural = (torch.rand(len(rows), generator=rng) < 0.08).tolist()
        noise = self.seen[torch.randint(0, len(self.seen), (len(rows), filler), generator=rng)].tolist()
        ids = []
        for row, pick, many, context in zip(rows.tolist(), picks, plural, noise, strict=True):
            before, after = (tuple(context), (269,)) if filler else self._templates[pick]
            ids.append((self.start, *before, *(self._plurals if many else self._phrases)[row], *after, self.end))
        return pad(ids)


def pad(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of tokens filled with zeros to the longest, and the place of each row's last token."""
    longest = max(map(len, ids))
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids])
    return tokens, torch.tensor([len(row) - 1 for row in ids])
