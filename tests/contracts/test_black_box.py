"""A black box answers and shows nothing: what its face refuses, whom its protocol admits, what its records count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from tests.contracts.small_world import CLASSES, MemoryCache, backbone, brief, request, track

from promptgrid.contract.clip import Axes, Batch, LogitsOnly, Outcome, Params, Task
from promptgrid.contract.clip.conformance import check_method
from promptgrid.contract.clip.practice import PracticeBackbone
from promptgrid.spec import Pack, Refused
from promptgrid.tracks.image.methods.vp_spsa import VPSpsa
from promptgrid.tracks.image.track import ImageTrack

METHODS = track().resolver.methods
CLOSED = sorted(name for name, method in METHODS.items() if "logits" in method.needs)
TEXTS = ("a photo of a cat.", "a photo of a dog.")
PIXELS = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def run(*asked: Any, known: ImageTrack | None = None) -> list[Outcome]:
    found = known or track()
    cells = tuple(found.resolve(list(asked)))
    return list(found.run(Pack(cells, wanted=frozenset(cell.key for cell in cells)), MemoryCache(), "cpu"))


def test_it_answers_as_the_model_does_without_gradients_and_counts() -> None:
    face = LogitsOnly(backbone())
    pixels = PIXELS.clone().requires_grad_()
    found = face.ask(pixels, TEXTS)
    wanted = backbone().ask(PIXELS, TEXTS)
    assert torch.equal(found, wanted)
    assert not found.requires_grad
    assert backbone().ask(pixels, TEXTS).requires_grad, "the open backbone gives them"
    assert face.queries == 3
    torch.func.vmap(lambda one: face.ask(one, TEXTS))(PIXELS.unsqueeze(0).expand(5, -1, -1, -1, -1))
    assert face.queries == 6, "what one of five cells asked"


@pytest.mark.parametrize(
    "look",
    [
        lambda face: face.encode_image(PIXELS),
        lambda face: face.encode_pixels(PIXELS),
        lambda face: face.encode_prompts(TEXTS),
        lambda face: face.encode_text(PIXELS, PIXELS),
        lambda face: face.encode_context(PIXELS, PIXELS),
        lambda face: face.patches(PIXELS),
        lambda face: face.encode_patches(PIXELS),
        lambda face: face.tokenize(TEXTS),
        lambda face: face.embed_tokens(PIXELS),
        lambda face: face.logit_scale,
        lambda face: face.width,
        lambda face: face.text,
        lambda face: face.vision,
        lambda face: face.patch_size,
        lambda face: face.model,
        lambda face: Task.of("x", CLASSES, "a {}.", face).text,
        lambda face: Task.of("x", CLASSES, "a {}.", face).scale,
        lambda face: Task.of("x", CLASSES, "a {}.", face).words("a photo"),
        lambda face: Task.of("x", CLASSES, "a {}.", face).prompts(4),
    ],
)
def test_it_refuses_everything_else(look: Callable[[LogitsOnly], object]) -> None:
    with pytest.raises((Refused, AttributeError, NotImplementedError)):
        look(LogitsOnly(backbone()))


def test_nothing_it_holds_is_the_model() -> None:
    held = vars(LogitsOnly(backbone())).values()
    assert not any(value is backbone() or isinstance(value, torch.nn.Module) for value in held)


def test_there_are_such_methods() -> None:
    assert {"bar", "blackvip", "vp_spsa"} <= set(CLOSED)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_protocol_admits_those_that_learn_from_answers_and_those_that_learn_nothing(name: str) -> None:
    asked = request(name, protocol="black_box", **brief(name))
    learns = METHODS[name].axes is None or METHODS[name].axes.learned != "nothing"
    if name in CLOSED or not learns:
        track().resolve([asked])
        return
    with pytest.raises(Refused, match=r"'black_box' (shows logits alone|each by itself)|cannot learn|needs"):
        track().resolve([asked])


def test_white_box_vp_is_a_few_shot_method_and_its_refusal_says_why() -> None:
    track().resolve([request("vp", **brief("vp"))])
    with pytest.raises(Refused, match="'vp' needs pixels, and protocol 'black_box' shows logits alone") as refused:
        track().resolve([request("vp", protocol="black_box", **brief("vp"))])
    assert "choose protocol few_shot" in str(refused.value)


@pytest.mark.parametrize("name", ["zero_shot", *CLOSED])
def test_validation_images_choose_nothing_there(name: str) -> None:
    """Their answers would be queries that no curve counts; few_shot counts nothing, and may."""
    asked = replace(request(name, protocol="black_box", **brief(name)), selection="val")
    with pytest.raises(Refused, match=r"would be queries.*use selection: last"):
        track().resolve([asked])
    track().resolve([replace(asked, protocol="few_shot")])


@pytest.mark.parametrize("protocol", ["black_box", "few_shot"])
def test_the_second_backbone_of_a_black_box_is_another_model(protocol: str) -> None:
    with pytest.raises(Refused, match=r"'blackvip' .* is that same model.*setting `second`"):
        track().resolve([request("blackvip", protocol=protocol, **brief("blackvip") | {"second": "small"})])
    track().resolve([request("nola", **brief("nola") | {"second": "small"})])


@pytest.mark.parametrize("name", CLOSED)
def test_records_count_queries(name: str) -> None:
    """Two epochs of two steps, batches of 5: a step asks each image twice an estimate (BAR: once, and once more)."""
    (outcome,) = run(request(name, protocol="black_box", **brief(name)))
    assert outcome.record.status == "done", outcome.record.log_tail
    curves = outcome.record.curves
    each = 5 * (6 if name == "bar" else 10)
    assert curves["queries"] == [2 * each, 4 * each]
    assert len(curves["train_loss"]) == 2
    assert curves["val_queries"] == [2 * each, 4 * each]
    assert len(curves["val_accuracy"]) == 2


def test_zero_shot_asks_nothing_and_open_methods_count_nothing() -> None:
    (plain,) = run(request("zero_shot", protocol="black_box"))
    (coop,) = run(request("coop", **brief("coop")))
    assert plain.record.curves == {}
    assert coop.record.curves.keys() == {"train_loss"}


def test_tracing_does_not_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step is kept, whatever the validation images say: it is the same where they are not looked at."""
    asked = request("vp_spsa", protocol="black_box", **brief("vp_spsa"))
    (traced,) = run(asked)
    monkeypatch.setattr(track().resolver.protocols["black_box"], "traced", False)
    (plain,) = run(asked)
    assert "val_accuracy" in traced.record.curves
    assert "val_accuracy" not in plain.record.curves
    for name, value in plain.state.items():
        torch.testing.assert_close(torch.from_numpy(traced.state[name]), torch.from_numpy(value), rtol=0, atol=0)


