"""A tiny packed corpus, as the pool's readers and the teachers would make it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.tracks.image.pretrain.pictures.corpus import Corpus, assemble
from promptgrid.tracks.image.pretrain.release.weights import quantize
from promptgrid.tracks.image.pretrain.training.packing import Packed

NAMES = ("red apple", "blue car", "small cat", "house", "tree", "boat")


def picture(seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).resize((64, 64), Image.Resampling.BICUBIC).save(file, "WEBP", lossless=True)
    return file.getvalue()


def row(place: int, **changes: Any) -> dict[str, Any]:
    facts = {"image": picture(place), "sha256": f"hash{place}", "source": "noto", "item": f"item{place}"}
    facts |= {"name": NAMES[place % len(NAMES)], "keywords": ["thing"], "category": "Objects/tool"}
    return {**facts, **changes}


def tiny_corpus() -> Corpus:
    return assemble([row(i) for i in range(12)] + [row(i, source="glyphs") for i in range(12, 16)])


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return tiny_corpus()


@pytest.fixture(scope="session")
def packed(corpus: Corpus) -> Packed:
    return tiny_packed(corpus)


def tiny_packed(corpus: Corpus) -> Packed:
    """Teachers of random numbers."""
    torchvision_cure.apply()
    import timm

    rng = torch.Generator().manual_seed(2)

    def meanings(count: int) -> Tensor:
        return torch.nn.functional.normalize(torch.randn(count, 384, generator=rng), dim=-1)

    trunk = timm.create_model("tf_efficientnet_lite0", num_classes=0).state_dict()
    codes, scales = quantize(torch.randn(49408, 32, generator=rng), 0)
    sentences, words = meanings(len(corpus.phrases)), meanings(5)
    return Packed(corpus, sentences, words, torch.arange(1000, 1005), codes, scales, trunk)
