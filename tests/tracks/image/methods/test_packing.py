"""Each method is written for one cell: three cells under vmap must give what a loop gives."""

from dataclasses import replace

import pytest
import torch

from promptgrid.contract.clip import Batch, Method, Task

CELLS = 3


def knob_values(method: Method, cell: int) -> dict[str, float]:
    """Every knob moved a little, differently in each cell."""
    return {
        name: min(getattr(method, name) * (1.0 + 0.1 * cell), knob.high) for name, knob in type(method).knobs().items()
    }


def forward(method: Method, params, knobs, patches, features, second, pseudo, domain, pixels, labels, seed, task: Task):
    """Logits, losses by name and their sum, of one cell; losses of all stages."""
    method, task = replace(method, **knobs), replace(task, seed=seed)
    beside = torch.stack([0.9 * patches, patches.roll(1, 1)], dim=1)
    columns = {"features": features, "patches": patches, "second": second, "pseudo": pseudo, "domain": domain}
    batch, losses = Batch(columns, pixels=pixels, beside=beside, unprojected=patches.mean(-2)), {}
    outs = [method.forward(params, batch, replace(task, turn=turn)) for turn in range(method.stages)]
    for turn, out in enumerate(outs):
        found = method.losses(params, out, labels, replace(task, turn=turn))
        losses |= {f"{name} {turn}": loss for name, loss in found.items()}
    return outs[0].logits, losses, sum(losses.values())


@pytest.fixture(params=["practice", "open_clip_backbone"])
def backbone(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def cells(any_classifier, make_task, batch_of, backbone):
    """Parameters (moved off their start), knobs, batches, labels and step seeds of three cells."""
    rows = []
    for cell in range(CELLS):
        method = replace(any_classifier, **knob_values(any_classifier, cell))
        params = method.init(make_task(cell, backbone=backbone), torch.Generator().manual_seed(cell))
        rng = torch.Generator().manual_seed(50 + cell)
        moved = {
            name: value if name in method.frozen else value + 0.05 * torch.randn(value.shape, generator=rng)
            for name, value in params.items()
        }
        batch, labels = batch_of(cell, backbone)
        knobs = {name: torch.tensor(value) for name, value in knob_values(any_classifier, cell).items()}
        seen = batch.patches, batch.features, batch.second, batch.pseudo, batch.domain, batch.pixels
        rows.append((moved, knobs, *seen, labels, torch.tensor(cell)))
    return rows


def stack(values):
    if isinstance(values[0], dict):
        return {name: torch.stack([value[name] for value in values]) for name in values[0]}
    return torch.stack(values)


def test_three_packed_cells_equal_three_single_ones(any_classifier, cells, make_task, backbone):
    bare = make_task(backbone=backbone, support=None, validation=None)  # the packed hooks may not look at them
    packed = [stack([row[i] for row in cells]) for i in range(len(cells[0]))]
    closed = "logits" in any_classifier.needs  # learns without gradients
    trained = [] if closed else [name for name in packed[0] if name not in any_classifier.frozen]
    for name in trained:
        packed[0][name].requires_grad_()
    logits, losses, totals = torch.func.vmap(lambda *one: forward(any_classifier, *one, bare))(*packed)
    grads = torch.autograd.grad(totals.sum(), [packed[0][name] for name in trained]) if trained else []

    reached = dict.fromkeys(trained, False)
    for cell, (params, _, *rest) in enumerate(cells):
        for name in trained:
            params[name] = params[name].clone().requires_grad_()
        single, named, total = forward(any_classifier, params, knob_values(any_classifier, cell), *rest, bare)
        torch.testing.assert_close(logits[cell], single, atol=1e-5, rtol=1e-6)  # logits are scaled by 14 or 30
        assert named.keys() == losses.keys()
        for name, value in named.items():
            torch.testing.assert_close(losses[name][cell], value, atol=1e-6, rtol=1e-6)
        own = torch.autograd.grad(total, [params[name] for name in trained]) if trained else []
        for name, together, alone in zip(trained, grads, own, strict=True):
            torch.testing.assert_close(together[cell], alone, atol=1e-5, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
            reached[name] |= bool(alone.abs().max() > 1e-4)
    assert all(reached.values()), f"no gradient: {reached}"


def test_cells_differ(any_classifier, cells, make_task, backbone):
    """Otherwise the test above would prove nothing."""
    bare = make_task(backbone=backbone, support=None, validation=None)
    first, second = (forward(any_classifier, *row, bare)[0] for row in cells[:2])
    assert not torch.allclose(first, second, atol=1e-3)


def test_recipes_take_stacked_knobs(any_classifier, make_task):
    recipe = replace(
        any_classifier, **{name: torch.tensor(value) for name, value in knob_values(any_classifier, 1).items()}
    ).recipe(make_task())
    plain = replace(any_classifier, **knob_values(any_classifier, 1)).recipe(make_task())
    assert (recipe is None) == (plain is None)
    if recipe is not None:
        assert float(recipe.optimizer.learning_rate) == pytest.approx(float(plain.optimizer.learning_rate))
        assert recipe.epochs == plain.epochs


def test_initial_values_come_from_the_generator_alone(any_classifier, make_task):
    def start(seed):
        torch.manual_seed(seed)  # the global stream must not matter
        return any_classifier.init(make_task(), torch.Generator().manual_seed(3))

    one, two = start(1), start(2)
    assert all(one[name].is_meta or torch.equal(one[name], two[name]) for name in one)
    assert all(value.dtype == torch.float32 for value in one.values())
    assert any_classifier.frozen <= one.keys()
