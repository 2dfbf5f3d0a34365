"""A small untrained open_clip model, in both precisions."""

from typing import Any

import pytest
import torch

from promptgrid.contract.clip import Preprocessing
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.towers.clip.models.dual_encoder import DualEncoder

TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-5}
"""Of features and gradients, relative to the largest of them."""


def small_clip(layers: int, dtype: torch.dtype) -> Any:
    """``layers`` blocks in the text tower; random weights, biases and norms included."""
    torchvision_cure.apply()
    import open_clip

    with torch.random.fork_rng():
        torch.manual_seed(layers)
        vision = {"layers": 4, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 24}
        text = {"layers": layers, "width": 24, "heads": 2, "context_length": 40, "vocab_size": 49408}
        model = open_clip.model.CLIP(embed_dim=20, vision_cfg=vision, text_cfg=text)
        for weight in model.parameters():
            weight.data += 0.05 * torch.randn_like(weight)
    return model.eval().to(dtype)


def encoder(layers: int, dtype: torch.dtype) -> DualEncoder:
    """The model behind the contract."""
    torchvision_cure.apply()
    from open_clip.tokenizer import SimpleTokenizer

    how = Preprocessing.square(24, (0.5,) * 3, (0.5,) * 3)
    return DualEncoder("small", "small", small_clip(layers, dtype), SimpleTokenizer(context_length=40), how)


@pytest.fixture(scope="session", params=[torch.float64, torch.float32], ids=["fp64", "fp32"])
def small(request: pytest.FixtureRequest) -> DualEncoder:
    """Three text blocks."""
    return encoder(3, request.param)


def far(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest difference, in units of the tolerance of the precision."""
    gap = (found - wanted).detach().abs().max() / wanted.detach().abs().max()
    return float(gap) / TOLERANCES[wanted.dtype]
