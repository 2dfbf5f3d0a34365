"""`promptgrid cache`: lists, bounds, checks and empties the feature cache."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Invoke


@pytest.fixture
def own(store: Path, tmp_path: Path) -> Path:
    """A store whose cache may be harmed."""
    shutil.copytree(store / "features", tmp_path / "features")
    return tmp_path


def listed(invoke: Invoke, store: Path, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke("cache", "--store", store, "--json", *more).stdout)
    return found


def test_it_says_what_is_kept(invoke: Invoke, own: Path) -> None:
    found = listed(invoke, own)
    assert found["bytes"] == sum(entry["bytes"] for entry in found["entries"]) > 0
    assert any(entry["what"].startswith("weather through bundled") for entry in found["entries"])
    text = invoke("cache", "--store", own)
    assert text.exit_code == 0
    assert "digits through bundled" in text.stdout


def test_it_is_bounded_by_what_was_not_used_longest(invoke: Invoke, own: Path) -> None:
    before = listed(invoke, own)
    size = before["bytes"] - 1
    after = listed(invoke, own, "--max-size", f"{size}")
    assert after["entries"] == before["entries"][1:]
    assert after["freed"] == before["entries"][0]["bytes"]


def test_it_is_emptied(invoke: Invoke, own: Path) -> None:
    assert listed(invoke, own, "--clear")["entries"] == []
    assert listed(invoke, own)["bytes"] == 0


def test_damage_is_found_removed_and_told(invoke: Invoke, own: Path) -> None:
    before = listed(invoke, own, "--verify")
    assert before["damaged"] == []
    harmed = max(own.glob("features/*/arrays.safetensors"))
    raw = bytearray(harmed.read_bytes())
    raw[-3] ^= 1
    harmed.write_bytes(raw)
    done = invoke("cache", "--store", own, "--verify", "--json")
    assert done.exit_code == 1
    assert len(json.loads(done.stdout)["damaged"]) == 1
    assert len(listed(invoke, own)["entries"]) == len(before["entries"]) - 1


def test_the_bound_is_read_from_the_environment(invoke: Invoke, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTGRID_CACHE_SIZE", "1.5GB")
    assert listed(invoke, own)["bound"] == 1_500_000_000


@pytest.mark.parametrize("size", ["lots", "-3GB", "3 apples", ""])
def test_what_is_no_size_is_refused(invoke: Invoke, own: Path, size: str) -> None:
    done = invoke("cache", "--store", own, "--max-size", size)
    assert done.exit_code == 2
    assert "e.g. 20GB" in done.stderr
