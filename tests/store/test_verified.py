"""What is remembered of verified records, and that nothing changed is believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.store.synthetic import make_cell, make_outcome

from promptgrid.store import Store, records
from promptgrid.store import verified as seen
from promptgrid.store.files import manifest
from promptgrid.store.verification import verify

KEYS = [make_cell(seed).key for seed in range(4)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four records that were written long ago."""
    store = Store(tmp_path)
    for seed in range(4):
        store.commit(make_outcome(make_cell(seed)))
    return tmp_path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are hashed; what was committed a moment ago counts as old."""
    found: list[str] = []
    usual = manifest.read_checked

    def counted(path: Path, expected: dict[str, object]) -> bytes:
        found.append(path.name)
        return usual(path, expected)

    monkeypatch.setattr(manifest, "read_checked", counted)
    monkeypatch.setattr(records, "read_checked", counted)
    monkeypatch.setattr(seen, "FRESH", -1.0)
    return found


def spoil(path: Path) -> None:
    """Another byte in the middle, in place: the size stays."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def test_what_has_not_changed_is_hashed_once(root: Path, reads: list[str]) -> None:
    assert Store(root).sound(KEYS) == set(KEYS)
    assert sorted(set(reads)) == ["predictions.parquet", "record.json", "state.safetensors"]
    reads.clear()
    assert Store(root).sound(KEYS) == set(KEYS)
    assert reads == [], "another process of the same store"
    assert len(Store(root).records(KEYS)) == 4
    assert set(reads) == {"record.json"}


@pytest.mark.parametrize("name", ["MANIFEST.json", "record.json", "predictions.parquet", "state.safetensors"])
def test_what_changed_since_is_found(root: Path, reads: list[str], name: str) -> None:
    Store(root).sound(KEYS)
    spoil(Store(root).folder(KEYS[1]) / name)
    assert Store(root).sound(KEYS) == {*KEYS} - {KEYS[1]}
    assert (root / "quarantine" / f"{KEYS[1]}-1" / "reason.json").is_file()
    assert Store(root).finished(KEYS) == {*KEYS} - {KEYS[1]}


def test_a_change_that_keeps_size_and_time_is_found(root: Path, reads: list[str]) -> None:
    """The time of the last change of the inode cannot be set back."""
    Store(root).sound(KEYS)
    victim = Store(root).folder(KEYS[0]) / "state.safetensors"
    before = victim.stat()
    spoil(victim)
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert KEYS[0] not in Store(root).sound(KEYS)


def test_what_was_written_this_moment_is_not_remembered(root: Path) -> None:
    Store(root).sound(KEYS)
    assert not (root / seen.NAME).exists()


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 5000, '{"a": 1}'])
def test_a_damaged_memory_costs_time_alone(root: Path, reads: list[str], text: str) -> None:
    (root / seen.NAME).write_text(text)
    spoil(Store(root).folder(KEYS[0]) / "predictions.parquet")
    assert Store(root).sound(KEYS) == {*KEYS[1:]}


def test_verify_believes_no_memory(root: Path, reads: list[str]) -> None:
    Store(root).sound(KEYS)
    reads.clear()
    assert verify(Store(root)).sound
    assert reads.count("predictions.parquet") >= 4
