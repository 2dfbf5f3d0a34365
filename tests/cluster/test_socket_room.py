"""Ray's sockets fit, whatever TMPDIR says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from promptgrid.cluster import socket_room
from promptgrid.spec import Refused


def socket_of(folder: Path) -> bytes:
    return os.fsencode(folder) + b"/session_2026-01-31_23-59-59_123456_4194304/sockets/plasma_store"


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder whose name is too long, as clusters with a folder a job have them."""
    folder = tmp_path / ("job" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    return folder


def test_a_long_temporary_folder_is_left_for_a_short_one_and_said(
    deep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = socket_room.ray_folder("pg-4194304-")
    assert folder is not None
    assert len(socket_of(folder)) <= 107
    folder.rmdir()
    assert f"TMPDIR ({len(str(deep))} bytes) is too long for Ray's sockets" in capsys.readouterr().err


def test_a_short_one_is_taken_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    folder = socket_room.ray_folder("pg-1-")
    assert folder is not None
    folder.rmdir()
    assert (str(folder.parent), capsys.readouterr().err) == ("/tmp", "")


def test_what_the_user_names_for_ray_is_used_where_it_fits(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/mine")
    assert socket_room.ray_folder("pg-1-") is None
    monkeypatch.setenv("RAY_TMPDIR", str(deep))
    folder = socket_room.ray_folder("pg-1-")
    assert folder is not None
    folder.rmdir()


def test_where_nothing_short_can_be_written_it_is_refused(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_room, "SHORT", (str(deep / "gone"),))
    with pytest.raises(Refused, match=r"TMPDIR: .*--local"):
        socket_room.ray_folder("pg-1-")
