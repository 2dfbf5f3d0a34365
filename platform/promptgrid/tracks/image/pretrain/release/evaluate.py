"""How good a bundled backbone is, over the bundled tasks: the figures of its card.

For every task: chance, zero-shot with the card's template, a 16-shot logistic probe on frozen features, and the
control, the same probe on raw pixels at 16x16. The probe's regularisation is chosen on the validation split;
`split="val"` scores on that split instead of the test split, for decisions during development.
"""

from __future__ import annotations

import copy
import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML
from torch import Tensor, nn

from promptgrid.spec.parquet import read_parquet
from promptgrid.tracks.image.backbones.bundled_weights import FOLDER, load_bundled
from promptgrid.tracks.image.pretrain.release.weights import read_card, write_card
from promptgrid.tracks.image.pretrain.training.views import decode, resize

TASKS = FOLDER.parent / "tasks"
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
SHOTS = 16
FIGURES = "figures.csv"


@dataclass(frozen=True)
class TaskData:
    """A bundled task in memory: `pictures` (n, 3, 64, 64) uint8, `labels` (n,), `splits` (n,) strings."""

    name: str
    classes: list[str]
    template: str
    pictures: Tensor
    labels: np.ndarray[Any, Any]
    splits: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Figures:
    """What a backbone reaches on one task, in per cent."""

    task: str
    classes: int
    test: int
    chance: float
    zero_shot: float
    probe: float
    pixels: float


def load_tasks(folder: Path = TASKS) -> Iterable[TaskData]:
    """The bundled tasks, by name."""
    for path in sorted(folder.glob("*.parquet")):
        card = YAML(typ="safe").load(path.with_suffix(".yaml").read_text(encoding="utf-8"))
        table = read_parquet(path)
        yield TaskData(
            path.stem,
            list(card["classes"]),
            card["template"],
            decode(table["image"].to_pylist()),
            np.asarray(table["label"].to_pylist()),
            np.asarray(table["split"].to_pylist()),
        )


@torch.inference_mode()
def image_features(model: Any, pictures: Tensor, preprocess: dict[str, Any]) -> Tensor:
    """Unit features (n, embed) of uint8 pictures."""
    mean = torch.tensor(preprocess["mean"]).view(3, 1, 1)
    std = torch.tensor(preprocess["std"]).view(3, 1, 1)
    size = model.visual.image_size[0]
    parts = [(resize(chunk, size) - mean) / std for chunk in torch.split(pictures, 128)]
    return F.normalize(torch.cat([model.encode_image(part) for part in parts]), dim=-1)


@torch.inference_mode()
def class_features(model: Any, tokenizer: Any, task: TaskData) -> Tensor:
    """Unit features (classes, embed) of the class names in the task's template."""
    tokens = tokenizer([task.template.format(name) for name in task.classes])
    return F.normalize(model.encode_text(tokens), dim=-1)


def zero_shot(features: Tensor, classes: Tensor, labels: np.ndarray[Any, Any]) -> float:
    """Accuracy in per cent of the most similar class."""
    return float(((features @ classes.T).argmax(1).numpy() == labels).mean() * 100)


def draw_shots(task: TaskData, seed: int) -> np.ndarray[Any, Any]:
    """Rows of up to 16 training pictures of every class."""
    rng = np.random.default_rng(seed)
    train = task.splits == "train"
    groups = [np.flatnonzero(train & (task.labels == label)) for label in range(len(task.classes))]
    return np.concatenate([rng.permutation(group)[:SHOTS] for group in groups])


def probe(inputs: Tensor, task: TaskData, seeds: Iterable[int], split: str) -> float:
    """Mean accuracy in per cent of logistic regression on 16 shots, its strength chosen on the validation split."""
    labels = torch.from_numpy(task.labels)
    val, scored = torch.from_numpy(task.splits == "val"), torch.from_numpy(task.splits == split)
    found = []
    for seed in seeds:
        rows = torch.from_numpy(draw_shots(task, seed))
        centred = inputs - inputs[rows].mean(0)
        values = centred / (centred[rows].std() + 1e-9) / inputs.shape[1] ** 0.5 * 4
        layers = _fits(values[rows], labels[rows], len(task.classes))
        best = max(layers, key=lambda layer: _accuracy(layer, values[val], labels[val]))
        found.append(_accuracy(best, values[scored], labels[scored]))
    return float(np.mean(found))


