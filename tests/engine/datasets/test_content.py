from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from promptgrid.engine.datasets import content
from promptgrid.engine.datasets.content import content_hashes, duplicate_notes


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder that notes of hashes are kept in."""
    monkeypatch.setenv("PROMPTGRID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / "root" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "root" / name).write_bytes(name.encode())
        os.utime(tmp_path / "root" / name, (1_000_000, 1_000_000))
    return tmp_path / "root"


def note_of(cache: Path) -> Path:
    (note,) = (cache / "hashes").glob("*.json")
    return note


def test_size_and_sha256_of_each_file(root: Path) -> None:
    assert content_hashes(root, ["a", "b"]) == {
        "a": (1, hashlib.sha256(b"a").hexdigest()),
        "b": (1, hashlib.sha256(b"b").hexdigest()),
    }


def test_unchanged_files_are_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content_hashes(root, ["a", "b"])
    monkeypatch.setattr(content, "_hash_file", lambda path: pytest.fail(f"{path} was read again"))
    assert content_hashes(root, ["a", "b"]) == first


def test_a_changed_file_is_read_again(root: Path) -> None:
    content_hashes(root, ["a", "b"])
    (root / "a").write_bytes(b"c")
    os.utime(root / "a", (1_000_007, 1_000_007))
    assert content_hashes(root, ["a", "b"])["a"] == (1, hashlib.sha256(b"c").hexdigest())


def test_a_file_changed_within_the_clock_tick_is_never_taken_from_the_note(root: Path) -> None:
    now = time.time()
    os.utime(root / "a", (now, now))
    content_hashes(root, ["a"])
    (root / "a").write_bytes(b"c")
    os.utime(root / "a", (now, now))
    assert content_hashes(root, ["a"])["a"][1] == hashlib.sha256(b"c").hexdigest()


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"a": [1, 2]}', b'{"a": [1, 1000000000000000, "zz"]}', b"\xff"])
def test_a_damaged_note_costs_time_but_no_result(root: Path, cache: Path, damage: bytes) -> None:
    first = content_hashes(root, ["a", "b"])
    note_of(cache).write_bytes(damage)
    assert content_hashes(root, ["a", "b"]) == first
    assert sorted(json.loads(note_of(cache).read_bytes())) == ["a", "b"]


def test_a_cache_that_cannot_be_written_costs_time_but_no_result(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert content_hashes(root, ["a"], cache=tmp_path / "file" / "cache")["a"][0] == 1
    assert "not kept" in caplog.text


def test_a_missing_file_is_an_error(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        content_hashes(root, ["a", "z"])


def test_no_duplicates_no_notes() -> None:
    assert duplicate_notes({"a": (1, "x"), "b": (1, "y")}, {"train": ["a"], "test": ["b"]}) == []


def test_duplicates_within_a_split_are_not_called_a_leak() -> None:
    notes = duplicate_notes({"a": (1, "x"), "b": (1, "x"), "c": (1, "y")}, {"train": ["a", "b"], "test": ["c"]})
    assert len(notes) == 1
    assert "a = b" in notes[0]
