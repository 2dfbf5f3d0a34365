"""What a dataset of the graph wing is: nodes of one graph to be told apart, or many small graphs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptgrid.contract import Dataset
from promptgrid.spec import DatasetCard, digest

HOPS, MOST = 2, 20
"""An example of a node task is what lies within so many links of its node, so many nodes at most."""
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
"""How a source without splits is divided, each class by itself."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes and directed links; several graphs may lie beside each other.

    Attributes:
        features: (N, d) float32.
        links: (E, 2) int64, source and target; an undirected edge is two links.
        kinds: (E, 2) int64 categories of links; None where they have none.
    """

    features: Tensor
    links: Tensor
    kinds: Tensor | None = None

    @property
    def sha256(self) -> str:
        """Of everything in it."""
        found = hashlib.sha256(str(tuple(self.features.shape)).encode())
        for part in (self.features, self.links, self.kinds):
            if part is not None:
                found.update(np.ascontiguousarray(part.numpy()).tobytes())
        return found.hexdigest()

    def smoothed(self, steps: int = 2) -> Tensor:
        """(N, d): (D^-1/2 (A + I) D^-1/2)^steps X, over the whole graph (Wu et al., ICML 2019)."""
        degrees = torch.bincount(self.links[:, 1], minlength=len(self.features)) + 1.0
        root, found = degrees.rsqrt().unsqueeze(1), self.features
        for _ in range(steps):
            sent = root * found
            found = root * (sent + torch.zeros_like(found).index_add(0, self.links[:, 1], sent[self.links[:, 0]]))
        return found


@dataclass(frozen=True, eq=False)
class Example:
    """A node with what lies around it, itself first, or a whole graph.

    Attributes:
        nodes: (n,) int64, rows of the dataset's graph.
        links: (e, 2) int64, places in ``nodes``.
        kinds: (e, 2) int64 categories of links; None where they have none.
        name: what people know it by.
    """

    nodes: npt.NDArray[np.int64]
    links: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64] | None = None
    name: str = ""


class GraphDataset(Dataset):
    """Nodes of one graph by number, or small graphs by number; ``labels`` are -1 where nobody tells.

    ``starts`` (G + 1,) says where each small graph begins and ends; None: the examples are nodes. ``spoken`` is, by
    class name, what a text encoder makes of a sentence about it, in the space of the features; empty where there is
    no text.
    """

    def __init__(
        self,
        card: DatasetCard,
        graph: Graph,
        labels: Sequence[int],
        splits: Mapping[str, Sequence[int]],
        *,
        starts: npt.NDArray[np.int64] | None = None,
        names: Sequence[str] = (),
        spoken: Mapping[str, Tensor] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.card, self.graph = card, graph
        self.labels, self.splits = tuple(labels), {name: list(rows) for name, rows in splits.items()}
        self.starts, self.names, self.notes = starts, tuple(names), tuple(notes)
        self.spoken = dict(spoken or {})
        order = np.argsort(graph.links[:, 0].numpy(), kind="stable")
        self._by_source = graph.links.numpy()[order]
        self._kinds = None if graph.kinds is None else graph.kinds.numpy()[order]
        self._first = np.searchsorted(self._by_source[:, 0], np.arange(len(graph.features) + 1))
        self._drawn = lru_cache(maxsize=4096)(self._example)

    @property
    def most(self) -> int:
        """Nodes of the largest example."""
        return MOST if self.starts is None else int(np.diff(self.starts).max())

    def example_name(self, index: int) -> str:
        return self.names[index] if self.names else str(index)

    def read(self, index: int) -> Example:
        return self._drawn(index)

    def rows(self, index: int) -> npt.NDArray[np.int64]:
        """The nodes whose features stand for example ``index``: itself, or all of its graph's."""
        if self.starts is None:
            return np.array([index])
        return np.arange(self.starts[index], self.starts[index + 1])

    def _example(self, index: int) -> Example:
        nodes = np.array(self._around(index)) if self.starts is None else self.rows(index)
        place = {int(node): at for at, node in enumerate(nodes)}
        links, kinds = [], []
        for at, node in enumerate(nodes):
            for row in range(self._first[node], self._first[node + 1]):
                to = place.get(int(self._by_source[row, 1]))
                if to is not None:
                    links.append((at, to))
                    if self._kinds is not None:
                        kinds.append(self._kinds[row])
        found = np.array(links, dtype=np.int64).reshape(-1, 2)
        told = None if self._kinds is None else np.array(kinds, dtype=np.int64).reshape(-1, 2)
        return Example(nodes.astype(np.int64), found, told, self.example_name(index))

    def _around(self, node: int) -> list[int]:
        """``node`` and what lies within ``HOPS`` links of it, nearest first; of too many some are drawn."""
        rng, found = random.Random(node), {node: None}
        edge = [node]
        for _ in range(HOPS):
            near = [
                int(self._by_source[row, 1]) for one in edge for row in range(self._first[one], self._first[one + 1])
            ]
            edge = [one for one in dict.fromkeys(near) if one not in found]
            rng.shuffle(edge)
            edge = edge[: MOST - len(found)]
            found |= dict.fromkeys(edge)
        return list(found)


