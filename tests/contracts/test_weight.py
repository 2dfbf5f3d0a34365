"""The repository stays light for those who clone it: `python -m tests.bench.weight` prints what is held to limits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

import pytest
from tests.bench import weight

MB = weight.MB
SMALL = 4_000
"""Bytes under which a file may stand twice: descriptions of tasks with the same classes."""


@pytest.fixture(scope="module")
def tracked() -> dict[str, int]:
    return weight.tracked()


def test_the_tree_and_each_wing_are_within_their_limits(tracked: dict[str, int]) -> None:
    print(f"\n{weight.told(tracked)}")
    held = weight.limits(tracked)
    assert held[weight.ALL][1] == 110 * MB
    assert held["image wing, weights"][0] > 0
    assert {name: size / MB for name, (size, most) in held.items() if size > most} == {}


def test_a_new_wing_may_take_15_mb_and_its_weights_6() -> None:
    wing = "platform/promptgrid/tracks/sound/"
    data, weights = wing + "bundled/tasks/birds.parquet", wing + "bundled/backbones/ear/weights.safetensors"
    files = {data: 9 * MB, weights: 6 * MB, wing + "track.py": 1_000}
    held = weight.limits(files)
    assert held["sound wing, data and weights"] == (15 * MB, 15 * MB)
    assert held["sound wing, weights"] == (6 * MB, 6 * MB)
    assert weight.parts(files) == {"sound wing, data": 9 * MB, "sound wing, weights": 6 * MB, "code": 1_000}


def test_no_two_tracked_files_are_the_same(tracked: dict[str, int]) -> None:
    same = defaultdict(list)
    for path, size in tracked.items():
        if size > SMALL:
            same[hashlib.sha256((weight.ROOT / path).read_bytes()).hexdigest()].append(path)
    assert [paths for paths in same.values() if len(paths) > 1] == []


def test_a_committed_report_holds_what_its_sums_name_and_nothing_that_export_makes(tracked: dict[str, int]) -> None:
    folders = {str(Path(path).parent) for path in tracked if Path(path).name == "SHA256SUMS"}
    assert folders
    for folder in sorted(folders):
        lines = (weight.ROOT / folder / "SHA256SUMS").read_text().splitlines()
        summed = {f"{folder}/{line[66:]}": line[:64] for line in lines}
        mine = {path for path in tracked if path.startswith(f"{folder}/") and not path.endswith(("SHA256SUMS", ".png"))}
        assert mine == set(summed)
        assert f"{folder}/results.csv" not in mine
        for path, digest in summed.items():
            assert hashlib.sha256((weight.ROOT / path).read_bytes()).hexdigest() == digest, path
