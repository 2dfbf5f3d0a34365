"""The pairwise sigmoid loss for towers trained by it: by hand, in training, and refused where it means nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.contracts.small_world import MemoryCache, Pictures, SmallDatasets, request
from tests.contracts.small_world import track as small_track
from tests.tracks.image.backbones.test_whole_text import backbone
from torch.nn import functional as F

from promptgrid.contract.clip import Backbone, BackboneFamily, Batch, Task
from promptgrid.contract.clip.conformance import check_method
from promptgrid.contract.clip.method import sigmoid_loss
from promptgrid.spec import Pack, Refused, Request
from promptgrid.tracks.image.track import ImageTrack

METHODS = small_track().resolver.methods


class Siglips(BackboneFamily):
    """``siglip``: random towers with a logit bias."""

    name = "siglips"

    def listing(self) -> list[dict[str, object]]:
        return [{"name": "siglip", "about": "random weights for tests"}]

    def knows(self, name: str) -> bool:
        return name == "siglip"

    def facts(self, name: str) -> dict[str, object]:
        own = backbone("siglip")
        return {"digest": own.digest, "offers": sorted(own.offers), "preprocessing": own.preprocessing}

    def load(self, name: str, device: str) -> Backbone:
        return backbone("siglip")


def track() -> ImageTrack:
    found = small_track().resolver
    return ImageTrack(METHODS, [SmallDatasets()], [Siglips(), *found.backbones], found.protocols, found.columns)


def asked(method: str, on: str = "siglip", **settings: Any) -> Request:
    plain = request(method, **settings)
    return Request(**vars(plain) | {"backbone": on})


def test_it_is_binary_cross_entropy_over_pairs() -> None:
    rng = torch.Generator().manual_seed(1)
    logits, labels = 9.0 * torch.randn(6, 5, generator=rng, dtype=torch.float64), torch.tensor([0, 4, 2, 2, 1, 3])
    targets = F.one_hot(labels, 5).double()
    wanted = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / 6
    torch.testing.assert_close(sigmoid_loss(logits, labels), wanted, rtol=1e-12, atol=0)
    by_hand = sum(
        torch.log1p(torch.exp(-(1.0 if label == j else -1.0) * logits[i, j]))
        for i, label in enumerate(labels)
        for j in range(5)
    )
    torch.testing.assert_close(sigmoid_loss(logits, labels), by_hand / 6, rtol=1e-12, atol=0)


def test_a_method_descends_it_with_the_bias_of_its_backbone() -> None:
    encoder, pixels = backbone("siglip"), torch.stack([torch.full((3, 32, 32), shade) for shade in (30, 200, 90)])
    method, classes = METHODS["coop"](context_length=4, loss="sigmoid"), ("cat", "tea pot")
    task = Task.of("t", classes, "a photo of a {}.", encoder)
    params = method.init(task, torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 1])
    batch = Batch(features=encoder.encode_pixels(pixels.to(torch.uint8)), labels=labels)
    found = method.objective(params, batch, task)
    assert found.keys() == {"sigmoid"}
    logits = method.predict(params, batch, task) + encoder.logit_bias
    wanted = F.binary_cross_entropy_with_logits(logits, F.one_hot(labels, 2).float(), reduction="sum") / 3
    torch.testing.assert_close(found["sigmoid"], wanted)
    assert METHODS["coop"](context_length=4).objective(params, batch, task).keys() == {"cross_entropy"}


@pytest.mark.parametrize(("name", "settings"), [("coop", {"context_length": 4}), ("clip_adapter", {})])
def test_it_keeps_the_contract(name: str, settings: dict[str, Any]) -> None:
    check_method(METHODS[name], backbone("siglip"), **settings, loss="sigmoid")


def test_a_pack_learns_by_it_and_ends_lower() -> None:
    own = track()
    cells = own.resolve(
        [asked("coop", seed=seed, context_length=4, epochs=6, batch_size=5, loss="sigmoid") for seed in (1, 2)]
    )
    outcomes = list(own.run(Pack(tuple(cells), wanted=frozenset(cell.key for cell in cells)), MemoryCache(), "cpu"))
    for outcome in outcomes:
        assert outcome.record.status == "done", outcome.record.log_tail
        curve = outcome.record.curves["train_loss"]
        assert curve[-1] < curve[0]
    assert len(Pictures().card.classes) == 5


def test_it_stands_in_a_key_only_where_it_was_chosen() -> None:
    own = track()
    plain, written, chosen = own.resolve([
        asked("coop", context_length=4, **chosen) for chosen in ({}, {"loss": "softmax"}, {"loss": "sigmoid"})
    ])  # fmt: skip
    assert plain == written
    assert "loss" not in plain.settings
    assert chosen.settings == plain.settings | {"loss": "sigmoid"}
    assert len({plain.key, chosen.key}) == len({plain.group, chosen.group}) == 2
    assert "loss" not in METHODS["coop"].defaults()


@pytest.mark.parametrize(
    ("method", "on", "loss", "why"),
    [
        ("coop", "small", "sigmoid", "has no logit bias: it was not trained by sigmoids"),
        ("kgcoop", "siglip", "sigmoid", "has losses of its own"),
        ("coop", "siglip", "hinge", "is not one of its options"),
        ("zero_shot", "siglip", "sigmoid", "unknown setting 'loss'"),
    ],
)
def test_it_is_refused_where_it_means_nothing(method: str, on: str, loss: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        track().resolve([asked(method, on, **{"context_length": 4} if method == "coop" else {}, loss=loss)])
