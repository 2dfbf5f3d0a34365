"""How a method learns: in which stages or rounds, by which losses, on what of a pool."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from promptgrid.contract.conformance.trial import Trial
from promptgrid.contract.method import Method
from promptgrid.contract.policies import Sphere, Spsa
from promptgrid.contract.randomness import stream
from promptgrid.contract.recipe import Recipe
from promptgrid.contract.task import Task

SEED = 7


def check_pool(trial: Trial) -> None:
    """Each round trains on examples of the pool, no more than said, with labels of the task or none."""
    method, name, pool, classes = trial.method, trial.method.name, trial.pool, len(trial.task.classes)
    assert bool(trial.rounds) <= bool(pool), f"{name} draws from a pool that it does not name in `needs`"
    for turn, said in enumerate(trial.rounds):
        logits = stream_logits(pool, classes, turn) if turn and said else None
        chosen = method.relabel(replace(trial.task, turn=turn, seed=torch.tensor(SEED)), logits)
        count = len(chosen.positions)
        assert count == len(chosen.labels), f"{name}: {count} examples of the pool and {len(chosen.labels)} labels"
        assert count == said or (count < said and not method.packs), f"{name} said {said} examples, and chose {count}"
        inside = bool(((chosen.positions >= 0) & (chosen.positions < pool)).all())
        assert inside, f"{name}: round {turn + 1} chose what is not in the pool"
        known = bool(((chosen.labels >= -1) & (chosen.labels < classes)).all())
        assert known, f"{name}: a label that the task has not"


def check_stages(trial: Trial) -> None:
    """Each stage or round has a recipe that the planner can read, and finite losses of one number each.

    What it starts from has the names and shapes of what ``init`` returns.
    """
    method, name = trial.method, trial.method.name
    for turn in trial.turns:
        where, task = f"{name}, stage {turn + 1}", replace(trial.task, turn=turn)
        recipe = method.recipe(task)
        planned = _planned(method, replace(task.without_examples(), backbone=None), where)
        assert planned == recipe, f"{where}: the recipe is another one before any backbone or example is there"
        if recipe is None:
            continue
        for key, value in trial.losses(trial.shaken(), torch.tensor(SEED), turn).items():
            assert value.dim() == 0, f"{where}: loss {key!r} is {tuple(value.shape)}, expected one number"
            assert bool(torch.isfinite(value)), f"{where}: loss {key!r} is not finite"
        resumed = method.resume(trial.shaken(), trial.start, task) if turn and trial.rounds else trial.start
        shapes = {key: value.shape for key, value in resumed.items()}
        kept = shapes == {key: value.shape for key, value in trial.start.items()}
        assert kept, f"{where}: `resume` returns other parameters than init"


def _planned(method: Method, task: Task, where: str) -> Recipe | None:
    """The recipe as the planner asks for it."""
    try:
        return method.recipe(task)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AssertionError(f"{where}: the recipe reads what is not there before a backbone is ({error})") from error


def check_gradients(trial: Trial) -> None:
    """Training reaches every parameter that ``init`` returned and that is not frozen."""
    if not trial.trained:
        return
    if isinstance(trial.method.step(trial.task), Spsa | Sphere):
        _check_loss_moves(trial)
        return
    params = trial.shaken()
    leaves = [params[name].clone().requires_grad_() for name in trial.trained]
    loss = trial.loss(params | dict(zip(trial.trained, leaves, strict=True)), torch.tensor(SEED))
    for name, grad in zip(trial.trained, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True):
        reached = grad is not None and bool(grad.abs().sum() > 0)
        assert reached, f"{trial.method.name}: no gradient reaches {name!r}; train it, or name it in `frozen`"


def _check_loss_moves(trial: Trial) -> None:
    """Without gradients: the loss moves with what is learned."""
    params, seed = trial.shaken(), torch.tensor(SEED)
    moved = params | {name: params[name] * 0.5 + 0.3 for name in trial.trained}
    same = torch.allclose(trial.loss(params, seed), trial.loss(moved, seed))
    assert not same, f"{trial.method.name}: the loss does not depend on what is learned"


def stream_logits(examples: int, classes: int, turn: int) -> Tensor:
    """(examples, classes) numbers in place of what a round has learned to say of a pool."""
    return torch.randn(examples, classes, generator=stream("conformance", "pool", turn))
