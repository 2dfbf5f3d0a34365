"""Invariant 9: whatever a method learns, a run leaves the backbone as it was, batch norms' running statistics too."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import pytest
import torch
from tests.contracts import small_world
from tests.contracts.small_world import (
    CONFIG,
    PREPROCESSING,
    MemoryCache,
    SmallBackbones,
    SmallDatasets,
    brief,
    request,
)

from promptgrid.contract.clip import Backbone
from promptgrid.spec import Pack
from promptgrid.towers.clip.models.dual_encoder import DualEncoder, offers
from promptgrid.tracks.image.track import ImageTrack

METHODS = small_world.track().resolver.methods
ON_RESNET = sorted(name for name, method in METHODS.items() if method.needs <= offers(text=True, image=False))
"""Those that need nothing from inside a ViT."""
INSIDE = (
    "apt", "bitfit", "clip_lora", "ctp_tft", "ivlp", "lafter", "ln_tuning", "maple", "mocoop", "nola", "pmt",
    "prompt_align", "r_amt", "vpt",
)  # fmt: skip
"""Those that put something into its blocks, norms or weights: one of each kind."""


@cache
def resnet() -> Any:
    """CLIP with a ModifiedResNet of four blocks, whose 19 batch norms have seen something."""
    small_world.open_clip_model()  # torchvision is cured by now
    from open_clip.model import CLIP

    tower = {"image_size": 32, "layers": (1, 1, 1, 1), "width": 8, "head_width": 32, "patch_size": None}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIP(**{**CONFIG, "vision_cfg": tower}).train()
        with torch.no_grad():
            model.encode_image(torch.randn(16, 3, 32, 32))
    return model.eval().requires_grad_(False)


class ResNets(SmallBackbones):
    """Under the names of the small backbones a ResNet."""

    def facts(self, name: str) -> dict[str, object]:
        found = self.load(name, "cpu")
        return super().facts(name) | {"offers": sorted(found.offers), "digest": found.digest}

    def load(self, name: str, device: str) -> Backbone:
        from open_clip.tokenizer import SimpleTokenizer

        return DualEncoder("small", "2" * 64, resnet(), SimpleTokenizer(), PREPROCESSING)


@cache
def on_resnets() -> ImageTrack:
    found = small_world.track()
    wing = ImageTrack(
        found.resolver.methods, [SmallDatasets()], [ResNets()], found.resolver.protocols, found.resolver.columns
    )
    wing.resolver.assets.pairs = found.resolver.assets.pairs
    return wing


def state_of(model: Any) -> str:
    """A digest of every parameter and every buffer."""
    found = hashlib.sha256()
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        found.update(name.encode() + value.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


def run(wing: ImageTrack, name: str) -> None:
    (cell,) = wing.resolve([request(name, **brief(name))])
    (outcome,) = wing.run(Pack((cell,), wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    assert outcome.record.status == "done", outcome.record.log_tail


@pytest.mark.parametrize("name", ON_RESNET)
def test_a_run_leaves_a_tower_with_batch_norms_as_it_was(name: str) -> None:
    before = state_of(resnet())
    run(on_resnets(), name)
    assert state_of(resnet()) == before


@pytest.mark.parametrize("name", INSIDE)
def test_a_run_leaves_a_tower_that_is_reached_into_as_it_was(name: str) -> None:
    model = small_world.open_clip_model()
    before = state_of(model)
    run(small_world.track(), name)
    assert state_of(model) == before


def test_heads_texts_and_pixels_are_tried_on_batch_norms() -> None:
    assert {"coop", "prograd", "clip_adapter", "tip_adapter_f", "linear_probe", "vp", "tpt"} <= set(ON_RESNET)


def test_running_statistics_that_move_are_noticed() -> None:
    from copy import deepcopy

    model = deepcopy(resnet())
    norms = [name for name, _ in model.named_buffers() if name.endswith("running_mean")]
    assert len(norms) == 19
    assert state_of(model) == state_of(resnet())
    with torch.no_grad():
        model.encode_image(torch.zeros(2, 3, 32, 32))
        assert state_of(model) == state_of(resnet())
        model.train().encode_image(torch.zeros(2, 3, 32, 32))
    assert state_of(model) != state_of(resnet())
