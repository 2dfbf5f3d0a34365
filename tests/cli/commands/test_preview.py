"""`promptgrid datasets PATH`, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Invoke
from tests.corpus.broken_datasets import classes_in

from promptgrid.api import plan


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "photos"
    classes_in(root / "Train", "red_fox", "dog")
    classes_in(root / "Test", "red_fox", "dog", start=500)
    (root / "Test" / "dog" / "notes.txt").write_text("late")
    (root / "Test" / "dog" / "0.png").write_bytes(b"<html>no</html>")
    return root


def test_people_read_classes_sizes_and_what_is_left_out_by_name(invoke: Invoke, photos: Path) -> None:
    lines = invoke("datasets", photos).stdout.splitlines()
    assert lines[0] == "photos: 2 classes, 8 train, 8 test"
    assert f'in a suite: "imagefolder:{photos}"' in lines
    assert "prompts: 'a photo of a dog.'" in lines
    assert "  red_fox: 4 train, 4 test" in lines
    assert "  Test/dog/notes.txt: no image by its name" in lines
    assert any(line.startswith("  Test/dog/0.png: an HTML page") for line in lines)
    assert any(line.startswith("sizes: 12 to 12 wide, 10 to 10 high, 12x10 at the median") for line in lines)


def test_scripts_read_the_same(invoke: Invoke, photos: Path) -> None:
    found = json.loads(invoke("datasets", photos, "--json").stdout)
    assert found["classes"][1] == {"label": 1, "name": "red_fox", "train": 4, "test": 4}
    assert found["left_out"] == [{"path": "Test/dog/notes.txt", "why": "no image by its name"}]


def test_what_would_become_nothing_is_refused_with_the_reason(invoke: Invoke, tmp_path: Path) -> None:
    classes_in(tmp_path / "bare", "train", "test")
    refused = invoke("datasets", tmp_path / "bare")
    assert refused.exit_code == 2
    assert "splits, not classes" in refused.output


def test_many_classes_are_cut_in_the_middle_and_counted(invoke: Invoke) -> None:
    shown = invoke("datasets", "concepts").stdout
    assert "more (--json has all)" in shown
    assert len(shown.splitlines()) < 30


def test_two_folders_of_one_name_have_two_headings(photos: Path, tmp_path: Path) -> None:
    classes_in(tmp_path / "old" / "photos", "red_fox", "dog", start=900)
    suite = {"name": "s", "protocol": "few_shot", "methods": ["zero_shot"], "shots": [1], "seeds": [1]}
    names = [f"imagefolder:{photos}", f"imagefolder:{tmp_path}/old/photos"]
    titles = plan({**suite, "datasets": names}, tmp_path / "store").titles
    assert list(titles) == names
    assert titles[names[1]] == "photos (old)"
    (photos / "dataset.yaml").write_text("title: Photos of foxes")
    card = f"imagefolder:{photos}/"
    assert plan({**suite, "datasets": [card]}, tmp_path / "store").titles == {card: "Photos of foxes"}


def test_texts_are_shown_by_name_and_by_path(invoke: Invoke, tmp_path: Path) -> None:
    facts = json.loads(invoke("datasets", "satire", "--track", "text", "--json").stdout)
    assert [row["name"] for row in facts["classes"]] == ["serious", "satirical"]
    table = tmp_path / "films.csv"
    table.write_text("text,label\nwarm and wise,good\ndull,bad\nwarm,good\nflat,bad\n")
    lines = invoke("datasets", f"{table}?text=text&label=label", "--track", "text").stdout.splitlines()
    assert f'in a suite: "table:{table}?text=text&label=label"' in lines
    assert "words of a text: 1 at least, 1 in the middle, 3 at most" in lines
