"""What the checks say of methods and backbones of dual encoders, and of datasets of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from tests.contracts import small_world
from tests.tracks.image.looked_at import logits_of
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import (
    Adaptation,
    Batch,
    Method,
    Number,
    Params,
    Task,
    Trained,
    knob,
)
from promptgrid.contract.clip.conformance import DualEncoderPractice, check_backbone, check_dataset, check_method
from promptgrid.contract.clip.practice import PracticeBackbone


@dataclass(frozen=True)
class Sound(Trained):
    """A shift of every class's text feature."""

    name: ClassVar[str] = "sound"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "unpublished"
    zero_shot_at_start: ClassVar[bool] = True

    strength: Number = knob(1.0, low=0.0, high=10.0)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"shift": torch.zeros(task.backbone.width)}

    def text(self, params: Params, task: Task) -> Tensor:
        return task.text + self.strength * params["shift"]


def _with(**parts: Any) -> type[Method]:
    """``Sound`` with methods or class attributes replaced."""
    made = type("Changed", (Sound,), {"__doc__": Sound.__doc__, **parts})
    return dataclass(frozen=True)(made)


def _zeros(task: Task, *more: str) -> Params:
    return {name: torch.zeros(task.backbone.width) for name in ("shift", *more)}


def _noisy_logits(self: Method, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
    return F.normalize(image, dim=-1) @ text.mT * torch.rand(())


def _mixed(self: Any, params: Params, batch: Batch, task: Task) -> Tensor:
    """Reads the value of a tensor: right for one cell, impossible for many at once."""
    return batch.features * (1.0 + float(params["shift"].detach().sum()))


def _spoil(self: Any, params: Params, task: Task) -> Tensor:
    task.backbone._table.mul_(1.01)  # type: ignore[attr-defined]
    return task.text + params["shift"]


def _centred(self: Any, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
    """Scores that tell an image from the others of its batch."""
    z = Sound.head(self, params, image, text, task)
    return z - z.mean(0)


def _whitened(self: Any, params: Params, batch: Batch, task: Task) -> Tensor:
    """Features normed by the batch, as a batch norm in training does."""
    return (batch.features - batch.features.mean(0)) / batch.features.std(0, unbiased=False).clamp_min(1e-3)


def _balanced(self: Any, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
    """Scores that share the classes out among the images of a batch."""
    z = Sound.head(self, params, image, text, task)
    return z - z.logsumexp(0)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a head of the batch": ({"head": _centred}, "scores an example otherwise by itself"),
    "features of the batch": ({"image": _whitened}, "scores an example otherwise by itself"),
    "answers shared out": ({"head": _balanced}, "scores are a function of one example"),
    "kind": ({"kind": "magic"}, "kind 'magic' is none of"),
    "asset it cannot have": ({"needs": frozenset({"crystal_ball"})}, "needs crystal_ball"),
    "dead parameter": ({"init": lambda self, task, rng: _zeros(task, "unused")}, "no gradient reaches 'unused'"),
    "wrong shape": ({"head": lambda self, params, image, text, task: image}, "answers are"),
    "random logits": ({"head": _noisy_logits}, "the same input gave other answers"),
    "not zero-shot": ({"text": lambda self, params, task: task.text.roll(1, 0) + params["shift"]}, "as zero-shot CLIP"),
    "false open vocabulary": (
        {
            "init": lambda self, task, rng: {"shift": torch.zeros(len(task.classes), 1)},
            "text": lambda self, params, task: task.text + params["shift"][: len(task.classes)].expand(4, -1)[:4],
        },
        "says it has an open vocabulary but fails on new classes",
    ),
    "changes the backbone": ({"text": _spoil}, "changed the frozen backbone"),
}


def test_a_sound_method_passes() -> None:
    check_method(Sound)
    check_method(_with())


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_method_is_caught(case: str) -> None:
    parts, message = BROKEN[case]
    with pytest.raises(AssertionError, match=message):
        check_method(_with(**parts))


def test_a_method_that_cannot_be_packed_is_caught_unless_it_says_so() -> None:
    with pytest.raises(AssertionError, match="does not run under vmap"):
        check_method(_with(image=_mixed, text=Sound.text, zero_shot_at_start=False))
    check_method(_with(image=_mixed, text=Sound.text, zero_shot_at_start=False, packs=False))


def test_a_joint_method_sees_the_whole_set_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.tracks.image.looked_at.CHUNK", 3)
    for parts, same in (({"joint": True}, True), ({}, False)):
        trial = DualEncoderPractice().trial(_with(head=_centred, zero_shot_at_start=False, **parts)())
        found = logits_of(trial.method, trial.start, trial.task, trial.batch.features)
        assert torch.allclose(found, trial.answers(trial.start), atol=1e-4) is same


class Loud(PracticeBackbone):
    """Says something else each time."""

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        return super().encode_pixels(pixels) + torch.rand(())


class Crooked(PracticeBackbone):
    """Its blocks and its pixels disagree."""

    def encode_patches(self, patches: Tensor, edits: Any = None) -> Tensor:
        return super().encode_patches(patches, edits).roll(1, 0)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        return PracticeBackbone().encode_pixels(pixels)

    def encode_image(self, pixels: Tensor) -> Tensor:
        return PracticeBackbone().encode_image(pixels)


@pytest.mark.parametrize(("broken", "message"), [(Loud, "other features"), (Crooked, "encode_patches")])
def test_a_broken_backbone_is_caught(broken: type[PracticeBackbone], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(broken())


class Grey(small_world.Pictures):
    """Its images are not RGB."""

    def read(self, index: int) -> Any:
        return super().read(index).convert("L")


def test_images_are_read_as_rgb() -> None:
    check_dataset(small_world.Pictures())
    with pytest.raises(AssertionError, match="is not read as RGB"):
        check_dataset(Grey())


def _told(self: Any, params: Params, batch: Batch, task: Task) -> Tensor:
    """Uses what comes with every batch and every list of classes."""
    seen = batch.second.mean(-1, keepdim=True) * task.mean_text(("{}",)).mean()  # type: ignore[union-attr]
    return batch.features * (1 + seen) + len(task.described()[0]) * params["shift"]


def _collected(self: Any, task: Task, rng: torch.Generator) -> Params:
    """Uses what comes with the images to learn from."""
    parts = (task.unlabelled, task.second.support, task.pairs.features)  # type: ignore[union-attr]
    assert len(task.domains) == len(task.support.labels)  # type: ignore[union-attr]
    assert task.seen == len(task.classes)
    return {"shift": torch.full((task.backbone.width,), float(sum(part.mean() for part in parts)) * 0.01)}


ASKED = frozenset({"descriptions", "unlabelled", "second_backbone", "image_text_pairs", "domain_labels"})


def test_a_method_that_needs_assets_is_given_small_ones() -> None:
    told = _with(needs=ASKED, image=_told, init=_collected, text=lambda self, params, task: task.text,
                 zero_shot_at_start=False)  # fmt: skip
    check_method(told)
    with pytest.raises((TypeError, AttributeError)):
        check_method(_with(image=_told, init=_collected))


@dataclass(frozen=True)
class PerImage(Sound):
    """Sound, moved on each test image by the entropy of its views."""

    @property
    def adaptation(self) -> Adaptation:
        return Adaptation(0.1)

    def adapt_loss(self, params: Params, views: Batch, task: Task) -> Tensor:
        return torch.distributions.Categorical(logits=self.forward(params, views, task).logits).entropy().sum()


def _one_place(self: Method, logits: Tensor, views: Batch, task: Task) -> Tensor:
    return torch.zeros(3, dtype=torch.long)


def _of_no_view(self: Method, params: Params, views: Batch, task: Task) -> Tensor:
    return params["shift"].sum() * 0.0


SEEN: list[Tensor] = []


def _remembering(self: Any, params: Params, views: Batch, task: Task) -> Tensor:
    """Pulls a test image towards what earlier ones were taken for."""
    logits = self.forward(params, views, task).logits
    earlier = torch.stack(SEEN).mean(0) if SEEN else torch.zeros(logits.shape[1])
    SEEN.append(logits.softmax(-1).mean(0).detach())
    return -(logits.log_softmax(-1).mean(0) * (earlier + 0.1)).sum()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"head": _centred, "zero_shot_at_start": False}, "scores an example otherwise by itself"),
        ({"adapt_loss": _remembering}, "depends on images seen before"),
        ({"select_views": _one_place}, r"select_views gave \[0, 0, 0\] of 8 views"),
        ({"adapt_loss": _of_no_view}, "no gradient of a test image reaches 'shift'"),
    ],
)
def test_a_method_that_adapts_is_held_to_it(parts: dict[str, Any], words: str) -> None:
    check_method(PerImage)
    made = dataclass(frozen=True)(type("Changed", (PerImage,), {"__doc__": Sound.__doc__, **parts}))
    with pytest.raises(AssertionError, match=words):
        check_method(made)
