"""Ray's sockets fit, whatever TMPDIR says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from promptgrid.cluster.on_ray import socket_paths as socket_room
from promptgrid.spec import Refused


def socket_below(parent: Path) -> bytes:
    """The longest name of a socket that Ray makes for a cluster of this process with its folder in ``parent``."""
    pid = os.getpid()
    own = os.fsencode(parent) + f"/pg-{pid}-abcdefgh/session_2026-01-31_23-59-59_123456_{pid}".encode()
    return own + b"/sockets/plasma_store.1"


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
    parent = socket_room.ray_parent()
    assert len(socket_below(parent)) <= 107 < len(socket_below(deep))
    assert f"TMPDIR ({len(str(deep))} bytes) is too long for Ray's sockets" in capsys.readouterr().err


def test_a_short_one_is_taken_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    assert (str(socket_room.ray_parent()), capsys.readouterr().err) == ("/tmp", "")


def test_a_name_that_just_fits_is_taken_and_one_letter_more_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Path, "mkdir", lambda *asked, **how: None)
    fits = "/tmp/" + "n" * (socket_room.room() - len("/tmp/"))
    for parent, taken in ((fits, True), (f"{fits}n", False)):
        monkeypatch.setenv("RAY_TMPDIR", parent)
        assert (str(socket_room.ray_parent()) == parent) is taken
        assert (len(socket_below(Path(parent))) <= 107) is taken
    assert "RAY_TMPDIR (" in capsys.readouterr().err


def test_where_nothing_short_can_be_written_it_is_refused(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_room, "SHORT", (str(deep / "gone"),))
    with pytest.raises(Refused, match=r"TMPDIR: .*--local"):
        socket_room.ray_parent()


def test_leftovers_are_sought_wherever_a_cluster_may_have_been(deep: Path) -> None:
    assert socket_room.parents()[0] == deep
    assert Path("/tmp") in socket_room.parents()