@dataclass(frozen=True)
class Peeking(VPSpsa):
    """Looks at features through the back door: the batch, and the task's images."""

    name: ClassVar[str] = "peeking"
    axes: ClassVar = Axes("pixels", "pixels", access="black_box")

    def changed(self, params: Params, batch: Batch, task: Task) -> torch.Tensor:
        assert batch.features.numel() == 0
        assert "patches" not in batch
        assert task.support is None or task.support.features.numel() == 0
        with pytest.raises(Refused, match="answers with logits alone"):
            task.backbone.encode_image(batch.pixels)
        return super().changed(params, batch, task)


@pytest.mark.parametrize("protocol", ["black_box", "few_shot"])
def test_no_feature_reaches_the_method_in_any_protocol(protocol: str) -> None:
    found = track().resolver
    known = ImageTrack({"peeking": Peeking}, found.datasets, found.backbones, found.protocols, found.columns)
    asked = request("vp_spsa", protocol=protocol, **brief("vp_spsa"))
    (outcome,) = run(type(asked)(**(vars(asked) | {"method": "peeking"})), known=known)
    assert outcome.record.status == "done", outcome.record.log_tail
    check_method(Peeking, PracticeBackbone())


@dataclass(frozen=True)
class Pretending(VPSpsa):
    """Says that it is open."""

    name: ClassVar[str] = "pretending"
    axes: ClassVar = Axes("pixels", "pixels", access="white_box")


def test_access_and_needs_say_the_same() -> None:
    with pytest.raises(AssertionError, match="go together"):
        check_method(Pretending)
