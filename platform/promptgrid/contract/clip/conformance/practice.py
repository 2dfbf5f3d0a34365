"""How a method on a dual encoder is tried: on four classes of small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, get_args

import torch

from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.clip.black_box import PATCHES, face_of
from promptgrid.contract.clip.conformance.backbones import fingerprint
from promptgrid.contract.clip.conformance.pictures import (
    CLASSES,
    NEW_CLASSES,
    SHOTS,
    assets_for,
    pictures,
    second_look,
)
from promptgrid.contract.clip.conformance.promises import check_adaptation, check_zero_shot_start
from promptgrid.contract.clip.method import Kind, beside_of
from promptgrid.contract.clip.practice import PracticeBackbone
from promptgrid.contract.clip.task import Task
from promptgrid.contract.conformance.trial import Practice, Trial
from promptgrid.contract.method import Method
from promptgrid.contract.task import Batch, Labelled

SHOWN = ("features", "patches", "second", "pixels", "unprojected")
"""The columns that evaluation has too."""


class DualEncoderPractice(Practice):
    """Methods on ``backbone``; on a :class:`promptgrid.contract.clip.practice.PracticeBackbone` when None."""

    kinds: ClassVar = frozenset(get_args(Kind)) | {"tokens"}
    """Those of dual encoders, and that of methods on any tower of tokens."""
    new_classes: ClassVar = NEW_CLASSES
    checks: ClassVar = (check_zero_shot_start, check_adaptation)

    def __init__(self, backbone: Backbone | None = None) -> None:
        self.backbone = PracticeBackbone() if backbone is None else backbone
        self.offers = self.backbone.offers

    def trial(self, method: Method, seed: int = 1) -> Trial:
        own, backbone = method, self.backbone
        pixels, labels = pictures(backbone, seed)
        features = backbone.encode_pixels(pixels)
        held = Labelled(backbone.encode_pixels(pictures(backbone, seed + 1000)[0]), labels)
        if "logits" in own.needs:
            features, held = features[:, :0], Labelled(held.features[:, :0], labels)
        task = Task.of(
            dataset="conformance",
            classes=CLASSES,
            template="a photo of a {}.",
            backbone=face_of(own, backbone),
            shots=SHOTS,
            support=Labelled(features, labels, pixels=lambda: pixels),
            validation=held,
            **assets_for(own.assets, backbone),
        )
        patches = backbone.patches(pixels) if PATCHES & own.needs else None
        floats = backbone.normalised(pixels) if {"pixels", "logits"} & own.needs else None
        second = second_look(pixels) if "second_backbone" in own.assets else None
        pseudo, plain = None, None
        if "unlabelled" in own.assets:
            task = replace(task, mixture=(len(labels) - len(labels) // 2, len(labels) // 2))
            pseudo, plain = torch.arange(len(labels)) % 2 == 1, features + 0.1 * features.roll(1, 0)
        domain = torch.arange(len(labels)) % 2 if "domain_labels" in own.assets else None
        count = len(beside_of(own))
        views = [backbone.patches(pictures(backbone, seed + 3000 + place)[0]) for place in range(count)]
        batch = Batch(
            features=features, patches=patches, second=second, pseudo=pseudo, plain=plain, domain=domain, pixels=floats,
            beside=torch.stack(views, dim=1) if views else None, labels=labels,
            unprojected=backbone.unprojected(pixels) if "unprojected" in own.needs else None,
        )  # fmt: skip
        return self.begun(own, task, batch, pool=0 if task.unlabelled is None else len(task.unlabelled), seed=seed)

    def fingerprint(self) -> bytes:
        return fingerprint(self.backbone)

    def shown(self, batch: Batch, rows: Sequence[int]) -> Batch:
        return Batch({name: batch[name] for name in SHOWN if name in batch}).rows(torch.tensor(list(rows)))
