"""The bench that engine and reference share."""

from __future__ import annotations

import copy

import pytest
from tests.reference.bench import Bench, CutFamily, Exact, Given
from tests.reference.clip import Clip

from promptgrid.contract.clip import Dataset, Preprocessing
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.backbones.bundled_weights import load_bundled
from promptgrid.tracks.image.track import ImageTrack


@pytest.fixture(scope="session")
def bench(image_track: ImageTrack, bundled_task: Dataset) -> Bench:
    """The bundled ViT, in float32 and in float64, on a cut of a bundled task."""
    model, tokenizer, preprocess = load_bundled("bundled-vit")
    mean, std = preprocess["mean"], preprocess["std"]
    double = copy.deepcopy(model).double()
    preprocessing = Preprocessing.square(model.visual.image_size[0], mean, std)
    encoder = DualEncoder("given", "0" * 64, model, tokenizer, preprocessing)
    found = image_track.resolver
    return Bench(
        track=ImageTrack(found.methods, [CutFamily(bundled_task)], [Given(encoder)], found.protocols, found.columns),
        encoder=encoder,
        exact=Exact("given", "0" * 64, double, tokenizer, preprocessing),
        clip=Clip(model, tokenizer, mean, std),
        exact_clip=Clip(double, tokenizer, mean, std),
    )
