"""Graphs that come with the package: an npz of arrays and a card each."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from promptgrid.contract import Dataset
from promptgrid.engine.datasets.card_folder import CardFolder, stamp_of
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.graph.datasets.graph import Graph, GraphDataset, Source, both_ways

GRAPHS = Path(__file__).parent.parent / "bundled" / "datasets"
SPLITS = ("", "train", "val", "test")


class Bundled(CardFolder):
    """The graphs in the folders of one folder: ``NAME.yaml`` is the card, ``NAME.npz`` holds the arrays.

    Listing reads cards only. Arrays are read and compared with the card's sha256 once per process.
    """

    name = "bundled"
    ending = ".npz"

    def __init__(self, folder: Path = GRAPHS) -> None:
        super().__init__(folder)

    def opened(self, card: DatasetCard, path: Path) -> Dataset:
        return _open(path, stamp_of(path), card.model_dump_json())


@lru_cache(maxsize=8)
def _open(file: Path, stamp: tuple[int, int], written: str) -> GraphDataset:
    """The graph in ``file`` as of ``stamp``, by the card ``written`` as JSON: equal cards open once."""
    card = DatasetCard.model_validate_json(written)
    facts = card.model_dump(exclude={"name", "classes", "splits", "sha256"})
    found = read_arrays(file, card.name, card.classes, facts).dataset()
    if found.card.sha256 != card.sha256:
        raise Refused("sha256 differs: the data were damaged or changed", where=str(file), got=found.card.sha256,
                      expected=card.sha256)  # fmt: skip
    return found


def read_arrays(file: Path, name: str, classes: tuple[str, ...], facts: dict[str, object]) -> Source:
    """What lies in an npz file of a graph.

    Raises:
        Refused: it is missing or damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            features = torch.from_numpy(arrays["features"].astype(np.float32))
            links, labels = both_ways(arrays["edges"].astype(np.int64)), arrays["labels"].astype(int).tolist()
            splits = {split: np.flatnonzero(arrays["split"] == at).tolist() for at, split in enumerate(SPLITS) if at}
            spoken = torch.nn.functional.normalize(torch.from_numpy(arrays["spoken"].astype(np.float32)), dim=-1)
            names = arrays["names"].tobytes().decode().split("\n")
    except (OSError, KeyError, ValueError) as error:
        raise Refused(f"missing or damaged: {error}", where=str(file), expected="arrays of a graph") from error

    return Source(str(file), name, Graph(features, links), labels, classes, splits, names=names, facts=facts,
                  spoken=dict(zip(classes, spoken, strict=True)))  # fmt: skip
