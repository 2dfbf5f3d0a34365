"""What all tests share: one torch thread, a bundled task and backbone, a store of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from promptgrid import catalog
from promptgrid.contract.clip import Backbone, Dataset
from promptgrid.store import Store
from promptgrid.tracks.image.track import ImageTrack

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def image_track() -> ImageTrack:
    """The image track with everything the catalogue finds."""
    found = catalog.track("image")
    assert isinstance(found, ImageTrack)
    return found


@pytest.fixture(scope="session")
def bundled_backbone(image_track: ImageTrack) -> Backbone:
    """The ViT that ships with the package."""
    return image_track.resolver.backbone_family("bundled").load("bundled", "cpu")


@pytest.fixture(scope="session")
def bundled_task(image_track: ImageTrack) -> Dataset:
    """The bundled task with the fewest classes (5 at least), so that a test over it is short."""
    listed = [card for family in image_track.resolver.datasets for card in family.listing() if card.bundled]
    smallest = min((card for card in listed if len(card.classes) >= 5), key=lambda card: (len(card.classes), card.name))
    return image_track.resolver.dataset(smallest.name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")
