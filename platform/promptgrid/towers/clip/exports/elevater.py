"""ELEVATER's submission: ``all_predictions.zip`` with ``all_predictions.json``, as its ``prepare_submit`` makes it.

``{"data": [...]}``, one entry a dataset: ``model_name``, ``dataset_name``, parameters, ``n_shot``, ``rnd_seeds``, and
``predictions``, by seed an (N, C) list of probabilities rounded to six digits. Images stand in the order of the
dataset's test list.

A record keeps the five likeliest classes of an image and the sum over all: their probabilities are exact, and what is
left is shared equally by the other classes. Scores of the first answer are those of the record; scores that rank
images by one class (ROC-AUC, average precision) are not: datasets of those metrics are refused where classes lack.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from promptgrid.contract.track import Kept, Predictions
from promptgrid.engine.datasets.published.elevater_layouts import ELEVATER
from promptgrid.spec import Refused, canonical_json

PREFIX = "elevater-"
RANKING = {"roc_auc", "11point_mAP"}
WHEN = (1980, 1, 1, 0, 0, 0)
"""The date of files in an archive: the same cells give the same bytes."""


def as_elevater(cells: Sequence[Kept]) -> dict[str, bytes]:
    """One archive a method, backbone and number of shots; in folders where there are several."""
    groups: dict[tuple[Any, ...], dict[str, list[Kept]]] = defaultdict(lambda: defaultdict(list))
    for kept in cells:
        cell = kept.record.cell
        group = (cell.method, canonical_json(cell.settings), cell.backbone, cell.shots)
        groups[group][_dataset(kept)].append(kept)
    found = {}
    for number, ((method, _, _, shots), datasets) in enumerate(groups.items(), 1):
        folder = "" if len(groups) == 1 else f"{number}-{method}-{shots}shot/"
        found[f"{folder}all_predictions.zip"] = _archive([_entry(name, own) for name, own in datasets.items()])
    return found


def _dataset(kept: Kept) -> str:
    name = str(kept.about.get("dataset", kept.record.cell.dataset)).removeprefix(PREFIX)
    if name not in ELEVATER:
        raise Refused("is no dataset of ELEVATER", where=kept.record.cell.key[:12], got=name,
                      expected="cells on datasets that `elevater:` opens")  # fmt: skip
    return name


def _entry(dataset: str, cells: Sequence[Kept]) -> dict[str, Any]:
    cell = cells[0].record.cell
    ordered = sorted(cells, key=lambda kept: kept.record.cell.seed)
    return {
        "model_name": f"{cell.method} {cell.backbone}",
        "dataset_name": dataset,
        "num_trainable_params": fmean(kept.record.cost.trainable_parameters for kept in cells),
        "num_params": None,
        "num_visual_params": None,
        "num_backbone_params": None,
        "n_shot": cell.shots,
        "rnd_seeds": [kept.record.cell.seed for kept in ordered],
        "predictions": [np.round(probabilities(_test(kept, dataset)), 6).tolist() for kept in ordered],
    }


def _test(kept: Kept, dataset: str) -> Predictions:
    parts = [part for part in kept.predictions if part.evaluation == "test"]
    name = kept.record.cell.key[:12]
    if len(parts) != 1 or len(kept.predictions) != 1:
        raise Refused("was not scored on all classes at once", where=name, got=kept.record.cell.protocol)
    part = parts[0]
    if part.logsumexp is None or not part.classes:
        raise Refused("its answers were kept by an earlier version, without probabilities", where=name,
                      hint="run the cell again")  # fmt: skip
    metric, classes, kept_of_them = ELEVATER[dataset].metric, len(part.classes), part.top.shape[1]
    if metric in RANKING and classes > kept_of_them:
        raise Refused(f"{dataset} is scored by {metric}, which asks for all {classes} probabilities of an image; "
                      f"{kept_of_them} are kept", where=name)  # fmt: skip
    return part


def probabilities(part: Predictions) -> npt.NDArray[np.float64]:
    """(N, C) probabilities in the order of the dataset: those kept are exact, the others share what is left."""
    assert part.logsumexp is not None  # refused above
    known = np.exp(part.scores.astype(np.float64) - part.logsumexp.astype(np.float64)[:, None])
    count, classes, kept = len(part.label), len(part.classes), part.top.shape[1]
    left = np.clip(1.0 - known.sum(1), 0.0, None) / max(1, classes - kept)
    found = np.repeat(np.minimum(left, known[:, -1])[:, None], classes, axis=1)
    found[np.arange(count)[:, None], part.top] = known
    return found[np.argsort(part.example, kind="stable")]


def _archive(entries: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("all_predictions.json", WHEN)
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, json.dumps({"data": entries}))
    return out.getvalue()
