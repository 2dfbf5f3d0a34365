from __future__ import annotations

import json
import lzma
import shutil
from collections import Counter
from pathlib import Path

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.building import fingerprint
from promptgrid.tracks.text.datasets.bundled import TASKS, Bundled
from promptgrid.tracks.text.datasets.text import Text, TextDataset

NAMES = [card.name for card in Bundled().listing()]
PAIRS = ("same_sense", "noun_taxonomy")


def opened(name: str, family: Bundled | None = None) -> TextDataset:
    found = (family or Bundled()).open(name)
    assert isinstance(found, TextDataset)
    return found


def test_thirteen_tasks_of_seven_sources_ship() -> None:
    assert len(NAMES) == 13
    sources = {card.sources[0].package for card in Bundled().listing()}
    assert len(sources) == 7
    assert all(card.bundled and card.title and card.description for card in Bundled().listing())


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in TASKS.rglob("*") if path.is_file()) < 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_what_its_card_says_and_no_sentence_stands_in_two_splits(name: str) -> None:
    found = opened(name)
    homes: dict[str, str] = {}
    for split, rows in found.splits.items():
        for index in rows:
            text = found.read(index)
            assert text.a.strip() == text.a != ""
            assert bool(text.b) == (name in PAIRS)
            for part in filter(None, (text.a, text.b)):
                assert homes.setdefault(fingerprint(Text(part)), split) == split
    assert {split: len(rows) for split, rows in found.splits.items()} == found.card.splits
    assert len({fingerprint(Text(text.a, text.b)) for text in found.texts}) == len(found.texts)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_large_and_balanced_enough(name: str) -> None:
    found = opened(name)
    counts = {split: Counter(found.labels[index] for index in rows) for split, rows in found.splits.items()}
    assert 300 <= found.card.splits["test"] <= 1000
    assert 500 <= found.card.splits["train"] <= 2000
    assert min(counts["train"].values()) >= 32
    assert min(counts["val"].values()) >= 4
    assert max(counts["test"].values()) <= 3 * min(counts["test"].values())
    assert all(len(some) == len(found.card.classes) for some in counts.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_task_has_label_words_templates_and_the_licences_of_its_sources(name: str) -> None:
    card = opened(name).card
    assert list(card.words) == list(card.classes)
    assert card.mask_templates
    assert card.licence != "unknown"
    assert all(source.sha256 and source.licence and source.attribution for source in card.sources)
    assert ("{text_b}" in card.mask_templates[0]) == (name in PAIRS)


def test_relations_have_spans_and_a_class_that_is_no_relation() -> None:
    found = opened("noun_relations")
    assert (found.metric, found.none_class) == ("micro_f1", "none")
    for text in found.texts:
        assert text.spans is not None
        assert text.a.startswith(f"{text.subject}: ")
        assert text.object
        assert text.spans[0][1] < text.spans[1][0]
    assert all(opened(name).none_class is None for name in NAMES if name != "noun_relations")


def test_what_is_passed_on_alike_lies_apart_with_its_terms() -> None:
    assert {path.stem for path in TASKS.glob("gfdl/*.yaml")} == {"computing_terms"}
    assert {path.stem for path in TASKS.glob("debian/*.yaml")} == {"debian_sections"}
    assert "GNU Free Documentation License" in (TASKS / "gfdl/LICENSE").read_text()
    assert "DEBIAN" in (TASKS / "debian/COPYING").read_text().upper()
    alike = ("GFDL", "GPL", "of each package")
    for card in Bundled(TASKS).cards():
        path = next(TASKS.rglob(f"{card.name}.yaml"))
        assert any(word in card.licence for word in alike) == (path.parent != TASKS)


def test_the_permission_notices_that_must_go_along_are_there() -> None:
    written = " ".join(path.read_text() for path in (TASKS / "licences").glob("*.txt"))
    for notice in ("Princeton University", "UNICODE LICENSE V3", "Miles Johnson", "Steven Loria", "PDDL", "Bierce"):
        assert notice in written


def copied(folder: Path) -> Bundled:
    for suffix in (".yaml", ".jsonl.xz"):
        shutil.copy(TASKS / f"satire{suffix}", folder)
    return Bundled(folder)


def test_texts_that_were_changed_are_refused(tmp_path: Path) -> None:
    family = copied(tmp_path)
    assert opened("satire", family).card == opened("satire").card
    path = tmp_path / "satire.jsonl.xz"
    lines = lzma.decompress(path.read_bytes()).decode()
    path.write_bytes(lzma.compress(lines.replace('"label": 1', '"label": 0', 1).encode()))
    with pytest.raises(Refused, match="sha256 differs: the data were damaged or changed"):
        family.open("satire")
    path.write_bytes(lzma.compress(json.dumps({"text": "a", "label": 0, "split": "test", "item": ""}).encode()))
    with pytest.raises(Refused, match="splits differ from the card's"):
        family.open("satire")
    path.write_bytes(lzma.compress(b'{"text": "a", "label": 7, "split": "test", "item": ""}'))
    with pytest.raises(Refused, match="a label is none of the card's"):
        family.open("satire")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(Refused, match="damaged"):
        family.open("satire")
    path.unlink()
    with pytest.raises(Refused, match="no such file"):
        family.open("satire")


def test_a_card_under_another_name_and_an_unknown_task_are_refused(tmp_path: Path) -> None:
    family = copied(tmp_path)
    (tmp_path / "satire.yaml").rename(tmp_path / "irony.yaml")
    with pytest.raises(Refused, match="called otherwise than its file"):
        family.listing()
    with pytest.raises(Refused, match="unknown dataset 'satyre'; did you mean 'satire'"):
        Bundled().open("satyre")
    assert not Bundled().knows("sst-2")
