"""A process that lives long sees what changed since it last looked: data, its card and assets, suites, weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from tests.api import tiny

import promptgrid
from promptgrid import api
from promptgrid.cluster import Options, execute
from promptgrid.engine import wing
from promptgrid.spec import Reason, Refused


class Home:
    """A model, a dataset and a suite in files."""

    def __init__(self, home: Path) -> None:
        self.model, self.data, self.file, self.store = home / "model", home / "data", home / "s.yaml", home / "store"
        self.named = tiny.write_model(self.model), tiny.write_dataset(self.data)
        self.write_suite()

    def write_suite(self, **changes: object) -> None:
        with self.file.open("w") as stream:
            YAML(typ="safe").dump(tiny.suite(*self.named, **{"methods": ["coop"], **changes}), stream)

    def keys(self) -> set[str]:
        return set(api.plan(str(self.file), self.store).cells)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def other_image(home: Home) -> None:
    """Of the same size, with the times of the one before."""
    file = home.data / "cherry" / "0.png"
    before = file.stat()
    raw = bytearray(file.read_bytes())
    Image.new("RGB", (24, 20), (1, 2, 3)).save(file, compress_level=0)
    content = file.read_bytes()
    file.write_bytes((content + bytes(len(raw)))[: len(raw)] if len(content) < len(raw) else content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Home], object]] = {
    "an image": other_image,
    "an image more": lambda home: Image.new("RGB", (24, 20)).save(home.data / "cherry" / "more.png"),
    "an image less": lambda home: (home.data / "cherry" / "0.png").unlink(),
    "a class": lambda home: tiny.write_class(home.data, "apple"),
    "dataset.yaml": lambda home: (home.data / "dataset.yaml").write_text("template: a sketch of a {}.\n"),
    "the suite": lambda home: home.write_suite(seeds=[2]),
    "quick_gelu": lambda home: tiny.write_config(home.model, {"quick_gelu": True}),
    "mean": lambda home: tiny.write_config(home.model, mean=[0.4, 0.5, 0.5]),
    "weights": lambda home: tiny.write_weights(home.model, seed=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_sees_what_changed(home: Home, change: str) -> None:
    before = home.keys()
    assert home.keys() == before
    CHANGES[change](home)
    assert home.keys().isdisjoint(before)


def test_a_plan_sees_what_was_mended(home: Home) -> None:
    (home.data / "dataset.yaml").write_text("tmplate: a typo\n")
    with pytest.raises(Refused, match="tmplate"):
        home.keys()
    (home.data / "dataset.yaml").unlink()
    assert len(home.keys()) == 1


def test_descriptions_beside_the_images_are_read_again(home: Home) -> None:
    home.write_suite(methods=["kapt"])
    seen = []
    for colour in ("red", "dark"):
        (home.data / "descriptions.yaml").write_text(
            f"descriptions:\n  blueberry: [a blue fruit]\n  cherry: [a {colour} fruit]\n"
        )
        seen.append(home.keys())
    assert seen[0].isdisjoint(seen[1])


def test_changed_weights_run_again_in_the_same_process(home: Home) -> None:
    home.write_suite(methods=["zero_shot"])
    scores = []
    for seed in (0, 1, 0):
        tiny.write_weights(home.model, seed)
        promptgrid.run(str(home.file), home.store, local=True, mlflow=False)
        (key,) = home.keys()
        (given,) = api.open_store(home.store).predictions(key)
        scores.append(given.scores)
    assert not np.array_equal(scores[0], scores[1])
    assert np.array_equal(scores[0], scores[2])
    assert len(api.open_store(home.store).records()) == 2


@pytest.mark.parametrize("change", ["an image", "a class", "weights", "mean"])
def test_what_changes_behind_a_plan_is_never_put_under_its_keys(home: Home, change: str) -> None:
    """The plan is of before; what it would have read is of now."""
    planned = api.plan(str(home.file), home.store)
    CHANGES[change](home)
    if change == "a class":
        home.keys()  # somebody plans again meanwhile, and the old plan runs
    api.execute(planned, home.store, local=True, mlflow=False)
    store = api.open_store(home.store)
    assert not store.records()
    (lost,) = store.failures(planned.cells).values()
    assert lost.reason is Reason.CHECKSUM
    assert "since" in lost.message


def test_a_worker_with_other_code_fails_the_cells_of_the_method(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method edited between the plan and the start of the process that runs it."""
    planned = api.plan(str(home.file), home.store)
    monkeypatch.setattr(wing, "source_digest", lambda method: "0" * 64)
    execute(planned, api.open_store(home.store), local=True, options=Options(mirror=False, inline=True))
    (lost,) = api.open_store(home.store).failures(planned.cells).values()
    assert lost.reason is Reason.CHECKSUM
    assert "method 'coop' is not the one" in lost.message


def test_one_model_under_two_names_is_refused(home: Home) -> None:
    again = home.model.parent / "link"
    again.symlink_to(home.model)
    home.write_suite(backbones=[home.named[0], f"local-dir:{again}"])
    with pytest.raises(Refused, match=r"model' and .*link' are one and the same model"):
        home.keys()
    home.write_suite(backbones=["bundled", "bundled-vit"])
    with pytest.raises(Refused, match="one and the same model"):
        home.keys()


def test_a_class_with_few_images_is_said_at_plan_in_the_record_and_in_the_report(home: Home, tmp_path: Path) -> None:
    home.write_suite(methods=["zero_shot", {"name": "coop", "context_length": 2, "epochs": 1}], shots=[5])
    said = ("2 classes have fewer than 5 training images, 'blueberry' the fewest: 4",)
    planned = api.plan(str(home.file), home.store)
    assert planned.notes == {home.named[1]: said}
    assert planned.to_json()["notes"] == {home.named[1]: list(said)}
    api.execute(planned, home.store, local=True, mlflow=False)
    assert {record.notes for record in api.open_store(home.store).records()} == {said}
    paths = api.report(str(home.file), home.store, tmp_path / "report")
    page = paths.html.read_text()
    assert "Notes on the data" in page
    assert "2 classes have fewer than 5 training images" in page
