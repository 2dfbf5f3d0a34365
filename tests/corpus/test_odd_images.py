"""Odd folders are read, and said to be odd; odd pixels stand in the table of reports."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.corpus.broken_datasets import classes_in, coded, folder, sound_split, split_file
from tests.corpus.pictures import inked

from promptgrid.tracks.image.datasets.coop_split import CoopSplit
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))


def test_a_cmyk_jpeg_keeps_its_colours_nearly(tmp_path: Path) -> None:
    classes_in(tmp_path / "data", "train/cat", "train/dog")
    (tmp_path / "data" / "test" / "dog").mkdir(parents=True)
    (tmp_path / "data" / "test" / "dog" / "ink.jpg").write_bytes(coded(inked(), "JPEG", quality=95))
    dataset = ImageFolder().open(f"imagefolder:{tmp_path}/data")
    image = np.asarray(dataset.read(dataset.splits["test"][0])).astype(int)
    assert abs(image[0, 0] - (255, 0, 0)).max() < 40
    assert abs(image[7, 7] - 255).max() < 40


def test_duplicates_by_content_are_noted_and_named(tmp_path: Path) -> None:
    classes_in(tmp_path / "data", "train/cat", "train/dog")
    classes_in(tmp_path / "data", "test/cat", "test/dog", start=1000)
    copied = (tmp_path / "data" / "train" / "cat" / "0.png").read_bytes()
    (tmp_path / "data" / "test" / "cat" / "copy.png").write_bytes(copied)
    dataset = ImageFolder().open(f"imagefolder:{tmp_path}/data")
    notes = " ".join(dataset.notes)
    assert "1 images are there more than once" in notes
    assert "1 test images are also in train" in notes
    assert "test/cat/copy.png = train/cat/0.png" in notes


def test_files_that_are_no_images_by_name_are_ignored_and_counted(tmp_path: Path) -> None:
    name = folder("cat", "dog")(tmp_path / "data")
    for junk in ("Thumbs.db", ".hidden.png", "notes.txt"):
        (tmp_path / "data" / "cat" / junk).write_bytes(b"junk")
    dataset = ImageFolder().open(name)
    assert len(dataset.labels) == 8
    assert any(note.startswith("3 left out") and "cat/Thumbs.db" in note for note in dataset.notes)


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    splits = sound_split(tmp_path)
    os.symlink(tmp_path / "images" / splits["train"][0][0], tmp_path / "images" / "link.png")
    splits["train"][1][0] = "link.png"
    dataset = CoopSplit().open(split_file(tmp_path, splits))
    assert any("more than once" in note for note in dataset.notes)
    assert dataset.read(0).tobytes() == dataset.read(1).tobytes()
