"""A whole wing in one file: rows of numbers, two methods, one kind of dataset, one frozen model.

All else (packs, resuming, search, transfer, MLflow, cards, reports) is the engine's and the floors above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from promptgrid.contract import (
    SGD,
    BackboneFamily,
    Batch,
    Batches,
    Cache,
    Chosen,
    Column,
    ColumnSource,
    Dataset,
    DatasetFamily,
    Labelled,
    Method,
    Number,
    Params,
    Recipe,
    Table,
    Task,
    Views,
    knob,
)
from promptgrid.engine.cards.admission import Asked
from promptgrid.engine.cards.card import Cards
from promptgrid.engine.data import Opened, PackData, Prepared, scoring_columns, training_columns
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.engine.protocols.transfer import Transfer
from promptgrid.engine.training.sampling import TrainingSet
from promptgrid.engine.wing import Wing
from promptgrid.spec import Cell, DatasetCard, Noun, Record, digest

WIDTH, CLASSES = 12, ("low", "middle", "high")
NAMES = {"calm": 0.0, "rough": 0.5, "turned": 1.0}


class Rows(Dataset):
    """Rows of six numbers, of each class around its own centre; the centres are turned by the dataset's own angle."""

    def __init__(self, name: str) -> None:
        counts = {"train": 12, "val": 4, "test": 10}
        order = [(split, label) for split, n in counts.items() for label in range(len(CLASSES)) for _ in range(n)]
        self.labels = [label for _, label in order]
        self.splits = {split: [i for i, (own, _) in enumerate(order) if own == split] for split in counts}
        rng, angle = np.random.default_rng(7), NAMES[name]
        centres = np.array([[np.cos(angle + 2 * c), np.sin(angle + 2 * c), 0, 0, 0, 0] for c in range(len(CLASSES))])
        self.rows = (centres[self.labels] + rng.normal(0, 0.6, (len(order), 6))).astype(np.float32)
        sizes = {split: len(rows) for split, rows in self.splits.items()}
        found = digest([name, self.rows.round(4).tolist()])
        self.card = DatasetCard(name=name, classes=CLASSES, splits=sizes, sha256=found, bundled=True)

    def read(self, index: int) -> Any:
        return self.rows[index]


class RowFamily(DatasetFamily):
    """Three datasets of one kind."""

    name: ClassVar[str] = "rows"

    def listing(self) -> list[DatasetCard]:
        return [Rows(name).card for name in NAMES]

    def knows(self, dataset: str) -> bool:
        return dataset in NAMES

    def open(self, dataset: str) -> Dataset:
        return Rows(dataset)


class Waves:
    """A frozen model: cosines of fixed random projections."""

    digest = digest("waves, version 1")

    def __init__(self) -> None:
        self.weight = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(0))

    def __call__(self, rows: Tensor) -> Tensor:
        return torch.cos(rows @ self.weight)


class WaveFamily(BackboneFamily):
    """One frozen model."""

    name: ClassVar[str] = "waves"

    def listing(self) -> list[dict[str, object]]:
        return [{"name": "waves", "about": "cosines of fixed projections"}]

    def knows(self, backbone: str) -> bool:
        return backbone == "waves"

    def facts(self, backbone: str) -> dict[str, object]:
        return {"digest": Waves.digest, "offers": ["features"]}

    def load(self, backbone: str, device: str) -> Waves:
        return Waves()


@dataclass(frozen=True)
class Nearest(Method):
    """Nearest mean: the class whose few examples have the nearest mean feature.

    Source: a baseline of this test.
    """

    name: ClassVar[str] = "nearest"
    kind: ClassVar[str] = "head"
    paper: ClassVar[str] = "unpublished"

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        support = task.support
        if support is None:
            return {"means": torch.zeros(len(task.classes), WIDTH)}
        return {"means": torch.stack([support.features[support.labels == c].mean(0) for c in range(len(task.classes))])}

    def predict(self, params: Params, batch: Batch, task: Task, once: Any = None) -> Tensor:
        return -torch.cdist(batch.features, params["means"])


