"""``chem-gnn:/data/gcn_contextpred.pth``: molecule towers in the public layout of Hu et al. (ICLR 2020).

The layout is that of snap-stanford/pretrain-gnns 8b20528: two embeddings of atoms, five layers with embeddings of
bonds, BatchNorm behind each, ReLU between them, the mean over atoms of the last layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract import BackboneFamily
from promptgrid.contract.task import Batch
from promptgrid.spec import Refused, digest
from promptgrid.spec.paths import user_path
from promptgrid.tracks.graph.backbone import GraphBackbone, Shape
from promptgrid.tracks.graph.datasets.molecules import ATOMS, TURNS
from promptgrid.tracks.graph.layers import Weights
from promptgrid.tracks.graph.seen import Seen

PREFIX = "chem-gnn:"
SELF_LOOP = 4
"""The type of the bond that an atom has with itself."""
OFFSET = 1
"""Atomic numbers count from 1, rows of the embedding from 0."""


@dataclass(frozen=True, eq=False)
class ChemGNN(GraphBackbone):
    """A molecule tower; its kind is read off its weights. Prompts change the embedded atoms."""

    @property
    def raw(self) -> int:
        return ATOMS + TURNS

    @property
    def width(self) -> int:
        return self.shape.width

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"graph", "tower", "features", "weights"})

    def weights(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.tensors.items() if "running" not in name}

    def seen(self, batch: Batch) -> Seen:
        atoms = self.tensors["x_embedding1.weight"]
        table = torch.cat(
            [torch.zeros_like(atoms[:OFFSET]), atoms[: ATOMS - OFFSET], self.tensors["x_embedding2.weight"]]
        )
        seen = Seen.of(batch)
        return seen.but(seen.x @ table)

    def states(self, seen: Seen, weights: Weights | None = None) -> Tensor:
        own: Mapping[str, Tensor] = self.tensors if weights is None else {**self.tensors, **weights}
        states = seen.x
        for layer in range(self.shape.layers):
            states = self._layer(f"gnns.{layer}.", states, seen, own)
            norm = f"batch_norms.{layer}."
            states = F.batch_norm(states.flatten(0, -2), own[norm + "running_mean"], own[norm + "running_var"],
                                  own[norm + "weight"], own[norm + "bias"]).view(states.shape)  # fmt: skip
            states = torch.relu(states) if layer + 1 < self.shape.layers else states
            states = states * seen.there.unsqueeze(-1)
        return states

    def pooled(self, states: Tensor, seen: Seen) -> Tensor:
        return seen.mean(states)

    def _layer(self, own: str, states: Tensor, seen: Seen, weights: Weights) -> Tensor:
        kinds, turns = weights[f"{own}edge_embedding1.weight"], weights[f"{own}edge_embedding2.weight"]
        bonds = torch.zeros_like(seen.links) if seen.kinds is None else seen.kinds
        edges, loop = kinds[bonds[..., 0]] + turns[bonds[..., 1]], kinds[SELF_LOOP] + turns[0]
        if self.shape.kind == "gin":
            summed = seen.received(seen.sent(states) + edges) + states + loop
            inner = torch.relu(F.linear(summed, weights[f"{own}mlp.0.weight"], weights[f"{own}mlp.0.bias"]))
            return F.linear(inner, weights[f"{own}mlp.2.weight"], weights[f"{own}mlp.2.bias"])
        states = F.linear(states, weights[f"{own}linear.weight"], weights[f"{own}linear.bias"])
        if self.shape.kind == "gcn":
            root = (seen.degrees + 1.0).rsqrt()
            between = seen.sent(root)
            return root * seen.received(between * (seen.sent(states) + edges)) + root.square() * (states + loop)
        mean = (seen.received(seen.sent(states) + edges) + states + loop) / (seen.degrees + 1.0)
        return F.normalize(mean, dim=-1)


class ChemGNNs(BackboneFamily):
    """Checkpoints of the public molecule towers: GIN, GCN and GraphSAGE; read as tensors only, nothing is run."""

    name: ClassVar[str] = "chem_gnn"

    def listing(self) -> list[dict[str, object]]:
        return []

    def knows(self, backbone: str) -> bool:
        return backbone.startswith(PREFIX)

    def facts(self, backbone: str) -> dict[str, object]:
        found = self.load(backbone, "cpu")
        return {"digest": found.digest, "model": found.model(), "offers": sorted(found.offers), "raw": found.raw,
                "text": 0, "sizes": {"inputs": found.inputs, "width": found.shape.width, "layers": found.shape.layers,
                          "numbers": sum(value.numel() for value in found.tensors.values())}}  # fmt: skip

    def load(self, backbone: str, device: str) -> ChemGNN:
        path = user_path(backbone.removeprefix(PREFIX))
        try:
            content = path.read_bytes()
            tensors = dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:
            raise Refused(f"no checkpoint of a molecule tower: {error}", where=str(path)) from error
        shape = _shape(tensors, path)
        here = {name: value.float().to(device) for name, value in tensors.items() if value.is_floating_point()}
        made = ChemGNN(backbone, "", shape, here)
        return ChemGNN(backbone, digest([made.model(), digest(content)]), shape, here)


def _shape(tensors: Mapping[str, Any], path: Path) -> Shape:
    """The shape of a checkpoint, by the names of its weights; GCN and GraphSAGE have the same, and the file's name."""
    layers = {int(match[1]) for name in tensors if (match := re.match(r"gnns\.(\d+)\.", name))}
    atoms = tensors.get("x_embedding1.weight")
    if not layers or atoms is None or atoms.shape[0] != ATOMS:
        raise Refused("no checkpoint of a molecule tower", where=str(path), got=sorted(tensors)[:4],
                      expected=f"x_embedding1.weight of {ATOMS} rows and gnns.0. ...")  # fmt: skip
    if "gnns.0.mlp.0.weight" in tensors:
        return Shape("gin", atoms.shape[1], atoms.shape[1], len(layers))
    named = next((kind for kind in ("gcn", "graphsage") if kind in path.name.lower()), "")
    if not named:
        raise Refused(
            "the file's name does not say which tower it is", where=str(path), expected="gcn or graphsage in it"
        )
    return Shape("gcn" if named == "gcn" else "sage", atoms.shape[1], atoms.shape[1], len(layers))
