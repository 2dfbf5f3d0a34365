"""What is kept beside learned parameters, so that they can be used without the dataset they were learned on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.datasets.text import TextCard
from promptgrid.tracks.text.task import TextTask


def about(task: TextTask, card: TextCard, model: Mapping[str, Any]) -> dict[str, JsonValue]:
    """What a state needs to be used again, as plain values.

    Args:
        task: that was learned, or is scored; its texts are left out.
        card: of the dataset.
        model: what the digest of the backbone is of.
    """
    said: dict[str, JsonValue] = {
        "dataset": task.dataset,
        "classes": list(task.classes),
        "template": card.template,
        "mask_template": task.template,
        "words": {name: list(words) for name, words in task.words.items()},
        "none_class": task.none_class,
        "shots": task.shots,
        "model": dict(model),
    }
    if card.classes != task.classes:
        said["all_classes"] = list(card.classes)
    return said


def task_from(said: Mapping[str, Any], backbone: TextBackbone) -> TextTask:
    """The task that :func:`about` tells of, without its texts."""
    given = {
        "words": {name: tuple(words) for name, words in said["words"].items()},
        "template": said["mask_template"],
        "none_class": said["none_class"],
    }
    return TextTask(said["dataset"], tuple(said["classes"]), backbone, said["shots"], given=given)
