"""GOPro: texts of each image's own, from all layers, and three views that should agree."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.gopro import GOPro
from promptgrid.tracks.image.methods.parts.contrast import simclr
from promptgrid.tracks.image.methods.parts.depths import shift

PROJECTOR = {"project_weight", "norm_weight", "norm_bias"}


def started(method, task):
    return method.init(task, torch.Generator().manual_seed(0))


@pytest.fixture
def seen(make_task, batch_of, practice):
    """A task, parameters, a batch with two views beside its images, and labels."""
    task = make_task(backbone=practice)
    batch, labels = batch_of(backbone=practice)
    noise = torch.randn(batch.patches.shape, generator=torch.Generator().manual_seed(5))
    views = torch.stack([batch.patches + 0.1 * noise, batch.patches - 0.3 * noise], dim=1)
    return task, started(GOPro(), task), batch.but(beside=views), labels


def test_without_maps_it_is_coop(seen):
    task, params, batch, _ = seen
    bare = params | {"layers": torch.zeros_like(params["layers"])}
    host = CoOp(context_length=4, words="a photo of a")
    wanted = host.forward({"context": params["context"]}, batch, task).logits
    torch.testing.assert_close(GOPro().forward(bare, batch, task).logits, wanted, rtol=0, atol=1e-4)
    assert not torch.allclose(GOPro().forward(params, batch, task).logits, wanted, atol=1e-2)


def test_an_answer_is_of_its_image_alone(seen):
    task, params, batch, _ = seen
    whole = GOPro().forward(params, batch, task).logits
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(1))
    shuffled = batch.but(features=batch.features[order], patches=batch.patches[order], beside=None)
    for images_at_once in (1, 3):
        found = GOPro(images_at_once=images_at_once).forward(params, shuffled, task).logits
        torch.testing.assert_close(found, whole[order], rtol=0, atol=1e-4)


def test_equal_views_agree(seen):
    task, params, batch, labels = seen
    same = batch.but(beside=torch.stack([batch.patches, batch.patches], dim=1))
    losses = GOPro().losses(params, GOPro().forward(params, same, task), labels, task)
    assert float(losses["moco"]) == float(losses["augmix"]) == 0.0
    other = GOPro().losses(params, GOPro().forward(params, batch, task), labels, task)
    assert 0 < float(other["moco"]) < float(other["augmix"])
    assert float(other["contrast"]) > float(losses["contrast"])


def test_the_contrastive_loss_reaches_its_projector_alone(seen):
    task, params, batch, labels = seen
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    losses = GOPro().losses(leaves, GOPro().forward(leaves, batch, task), labels, task)
    grads = torch.autograd.grad(losses["contrast"], list(leaves.values()), allow_unused=True, retain_graph=True)
    reached = {name for name, grad in zip(leaves, grads, strict=True) if grad is not None and grad.abs().max() > 0}
    assert reached == PROJECTOR
    grads = torch.autograd.grad(losses["cross_entropy"], list(leaves.values()), allow_unused=True)
    reached = {name for name, grad in zip(leaves, grads, strict=True) if grad is not None and grad.abs().max() > 0}
    assert reached == leaves.keys() - PROJECTOR


def test_a_shift_reads_mean_and_deviation_of_every_layer():
    tokens = torch.tensor([[[1.0, 0.0], [3.0, 0.0]], [[0.0, 2.0], [0.0, 2.0]]]).unsqueeze(0)  # (1, 2 layers, 2, 2)
    eye = torch.eye(2)
    params = {
        "style_weight": torch.stack([eye, eye]),
        "style_bias": torch.zeros(2, 2),
        "content_weight": torch.stack([eye, 2 * eye]),
        "content_bias": torch.tensor([[0.0, 0.0], [1.0, 0.0]]),
        "layers": torch.tensor([1.0, 10.0]),
    }
    first = torch.tensor([(1.5 + 2.0) / 2, 0.0])  # mean (2, 0), deviation (1, 0)
    second = torch.tensor([(0.0 + 1.0) / 2, (1.0 + 4.0) / 2])  # mean (0, 2), no deviation
    torch.testing.assert_close(shift(params, tokens)[0], first + 10 * second, rtol=0, atol=5e-3)


def test_simclr_knows_the_other_view():
    eye = torch.eye(4)
    assert float(simclr(eye, eye, 0.05)) < 1e-6
    assert float(simclr(eye, eye.roll(1, 0), 0.05)) > 19
    rows = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    scores = F.normalize(rows.flatten(0, 1), dim=-1) @ F.normalize(rows.flatten(0, 1), dim=-1).T / 0.5
    scores = scores.masked_fill(torch.eye(10, dtype=torch.bool), -torch.inf)
    wanted = F.cross_entropy(scores, (torch.arange(10) + 5) % 10)
    torch.testing.assert_close(simclr(rows[0], rows[1], 0.5), wanted, rtol=0, atol=1e-5)
