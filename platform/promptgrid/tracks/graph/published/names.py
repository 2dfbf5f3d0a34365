"""Our names against the papers'."""

from __future__ import annotations

from pathlib import Path

from promptgrid.engine.published import Published

GRAPHS = {"cora": "Cora", "citeseer": "CiteSeer", "pubmed": "PubMed"}


def dataset_known_as(dataset: str) -> str:
    """The papers' name of one of our datasets (``planetoid:/data/Cora`` is Cora), '' for another."""
    return GRAPHS.get(dataset.partition("?")[0].rstrip("/").rsplit("/", 1)[-1].lower(), "")


def backbone_known_as(backbone: str) -> str:
    """No tower of ours is a paper's."""
    return ""


PUBLISHED = Published(Path(__file__).parent, {}, dataset_known_as, backbone_known_as)
"""The tables of this folder."""
