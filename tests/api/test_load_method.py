"""What a cell learned, used again: by itself, on whatever people hand over, and never on something else unsaid."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.api import tiny

import promptgrid
from promptgrid import api
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.decoding import DamagedImage


class Study:
    """A tiny grid that ran: model and data in folders, records in a store."""

    def __init__(self, home: Path) -> None:
        self.model, self.data, self.store = home / "model", home / "data", home / "store"
        self.suite = tiny.suite(tiny.write_model(self.model), tiny.write_dataset(self.data))
        rows = promptgrid.run(self.suite, self.store, local=True, mlflow=False)
        assert set(rows["status"]) == {"done"}
        self.keys = {record.cell.method: record.cell.key for record in api.open_store(self.store).records()}

    def load(self, method: str = "coop", **asked: Any) -> Any:
        return promptgrid.load_method(self.keys[method], self.store, **asked)

    def image(self, number: int = 0) -> Path:
        return self.data / "cherry" / f"{number}.png"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("made"))


@pytest.fixture
def study(made: Study, tmp_path: Path) -> Study:
    """The same, to be changed: what lies where it lay is put back behind the test."""
    shutil.copytree(made.model, tmp_path / "model")
    shutil.copytree(made.data, tmp_path / "data")
    yield made  # type: ignore[misc]
    for place in ("model", "data"):
        shutil.rmtree(getattr(made, place), ignore_errors=True)
        shutil.copytree(tmp_path / place, getattr(made, place))


def test_one_image_has_one_answer(made: Study) -> None:
    answer = made.load().classify(str(made.image()))
    assert answer.image == str(made.image())
    assert answer.name in ("blueberry", "cherry")
    assert answer.ranked[0] == (answer.name, answer.score)
    assert sum(score for _, score in answer.ranked) == pytest.approx(1.0)
    assert 0.5 <= answer.score <= 1.0
    assert "\n" not in repr(answer)
    assert answer.name in repr(answer)


def chances(answer: Any) -> dict[str, Any]:
    """By class; batches of another size round otherwise."""
    return {name: pytest.approx(score, abs=1e-5) for name, score in answer.ranked}


def test_whatever_holds_an_image_has_the_same_answer(made: Study) -> None:
    learned, path = made.load(), made.image()
    pixels = np.array(Image.open(path))
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    wanted = chances(learned.classify(path))
    for given in (path, Image.open(path), pixels, tensor, pixels / 255.0, tensor / 255.0,
                  pixels.astype(np.uint16) * 257):  # fmt: skip
        assert dict(learned.classify(given).ranked) == wanted, type(given)
    several = learned.classify([path, pixels, Image.open(path)])
    assert [dict(answer.ranked) for answer in several] == [wanted] * 3
    assert [answer.image for answer in several] == [str(path), "image 1", str(path)]
    assert [dict(answer.ranked) for answer in learned.classify(np.stack([pixels, pixels]))] == [wanted] * 2
    assert [dict(answer.ranked) for answer in learned.classify(torch.stack([tensor, tensor]))] == [wanted] * 2
    assert learned.classify([]) == []
    assert learned.logits([]).shape == (0, 2)


def test_a_folder_has_an_answer_for_every_image_below_it(made: Study, tmp_path: Path) -> None:
    shutil.copytree(made.data / "cherry", tmp_path / "some" / "deep")
    (tmp_path / "some" / "notes.txt").write_text("no image")
    answers = made.load().classify(tmp_path / "some")
    assert [Path(answer.image).name for answer in answers] == [f"{number}.png" for number in range(8)]


def test_images_are_decoded_as_the_engine_does(made: Study, tmp_path: Path) -> None:
    """Transparency on white and 16 bits scaled, from a file and from memory."""
    learned = made.load()
    rng = np.random.default_rng(0)
    clear = np.dstack([rng.integers(0, 255, (20, 24, 3)), rng.integers(0, 2, (20, 24)) * 255]).astype(np.uint8)
    deep = rng.integers(0, 65_536, (20, 24)).astype(np.uint16)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray(deep).save(tmp_path / "deep.png")
    on_white = np.where(clear[..., 3:] > 0, clear[..., :3], 255).astype(np.uint8)
    scaled = ((deep.astype(np.int64) + 128) // 257).astype(np.uint8)
    for name, raw, wanted in (("clear", clear, on_white), ("deep", deep, np.dstack([scaled] * 3))):
        expected = learned.classify(wanted).ranked
        for given in (tmp_path / f"{name}.png", Image.open(tmp_path / f"{name}.png"), raw):
            assert learned.classify(given).ranked == expected, (name, type(given))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("nowhere.png", FileNotFoundError, "no such image: nowhere.png"),
        (np.zeros((5, 6, 7)), ValueError, "1, 3 or 4 channels"),
        (np.zeros((3, 3, 3, 3, 3)), ValueError, "no image"),
        (np.full((4, 4, 3), -1.7), ValueError, "not normalised"),
        (np.full((4, 4, 3), 300), ValueError, "expected 0 to 255"),
        (np.full((4, 4, 3), np.nan), ValueError, "not normalised"),
        (np.zeros((1, 900, 3), np.uint8), DamagedImage, "each side must have"),
        (7, TypeError, "give a path"),
    ],
    ids=["nowhere", "channels", "axes", "normalised", "range", "nan", "thin", "number"],
)
def test_what_is_no_image_is_an_error(made: Study, given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        made.load().classify(given)


def test_it_says_what_it_is_in_a_line(made: Study) -> None:
    said = repr(made.load())
    assert "\n" not in said
    assert len(said) < 400
    assert said.startswith("LearnedMethod(coop on ")
    assert said.endswith(f"cell {made.keys['coop'][:12]}: 2 classes)")


@pytest.mark.parametrize("method", ["coop", "zero_shot"])
def test_no_dataset_is_needed(study: Study, method: str) -> None:
    image = np.array(Image.open(study.image()))
    wanted = study.load(method).classify(image)
    shutil.rmtree(study.data)
    learned = study.load(method)
    assert learned.classes == ("blueberry", "cherry")
    assert learned.classify(image) == wanted


def test_a_class_that_came_later_is_named(study: Study) -> None:
    """It comes first in order, and would have moved all others by one."""
    image = study.image()
    wanted = study.load().classify(image)
    tiny.write_class(study.data, "apple")
    with pytest.raises(Refused, match="class 'apple' was not there"):
        study.load()
    learned = study.load(any_dataset=True)
    assert learned.classes == ("blueberry", "cherry")
    assert learned.classify(image) == wanted


def test_other_differences_of_the_dataset_are_named(study: Study) -> None:
    (study.data / "dataset.yaml").write_text("template: a sketch of a {}.\n")
    with pytest.raises(Refused, match=r"the template was 'a photo of a {}.', is 'a sketch of a {}.'"):
        study.load()
    (study.data / "dataset.yaml").write_text("classes: {cherry: sour cherry}\n")
    with pytest.raises(Refused, match="class 'sour cherry' was not there; class 'cherry' is gone"):
        study.load()


@pytest.mark.parametrize(
    ("model", "preprocess", "words"),
    [
        ({"quick_gelu": True}, {}, "architecture.quick_gelu was false, is true"),
        ({}, {"mean": [0.4, 0.5, 0.5]}, r"preprocessing.mean was \[0.5, 0.5, 0.5\], is \[0.4, 0.5, 0.5\]"),
        ({}, {"resize_mode": "squash"}, 'preprocessing.resize_mode was "shortest", is "squash"'),
    ],
    ids=["quick_gelu", "mean", "resize_mode"],
)
def test_another_backbone_is_refused_by_what_differs(
    study: Study, model: dict[str, Any], preprocess: dict[str, Any], words: str
) -> None:
    tiny.write_config(study.model, model, **preprocess)
    with pytest.raises(Refused, match=f"not the one this was learned on: {words}"):
        study.load()
    tiny.write_config(study.model)
    assert study.load().classes == ("blueberry", "cherry")


def test_other_weights_are_refused(study: Study) -> None:
    tiny.write_weights(study.model, seed=1)
    with pytest.raises(Refused, match="weights was"):
        study.load()


def test_a_cell_of_an_earlier_version_has_a_clear_word(tmp_path: Path) -> None:
    old = next((Path(__file__).parents[1] / "store" / "version_1").iterdir())
    store = api.open_store(tmp_path)
    shutil.copytree(old, store.folder(old.name))
    with pytest.raises(Refused, match=r"kept by an earlier version.*run the cell again"):
        promptgrid.load_method(old.name, store)