@dataclass(frozen=True)
class Shift(Method):
    """Shifted features: a learned offset of all features in front of a fixed random head.

    Source: a baseline of this test.
    """

    name: ClassVar[str] = "shift"
    kind: ClassVar[str] = "features"
    paper: ClassVar[str] = "unpublished"

    learning_rate: Number = knob(0.2, low=1e-3, high=10.0, log=True)
    epochs: int = 20

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"offset": torch.zeros(WIDTH), "head": torch.randn(WIDTH, len(CLASSES), generator=rng)}

    def recipe(self, task: Task) -> Recipe | None:
        return Recipe(SGD(self.learning_rate), self.epochs, Batches(4))

    def predict(self, params: Params, batch: Batch, task: Task, once: Any = None) -> Tensor:
        return (batch.features + params["offset"]) @ params["head"]


class Features(ColumnSource):
    """(B, 12) what the frozen model makes of each row."""

    name = "features"

    def training(self, data: RowData, drawn: tuple[int, ...]) -> Column:
        return Views.still(data.features(drawn))

    def scoring(self, data: RowData, split: str, indices: Sequence[int]) -> Table:
        return Table(data.features(indices))


class RowData(PackData):
    """Rows, read from memory."""

    def __init__(self, opened: Opened, model: Waves, columns: Sequence[ColumnSource]) -> None:
        super().__init__(opened)
        self.model, self.sources = model, columns

    def features(self, indices: Sequence[int]) -> Tensor:
        rows = [self.opened.dataset.read(index) for index in indices]
        return self.model(torch.from_numpy(np.stack(rows))).to(self.device)

    def task(self, cell: Cell) -> Task:
        return Task(self.opened.dataset.card.name, CLASSES, self.model, cell.shots)

    def task_with_examples(self, cell: Cell) -> Task:
        split = self.split(cell)
        few = Labelled(self.features(split.train), self.labels(split.train, split.classes))
        return self.task(cell).but(support=few)

    def training_set(self, cell: Cell) -> TrainingSet:
        split = self.split(cell)
        columns = training_columns(self, split.train, self.sources, self.method)
        return TrainingSet(self.labels(split.train, split.classes), columns)

    def pooled(self, ready: Prepared, chosen: Chosen) -> TrainingSet:
        raise NotImplementedError("rows have no unlabelled pool")

    def rebound(self, ready: Prepared, classes: Sequence[int]) -> Task:
        return ready.task.without_examples()

    def columns(self, split: str, indices: tuple[int, ...]) -> Mapping[str, Table]:
        return scoring_columns(self, split, indices, self.sources, self.method)

    def about(self, ready: Prepared) -> Mapping[str, Any]:
        return {"classes": list(CLASSES), "template": "{}"}


class NumbersWing(Wing):
    """Rows of numbers."""

    name: ClassVar[str] = "numbers"
    examples = Noun("row", "rows")
    cards = Cards(asked=Asked("numbers", target="calm", source="rough"))

    def data_of(self, cell: Cell, opened: Opened, cache: Cache, alive: Callable[[], None]) -> RowData:
        return RowData(opened, self.backbone(cell.backbone, opened.device), self.resolver.columns)

    def bare_task(self, dataset: Dataset, shots: int) -> Task:
        return Task(dataset.card.name, CLASSES, None, shots)

    def restore(self, record: Record, state: Mapping[str, Any], about: Mapping[str, Any], device: str) -> Any:
        method = self.resolver.method(record.cell.method)(**record.cell.settings)
        params = {name: torch.from_numpy(value) for name, value in state.items()}
        task = Task(record.cell.dataset, CLASSES, Waves())
        return lambda rows: method.predict(params, Batch(features=Waves()(rows)), task).argmax(1)


def wing() -> NumbersWing:
    """The wing with all that is in this file."""
    methods, protocols = {"nearest": Nearest, "shift": Shift}, {"few_shot": FewShot, "transfer": Transfer}
    return NumbersWing(methods, [RowFamily()], [WaveFamily()], protocols, [Features()])
