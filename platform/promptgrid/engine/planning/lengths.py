"""How long a method trains, against its paper: what a cell's settings take away from the published budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from promptgrid.contract.method import Method
from promptgrid.contract.task import Task
from promptgrid.engine.planning.packing import work

LENGTHS = {
    "epochs": "epochs",
    "iterations": "iterations",
    "steps_per_shot": "steps a shot",
    "rounds": "rounds",
    "members": "members",
    "meta_steps": "meta-training steps",
    "gan_epochs": "epochs of its generator",
    "estimates": "estimates a step",
    "tuning_steps": "steps a test image",
    "views": "views of a test image",
    "generated": "generated views",
}
"""Settings that say how much a method trains or looks, in words; of all of them less is less than the paper's."""


def cut_of(method: Method, task: Task, labelled: int, pool: int) -> str:
    """``8 of 200 epochs``: what ``method`` has less of than with its defaults; '' where it is trained as published.

    Args:
        method: with the settings of the cell.
        task: names, classes and shots.
        labelled: training examples.
        pool: unlabelled ones.
    """
    told = []
    for name, words in LENGTHS.items():
        papers = method.defaults().get(name)
        if papers is None or getattr(method, name) == papers:
            continue
        ours, theirs = getattr(method, name), papers
        if name == "epochs":
            ours, theirs, words = _epochs(method, task, labelled, pool, papers)
        if ours < theirs:
            told.append(f"{ours} of {theirs} {words}")
    return ", ".join(told)


def _epochs(method: Method, task: Task, labelled: int, pool: int, papers: int) -> tuple[int, int, str]:
    """Epochs as written and as published, steps where a recipe counts those; 0 as published means a schedule."""
    published: Method = replace(cast(Any, method), epochs=papers)
    ours, theirs = method.recipe(task), published.recipe(task)
    if ours is None or theirs is None:
        return 0, 0, ""  # nothing is fitted by descent
    if ours.iterations is None and theirs.iterations is None:
        return ours.epochs, theirs.epochs, "epochs"
    return work(method, task, labelled, pool)[0], work(published, task, labelled, pool)[0], "steps"
