"""A frozen graph tower, as methods see it: features and links in, node states and one feature of an example out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch
from promptgrid.tracks.graph.layers import LAYERS, Weights, linear, norm
from promptgrid.tracks.graph.seen import Seen

Kind = Literal["gin", "gcn", "sage", "gps"]
WALKS = 8
"""Steps of the walks whose returns a GPS-like tower reads beside the features."""


@dataclass(frozen=True)
class Shape:
    """What a tower is: its layers, how wide features and states are, what its feature is made of.

    ``text`` is the width of the texts that its feature is compared with; 0 where it was trained without texts.
    """

    kind: Kind
    inputs: int
    width: int
    layers: int
    text: int = 0

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The size of every weight, by name."""
        own: dict[str, tuple[int, ...]] = {"in.weight": (self.width, self.inputs), "in.bias": (self.width,)}
        if self.kind == "gps":
            own["walks.weight"] = (self.width, WALKS)
        for layer in range(self.layers):
            for name, size in self._layer().items():
                own[f"layers.{layer}.{name}"] = size
        if self.text:
            own |= {"out.weight": (self.text, 2 * self.width), "out.bias": (self.text,), "scale": ()}
        return own

    def _layer(self) -> dict[str, tuple[int, ...]]:
        w = self.width
        lines = {
            "gin": {"inner": (2 * w, w), "outer": (w, 2 * w)},
            "gcn": {"": (w, w)},
            "sage": {"self": (w, w), "around": (w, w)},
            "gps": {"local.self": (w, w), "local.around": (w, w), "qkv": (3 * w, w), "far": (w, w), "inner": (2 * w, w),
                    "outer": (w, 2 * w)},
        }[self.kind]  # fmt: skip
        norms = ("norm_local.", "norm_far.", "norm_out.") if self.kind == "gps" else ("norm.",)
        found: dict[str, tuple[int, ...]] = {}
        for name, size in lines.items():
            dot = f"{name}." if name else ""
            found |= {f"{dot}weight": size, f"{dot}bias": size[:1]}
        return found | {f"{name}{part}": (w,) for name in norms for part in ("weight", "bias")}

    def drawn(self, *names: object) -> dict[str, Tensor]:
        """Random weights: matrices that keep the size of what they read, norms at one, biases at zero."""
        own, rng = {}, stream("graph tower", *names)
        for name, size in self.sizes().items():
            if len(size) == 2:
                own[name] = torch.randn(size, generator=rng) * size[1] ** -0.5
            elif name == "scale":
                own[name] = torch.tensor(1.0 / 0.07).log()
            else:
                own[name] = torch.full(size, float("norm" in name and name.endswith("weight")))
        return own


@dataclass(frozen=True, eq=False)
class GraphBackbone:
    """A frozen tower over links; nothing in it changes.

    ``inputs`` is how wide the features are that prompts change, ``states`` are (B, M, ``state_width``), ``pooled`` are
    (B, ``width``): the mean over the nodes and the state of the first node, one behind the other.
    """

    id: str
    digest: str
    shape: Shape
    tensors: Mapping[str, Tensor] = field(repr=False)

    @property
    def inputs(self) -> int:
        """How wide the features are that a prompt changes."""
        return self.shape.inputs

    @property
    def raw(self) -> int:
        """How wide the features of a dataset are that it reads."""
        return self.shape.inputs

    @property
    def state_width(self) -> int:
        """How wide the states of nodes are."""
        return self.shape.width

    @property
    def width(self) -> int:
        """How wide the feature of an example is."""
        return 2 * self.shape.width

    def weights(self) -> dict[str, Tensor]:
        """The weights that full fine-tuning moves: all but those towards texts."""
        return {name: value for name, value in self.tensors.items() if not name.startswith(("out.", "scale"))}

    def seen(self, batch: Batch) -> Seen:
        """The graphs of a batch, with the features that a prompt changes."""
        return Seen.of(batch)

    def states(self, seen: Seen, weights: Weights | None = None) -> Tensor:
        """(B, M, state_width) states of the nodes; zeros at padding."""
        own = self.tensors if weights is None else weights
        states = linear("in.", seen.x, own)
        if self.shape.kind == "gps":
            states = states + F.linear(seen.walks(WALKS), own["walks.weight"])
        for layer in range(self.shape.layers):
            place = f"layers.{layer}."
            states = LAYERS[self.shape.kind](place, states, seen, own)
            if self.shape.kind != "gps":
                states = norm(f"{place}norm.", states, own)
                states = torch.relu(states) if layer + 1 < self.shape.layers else states
            states = states * seen.there.unsqueeze(-1)
        return states

    def pooled(self, states: Tensor, seen: Seen) -> Tensor:
        """(B, width) of ``states``."""
        return torch.cat([seen.mean(states), states[:, 0]], dim=-1)

    def features(self, seen: Seen, weights: Weights | None = None) -> Tensor:
        """(B, width) of graphs."""
        return self.pooled(self.states(seen, weights), seen)

    def in_texts(self, pooled: Tensor, weights: Weights | None = None) -> Tensor:
        """(B, text) of length 1: where a feature lies among texts."""
        return F.normalize(linear("out.", pooled, self.tensors if weights is None else weights), dim=-1)

    @property
    def scale(self) -> Tensor:
        """What cosines with texts are multiplied by."""
        return self.tensors["scale"].exp()

    @property
    def offers(self) -> frozenset[str]:
        """What methods may ask for."""
        return frozenset({"graph", "tower", "features", "weights"} | ({"texts"} if self.shape.text else set()))

    def model(self) -> dict[str, Any]:
        """What its digest is of, without the weights."""
        return {"architecture": asdict(self.shape)}
