"""``moleculenet:/data/tox21.csv.gz?task=NR-AR``: molecules of a MoleculeNet table, told apart by one column."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import torch

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.spec import DatasetCard, Refused, nearest
from promptgrid.tracks.graph.datasets.addresses import address, required
from promptgrid.tracks.graph.datasets.graph import Graph, Source
from promptgrid.tracks.graph.datasets.smiles import Molecule, parsed

PREFIX = "moleculenet:"
ATOMS, TURNS = 120, 3
"""Atomic numbers (0 is any atom) and chirality marks, one-hot, are a node's features."""
CLASSES = ("inactive", "active")


class MoleculeNet(DatasetFamily):
    """A CSV of MoleculeNet (Wu et al., Chemical Science 2018), plain or gzipped; ``?task=`` names the column of labels.

    ``&smiles=`` names that of the molecules, ``smiles`` by default. Rows without a label of the task are left out, and
    so are those that are no molecule, which a note counts. Splits go by a hash of the SMILES, not by scaffold.
    """

    name = "moleculenet"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, options = address(dataset, PREFIX, ("task", "smiles"))
        rows = _rows(required(path, "a table of molecules"))
        if not rows:
            raise Refused("the table has no rows", where=str(path))
        for key, default in (("smiles", "smiles"), ("task", "")):
            if options.setdefault(key, default) not in rows[0]:
                raise Refused(f"no such column ({key})", where=str(path), got=options[key],
                              expected=", ".join(rows[0]), hint=nearest(options[key], rows[0]))  # fmt: skip
        return _source(path, rows, options).dataset()


def _source(path: Path, rows: list[dict[str, str]], options: dict[str, str]) -> Source:
    molecules, labels, names, odd = list[Molecule](), list[int](), list[str](), 0
    for row in rows:
        said = row[options["task"]].strip()
        if not said:
            continue
        if said not in ("0", "1", "0.0", "1.0"):
            raise Refused("a label is neither 0 nor 1", where=f"{path}: {options['task']}", got=said)
        try:
            molecules.append(parsed(row[options["smiles"]].strip()))
        except Refused:
            odd += 1
            continue
        labels.append(int(float(said)))
        names.append(row[options["smiles"]].strip())
    if not molecules:
        raise Refused("no row has a label and a molecule", where=str(path), got=options["task"])
    starts = np.cumsum([0, *(len(one.atoms) for one in molecules)])
    name = f"{path.name.split('.')[0]} {options['task']}"
    notes = [f"{odd} rows are no SMILES string and are left out"] if odd else []
    return Source(str(path), name, _graph(molecules, starts), labels, CLASSES, starts=starts, names=names, notes=notes)


def _graph(molecules: list[Molecule], starts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Graph:
    atoms = np.array([atom for one in molecules for atom in one.atoms])
    features = np.zeros((len(atoms), ATOMS + TURNS), dtype=np.float32)
    features[np.arange(len(atoms)), np.minimum(atoms[:, 0], ATOMS - 1)] = 1.0
    features[np.arange(len(atoms)), ATOMS + np.minimum(atoms[:, 1], TURNS - 1)] = 1.0
    bonds = [
        (start + one, start + other, kind, direction)
        for molecule, start in zip(molecules, starts[:-1].tolist(), strict=True)
        for one, other, kind, direction in molecule.bonds
    ]
    found = np.array([each for a, b, *told in bonds for each in ((a, b, *told), (b, a, *told))], dtype=np.int64)
    found = found.reshape(-1, 4)
    return Graph(
        torch.from_numpy(features), torch.from_numpy(found[:, :2].copy()), torch.from_numpy(found[:, 2:].copy())
    )


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8", newline="") as file
        ):
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"no table: {error}", where=str(path)) from error
