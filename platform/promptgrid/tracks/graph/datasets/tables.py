"""``edge-list:/data/nodes.csv?edges=edges.csv`` and ``ogb:/data/ogbn_arxiv``: graphs as tables of nodes and edges."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.contract.split_names import split_of
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.graph.datasets.addresses import address, required
from promptgrid.tracks.graph.datasets.graph import Graph, Source, both_ways

NODES, OGB = "edge-list:", "ogb:"
SPLITS = {"train": "train", "val": "valid", "test": "test"}
"""Our names of splits, and the files' of OGB."""


class EdgeList(DatasetFamily):
    """A table of nodes and a list of edges, CSV with a header or TSV.

    The table has the columns ``id``, ``label`` (empty for none), perhaps ``split``; all others are features, numbers.
    The edges are two columns of ids, named by ``?edges=`` beside the table (``edges.csv`` by default). Without a column
    of splits each class is divided by a hash of its ids: six tenths to train, a tenth to val, the rest to test.
    """

    name = "edge_list"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(NODES)

    def open(self, dataset: str) -> Dataset:
        path, options = address(dataset, NODES, ("edges",))
        rows = list(_rows(required(path, "a table of nodes")))
        if not rows or not {"id", "label"} <= set(rows[0]):
            raise Refused("the table of nodes has no columns id and label", where=str(path),
                          got=sorted(rows[0]) if rows else "no rows")  # fmt: skip
        place: dict[str, int] = {}
        for number, row in enumerate(rows, 2):
            if row["id"] in place:
                raise Refused("two nodes have one id", where=f"{path} line {number}", got=row["id"])
            place[row["id"]] = len(place)
        names = [name for name in rows[0] if name not in ("id", "label", "split")]
        features = _numbers(path, rows, names)
        classes = sorted({row["label"] for row in rows} - {""})
        labels = [classes.index(row["label"]) if row["label"] else -1 for row in rows]
        edges = list(_edges(path.parent / options.get("edges", "edges.csv"), place))
        graph = Graph(torch.from_numpy(features), both_ways(edges))
        return Source(
            str(path), path.stem, graph, labels, classes, _splits(path, rows, labels), names=list(place)
        ).dataset()


class OGBNodes(DatasetFamily):
    """A node task in the raw layout of OGB (Hu et al., NeurIPS 2020): ``raw/*.csv.gz``, ``split/SCHEME/*.csv.gz``."""

    name = "ogb"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(OGB)

    def open(self, dataset: str) -> Dataset:
        folder, _ = address(dataset, OGB)
        features = _matrix(folder / "raw" / "node-feat.csv.gz").astype(np.float32)
        labels = _matrix(folder / "raw" / "node-label.csv.gz")[:, 0]
        edges = _matrix(folder / "raw" / "edge.csv.gz").astype(np.int64)
        schemes = sorted(path for path in (folder / "split").glob("*") if path.is_dir())
        if len(schemes) != 1:
            raise Refused(
                "no single scheme of splits", where=str(folder / "split"), got=[path.name for path in schemes]
            )
        splits = {
            ours: _matrix(schemes[0] / f"{theirs}.csv.gz")[:, 0].astype(int).tolist() for ours, theirs in SPLITS.items()
        }
        if len(labels) != len(features) or (len(edges) and int(edges.max()) >= len(features)):
            raise Refused("the files do not fit each other", where=str(folder), got=f"{len(features)} features, "
                          f"{len(labels)} labels, edges up to {int(edges.max())}")  # fmt: skip
        told = np.nan_to_num(labels, nan=-1).astype(int)
        classes = [f"class_{label}" for label in range(int(told.max()) + 1)]
        graph = Graph(torch.from_numpy(features), both_ways(edges))
        return Source(str(folder), folder.name, graph, told.tolist(), classes, splits).dataset()


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        for row in reader:
            if None in row or None in row.values():
                raise Refused("a row of another length than the header", where=f"{path} line {reader.line_num}")
            yield row


def _numbers(path: Path, rows: Sequence[dict[str, str]], names: Sequence[str]) -> npt.NDArray[np.float32]:
    if not names:
        raise Refused("the table of nodes has no features", where=str(path), expected="columns beside id, label, split")
    try:
        found = np.array([[float(row[name]) for name in names] for row in rows], dtype=np.float32)
    except ValueError as error:
        raise Refused(f"a feature is no number: {error}", where=str(path)) from error
    if not np.isfinite(found).all():
        raise Refused("a feature is not finite", where=str(path))
    return found


def _edges(path: Path, place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for number, row in enumerate(_rows(required(path, "a table of edges: two columns of ids")), 2):
        ends = list(row.values())[:2]
        for end in ends:
            if end not in place:
                raise Refused("an edge names a node that is not in the table", where=f"{path} line {number}", got=end)
        yield place[ends[0]], place[ends[1]]


def _splits(path: Path, rows: Sequence[dict[str, str]], labels: Sequence[int]) -> dict[str, list[int]]:
    if "split" not in rows[0]:
        return {}
    splits: dict[str, list[int]] = {name: [] for name in SPLITS}
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        name = split_of(row["split"]) if row["split"] else None
        if row["split"] and name is None:
            raise Refused("unknown split", where=f"{path} line {index + 2}", got=row["split"])
        if name is not None and label >= 0:
            splits[name].append(index)
    return splits


def _matrix(path: Path) -> npt.NDArray[np.float64]:
    try:
        with gzip.open(required(path, "a raw file of OGB"), "rt", encoding="ascii") as file:
            return np.loadtxt(file, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise Refused(f"no table of numbers: {error}", where=str(path)) from error
