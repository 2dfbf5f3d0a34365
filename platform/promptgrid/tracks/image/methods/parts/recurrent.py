"""A bidirectional LSTM of one layer, as ``torch.nn.LSTM`` has it, on plain parameters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Params
from promptgrid.tracks.image.methods.parts.starts import uniform


def bidirectional(rng: torch.Generator, inputs: int, hidden: int) -> Params:
    """Weights and biases of both ways, stacked, from U(±1/√hidden)."""
    shapes = {"weight_input": (inputs,), "weight_hidden": (hidden,), "bias_input": (), "bias_hidden": ()}
    return {name: uniform(rng, hidden**-0.5, 2, 4 * hidden, *last) for name, last in shapes.items()}


def both_ways(params: Params, tokens: Tensor) -> Tensor:
    """(n, inputs) tokens in their order to (n, 2 hidden) hidden states: from the first on, and from the last back."""
    forth, back = _one_way(params, 0, tokens), _one_way(params, 1, tokens.flip(0)).flip(0)
    return torch.cat([forth, back], dim=-1)


def _one_way(params: Params, way: int, tokens: Tensor) -> Tensor:
    """(n, hidden) hidden states, gates as torch has them: enter, keep, new, leave."""
    inputs = F.linear(tokens, params["weight_input"][way], params["bias_input"][way] + params["bias_hidden"][way])
    hidden = cell = tokens.new_zeros(inputs.shape[-1] // 4)
    states = []
    for each in inputs.unbind(0):
        enter, keep, new, leave = (each + params["weight_hidden"][way] @ hidden).chunk(4)
        cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        states.append(hidden)
    return torch.stack(states)
