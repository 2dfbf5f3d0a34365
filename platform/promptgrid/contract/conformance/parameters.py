"""What is learned: where it starts, what is kept of it, and what follows the batches."""

from __future__ import annotations

from dataclasses import replace

import torch
from safetensors.torch import load, save

from promptgrid.contract.conformance.closeness import same_bits
from promptgrid.contract.conformance.trial import Trial
from promptgrid.contract.randomness import stream


def check_start(trial: Trial) -> None:
    """``init`` draws from its own generator only, gives float32, and names what is frozen rightly."""
    method, name = trial.method, trial.method.name
    before = torch.random.get_rng_state()
    again = method.init(trial.task, stream("conformance", 1))
    assert torch.equal(before, torch.random.get_rng_state()), f"{name}: init draws from torch's global stream"
    assert same_bits(again, trial.start), f"{name}: init gave other numbers for the same generator"
    for key, value in trial.start.items():
        assert value.dtype == torch.float32, f"{name}: parameter {key!r} is {value.dtype}, expected float32"
        assert not value.requires_grad, f"{name}: parameter {key!r} comes with a gradient attached"
        assert bool(torch.isfinite(value).all()), f"{name}: parameter {key!r} is not finite at the start"
    unknown = sorted(method.frozen - trial.start.keys())
    assert not unknown, f"{name}: `frozen` names {', '.join(unknown)}, which init does not return"


def check_state(trial: Trial) -> None:
    """What is kept after training goes through safetensors and answers the same to the bit, without examples."""
    name = trial.method.name
    with torch.no_grad():
        state = trial.method.finish(trial.shaken(), trial.task)
    assert state.keys() == trial.start.keys(), f"{name}: finish returns other parameters than init"
    loaded = load(save({key: value.detach().contiguous() for key, value in state.items()})) if state else {}
    kept = torch.equal(trial.answers(state), trial.answers(loaded))
    assert kept, f"{name}: the state answers otherwise after save and load"


def check_rules(trial: Trial) -> None:
    """Rules of a recipe are for parameters that descent changes; a rate that a parameter holds is a frozen scalar."""
    method, name = trial.method, trial.method.name
    for turn in trial.turns:
        recipe = method.recipe(replace(trial.task, turn=turn))
        rules = {} if recipe is None else recipe.rules
        unknown = sorted(rules.keys() - trial.trained)
        assert not unknown, f"{name}: the recipe has rules for {', '.join(unknown)}, which descent does not change"
        for key, rule in rules.items():
            if isinstance(rule.rate, str):
                scalar = rule.rate in method.frozen and trial.start[rule.rate].dim() == 0
                assert scalar, f"{name}: the rate of {key!r} is said to be {rule.rate!r}, which is no frozen scalar"


def check_tracked(trial: Trial) -> None:
    """What follows the batches is frozen and keeps its shape."""
    task = replace(trial.task.without_examples(), seed=torch.tensor(7))
    found = trial.method.track(trial.start, trial.batch, task)
    for name, value in found.items():
        frozen = name in trial.method.frozen and value.shape == trial.start[name].shape
        assert frozen, f"{trial.method.name}: `track` returns {name!r}, which is no frozen parameter of this shape"
