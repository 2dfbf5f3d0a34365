"""What is kept beside learned parameters, so that they can be used without the dataset they were learned on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from promptgrid.contract.clip import Backbone, Task
from promptgrid.spec import DatasetCard


def about(task: Task, card: DatasetCard, model: Mapping[str, Any]) -> dict[str, JsonValue]:
    """What a state needs to be used again, as plain values.

    Args:
        task: that was learned, or is scored; its images are left out.
        card: of the dataset.
        model: what the digest of the backbone is of.
    """
    said: dict[str, JsonValue] = {
        "dataset": task.dataset,
        "classes": list(task.classes),
        "template": task.template,
        "templates": list(task.templates),
        "task_of_class": list(task.task_of_class),
        "shots": task.shots,
        "seen": task.seen,
        "model": dict(model),
    }
    if card.classes != task.classes:
        said["all_classes"] = list(card.classes)
    if task.descriptions is not None:
        said["descriptions"] = {name: list(task.descriptions[name]) for name in task.descriptions}
    return said


def task_from(said: Mapping[str, Any], backbone: Backbone) -> Task:
    """The task that :func:`about` tells of, without its images."""
    described = said.get("descriptions")
    return Task.of(
        said["dataset"],
        tuple(said["classes"]),
        said["template"],
        backbone,
        shots=said["shots"],
        task_of_class=tuple(said["task_of_class"]),
        templates=tuple(said["templates"]),
        descriptions=None if described is None else {name: tuple(some) for name, some in described.items()},
        seen=said["seen"],
    )
