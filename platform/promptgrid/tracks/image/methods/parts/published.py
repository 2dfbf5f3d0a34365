"""Values that a paper set per dataset: data beside each method, looked up here by the paper's dataset names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from promptgrid.contract.clip import Classifier, Number

NAMES = (
    "ImageNet",
    "Caltech101",
    "OxfordPets",
    "StanfordCars",
    "OxfordFlowers",
    "Food101",
    "FGVCAircraft",
    "SUN397",
    "DTD",
    "EuroSAT",
    "UCF101",
)
"""The eleven datasets of the CoOp protocol, as the papers spell them."""

MORE = ("SVHN", "RESISC45", "CLEVR")
"""Those that black-box papers add."""

_BY_WORD = {name.lower(): name for name in (*NAMES, *MORE)} | {"describabletextures": "DTD"}


def paper_name(dataset: str) -> str:
    """The paper's name of ``dataset`` (``split_zhou_OxfordPets.json`` is OxfordPets), or '' where it is another one."""
    words = re.split(r"[^a-z0-9]+", dataset.replace("\\", "/").rsplit("/", 1)[-1].lower())
    return next((_BY_WORD[word] for word in words if word in _BY_WORD), "")


def published(method: Classifier, setting: str, table: Mapping[str, float], dataset: str) -> Number:
    """The value of a knob: the paper's own for ``dataset`` where the knob was left at its default, else as set.

    Works on stacked knobs inside ``vmap``. ``as_published = false`` in the method's settings takes every knob as set.
    """
    value: Number = getattr(method, setting)
    own = table.get(paper_name(dataset))
    if own is None or not getattr(method, "as_published", True):
        return value
    default = type(method).defaults()[setting]
    if isinstance(value, Tensor):
        return torch.where(torch.isclose(value, torch.full_like(value, default)), own, value)
    return own if math.isclose(value, default) else value
