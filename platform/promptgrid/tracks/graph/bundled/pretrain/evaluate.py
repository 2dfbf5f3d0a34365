"""The figures of MODEL_CARD.md: ``python -m promptgrid.tracks.graph.bundled.pretrain.evaluate gin random:gin``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from statistics import fmean
from typing import cast

import numpy as np
import torch

from promptgrid import catalog
from promptgrid.engine.draws.sampling import few_shot_sample
from promptgrid.engine.wing import Wing
from promptgrid.tracks.graph.backbone import GraphBackbone
from promptgrid.tracks.graph.data.pack_data import pooled_features
from promptgrid.tracks.graph.datasets.graph import GraphDataset

SHOTS, SEEDS = (1, 5, 10), (1, 2, 3)


def figures(tower: GraphBackbone, data: GraphDataset) -> Iterator[tuple[str, float]]:
    """Accuracy in per cent on the test nodes: zero-shot where the tower lies among texts, then by shots a class."""
    labels, test = np.array(data.labels), data.splits["test"]
    features = pooled_features(tower, data, test, data.graph.features)
    if tower.shape.text:
        texts = torch.stack([data.spoken[name] for name in data.card.classes])
        near = (tower.in_texts(features) @ texts.mT).argmax(1).numpy()
        yield "zero-shot", 100 * float((near == labels[test]).mean())
    for shots in SHOTS:
        yield f"{shots} a class", 100 * fmean(_probed(tower, data, features, shots, seed) for seed in SEEDS)


def _probed(tower: GraphBackbone, data: GraphDataset, features: torch.Tensor, shots: int, seed: int) -> float:
    from sklearn.linear_model import LogisticRegression  # a second to import

    train, _ = few_shot_sample(data, shots, seed)
    labels = np.array(data.labels)
    seen = pooled_features(tower, data, train, data.graph.features)
    probe = LogisticRegression(max_iter=1000).fit(seen.numpy(), labels[train])
    return float((probe.predict(features.numpy()) == labels[data.splits["test"]]).mean())


def main() -> None:
    """Print the figures of the towers that are named, on all bundled graphs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("towers", nargs="+")
    torch.set_num_threads(1)
    wing = cast(Wing, catalog.track("graph"))
    for name in parser.parse_args().towers:
        tower = cast(GraphBackbone, wing.resolver.backbone_family(name).load(name, "cpu"))
        for dataset in wing.bundled_datasets():
            found = figures(tower, cast(GraphDataset, wing.resolver.dataset(dataset)))
            print(name, dataset, ", ".join(f"{what} {value:.1f}" for what, value in found))


if __name__ == "__main__":
    main()
