"""The sentences that ship with the bundled tasks."""

from __future__ import annotations

import pytest

from promptgrid.engine.datasets.descriptions import DescriptionsFile, read_descriptions
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.image.datasets.bundled import TASKS, Bundled

FOLDER = TASKS.parent / "descriptions"
NAMES = [card.name for card in Bundled().listing()]


def test_every_bundled_task_is_described_and_nothing_else() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)
    assert len(NAMES) == 25


@pytest.mark.parametrize("name", NAMES)
def test_every_class_has_two_to_four_sentences_of_its_own(name: str) -> None:
    card = next(card for card in Bundled().listing() if card.name == name)
    found = read_descriptions(FOLDER / f"{name}.yaml", card.classes)
    assert list(found) == list(card.classes)
    for spoken, sentences in found.items():
        assert 2 <= len(sentences) <= 4
        for sentence in sentences:
            said, _, named = sentence.rpartition(", ")
            assert named == spoken
            assert 8 <= len(said.strip()) == len(said) <= 120
    assert len(set(found.values())) == len(found), "two classes are described alike"


@pytest.mark.parametrize("name", NAMES)
def test_files_say_who_wrote_them_and_from_what(name: str) -> None:
    written = DescriptionsFile.model_validate(read_yaml(FOLDER / f"{name}.yaml"))
    assert "not said" not in (written.author, written.source)


def test_a_bundled_task_offers_them() -> None:
    mnist = Bundled().open("mnist")
    assert set(mnist.descriptions) == set(mnist.card.classes)
    assert set(mnist.domain_labels) == set(mnist.card.domains)
    assert mnist.variations is None
