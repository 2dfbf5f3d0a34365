"""What a training step of a cell on a text tower costs: arithmetic and memory, from sizes and the lengths of texts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

from promptgrid.contract.method import Method
from promptgrid.engine.planning.packing import ROOMS, Room
from promptgrid.spec import Cell, DatasetCard, Shared
from promptgrid.tracks.text.data.encoded import MOST
from promptgrid.tracks.text.data.wanted import columns_of
from promptgrid.tracks.text.datasets.text import TextDataset

A_TOKEN = 4.0
"""Letters of a token of English, with its space; of short rare words fewer."""
LONG = 0.98
"""The share of texts that are shorter than the longest of a few dozen, about."""
MOVED = 5e8
"""Numbers of a model that AdamW moves a second on one core: it is bound by memory (measured with MiniLM)."""
LOOK = 0.5
"""Of a machine's rate a forward pass alone reaches about half."""


@dataclass(frozen=True)
class Reading:
    """Sizes of a tower, those of BERT-base where it does not say, and tokens of a long and of a usual text."""

    long: float
    usual: float
    width: int = 768
    layers: int = 12
    vocabulary: int = 30_522

    @classmethod
    def of(cls, dataset: TextDataset, sizes: dict[str, int]) -> Reading:
        """Of the training texts of ``dataset``, else of its test texts."""
        own = {name: sizes[name] for name in ("width", "layers", "vocabulary") if name in sizes}
        long, usual = _lengths(dataset)
        return cls(min(MOST, long), min(MOST, usual), **own)

    @property
    def weights(self) -> int:
        """Numbers of the tower."""
        return self.vocabulary * self.width + 12 * self.layers * self.width**2

    def forward(self, tokens: float) -> float:
        """Multiply-adds, doubled, of ``tokens`` tokens on their way through the tower."""
        return 24.0 * self.width**2 * self.layers * tokens


@lru_cache(maxsize=64)
def _lengths(dataset: TextDataset) -> tuple[float, float]:
    rows = dataset.splits.get("train") or dataset.splits["test"]
    letters = sorted(len(dataset.read(index).a) + len(dataset.read(index).b) for index in rows)
    return 8 + letters[int(LONG * (len(letters) - 1))] / A_TOKEN, 8 + letters[len(letters) // 2] / A_TOKEN


def step_seconds(method: Method, reading: Reading, batch: int, room: Room) -> float:
    """Seconds of arithmetic of one training step; a CPU leaves padding out."""
    tuned = reading.weights / MOVED if _tunes(method) else 0.0
    usual = replace(reading, long=reading.usual) if room == ROOMS["cpu"] else reading
    return tuned + step_flops(method, usual, batch) / room.flops_a_second


def step_flops(method: Method, reading: Reading, batch: int) -> float:
    """Multiply-adds, doubled, of one training step on long texts; inside the tower forward and backward count three."""
    if not {"tokens", "templated"} & columns_of(method):
        return 6.0 * reading.width * 100 * batch
    return 3 * reading.forward((reading.long + _prompt(method)) * batch)


def memory_mb(method: Method, reading: Reading, batch: int) -> tuple[float, float]:
    """MB of one cell: activations kept for the backward pass and, where it is tuned, a model with what AdamW holds."""
    inside = {"tokens", "templated"} & columns_of(method)
    kept = 16 * 4 * (reading.long + _prompt(method)) * batch * reading.width * reading.layers if inside else 0.0
    own = 5 * 4 * reading.weights if _tunes(method) else 0
    return (kept + own) / 2**20 + 0.5, 4 * reading.weights / 2**20


def state_mb(method: Method, reading: Reading) -> float:
    """MB (10^6 bytes) of a tower of its own, where ``method`` learns one."""
    return 4 * reading.weights / 1e6 if _tunes(method) else 0.0


def _prompt(method: Method) -> int:
    """Learned tokens beside a text."""
    return int(getattr(method, "prompt_length", 0))


def _tunes(method: Method) -> bool:
    """Whether a copy of the tower's weights is learned."""
    return "weights" in method.needs and getattr(method, "tunes", "all") == "all"


def read_first(
    cell: Cell, method: Method, card: DatasetCard, reading: Reading, kept: Collection[str], room: Room
) -> Shared | None:
    """The frozen states of ``cell``'s dataset that are not among ``kept``; None where none is wanted or all are there.

    ``kept`` are names in the cache: each holds the digests of data and backbone, and what it is.
    """
    missing = 0.0
    for what in sorted({"features", "mask_state"} & columns_of(method)):
        mine = [name for name in kept if card.sha256 in name and str(cell.identity["backbone"]) in name]
        if not any(f'"{what}"' in name for name in mine):
            texts = card.splits.get("train", 0) + card.splits["test"]
            missing += texts * reading.forward(reading.usual) / (LOOK * room.flops_a_second)
    return Shared(f"{card.name} through {cell.backbone}", missing) if missing else None
