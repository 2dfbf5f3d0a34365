"""How alike two tasks are to a backbone: by what their classes look like, and by what they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Backbone, Cache, Dataset
from promptgrid.contract.clip.task import spoken
from promptgrid.engine.feature_tables import WHOLE_SPLIT
from promptgrid.spec import Refused
from promptgrid.tracks.image.data.features import feature_table

TEMPLATE = "a photo of a {}."
"""One sentence for all tasks: label similarity is about names, not about how each dataset speaks of them."""
IMAGES_A_CLASS = 200
"""Images a class that make a prototype where the training split is too large to be encoded whole."""


def similarities(backbone: Backbone, datasets: Sequence[Dataset], cache: Cache) -> dict[str, npt.NDArray[np.float64]]:
    """Cosines in (K, K) matrices, source (row) to target (column), by name.

    ``nearest class``: the mean over the target's classes of the greatest cosine with any class of the source; not
    symmetric. ``centroid``: cosine of the two means over classes. ``visual`` compares :func:`prototypes` of training
    images, ``label`` text features of the class names.

    Raises:
        OSError, Refused: data or weights cannot be read, or a dataset has no training images.
    """
    looks = [prototypes(dataset, backbone, cache) for dataset in datasets]
    names = [label_features(dataset, backbone) for dataset in datasets]
    return {
        "visual, nearest class": _matrix(looks, nearest_class),
        "visual, centroid": _matrix(looks, centroid),
        "label, nearest class": _matrix(names, nearest_class),
        "label, centroid": _matrix(names, centroid),
    }


def prototypes(dataset: Dataset, backbone: Backbone, cache: Cache) -> Tensor:
    """(C, width) unit means of the unit features of each class's training images; classes without any are left out."""
    wanted = _sample(dataset)
    table = feature_table(dataset, "train", wanted, backbone, cache)
    kept = [index for index in wanted if index not in table.damaged]
    features = F.normalize(table.take(kept).float(), dim=-1)
    labels = torch.tensor([dataset.labels[index] for index in kept])
    sums = torch.zeros(len(dataset.card.classes), features.shape[1]).index_add_(0, labels, features)
    return F.normalize(sums[torch.bincount(labels, minlength=len(sums)) > 0], dim=-1)


def label_features(dataset: Dataset, backbone: Backbone) -> Tensor:
    """(C, width) unit text features of the class names, all in one template."""
    with torch.no_grad():
        features = backbone.encode_prompts([TEMPLATE.format(name) for name in spoken(dataset.card.classes)])
    return F.normalize(features.float(), dim=-1).cpu()


def nearest_class(source: Tensor, target: Tensor) -> float:
    """Mean over the rows of ``target`` of the greatest cosine with a row of ``source``; both of unit rows."""
    return float((target @ source.T).amax(dim=1).mean())


def centroid(source: Tensor, target: Tensor) -> float:
    """Cosine of the means of the rows."""
    return float(F.cosine_similarity(source.mean(dim=0), target.mean(dim=0), dim=0))


def _matrix(features: Sequence[Tensor], measure: Callable[[Tensor, Tensor], float]) -> npt.NDArray[np.float64]:
    return np.array([[measure(source, target) for target in features] for source in features], dtype=np.float64)


def _sample(dataset: Dataset) -> list[int]:
    """The training images, or the first :data:`IMAGES_A_CLASS` of each class where there are too many to encode."""
    train = dataset.splits.get("train", [])
    if not train:
        raise Refused("no training images to compare tasks by", where=dataset.card.name)
    if len(train) <= WHOLE_SPLIT:
        return list(train)
    seen: dict[int, int] = {}
    kept = []
    for index in train:
        label = dataset.labels[index]
        seen[label] = seen.get(label, 0) + 1
        if label >= 0 and seen[label] <= IMAGES_A_CLASS:
            kept.append(index)
    return kept
