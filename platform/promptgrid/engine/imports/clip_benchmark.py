"""Rows of CLIP_benchmark: one JSON object a file, a list of them, or one a line.

A row has ``dataset``, ``model``, ``pretrained``, ``task`` and ``metrics`` (``acc1``, ``acc5``,
``mean_per_class_recall``; ``mean_average_precision``; ``image_retrieval_recall@5``, ...), all fractions. Linear probes
keep their settings among the metrics (``lr``, ``epochs``, ``seed``, ``fewshot_k``, -1 for all examples).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from promptgrid.engine.imports.reading import files_below, json_values, number_of, text_of
from promptgrid.spec import Refused
from promptgrid.spec.imported import Imported, imported_of

TOOL = "clip-benchmark"
NAMES = {"acc1": "accuracy", "acc5": "top5_accuracy", "mean_per_class_recall": "mean_per_class"}
METHODS = {"zeroshot_classification": "zero_shot", "linear_probe": "linear_probe"}
NEEDED = ("dataset", "model", "pretrained", "task", "metrics")


def read(path: Path) -> list[Imported]:
    """All rows in ``path``.

    Raises:
        Refused: a file that is no JSON, or a row that lacks a key or has no metric, with its line.
    """
    found = []
    for file, name in files_below(path, "*.json", "*.jsonl"):
        text, sha256 = text_of(file)
        for line, value in json_values(text, name):
            rows = value if isinstance(value, list) else [value]
            for place, row in enumerate(rows, 1):
                number = line or (place if len(rows) > 1 else 0)
                found.append(_record(row, name, sha256, number))
    return found


def _record(row: Any, file: str, sha256: str, line: int) -> Imported:
    where = f"{file} row {line}" if line else file
    lacking = [name for name in NEEDED if not isinstance(row, dict) or name not in row]
    if lacking or not isinstance(row["metrics"], dict):
        raise Refused(f"no row of CLIP_benchmark: {', '.join(lacking) or 'metrics is no mapping'}", where=where,
                      expected=", ".join(NEEDED))  # fmt: skip
    told = {str(name): value for name, value in row["metrics"].items()}
    scored = {name: number_of(value) for name, value in told.items() if _is_score(name)}
    shots, seed = number_of(told.get("fewshot_k")), number_of(told.get("seed"))
    zero_shot = row["task"] == "zeroshot_classification"
    return imported_of(
        where,
        tool=TOOL,
        file=file,
        sha256=sha256,
        line=line,
        method=METHODS.get(row["task"], row["task"]),
        dataset=row["dataset"],
        backbone=f"{row['model']}@{row['pretrained']}" if row["pretrained"] else row["model"],
        protocol="",
        shots=0 if zero_shot else int(shots) if shots is not None and shots >= 0 else None,
        seed=None if seed is None else int(seed),
        metrics={NAMES.get(name, name): value for name, value in scored.items() if value is not None},
        variant=f"{row['task']} {row.get('language', '')}".strip(),
        configuration={name: value for name, value in row.items() if name not in NEEDED}
        | {"task": row["task"]}
        | {name: value for name, value in told.items() if name not in scored},
    )


def _is_score(name: str) -> bool:
    return name in NAMES or "recall" in name or "average_precision" in name
