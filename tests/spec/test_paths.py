from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid.spec import Refused
from promptgrid.spec.paths import nearest_folder, user_path


def test_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert user_path("~/data") == Path("/home/me/data")
    assert user_path(Path("~")) == Path("/home/me")
    assert user_path("data/~") == Path("data/~")


def test_a_variable_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PROMPTGRID_DATA", "~/pools")
    assert user_path("${PROMPTGRID_DATA}/sst") == Path("/home/me/pools/sst")
    assert user_path("$PROMPTGRID_DATA/sst") == Path("$PROMPTGRID_DATA/sst"), "a plain $ may stand in a name"
    monkeypatch.setenv("PROMPTGRID_DATA", "")
    with pytest.raises(Refused, match=r"datasets: the environment variable PROMPTGRID_DATA is not set"):
        user_path("${PROMPTGRID_DATA}/sst", "datasets")


def test_the_nearest_folder_of_a_relative_path_has_its_whole_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert nearest_folder(Path("data/lm-bff/sst")) == tmp_path / "data"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("~nobody-of-that-name/x", "nobody's home"),
        ("a\0b", "NUL"),
        ("n" * 256, "255 bytes"),
        ("é" * 128, "256 bytes"),
        ("a/" * 2100, "4,095 in all"),
    ],
)
def test_what_no_disk_could_hold_is_refused(written: str, words: str) -> None:
    with pytest.raises(Refused, match=f"--store: .*{words}"):
        user_path(written, "--store")


def test_the_longest_name_that_fits_is_let_pass() -> None:
    assert user_path("n" * 255).name == "n" * 255
