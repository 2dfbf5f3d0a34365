"""Listings read back what was asked for once, and import nothing heavy for it; what changes a listing changes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from promptgrid.cli import remembered as module
from promptgrid.cli.remembered import code_digest, remembered

HEAVY = ("torch", "open_clip", "ray", "mlflow", "pandas", "scipy", "sklearn", "matplotlib")
LISTINGS = (
    ("--help",),
    ("methods",),
    ("methods", "coop"),
    ("datasets",),
    ("backbones",),
    ("protocols",),
    ("published",),
    ("taxonomy",),
)
ASKING = """
import json, sys
from typer.testing import CliRunner
from promptgrid.cli.main import app
said = {}
for arguments in json.loads(sys.argv[1]):
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    heavy = sorted(set(json.loads(sys.argv[2])) & set(sys.modules))
    said[" ".join(arguments)] = [heavy, found.stdout]
print(json.dumps(said))
"""


def asked(home: Path) -> dict[str, tuple[list[str], str]]:
    """{listing: (heavy modules in the process, what it printed)}, in a process of its own."""
    command = [sys.executable, "-c", ASKING, json.dumps(LISTINGS), json.dumps(HEAVY)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"XDG_CACHE_HOME": str(home)}
    )
    found: dict[str, tuple[list[str], str]] = json.loads(done.stdout)
    return found


def test_listings_import_nothing_heavy_once_they_were_asked_for(tmp_path: Path) -> None:
    cold, warm = asked(tmp_path), asked(tmp_path)
    assert cold["--help"][0] == []
    assert {name: heavy for name, (heavy, _) in warm.items() if heavy} == {}
    assert {name: text for name, (_, text) in warm.items()} == {name: text for name, (_, text) in cold.items()}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def kept_files(home: Path) -> list[Path]:
    return sorted(home.rglob("*.json"))


def test_an_answer_is_asked_for_once(home: Path) -> None:
    said = iter([{"rows": [1, 2]}, {"rows": [3]}])
    assert remembered("rows", lambda: next(said)) == {"rows": [1, 2]}
    assert remembered("rows", lambda: next(said)) == {"rows": [1, 2]}
    assert len(kept_files(home)) == 1


def test_other_code_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([1, 2])
    assert remembered("number", lambda: next(said)) == 1
    monkeypatch.setattr(module, "code_digest", lambda: "another")
    assert remembered("number", lambda: next(said)) == 2


def test_a_damaged_file_asks_again(home: Path) -> None:
    remembered("number", lambda: 1)
    (path,) = kept_files(home)
    path.write_text(path.read_text()[:-4])
    assert remembered("number", lambda: 2) == 2


def test_what_came_with_a_warning_is_not_kept(home: Path) -> None:
    def ask() -> int:
        warnings.warn("plug-in 'x' cannot be loaded", stacklevel=2)
        return 1

    for _ in range(2):
        with pytest.warns(UserWarning, match="cannot be loaded"):
            assert remembered("number", ask) == 1
    assert kept_files(home) == []


def test_every_file_that_tells_is_in_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "card.yaml").write_text("a: 1")
    monkeypatch.setattr(module, "PACKAGE", tmp_path / "pkg")

    def digest() -> str:
        code_digest.cache_clear()
        return code_digest()

    try:
        first = digest()
        (tmp_path / "pkg" / "notes.txt").write_text("no listing is made of this")
        assert digest() == first
        (tmp_path / "pkg" / "card.yaml").write_text("a: 2")
        second = digest()
        (tmp_path / "pkg" / "more.py").write_text("")
        assert len({first, second, digest()}) == 3
    finally:
        code_digest.cache_clear()


def test_a_home_that_cannot_be_written_costs_time_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    assert remembered("number", lambda: 1) == 1
