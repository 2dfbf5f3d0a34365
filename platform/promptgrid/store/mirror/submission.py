"""One run of a grid, as MLflow is told of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from promptgrid.spec import Cell, Suite


@dataclass(frozen=True)
class Submission:
    """What MLflow shows together: a parent run, with a child run for each cell.

    Attributes:
        name: names this run of the grid.
        suite: what was run.
        cells: (method label, cell) of the whole grid.
        uri: MLflow tracking URI; None: what ``MLFLOW_TRACKING_URI`` or the store says.
        experiment: MLflow experiment; empty: the suite's name.
        titles: what people call the datasets.
    """

    name: str
    suite: Suite
    cells: tuple[tuple[str, Cell], ...]
    uri: str | None = None
    experiment: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, list[str]]:
        """By cell key the method labels under which the grid lists the cell, each once, in the grid's order."""
        found: dict[str, list[str]] = {}
        for label, cell in self.cells:
            names = found.setdefault(cell.key, [])
            if label not in names:
                names.append(label)
        return found

    def write(self, path: Path) -> None:
        """Write to ``path``, a line a cell, for :meth:`read`."""
        head = {"name": self.name, "suite": self.suite.model_dump(), "uri": self.uri, "experiment": self.experiment}
        with path.open("w") as file:
            file.write(json.dumps(head | {"titles": dict(self.titles)}) + "\n")
            for label, cell in self.cells:
                file.write(f'{{"label":{json.dumps(label)},"cell":{cell.model_dump_json()}}}\n')

    @classmethod
    def read(cls, path: Path) -> Submission:
        """The submission in ``path``."""
        with path.open() as file:
            head = json.loads(next(file))
            rows = [json.loads(line) for line in file]
        cells = tuple((row["label"], Cell.model_validate(row["cell"])) for row in rows)
        suite = Suite.model_validate(head.pop("suite"))
        return cls(suite=suite, cells=cells, **head)
