"""Image towers alone: who takes part, what is scored of ordered classes, and shares of the labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from tests.contracts.small_world import MemoryCache, Pictures, SmallDatasets, request, track

from promptgrid import catalog
from promptgrid.contract.clip import Outcome
from promptgrid.spec import Pack, Refused, Request, read_suite
from promptgrid.spec.metrics import metric_of
from promptgrid.tracks.image.datasets.ordered import Severity, open_ordered

SUITES = Path(__file__).parents[4] / "suites"
CACHE = MemoryCache()
SHORT = {"steps": 3, "batch_size": 5}


def asked(method: str = "lora", dataset: str = "pictures", **changes: Any) -> Request:
    settings = SHORT if method == "lora" else {}
    return replace(request(method, protocol="vision_few_shot", **settings), dataset=dataset, **changes)


def ran(one: Request) -> Outcome:
    (cell,) = track().resolve([one])
    (outcome,) = track().run(Pack((cell,), wanted=frozenset({cell.key})), CACHE, "cpu")
    assert outcome.record.status == "done", outcome.record.log_tail
    return outcome


def test_the_headline_of_a_plain_task_is_its_accuracy() -> None:
    found = ran(asked()).record.metrics
    assert found.keys() == {"accuracy", "macro_f1", "top1_or_qwk"}
    assert found["top1_or_qwk"] == found["accuracy"]


def test_the_headline_of_ordered_classes_is_scikit_learns_kappa() -> None:
    outcome = ran(asked(dataset="ordered:pictures", seed=2))
    found, (told,) = outcome.record.metrics, outcome.predictions
    wanted = cohen_kappa_score(told.label, told.top[:, 0], weights="quadratic")
    assert found["top1_or_qwk"] == found["qwk"] == pytest.approx(wanted)
    assert found["accuracy"] == pytest.approx(float(np.mean(told.label == told.top[:, 0])))
    assert track().rescored(outcome.record.cell, outcome.predictions) == pytest.approx(found)
    assert metric_of("top1_or_qwk").low == -1.0


def test_that_classes_are_ordered_is_part_of_the_key() -> None:
    plain, ordered = track().resolve([asked(), asked(dataset="ordered:pictures")])
    assert plain.key != ordered.key
    assert plain.identity["dataset"] == ordered.identity["dataset"]


@pytest.mark.parametrize("method", ["zero_shot", "coop", "linear_probe", "bitfit", "tip_adapter", "image_finetune"])
def test_methods_beside_texts_are_refused(method: str) -> None:
    with pytest.raises(Refused, match="has no texts"):
        track().resolve([asked(method)])


def test_on_a_tower_alone_they_are_refused_in_every_protocol() -> None:
    wing = catalog.track("image")
    plain = replace(request("zero_shot"), backbone="tower:bundled", dataset="weather")
    with pytest.raises(Refused, match="compares images with texts"):
        wing.resolve([plain])
    (cell,) = wing.resolve([replace(plain, method="tower_probe")])
    assert cell.backbone == "tower:bundled"


def test_a_share_of_the_labels_is_drawn_class_by_class() -> None:
    protocol, pictures = track().resolver.protocol("vision_fraction"), Pictures()
    for percent, train, val in ((1, 1, 1), (25, 2, 1), (50, 4, 2), (100, 8, 4)):
        split = protocol.split(pictures, percent, 1)
        assert set(Counter(pictures.labels[index] for index in split.train).values()) == {train}
        assert set(Counter(pictures.labels[index] for index in split.val).values()) == {val}
        assert set(split.train) <= set(pictures.splits["train"])
    assert protocol.split(pictures, 50, 1).train != protocol.split(pictures, 50, 2).train
    with pytest.raises(Refused, match="1 to 100 per cent"):
        protocol.check(pictures.card, 101, "last")


def test_a_share_is_no_count_of_missing_images() -> None:
    assert ran(replace(asked(shots=50), protocol="vision_fraction")).record.notes == ()
    assert ran(asked(shots=50)).record.notes != ()


def test_severities_are_balanced_in_every_split_and_the_pictures_do_not_change() -> None:
    clean = Pictures()
    made = open_ordered("severity:gaussian_noise:pictures", lambda name: clean)
    assert isinstance(made, Severity)
    assert made.ordered
    assert len(made.card.classes) == 5
    for indices in made.splits.values():
        counts = Counter(made.labels[index] for index in indices)
        assert max(counts.values()) - min(counts.values()) <= 1
    assert np.array_equal(np.asarray(made.read(7)), np.asarray(made.read(7)))
    assert made.card.sha256 != clean.card.sha256
    wild = [index for index in clean.splits["train"] if made.labels[index] == 4]
    mild = [index for index in clean.splits["train"] if made.labels[index] == 0]
    spread = [np.mean([np.asarray(made.read(i), dtype=float)[:, ::2].std() for i in some]) for some in (mild, wild)]
    assert spread[0] < spread[1], "the worst severity is the noisiest"


@pytest.mark.parametrize("name", ["severity:nose:pictures", "severity:fog", "severity:pictures"])
def test_a_severity_of_no_kind_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="severity:KIND:NAME"):
        open_ordered(name, lambda inner: Pictures())


def test_a_severity_is_a_dataset_of_the_wing() -> None:
    assert track().resolver.dataset("severity:fog:pictures").ordered
    assert not SmallDatasets().open("pictures").ordered


def test_the_shipped_suite_begins_from_few_first_stages_and_fits_half_an_hour() -> None:
    wing, suite = catalog.track("image"), read_suite(SUITES / "vision_few_shot.yaml")
    cells = wing.resolve([one for _, one in suite.requests([])])
    stages = {str(cell.identity["first_stage"]) for cell in cells if "first_stage" in cell.identity}
    assert len(stages) == 5, "four hosts and the control"
    assert not {cell.key for cell in cells} & stages
    assert not any(map(wing.cut, cells)), "no row is cut below what its method has by default"
    packs = wing.pack(list({cell.key: cell for cell in cells}.values()))
    assert sum(pack.seconds for pack in packs) < 3600
