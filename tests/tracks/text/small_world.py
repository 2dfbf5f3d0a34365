"""A small world to try text methods in: a tiny random BERT, sentences of few words, and relations."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from tests.reference.text.tiny import TinyBert

from promptgrid import catalog
from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.track import Arrays
from promptgrid.spec import DatasetCard, Request, digest
from promptgrid.tracks.text.backbone import TextBackbone, TextBackboneFamily
from promptgrid.tracks.text.datasets.building import Row, build
from promptgrid.tracks.text.datasets.text import Text, TextDataset
from promptgrid.tracks.text.track import TextTrack

ABOUT = {"positive": ("great", "good", "fun"), "negative": ("bad", "dull", "poor"), "science": ("physics", "biology")}
FILLER = ("film", "plot", "the", "a", "very", "it", "was", "study", "of", "matter")
COUNTS = {"train": 8, "val": 3, "test": 5}


def sentence(label: int, number: int, of: str) -> str:
    """A sentence of its own for each number, with a word of its class in it."""
    words = list(ABOUT.values())[label]
    own = [FILLER[(number * step + label) % len(FILLER)] for step in range(1, 2 + number % 4)]
    return " ".join([*own, words[number % len(words)], of[:1], *(FILLER[number % 10],)])


def _texts(pairs: bool, relations: bool) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for split, count in COUNTS.items():
        rows = []
        for label, name in enumerate(ABOUT):
            for number in range(count):
                a = sentence(label, number + 10 * len(found), split)
                spans = ((0, len(a.split()[0])), (len(a) - len(a.split()[-1]), len(a))) if relations else None
                rows.append(
                    Row(Text(a, "the " + FILLER[number % 10] if pairs else "", spans), name, f"{split} {number}")
                )
        found[split] = rows
    return found


@cache
def dataset(name: str = "sentences") -> TextDataset:
    """``sentences``, ``other`` with a domain of its own, ``pairs`` or ``relations``."""
    facts: dict[str, Any] = {"name": name, "title": name, "words": ABOUT, "mask_templates": ("{text} It was {mask}.",)}
    facts["classes"] = tuple(ABOUT)
    if name == "relations":
        facts |= {"mask_templates": ("{text} {subject} is {mask} {object}.",), "none_class": "science"}
    if name == "pairs":
        facts["mask_templates"] = ("{text} ? {mask}, {text_b}",)
    rows = _texts(name == "pairs", name == "relations")
    if name == "other":
        rows = {split: some[::-1] for split, some in rows.items()}
    if name == "fewer":
        facts |= {"words": {own: ABOUT[own] for own in list(ABOUT)[:2]}, "classes": tuple(ABOUT)[:2]}
        rows = {split: [row for row in some if row.label != "science"] for split, some in rows.items()}
    draws = None
    if name == "drawn":
        draws = {(2, 13): ([0, 1, 8, 9, 16, 17], [24, 25, 27, 28, 30, 31])}
    return build(name, facts, rows, draws=draws)


class SmallDatasets(DatasetFamily):
    """The datasets of :func:`dataset`."""

    name: ClassVar[str] = "small"

    def listing(self) -> list[DatasetCard]:
        return [dataset().card]

    def knows(self, name: str) -> bool:
        return name in ("sentences", "other", "pairs", "relations", "drawn", "fewer")

    def open(self, name: str) -> Dataset:
        return dataset(name)


class Tiny32(TinyBert):
    """The tiny BERT in float32."""

    digest = digest("tiny")

    def __init__(self) -> None:
        super().__init__()
        self.frozen = {name: value.float() for name, value in self.frozen.items()}


class NoMasks(Tiny32):
    """The same without a masked-word head."""

    id, digest = "no-masks", digest("no masks")
    offers = frozenset({"features", "tokens", "blocks", "weights"})


class SmallBackbones(TextBackboneFamily):
    """``tiny`` and ``no-masks``."""

    name: ClassVar[str] = "small"

    def listing(self) -> list[dict[str, object]]:
        return [{"name": name, "about": "random weights for tests"} for name in ("tiny", "no-masks")]

    def knows(self, name: str) -> bool:
        return name in ("tiny", "no-masks")

    def facts(self, name: str) -> dict[str, object]:
        own = self.load(name, "cpu")
        sizes = {"width": own.width, "layers": own.layers, "vocabulary": own.vocabulary}
        plain = {"digest": own.digest, "offers": sorted(own.offers), "preprocessing": dict(own.preprocessing)}
        return plain | {"model": {"weights": own.digest}, "sizes": sizes}

    def load(self, name: str, device: str) -> TextBackbone:
        return _tower(name)


@cache
def _tower(name: str) -> TextBackbone:
    return Tiny32() if name == "tiny" else NoMasks()


class MemoryCache:
    """Arrays by name, for one process."""

    def __init__(self) -> None:
        self.kept: dict[str, Arrays] = {}

    def get(self, name: str, compute: Any) -> Arrays:
        if name not in self.kept:
            self.kept[name] = compute()
        return self.kept[name]


@cache
def track() -> TextTrack:
    """Every method, column and protocol of the catalogue, on the small towers and texts."""
    found = catalog.track("text")
    assert isinstance(found, TextTrack)
    own = found.resolver
    return TextTrack(own.methods, [SmallDatasets()], [SmallBackbones()], own.protocols, own.columns)


def request(method: str, seed: int = 1, protocol: str = "", **more: Any) -> Request:
    """A cell of few steps; ``more`` are fields of the request and settings of the method."""
    fields = {name: more.pop(name) for name in tuple(more) if name in Request.__dataclass_fields__}
    needed = track().resolver.method(method).needs
    plain = {"dataset": "relations" if "relations" in needed else "sentences", "shots": 2, "backbone": "tiny"}
    return Request(
        track="text",
        protocol=protocol or protocol_of(method),
        method=method,
        settings=brief(method) | more,
        seed=seed,
        selection=fields.pop("selection", "last"),
        precision="fp32",
        **(plain | fields),
    )


def protocol_of(method: str) -> str:
    """A protocol that gives ``method`` what it needs."""
    own = track().resolver.method(method)
    if "unlabelled" in own().assets:
        return "text_semi_supervised"
    return "relation" if "relations" in own.needs else "text_few_shot"


def brief(method: str) -> dict[str, Any]:
    """Settings that keep a fit to a few steps."""
    known = track().resolver.method(method).defaults()
    short = {"steps": 3, "pool_steps": 2, "batch_size": 4, "prompt_length": 3, "budget_length": 6, "positions": 5}
    return {name: value for name, value in short.items() if name in known}
