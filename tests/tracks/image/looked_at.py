"""Images given to the engine by hand, in the place of a dataset: training sets and scored examples."""

from __future__ import annotations

from torch import Tensor

from promptgrid.contract.clip import Backbone, Classifier, Params, Task
from promptgrid.contract.clip.black_box import PATCHES
from promptgrid.contract.columns import Column, Table, Views
from promptgrid.engine.scoring import answers_of
from promptgrid.engine.training.sampling import TrainingSet

CHUNK = 64


def still(
    features: Tensor,
    labels: Tensor,
    pixels: Tensor | None = None,
    backbone: Backbone | None = None,
    needs: frozenset[str] = frozenset(),
    *,
    pool: tuple[int, int] | None = None,
    **tables: Tensor | None,
) -> TrainingSet:
    """One view of each image; ``tables`` are further columns, ``pool`` how many are labelled and how many are not."""
    columns: dict[str, Column] = {"features": Views.still(features)}
    columns |= {name: Table(values) for name, values in tables.items() if values is not None}
    if pixels is not None and backbone is not None:
        if PATCHES & needs:
            columns["patches"] = Views.still(pixels, backbone.patches, kept=True)
        if {"pixels", "logits"} & needs:
            columns["pixels"] = Views.still(pixels, backbone.normalised)
        if "unprojected" in needs:
            columns["unprojected"] = Views.still(pixels, backbone.unprojected, kept=True)
    return TrainingSet(labels, columns, mixture=pool)


def logits_of(
    method: Classifier,
    params: Params,
    task: Task,
    features: Tensor,
    pixels: Tensor | None = None,
    second: Tensor | None = None,
) -> Tensor:
    """(N, classes) logits of images, as the engine scores them."""
    columns = {"features": Table(features)} | ({} if second is None else {"second": Table(second)})
    if pixels is not None and PATCHES & method.needs:
        columns["patches"] = Table(pixels, task.backbone.patches)
    if pixels is not None and {"pixels", "logits"} & method.needs:
        columns["pixels"] = Table(pixels, task.backbone.normalised)
    if pixels is not None and "unprojected" in method.needs:
        columns["unprojected"] = Table(pixels, task.backbone.unprojected)
    return answers_of(method, params, task, columns, CHUNK)
