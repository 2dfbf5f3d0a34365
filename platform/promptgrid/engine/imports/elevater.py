"""JSON that ELEVATER's toolkit writes when it saves predictions.

Zero-shot runs keep ``result`` (a fraction), ``n_train_sample``, ``n_train_params`` and ``seed``, in files called
``DATASET_zeroshot_eval_..._predictions.tsv``. Tuned runs keep ``dataset_name``, ``model_name``, ``n_shot``,
``rnd_seeds`` and ``predictions``, and no labels: they have no score to import unless ``result`` stands beside, one for
each seed or one for all. Which of the metrics ``result`` is, the file does not say; it is the dataset's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptgrid.engine.datasets.published.elevater_layouts import ELEVATER
from promptgrid.engine.imports.reading import files_below, json_values, number_of, text_of
from promptgrid.spec import Refused
from promptgrid.spec.imported import Imported, imported_of

TOOL = "elevater"
MARK = "_zeroshot_eval_"
METRICS = {
    "accuracy": "accuracy",
    "mean-per-class": "mean_per_class",
    "11point_mAP": "map_11_point",
    "roc_auc": "roc_auc",
}


def read(path: Path) -> list[Imported]:
    """All results in ``path``.

    Raises:
        Refused: a file that is no JSON, or holds predictions without a score, naming it.
    """
    found: list[Imported] = []
    for file, name in files_below(path, "*.json", "*_predictions.tsv"):
        text, sha256 = text_of(file)
        for line, value in json_values(text, name):
            rows = value["data"] if isinstance(value, dict) and isinstance(value.get("data"), list) else value
            for place, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
                number = line or (place if isinstance(rows, list) else 0)
                found += _records(row, name, sha256, number)
    return found


def _records(row: Any, file: str, sha256: str, line: int) -> Iterator[Imported]:
    where = f"{file} row {line}" if line else file
    if not isinstance(row, dict):
        raise Refused("no result of ELEVATER", where=where, got=type(row).__name__, expected="a JSON object")
    dataset = row.get("dataset_name") or Path(file).name.partition(MARK)[0] * (MARK in file)
    if not dataset:
        raise Refused("says no dataset", where=where, expected=f"dataset_name, or a file called DATASET{MARK}...")
    if "result" not in row:
        raise Refused("holds predictions without labels, so that there is no score to import", where=where,
                      hint="the toolkit writes `result` where it scores; add it beside `predictions`")  # fmt: skip
    seeds = row.get("rnd_seeds", [row.get("seed")])
    results = row["result"] if isinstance(row["result"], list) else [row["result"]]
    if not isinstance(seeds, list) or len(results) not in (1, len(seeds)):
        raise Refused(f"{len(results)} results of the seeds {seeds}", where=where)
    several = len(results) < len(seeds)
    shots, params = (
        row.get("n_shot", row.get("n_train_sample")),
        row.get("num_trainable_params", row.get("n_train_params")),
    )
    metric = METRICS[ELEVATER[dataset].metric] if dataset in ELEVATER else "accuracy"
    for seed, result in zip([None] if several else seeds, results, strict=True):
        if (value := number_of(result)) is None:
            raise Refused("the result is no number", where=where, got=result)
        yield imported_of(
            where,
            tool=TOOL,
            file=file,
            sha256=sha256,
            line=line,
            method="zero_shot" if MARK in file else str(row.get("method", "tuned")),
            dataset=dataset,
            backbone=str(row.get("model_name", "")),
            shots=shots if isinstance(shots, int) and shots >= 0 else None,
            seed=seed,
            metrics={metric: value},
            configuration={"trainable_parameters": params, "knowledge_source": row.get("knowledge_source")}
            | ({"mean_over_seeds": seeds} if several else {}),
        )
