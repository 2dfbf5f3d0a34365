"""DVPT in both forms, from its formulas, token by token where they say so."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.vision.plain import Params, block, entered, logits
from torch import Tensor
from torch.nn.functional import gelu


def answer(visual: Any, params: Params, pixels: Tensor, form: str = "paper", shared: int = 3) -> Tensor:
    x = entered(visual, pixels)
    count = len(params["prompt"])
    prompts = (params["prompt"] + params["positions"]).expand(len(x), -1, -1)
    x = torch.cat([prompts, x], 1)  # prepended, as released; attention knows no order
    for layer, own in enumerate(visual.transformer.resblocks):
        at = 0 if form == "paper" else layer // shared
        down, up, gate = params["down"][at], params["up"][at], params["gate"][at]

        def gathered(x: Tensor, down: Tensor = down, up: Tensor = up, gate: Tensor = gate) -> Tensor:
            t = gelu(x @ down.T)
            z = torch.softmax(params["queries"] @ t.transpose(1, 2) / down.shape[0] ** 0.5, -1) @ t
            added = torch.zeros_like(x)
            added[:, :count] = gate * (z @ up.T)
            return added

        def each(x: Tensor, down: Tensor = down, up: Tensor = up, gate: Tensor = gate) -> Tensor:
            hidden = x @ down.T
            return gate * ((hidden / (1.0 + torch.exp(-1.702 * hidden))) @ up.T)

        x = block(own, x, gathered if form == "paper" else each)
    return logits(params, visual.ln_post(x)[:, : count + 1].mean(1))
