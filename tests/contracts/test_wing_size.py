"""A wing is small: what is no method, no recipe of weights, no data and no published figure of it has a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

import promptgrid

TRACKS = Path(promptgrid.__file__).parent / "tracks"
APART = {"methods", "pretrain", "bundled", "published"}
LIMITS = {"image": 5_000}
"""Lines of Python."""
TRACK_FILE = 120


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("wing", LIMITS)
def test_a_wing_is_within_its_limit(wing: str) -> None:
    files = [path for path in (TRACKS / wing).rglob("*.py") if not APART & set(path.relative_to(TRACKS / wing).parts)]
    assert files
    assert sum(map(lines, files)) <= LIMITS[wing]


@pytest.mark.parametrize("wing", ["image", "text"])
def test_a_track_only_names_what_is_in_its_folders(wing: str) -> None:
    assert lines(TRACKS / wing / "track.py") <= TRACK_FILE
