"""MVLPT: one prompt for several tasks, against a plain loop, as the scripts have it and task by task."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from tests.tracks.image.small_study import cells_of, run_study, study_track
from torch.nn import functional as F

from promptgrid.contract.clip import Batch, Preprocessing, Task, stream
from promptgrid.engine.training.sampling import order_by_task, streams
from promptgrid.tracks.image.data.pack_data import task_of
from promptgrid.tracks.image.methods.mvlpt_coop import MultitaskCoOp
from promptgrid.tracks.image.methods.parts.multitask import among_own

SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "learning_rate": 0.05}
METHODS = [
    {"name": "mvlpt_coop", "context_length": 4, **SETTINGS, "learning_rate": 0.002},
    {"name": "mvlpt_vpt", "tokens": 2, **SETTINGS},
    {"name": "mvlpt_upt", "width": 8, **SETTINGS},
]

OWN = {"softmax": "own_task", "batches": "by_task"}


def test_batches_are_of_one_task_and_the_tasks_take_turns() -> None:
    tasks = torch.tensor([0] * 6 + [1] * 17 + [2] * 4)
    order = order_by_task(torch.Generator().manual_seed(0), tasks, 4)
    of_batch = [set(tasks[batch].tolist()) for batch in order]
    assert all(len(one) == 1 for one in of_batch)
    assert [one.pop() for one in of_batch] == [0, 1, 2, 1, 1, 1]
    assert max(Counter(order.flatten().tolist()).values()) == 1
    again = order_by_task(torch.Generator().manual_seed(1), tasks, 4)
    assert not torch.equal(order, again)


def test_a_label_competes_with_its_own_task_only() -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 4])
    task = Task.of("joined", tuple("abcde"), "a {}.", None, task_of_class=(0, 0, 1, 1, 1))  # type: ignore[arg-type]
    masked = among_own(logits, labels, task)
    assert torch.isneginf(masked).tolist() == [[False] * 2 + [True] * 3] + [[True] * 2 + [False] * 3] * 2
    own = [F.cross_entropy(logits[:1, :2], labels[:1]), *(F.cross_entropy(logits[i : i + 1, 2:], labels[i : i + 1] - 2)
           for i in (1, 2))]  # fmt: skip
    torch.testing.assert_close(F.cross_entropy(masked, labels), torch.stack(own).mean())
    assert among_own(logits, labels, Task.of("one", tuple("abcde"), "a {}.", None)) is logits  # type: ignore[arg-type]


@pytest.mark.parametrize("form", [{}, OWN], ids=["as the scripts", "task by task"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["name"])
def test_the_engine_learns_what_a_plain_loop_learns(method: dict[str, Any], form: dict[str, str]) -> None:
    """Nine steps by torch.optim: mixed batches among the classes of all, or tasks in turn, each among its own."""
    wing = study_track()
    (cell,) = cells_of(wing, protocol="few_shot", datasets=["warm+cold"], methods=[method | form])
    outcome = run_study(wing, [cell])[cell.key]
    assert outcome.record.status == "done", outcome.record.log_tail

    joined, split = wing.resolver.dataset("warm+cold"), wing.resolver.split(cell)
    backbone = wing.backbone("small", "cpu")
    task = task_of(joined, split, backbone, cell.shots)
    built = wing.resolver.method(cell.method)(**cell.settings)
    pixels = _pixels(joined, split.train, backbone.preprocessing)
    images = Batch(features=backbone.encode_pixels(pixels), patches=backbone.patches(pixels))
    labels = torch.tensor([joined.labels[index] for index in split.train])
    params = built.init(task, stream(cell.identity["split"], cell.shots, cell.seed, "init"))
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    optimizer = torch.optim.SGD(leaves.values(), lr=1.0, momentum=0.9, weight_decay=5e-4)
    (orders,) = streams([cell], "batches")
    owner = torch.tensor([joined.tasks[label] for label in labels.tolist()])
    seen = []
    for epoch in range(3):
        cosine = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * (epoch - 1) / 3)).item())
        optimizer.param_groups[0]["lr"] = 1e-5 if epoch == 0 else method["learning_rate"] * cosine
        mixed = torch.randperm(14, generator=orders)[:12].view(3, 4) if not form else order_by_task(orders, owner, 4)
        for chosen in mixed:
            batch = images.rows(chosen)
            logits = built.forward(leaves, batch, task).logits
            tasks = set(owner[chosen].tolist())
            columns = [place for place, own in enumerate(joined.tasks) if not form or own in tasks]
            seen.append(tasks)
            optimizer.zero_grad()
            F.cross_entropy(logits[:, columns], labels[chosen] - columns[0]).backward()
            optimizer.step()
    assert (seen == [{0}, {1}, {1}] * 3) if form else ({0, 1} in seen), "6 and 8 images in batches of 4"
    for name, value in leaves.items():
        torch.testing.assert_close(torch.from_numpy(outcome.state[name]), value.detach(), rtol=0, atol=1e-5)
        assert float((value.detach() - params[name]).abs().max()) > 1e-4, f"{name} hardly moved"


def test_a_joined_prompt_is_scored_and_adapted_on_each_of_its_tasks() -> None:
    wing = study_track()
    cells = cells_of(
        wing,
        protocol="transfer",
        datasets=["warm", "cold"],
        sources=["warm+cold"],
        readings=["evaluate", "adapt"],
        methods=METHODS,
    )
    found = run_study(wing, cells)
    assert {outcome.record.status for outcome in found.values()} == {"done"}
    for cell in cells:
        if cell.source or "source" in cell.identity:
            continue
        slices = [
            found[other.key].record.metrics["accuracy"]
            for other in cells
            if other.reading == "evaluate" and other.needs == (cell.key,)
        ]
        joined = found[cell.key].record.metrics["accuracy"]
        assert joined == pytest.approx(sum(slices) / 2), "the mean over the tasks, each among its own classes"


def test_on_one_task_it_is_the_method_of_its_mode() -> None:
    wing = study_track()
    settings = {"context_length": 4, "position": "middle", **SETTINGS}
    both = cells_of(
        wing,
        protocol="few_shot",
        datasets=["warm"],
        methods=[{"name": "coop", **settings}, {"name": "mvlpt_coop", **settings}],
    )
    alone, multitask = run_study(wing, both).values()
    assert alone.record.metrics == multitask.record.metrics
    assert (alone.state["context"] == multitask.state["context"]).all()


def test_classes_are_spoken_of_in_their_own_tasks_words() -> None:
    wing = study_track()
    joined = wing.resolver.dataset("warm+cold")
    (cell,) = cells_of(wing, protocol="few_shot", datasets=["warm+cold"], methods=[METHODS[1]])
    backbone = wing.backbone("small", "cpu")
    task = task_of(joined, wing.resolver.split(cell), backbone, 2)
    sentences = [
        "a photo of a red square.",
        "a photo of a yellow sun.",
        "a photo of a orange peel.",
        "a cold blue disc.",
    ]
    wanted = F.normalize(backbone.encode_prompts(sentences), dim=-1)
    torch.testing.assert_close(task.text[:4], wanted)


def test_batches_mix_tasks_unless_they_are_told_to_take_turns() -> None:
    joined = Task.of("joined", tuple("abcd"), "a {}.", None, shots=2, task_of_class=(0, 0, 1, 1))  # type: ignore[arg-type]
    alone = Task.of("one", tuple("ab"), "a {}.", None, shots=2)  # type: ignore[arg-type]
    in_turn = MultitaskCoOp(batches="by_task")
    recipes = MultitaskCoOp().recipe(joined), in_turn.recipe(joined), in_turn.recipe(alone)
    assert [recipe.batches.by_task for recipe in recipes] == [False, True, False]


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="softmax: got 'some'"):
        MultitaskCoOp(softmax="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="context_length"):
        MultitaskCoOp(context_length=0)


def _pixels(dataset: Any, indices: Any, how: Preprocessing) -> torch.Tensor:
    from promptgrid.tracks.image.data.pixels import prepared

    return torch.stack([prepared(dataset.read(index), how) for index in indices])
