"""Suites that read well and cannot run: refused when planned, with nothing started and nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.corpus.broken_datasets import classes_in

from promptgrid.api import plan
from promptgrid.spec import Refused

SOUND: dict[str, Any] = {
    "name": "quick",
    "protocol": "few_shot",
    "methods": ["zero_shot"],
    "backbones": ["bundled"],
    "datasets": ["imagefolder:HOME/beasts"],
    "shots": [2],
    "seeds": [1],
}


def method(name: str, **settings: Any) -> dict[str, Any]:
    return {"methods": ["zero_shot", {"name": name, **settings}]}


# case: (what differs from the sound suite, words of the message)
UNRUNNABLE: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "track-unknown": ({"track": "imgae"}, ("unknown track", "'imgae'", "did you mean 'image'?")),
    "protocol-unknown": ({"protocol": "fewshot"}, ("unknown protocol", "'fewshot'", "did you mean 'few_shot'?")),
    "method-unknown": ({"methods": ["cooop"]}, ("unknown method", "'cooop'", "did you mean 'coop'?")),
    "method-a-module": ({"methods": ["__init__"]}, ("unknown method", "'__init__'")),
    "backbone-unknown": ({"backbones": ["bundeld"]}, ("unknown backbone", "'bundeld'", "did you mean 'bundled'?")),
    "dataset-unknown": ({"datasets": ["anmals"]}, ("unknown dataset", "'anmals'", "did you mean 'animals'?")),
    "dataset-folder-missing": ({"datasets": ["imagefolder:HOME/birds"]}, ("no such folder", "birds")),
    "dataset-split-missing": (
        {"datasets": ["coop-split:HOME/split_zhou_X.json"]},
        ("no such file", "split_zhou_X.json"),
    ),
    "dataset-prefix-unknown": ({"datasets": ["imagefoldr:HOME/beasts"]}, ("unknown dataset", "imagefoldr")),
    "dataset-climbs": ({"datasets": ["../../etc/passwd"]}, ("unknown dataset", "../../etc/passwd")),
    "dataset-empty-name": ({"datasets": [""]}, ("unknown dataset", "''")),
    "setting-unknown": (
        method("coop", contxt_length=4),
        ("unknown setting 'contxt_length'", "did you mean 'context_length'?"),
    ),
    "setting-of-a-base-class": (method("coop", packs=False), ("unknown setting 'packs'",)),
    "rate-negative": (method("coop", learning_rate=-0.1), ("learning_rate", "out of range", "-0.1", "1e-05 to 1.0")),
    "rate-zero": (method("coop", learning_rate=0.0), ("learning_rate", "out of range")),
    "rate-huge": (method("coop", learning_rate=[0.1, 1e9]), ("learning_rate", "out of range", "1000000000.0")),
    "rate-text": (method("coop", learning_rate="0.1"), ("learning_rate", "wrong type", "'0.1'", "float")),
    "rate-true": (method("coop", learning_rate=True), ("learning_rate", "wrong type", "True")),
    "length-fraction": (method("coop", context_length=4.5), ("context_length", "wrong type", "4.5", "int")),
    "length-text": (method("coop", context_length="four"), ("context_length", "wrong type", "'four'")),
    "length-true": (method("coop", context_length=True), ("context_length", "wrong type", "True")),
    "option-unknown": (method("coop", position="start"), ("position", "'start'", "end, front, middle")),
    "closed-method-on-new-classes": (
        {**method("linear_probe"), "protocol": "base_to_new"},
        ("'linear_probe'", "classes it was not trained on", "'base_to_new'"),
    ),
    "shots-zero": ({"shots": [0]}, ("shots", "got 0", "an integer from 1 up")),
    "shots-of-no-labels": ({"protocol": "unsupervised"}, ("no labelled images", "got 2", "shots: [0]")),
    "labels-where-there-are-none": (
        {**method("coop"), "protocol": "unsupervised", "shots": [0]},
        ("'coop'", "without labels", "'unsupervised'"),
    ),
    "closed-method-on-unseen-classes": (
        {**method("linear_probe"), "protocol": "transductive_zero_shot"},
        ("'linear_probe'", "unseen", "'transductive_zero_shot'"),
    ),
    "too-few-classes-for-halves": (
        {"protocol": "base_to_new", "datasets": ["imagefolder:HOME/three"]},
        ("base_to_new", "got 3", "4 classes"),
    ),
    "selection-without-val": (
        {"selection": "val", "datasets": ["imagefolder:HOME/noval"]},
        ("selection: val", "no val split", "selection: last"),
    ),
    "token-method-on-convolutions": (
        {**method("maple"), "backbones": ["bundled-conv"]},
        ("'maple'", "vision_blocks", "'bundled-conv'"),
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of images: ``beasts`` (4 classes, all splits), ``three`` (3 classes), ``noval`` (no val images)."""
    root: Path = tmp_path_factory.mktemp("home")
    names = ("ant", "bee", "cat", "dog")
    for place, split in enumerate(("train", "val", "test")):
        classes_in(root / "beasts" / split, *names, start=1000 * place)
        classes_in(root / "three" / split, *names[:3], start=1000 * place)
        if split != "val":
            classes_in(root / "noval" / split, *names, start=1000 * place)
    return root


@pytest.fixture(autouse=True)
def _own_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(home / "cache"))


def suite_with(changes: dict[str, Any], home: Path) -> dict[str, Any]:
    suite = {**SOUND, **changes}
    return {**suite, "datasets": [name.replace("HOME", str(home)) for name in suite["datasets"]]}


@pytest.mark.parametrize("case", UNRUNNABLE)
def test_refused_when_planned_with_name_and_nearest(case: str, home: Path, tmp_path: Path) -> None:
    changes, words = UNRUNNABLE[case]
    with pytest.raises(Refused) as refusal:
        plan(suite_with(changes, home), tmp_path / "store")
    message = str(refusal.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 900, "a refusal is a sentence"
    assert not list((tmp_path / "store").glob("records/*")), "nothing is written"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"protocol": "base_to_new"},
        {"selection": "val"},
        {"datasets": ["imagefolder:HOME/noval"]},
        {"protocol": "unsupervised", "shots": [0]},
        {**method("coop"), "protocol": "transductive_zero_shot"},
        {**method("linear_probe"), "protocol": "semi_supervised", "shots": [1]},
        {"datasets": ["imagefolder:HOME/three"], "shots": [100]},
        method("coop", learning_rate=1),
        {**method("maple"), "backbones": ["bundled-vit"]},
        {**method("linear_probe"), "backbones": ["bundled-conv"]},
    ],
    ids=[
        "sound",
        "halves",
        "select",
        "noval",
        "no-labels",
        "unseen",
        "pool",
        "few-images",
        "whole-number-rate",
        "maple",
        "probe",
    ],
)
def test_their_sound_neighbours_are_planned(changes: dict[str, Any], home: Path, tmp_path: Path) -> None:
    suite = suite_with(changes, home)
    assert len(plan(suite, tmp_path / "store").missing) == len(suite["methods"])
