"""Augmented views and how they are resized."""

from __future__ import annotations

import torch

from promptgrid.tracks.image.pretrain.pictures.corpus import Corpus
from promptgrid.tracks.image.pretrain.training.packing import Packed
from promptgrid.tracks.image.pretrain.training.teachers import Lite0
from promptgrid.tracks.image.pretrain.training.towers import new_model
from promptgrid.tracks.image.pretrain.training.views import resample, resize, view


def test_two_matrix_products_are_the_bicubic_filter(corpus: Corpus) -> None:
    images = corpus.pictures.float() / 255
    for size in (48, 112):
        torch.testing.assert_close(resample(images, size), resize(images, size), atol=1e-5, rtol=0)


def test_views_differ_from_step_to_step_and_some_are_plain(corpus: Corpus) -> None:
    rng = torch.Generator().manual_seed(1)
    pixels = corpus.pictures.repeat(4, 1, 1, 1)
    upright = corpus.upright.repeat(4)
    first, second = view(pixels, rng, upright), view(pixels, rng, upright)
    assert not torch.equal(first, second)
    plain = (first == pixels.float() / 255).flatten(1).all(1).float().mean()
    assert 0.1 < plain < 0.45
    assert first.min() >= 0
    assert first.max() <= 1


def test_the_folded_teacher_is_lite0(packed: Packed, corpus: Corpus) -> None:
    images = resize(corpus.pictures[:4], 112)
    with torch.no_grad():
        exact = new_model("bundled-conv", packed.trunk).visual.trunk(images * 2 - 1)
    teacher = Lite0(packed.trunk, "cpu")
    torch.testing.assert_close(teacher(images), exact, atol=0.05 * float(exact.abs().max()), rtol=0.1)
