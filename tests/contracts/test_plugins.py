"""Datasets, backbones and protocols that the catalogue finds keep their contracts."""

from __future__ import annotations

import json

import pytest
from tests.contracts import small_world

from promptgrid import catalog
from promptgrid.contract.clip.conformance import check_backbone, check_dataset
from promptgrid.contract.clip.conformance.backbones import fingerprint
from promptgrid.contract.clip.practice import PracticeBackbone
from promptgrid.contract.conformance import check_protocol
from promptgrid.spec import Refused
from promptgrid.tracks.image.backbones.bundled_weights import load_bundled
from promptgrid.tracks.image.track import ImageTrack

FOUND = catalog.track("image")
assert isinstance(FOUND, ImageTrack)
RESOLVER = FOUND.resolver
CARDS = [card for family in RESOLVER.datasets for card in family.listing()]
BACKBONES = [str(row["name"]) for family in RESOLVER.backbones for row in family.listing() if row.get("bundled")]
every_dataset = pytest.mark.parametrize("name", [card.name for card in CARDS])
every_backbone = pytest.mark.parametrize("name", BACKBONES)
every_protocol = pytest.mark.parametrize("name", sorted(RESOLVER.protocols))


def test_something_is_found() -> None:
    assert len(CARDS) >= 20
    assert len(BACKBONES) >= 2
    assert {"few_shot", "base_to_new"} <= set(RESOLVER.protocols)


@every_dataset
def test_a_dataset_keeps_the_contract(name: str) -> None:
    dataset = RESOLVER.dataset(name)
    assert dataset.card in CARDS, "opened, it has another card than in the listing"
    check_dataset(dataset)


@every_dataset
def test_a_bundled_dataset_says_where_it_came_from(name: str) -> None:
    (card,) = [card for card in CARDS if card.name == name]
    if not card.bundled:
        pytest.skip("not bundled")
    assert card.sources, "a bundled dataset names its sources"
    assert card.licence not in {"", "unknown"}
    assert card.splits.get("train")
    assert all(source.package and source.version and source.licence for source in card.sources)


@every_backbone
def test_a_backbone_keeps_the_contract(name: str) -> None:
    family = RESOLVER.backbone_family(name)
    backbone, facts = family.load(name, "cpu"), family.facts(name)
    check_backbone(backbone)
    assert backbone.digest == facts["digest"]
    assert sorted(backbone.offers) == facts["offers"]
    assert backbone.image_size == facts["image_size"]
    assert fingerprint(family.load(name, "cpu")) == fingerprint(backbone), "loaded twice, it says two things"


@every_backbone
def test_bundled_weights_are_frozen_and_in_evaluation_mode(name: str) -> None:
    if name.startswith("tower:"):
        model = RESOLVER.backbone_family(name).load(name, "cpu")._tower.source  # type: ignore[attr-defined]
    else:
        model, _, _ = load_bundled(name)
    assert not any(weight.requires_grad for weight in model.parameters())
    assert not any(module.training for module in model.modules())


def test_the_backbones_that_tests_use_keep_the_contract_too() -> None:
    check_backbone(PracticeBackbone())
    check_backbone(small_world.backbone())


UNTRAINED = {"test_time", "test_time_sample", "test_stream", "test_stream_iid"}
"""Protocols without training images: what they score is learned on the test image itself."""


@every_protocol
@pytest.mark.parametrize("dataset", ["pictures", CARDS[0].name])
def test_a_protocol_keeps_the_contract(name: str, dataset: str) -> None:
    found = small_world.Pictures() if dataset == "pictures" else RESOLVER.dataset(dataset)
    check_protocol(RESOLVER.protocol(name), found)


@every_protocol
def test_a_seed_decides_a_split_and_another_gives_another(name: str) -> None:
    protocol, dataset = RESOLVER.protocol(name), small_world.Pictures()
    splits = [protocol.split(dataset, 2, seed) for seed in (1, 2, 1)]
    assert splits[0] == splits[2]
    learned = [split.train + split.unlabelled for split in splits]
    assert learned[0] != learned[1] or (name in UNTRAINED and not learned[0])
    scored = [{index for each in split.evaluations for index in each.indices} for split in splits]
    assert scored[0] == scored[1], "all seeds are scored on the same images"


@every_protocol
def test_more_shots_are_more_images_and_never_test_images(name: str) -> None:
    protocol, dataset = RESOLVER.protocol(name), small_world.Pictures()
    if name in {"unsupervised", *UNTRAINED}:
        assert not protocol.split(dataset, 0, 1).train
        return
    splits = [protocol.split(dataset, shots, 1) for shots in (1, 2, 4)]
    sizes = [len(split.train) + len(split.val) * (protocol.selects_from == "train") for split in splits]
    classes, least = len(splits[0].classes), 2 if name == "elevater" else 1  # one to train, one to select on
    if protocol.per_cent:  # of eight images a class
        assert [len(protocol.split(dataset, share, 1).train) for share in (1, 50, 100)] == [5, 20, 40]
        return
    if name == "long_tail":  # thinned: see tests/engine/protocols/test_long_tail.py
        assert classes == sizes[0] <= sizes[1] < sizes[2] < 4 * classes
        return
    assert sizes == [least * classes, 2 * classes, 4 * classes]


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        ("methods", {"name", "kind", "knobs"}),
        ("datasets", {"name", "classes", "train", "test", "licence", "bundled"}),
        ("backbones", {"name"}),
        ("protocols", {"name", "headline"}),
    ],
)
def test_listings_hold_what_scripts_read(what: str, parts: set[str]) -> None:
    rows = FOUND.describe(what)
    assert rows
    assert all(parts <= row.keys() for row in rows)
    assert json.dumps(rows, allow_nan=False), "rows are plain JSON"


def test_names_are_found_or_refused_with_the_nearest() -> None:
    for asked, nearest in (("cooop", "coop"), ("zeroshot", "zero_shot")):
        with pytest.raises(Refused, match=f"did you mean '{nearest}'"):
            RESOLVER.method(asked)
    with pytest.raises(Refused, match="did you mean 'few_shot'"):
        RESOLVER.protocol("fewshot")
