"""Folders that cannot be written are found before anything is computed for them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from promptgrid.spec import Refused
from promptgrid.store.files.writable import refuse_unusable, refuse_unwritable


def test_a_folder_that_is_or_can_be_is_let_pass_and_nothing_is_written(tmp_path: Path) -> None:
    refuse_unusable(tmp_path, "--store")
    refuse_unusable(tmp_path / "a" / "b", "--store")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "a" / "b", "--store")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("below", ["", "deeper/down"])
def test_a_file_is_no_folder_and_holds_none(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(Refused, match=r"--store: .*taken is a file, not a folder"):
        refuse_unusable(tmp_path / "taken" / below, "--store")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_link_to_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(Refused, match="a link to nowhere"):
        refuse_unusable(tmp_path / "link" / "store", "--store")


def test_what_may_not_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *asked: False)  # root may write everywhere
    with pytest.raises(Refused, match="may not be written"):
        refuse_unusable(tmp_path / "store", "--store")


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "is full"), (errno.EROFS, "cannot be written")])
def test_a_full_or_read_only_disk_is_told_by_a_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fails(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(Refused, match=words):
        refuse_unwritable(tmp_path / "out", "--out")
    assert list((tmp_path / "out").iterdir()) == [], "the probe is gone"