@dataclass(frozen=True, eq=False)
class Source:
    """What a reader found.

    Attributes:
        where: the address, for messages.
        name: of the dataset.
        graph: its nodes and links.
        labels: of the examples, -1 for none.
        classes: their names.
        splits: that the source fixes; empty: each class is divided by a hash of the examples' names.
        starts: of small graphs.
        names: of examples.
        facts: more fields of the card.
        spoken: by class name a feature of a sentence about it.
        notes: what is odd.
    """

    where: str
    name: str
    graph: Graph
    labels: Sequence[int]
    classes: Sequence[str]
    splits: Mapping[str, Sequence[int]] = field(default_factory=dict)
    starts: npt.NDArray[np.int64] | None = None
    names: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    spoken: Mapping[str, Tensor] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def dataset(self) -> GraphDataset:
        """The dataset, its content pinned by what was read."""
        splits = self.splits or divided(self.labels, self.names)
        sizes = {name: len(rows) for name, rows in splits.items()}
        starts = [] if self.starts is None else self.starts.tolist()
        found = digest([self.graph.sha256, list(self.labels), {k: list(v) for k, v in splits.items()}, starts])
        card = DatasetCard.model_validate(
            {"name": self.name, "classes": tuple(self.classes), "splits": sizes, "sha256": found, **self.facts}
        )
        return GraphDataset(card, self.graph, self.labels, splits, starts=self.starts, names=self.names,
                            spoken=self.spoken, notes=self.notes)  # fmt: skip


def divided(
    labels: Sequence[int], names: Sequence[str] = (), most: Mapping[str, int] | None = None
) -> dict[str, list[int]]:
    """Splits of the labelled examples: each class by ``SHARES``, in the order of a hash of their names.

    ``most`` is how many of a class a split takes at most; the others stay out.
    """
    splits: dict[str, list[int]] = {name: [] for name in SHARES}
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        if label >= 0:
            by_class.setdefault(int(label), []).append(index)
    for label in sorted(by_class):
        mixed = sorted(by_class[label], key=lambda index: _hash(names[index] if names else str(index)))
        first = 0
        for split, share in SHARES.items():
            last = len(mixed) if split == "test" else first + max(1, round(share * len(mixed)))
            own = mixed[first:last]
            splits[split] += own[: most[split]] if most else own
            first = last
    return splits


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def both_ways(edges: npt.NDArray[np.int64] | Sequence[tuple[int, int]]) -> Tensor:
    """(2E, 2) links of undirected ``edges`` (E, 2), each pair once, without a node to itself."""
    found = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    found = found[found[:, 0] != found[:, 1]]
    found = np.unique(np.sort(found, axis=1), axis=0)
    return torch.from_numpy(np.concatenate([found, found[:, ::-1]]).copy())