def _fits(inputs: Tensor, labels: Tensor, classes: int) -> list[nn.Linear]:
    """Logistic regressions of rising strength (weaker shrinkage), each started from the one before."""
    layer = nn.Linear(inputs.shape[1], classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    fits = []
    for strength in STRENGTHS:
        _descend(layer, inputs, labels, strength)
        fits.append(copy.deepcopy(layer))
    return fits


def _descend(layer: nn.Linear, inputs: Tensor, labels: Tensor, strength: float) -> None:
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=50, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        shrink = layer.weight.square().sum() / (2 * strength * len(inputs))
        value = F.cross_entropy(layer(inputs), labels) + shrink
        torch.autograd.backward(value)
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]  # torch leaves it untyped


@torch.no_grad()
def _accuracy(layer: nn.Linear, inputs: Tensor, labels: Tensor) -> float:
    return float((layer(inputs).argmax(1) == labels).float().mean() * 100)


def evaluate(
    name: str, folder: Path = FOLDER, tasks: Path = TASKS, seeds: Iterable[int] = (1, 2, 3), split: str = "test"
) -> list[Figures]:
    """The figures of one backbone, task by task."""
    model, tokenizer, preprocess = load_bundled(name, folder)
    return [
        figures(
            task,
            _needed_features(model, preprocess, task, seeds, split),
            class_features(model, tokenizer, task),
            seeds,
            split,
        )
        for task in load_tasks(tasks)
    ]


def figures(task: TaskData, features: Tensor, classes: Tensor, seeds: Iterable[int], split: str) -> Figures:
    """One row of figures from unit features of a task's pictures (n, embed) and class names (classes, embed)."""
    scored = task.splits == split
    values = (
        100 / len(task.classes),
        zero_shot(features[scored], classes, task.labels[scored]),
        probe(features, task, seeds, split),
        _control(task, seeds, split),
    )
    return Figures(task.name, len(task.classes), int(scored.sum()), *(round(value, 1) for value in values))


def needed(task: TaskData, seeds: Iterable[int], split: str) -> np.ndarray[Any, Any]:
    """Rows that any figure looks at: the drawn shots, the validation split and the scored one."""
    looked_at = np.flatnonzero((task.splits == "val") | (task.splits == split))
    return np.unique(np.concatenate([looked_at, *(draw_shots(task, seed) for seed in seeds)]))


def _needed_features(
    model: Any, preprocess: dict[str, Any], task: TaskData, seeds: Iterable[int], split: str
) -> Tensor:
    rows = torch.from_numpy(needed(task, seeds, split))
    found = image_features(model, task.pictures[rows], preprocess)
    features = torch.full((len(task.labels), found.shape[1]), float("nan"))
    features[rows] = found
    return features


_CONTROLS: dict[tuple[Any, ...], float] = {}


def _control(task: TaskData, seeds: Iterable[int], split: str) -> float:
    key = (task.name, tuple(seeds), split, len(task.labels))
    if key not in _CONTROLS:
        raw = resize(task.pictures, 16).flatten(1)
        _CONTROLS[key] = probe(raw, task, seeds, split)
    return _CONTROLS[key]


def summary(rows: list[Figures]) -> dict[str, Any]:
    """The counts that the bundle is judged by."""
    return {
        "tasks": len(rows),
        "zero_shot_twice_chance": sum(row.zero_shot >= 2 * row.chance for row in rows),
        "zero_shot_thrice_chance": sum(row.zero_shot >= 3 * row.chance for row in rows),
        "probe_beats_pixels": sum(row.probe > row.pixels for row in rows),
        "mean_zero_shot": round(float(np.mean([row.zero_shot for row in rows])), 1),
        "mean_probe": round(float(np.mean([row.probe for row in rows])), 1),
        "mean_pixels": round(float(np.mean([row.pixels for row in rows])), 1),
    }


def show(rows: list[Figures], console: Console) -> None:
    """Print the figures as a table."""
    table = Table(*Figures.__dataclass_fields__)
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    console.print(table, summary(rows))


def write(name: str, rows: list[Figures], folder: Path = FOLDER) -> None:
    """Write `figures.csv` beside the weights and the same figures into the card."""
    with (folder / name / FIGURES).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Figures.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    card = read_card(folder / name)
    write_card(folder / name, {**card, "summary": summary(rows), "figures": [asdict(row) for row in rows]})
