from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from promptgrid.cluster.on_ray import session, token
from promptgrid.cluster.workers.import_path import import_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (token.MODE, token.TOKEN, token.TOKEN_FILE):
        monkeypatch.setenv(name, "")  # so that what the code sets is taken back at the end
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_is_made_for_its_owner_alone(home: Path) -> None:
    token.secure_token()
    path = home / ".ray" / "auth_token"
    assert mode(path) == 0o600
    assert len(path.read_text()) == 64
    assert token.has_token()


def test_a_token_that_everyone_may_read_is_closed_and_kept(home: Path) -> None:
    path = home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("a" * 64)
    path.chmod(0o644)
    token.secure_token()
    assert (mode(path), path.read_text()) == (0o600, "a" * 64)


def test_a_home_that_cannot_be_written_keeps_the_token_in_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".ray").write_text("a file, not a folder")
    token.secure_token()
    assert len(os.environ[token.TOKEN]) == 64


def test_who_switched_tokens_off_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(token.MODE, "disabled")
    token.secure_token()
    assert not (home / ".ray").exists()
    assert not token.has_token()


def test_environment_respects_what_is_set_and_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_SET", "mine")
    with session.environment({"PG_SET": "theirs", "PG_NEW": "1"}):
        assert (os.environ["PG_SET"], os.environ["PG_NEW"]) == ("mine", "1")
    assert "PG_NEW" not in os.environ


def test_sweeping_removes_only_our_own_leftovers(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f"pg-{gone.pid}-abc", f"pg-{os.getpid()}-abc", "pg-cache", "other"):
        (tmp_path / name).mkdir()
    session.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"pg-{os.getpid()}-abc", "pg-cache", "other"])


def test_workers_find_modules_where_the_driver_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = import_path().split(os.pathsep)
    assert entries[0] == str(tmp_path)
    assert not [entry for entry in entries if entry.startswith(sys.base_prefix + os.sep)]
