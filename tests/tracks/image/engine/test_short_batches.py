"""Epochs that end in a smaller batch: every image once, other sizes apart, the same alone and in company."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.contracts.small_world import MemoryCache, backbone, request, track
from tests.tracks.image.looked_at import still
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import SGD, Batch, Batches, Outcome, Params, Recipe, Task
from promptgrid.engine.training.packed import PackedMethod
from promptgrid.engine.training.sampling import Sampler, epoch_batches
from promptgrid.engine.training.schedule import Schedule
from promptgrid.engine.training.trainer import fit
from promptgrid.spec import Cell, Pack
from promptgrid.tracks.image.methods.clip_adapter import ClipAdapter

LORA = {"epochs": 2, "batch_size": 4, "rate": 0.0, "learning_rate": 1e-3}


def lora(shots: int, seed: int = 1, **settings: bool) -> Cell:
    asked = replace(request("clip_lora", seed, **LORA, **settings), shots=shots)
    return track().resolve([asked])[0]


def looked_at(schedule: Schedule, images: int, windows: tuple[int, ...]) -> list[list[int]]:
    """The images of every step, told by their features."""
    features = torch.arange(images).float().unsqueeze(1)
    training = still(features, torch.arange(images), pseudo=torch.arange(images) % 2 == 0)
    sampler = Sampler([training], [lora(2)], [schedule])
    found = []
    for steps in windows:
        window = sampler.prefetch(steps, 1)
        for step in range(steps):
            batch = window.batch(step)
            seen = batch.features[0, :, 0].int().tolist()
            assert batch.labels[0].tolist() == seen
            assert batch.pseudo[0].tolist() == [image % 2 == 0 for image in seen]
            found.append(seen)
    return found


def test_every_image_is_looked_at_once_an_epoch_however_steps_are_drawn() -> None:
    recipe = Recipe(SGD(0.1, 5e-4), 2, Batches(4, keep_last=True))
    schedule = Schedule(recipe, None, batch=4, each=3, total=6, short=2)
    steps = looked_at(schedule, 10, (6,))
    assert [len(step) for step in steps] == [4, 4, 2, 4, 4, 2]
    for epoch in (steps[:3], steps[3:]):
        assert sorted(image for step in epoch for image in step) == list(range(10))
    assert looked_at(schedule, 10, (1, 4, 1)) == steps
    whole = Schedule(replace(recipe, batches=Batches(4)), None, batch=4, each=2, total=4)
    assert looked_at(whole, 10, (4,)) == [*steps[:2], *steps[3:5]], "the same shuffles, without the last batches"


def test_a_short_batch_is_a_mean_over_its_own_images() -> None:
    """Two epochs by torch.optim."""
    images, tower = 10, backbone()
    rng = torch.Generator().manual_seed(0)
    features, labels = torch.randn(images, tower.width, generator=rng), torch.arange(images) % 2
    task, method = Task.of("d", ("cat", "dog"), "{}", tower, shots=5), ClipAdapter(reduction=8)
    recipe = Recipe(SGD(0.1, 5e-4), 2, Batches(4, keep_last=True))
    schedule = Schedule(recipe, None, batch=4, each=3, total=6, short=2)
    start = method.init(task, rng)
    sampler = Sampler([still(features, labels)], [lora(2)], [schedule])
    knobs = {name: torch.tensor([float(getattr(method, name))]) for name in method.knobs()}
    found = fit(PackedMethod(method, knobs, task), {k: v[None] for k, v in start.items()}, sampler, [schedule]).params
    leaves: Params = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.SGD(leaves.values(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for step, (chosen, rate) in enumerate(zip(looked_at(schedule, images, (6,)), schedule.rates(), strict=True)):
        assert len(chosen) == schedule.size(step)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        logits: Tensor = method.forward(leaves, Batch(features=features[chosen]), task).logits
        F.cross_entropy(logits, labels[chosen]).backward()
        optimizer.step()
    for name, value in leaves.items():
        torch.testing.assert_close(found[name][0], value.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("keep_last", [True, False])
def test_cells_whose_epochs_end_otherwise_train_apart_and_as_they_do_alone(keep_last: bool) -> None:
    """5, 10 and 15 images in batches of 4: short batches of 1, 2 and 3 behind 1, 2 and 3 whole ones."""
    cells = [lora(shots, keep_last=keep_last) for shots in (1, 2, 3)] + [lora(2, seed=2, keep_last=keep_last)]
    together = run(cells)
    assert Counter(outcome.record.status for outcome in together.values()) == {"done": 4}
    for cell in cells[:3]:
        alone = run([cell])[cell.key]
        for name, value in alone.state.items():
            np.testing.assert_allclose(together[cell.key].state[name], value, rtol=0, atol=1e-5)
    other = run([lora(2, keep_last=not keep_last)])
    ((_, dropped),) = other.items()
    assert any(not np.allclose(dropped.state[n], together[cells[1].key].state[n]) for n in dropped.state)


def run(cells: list[Cell]) -> dict[str, Outcome]:
    pack = Pack(tuple(cells), wanted=frozenset(cell.key for cell in cells))
    return {outcome.record.cell.key: outcome for outcome in track().run(pack, MemoryCache(), "cpu")}


def test_batches_of_an_epoch_end_in_what_is_left() -> None:
    def batches(keep_last: bool) -> list[list[int]]:
        rng = torch.Generator().manual_seed(3)
        return [batch[0].tolist() for batch in epoch_batches([rng], 10, 4, keep_last)]

    kept = batches(keep_last=True)
    assert [len(batch) for batch in kept] == [4, 4, 2]
    assert sorted(image for batch in kept for image in batch) == list(range(10))
    assert batches(keep_last=False) == kept[:2]
