"""ELEVATER's folders under ELEVATER's protocol, from zips to records."""

from __future__ import annotations

from pathlib import Path

from tests.contracts.small_world import SmallBackbones, track
from tests.tracks.image.datasets.test_elevater import pack
from tests.tracks.image.small_study import cells_of, run_study

from promptgrid.tracks.image.datasets.layouts import ElevaterFolders
from promptgrid.tracks.image.track import ImageTrack


def mnist(home: Path) -> Path:
    """Six images to train of each of ten digits, in turn, and one of each to test."""
    for split, archive, each in (("train", "train.zip", 6), ("test", "val.zip", 1)):
        names = {f"{split}/{i}.png": 100 * (split == "test") + i for i in range(10 * each)}
        pack(home / archive, names)
        (home / f"{split}.txt").write_text("".join(f"{archive}@{name} {i % 10}\n" for i, name in enumerate(names)))
    (home / "labels.txt").write_text("\n".join("0123456789"))
    return home


def test_what_selects_is_a_part_of_what_was_drawn_and_is_not_trained_on(tmp_path: Path) -> None:
    home = mnist(tmp_path / "mnist_20211008")
    found = track().resolver
    wing = ImageTrack(found.methods, [ElevaterFolders()], [SmallBackbones()], found.protocols, found.columns)
    methods = ["zero_shot", "tip_adapter", {"name": "coop", "epochs": 2, "context_length": 2}]
    study = {"datasets": [f"elevater:{home}"], "shots": [5], "seeds": [0], "selection": "val"}
    cells = cells_of(wing, protocol="elevater", methods=methods, **study)
    for cell in cells:
        split = wing.resolver.split(cell)
        assert (len(split.train), len(split.val)) == (40, 10)
    outcomes = run_study(wing, cells)
    for cell in cells:
        record = outcomes[cell.key].record
        assert record.status == "done", record
        assert 0.0 <= record.metrics["accuracy"] <= 1.0
