"""Towers over links are what dense matrices give; padding changes nothing; public checkpoints are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.reference.graph.dense import plain
from tests.tracks.graph.world import dataset, tower
from torch import Tensor
from torch.nn import functional as F

from promptgrid.spec import Refused
from promptgrid.tracks.graph.backbones.chem_gnn import ChemGNNs
from promptgrid.tracks.graph.backbones.files import read, write
from promptgrid.tracks.graph.data.pack_data import shown_batch
from promptgrid.tracks.graph.data.padding import padded
from promptgrid.tracks.graph.datasets.graph import Example, Graph
from promptgrid.tracks.graph.seen import Seen

NODES = (0, 31, 62, 5)


def graphs(most: int = 25, links: int = 0) -> Seen:
    data = dataset()
    return Seen.of(shown_batch(padded([data.read(node) for node in NODES], most, links), data.graph.features))


def dense(seen: Seen, row: int) -> tuple[Tensor, Tensor]:
    """(n, d) features and (n, n) adjacency [target, source] of one example, without padding."""
    count = int(seen.there[row].sum())
    adjacency = torch.zeros(count, count)
    for source, target in seen.links[row].tolist():
        if source >= 0:
            adjacency[target, source] += 1.0
    return seen.x[row, :count], adjacency


@pytest.mark.parametrize("kind", ["gin", "gcn", "sage", "gps"])
def test_a_tower_is_what_dense_matrices_give(kind: str) -> None:
    own, seen = tower(kind), graphs()
    states, pooled = own.states(seen), own.features(seen)
    for row in range(len(NODES)):
        x, a = dense(seen, row)
        wanted = plain(kind, x, a, dict(own.tensors))
        torch.testing.assert_close(states[row, : len(x)], wanted, rtol=0, atol=1e-5)
        torch.testing.assert_close(pooled[row], torch.cat([wanted.mean(0), wanted[0]]), rtol=0, atol=1e-5)
        assert not states[row, len(x) :].any()


@pytest.mark.parametrize("kind", ["gin", "gcn", "sage", "gps"])
def test_padding_changes_nothing(kind: str) -> None:
    own = tower(kind)
    torch.testing.assert_close(own.features(graphs(40, 400)), own.features(graphs()), rtol=0, atol=1e-6)


def test_examples_are_drawn_alike_and_around_their_node() -> None:
    data = dataset()
    for node in range(0, 90, 7):
        one = data.read(node)
        assert one.nodes[0] == node
        assert len(set(one.nodes.tolist())) == len(one.nodes) <= data.most
        links = {tuple(link) for link in one.links.tolist()}
        assert links == {(b, a) for a, b in links}
        known = {tuple(link) for link in data.graph.links.tolist()}
        assert all((int(one.nodes[a]), int(one.nodes[b])) in known for a, b in links)
    fresh = dataset.__wrapped__()
    assert all((fresh.read(node).nodes == data.read(node).nodes).all() for node in range(90))


def test_smoothing_is_the_dense_product() -> None:
    graph = dataset().graph
    a = torch.eye(90)
    a[graph.links[:, 1], graph.links[:, 0]] = 1.0
    root = torch.diag(a.sum(1) ** -0.5)
    s = root @ a @ root
    torch.testing.assert_close(graph.smoothed(), s @ s @ graph.features, rtol=0, atol=1e-5)


def test_a_tower_written_is_the_tower_read(tmp_path: Path) -> None:
    made = tower("gps")
    write(tmp_path, made.shape, dict(made.tensors), "a tower")
    back = read(tmp_path, "back")
    assert back.shape == made.shape
    torch.testing.assert_close(back.features(graphs()), made.features(graphs()), rtol=0, atol=2e-2)
    (tmp_path / "config.json").write_text('{"kind": "gin", "inputs": 6, "width": 8, "layers": 2}')
    with pytest.raises(Refused, match="do not fit the shape"):
        read(tmp_path, "back")


def checkpoint(kind: str, width: int = 5) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    own = {"x_embedding1.weight": (120, width), "x_embedding2.weight": (3, width)}
    for layer in range(2):
        at = f"gnns.{layer}."
        own |= {f"{at}edge_embedding1.weight": (6, width), f"{at}edge_embedding2.weight": (3, width)}
        if kind == "gin":
            own |= {f"{at}mlp.0.weight": (2 * width, width), f"{at}mlp.0.bias": (2 * width,),
                    f"{at}mlp.2.weight": (width, 2 * width), f"{at}mlp.2.bias": (width,)}  # fmt: skip
        else:
            own |= {f"{at}linear.weight": (width, width), f"{at}linear.bias": (width,)}
        own |= {f"batch_norms.{layer}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {name: torch.rand(size, generator=rng) + 0.1 for name, size in own.items()}


@pytest.mark.parametrize(("kind", "file"), [("gin", "gin_x.pth"), ("gcn", "gcn_x.pth"), ("sage", "graphsage_x.pth")])
def test_molecule_towers_are_read_in_the_public_layout(kind: str, file: str, tmp_path: Path) -> None:
    own = checkpoint(kind)
    torch.save(own, tmp_path / file)
    loaded = ChemGNNs().load(f"chem-gnn:{tmp_path / file}", "cpu")
    assert loaded.shape.kind == kind
    atoms, bonds = [(6, 0), (7, 1), (8, 0)], [(0, 1, 0, 0), (1, 2, 1, 2)]
    features = torch.zeros(3, 123)
    features[range(3), [atom for atom, _ in atoms]] = 1.0
    features[range(3), [120 + turn for _, turn in atoms]] = 1.0
    both = [*bonds, *((b, a, kind_, way) for a, b, kind_, way in bonds)]
    example = Example(np.arange(3), np.array([[a, b] for a, b, *_ in both]), np.array([rest for *_, rest in
                      [(a, b, [c, d]) for a, b, c, d in both]]))  # fmt: skip
    graph = Graph(features, torch.zeros(0, 2, dtype=torch.int64))
    batch = shown_batch(padded([example], 5), graph.features)
    h = torch.stack([own["x_embedding1.weight"][z - 1] + own["x_embedding2.weight"][turn] for z, turn in atoms])
    for layer in range(2):
        at = f"gnns.{layer}."

        def edge(bond: int, way: int, at: str = at) -> Tensor:
            return own[f"{at}edge_embedding1.weight"][bond] + own[f"{at}edge_embedding2.weight"][way]

        sent = h if kind == "gin" else F.linear(h, own[f"{at}linear.weight"], own[f"{at}linear.bias"])
        degrees = torch.tensor([2.0, 3.0, 2.0])
        found = []
        for node in range(3):
            near = [(a, c, d) for a, b, c, d in both if b == node] + [(node, 4, 0)]
            if kind == "gcn":
                found.append(sum((degrees[a] * degrees[node]) ** -0.5 * (sent[a] + edge(c, d)) for a, c, d in near))
            else:
                total = sum(sent[a] + edge(c, d) for a, c, d in near)
                found.append(total if kind == "gin" else F.normalize(total / len(near), dim=0))
        h = torch.stack(found)  # type: ignore[arg-type]
        if kind == "gin":
            inner = torch.relu(F.linear(h, own[f"{at}mlp.0.weight"], own[f"{at}mlp.0.bias"]))
            h = F.linear(inner, own[f"{at}mlp.2.weight"], own[f"{at}mlp.2.bias"])
        b = f"batch_norms.{layer}."
        h = (h - own[b + "running_mean"]) / (own[b + "running_var"] + 1e-5).sqrt() * own[b + "weight"] + own[b + "bias"]
        h = torch.relu(h) if layer == 0 else h
    torch.testing.assert_close(loaded.features(loaded.seen(batch))[0], h.mean(0), rtol=1e-5, atol=1e-5)


def test_what_is_no_molecule_tower_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "gin.pth")
    with pytest.raises(Refused, match="no checkpoint of a molecule tower"):
        ChemGNNs().load(f"chem-gnn:{tmp_path / 'gin.pth'}", "cpu")
    torch.save(checkpoint("gcn"), tmp_path / "unnamed.pth")
    with pytest.raises(Refused, match="does not say which tower"):
        ChemGNNs().load(f"chem-gnn:{tmp_path / 'unnamed.pth'}", "cpu")
    with pytest.raises(Refused, match="no checkpoint"):
        ChemGNNs().load(f"chem-gnn:{tmp_path / 'gone.pth'}", "cpu")
