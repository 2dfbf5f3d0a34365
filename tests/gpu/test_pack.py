"""What travels to a GPU machine is what is printed, and no more than it may be."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from tests.bench.weight import ROOT
from tests.gpu import pack


def git(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this checkout with another wing in it, wheels, and a file that nobody added."""
    git(ROOT, "clone", "--quiet", "--shared", str(ROOT), str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    wing = clone / "platform/promptgrid/tracks/sound"
    for name in ("bundled/tasks/birds.parquet", "bundled/backbones/ear/weights.safetensors", "track.py"):
        (wing / name).parent.mkdir(parents=True, exist_ok=True)
        (wing / name).write_bytes(b"0" * 1000)
    git(clone, "add", "platform")
    git(clone, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "another wing")
    for name in (".gpu/wheels/some.whl", "notes.txt", ".promptgrid/store/record"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes(b"0" * 500)
    return clone


def there(clone: Path) -> dict[str, int]:
    files = [path for path in clone.rglob("*") if path.is_file() and ".git" not in path.relative_to(clone).parts]
    return {path.relative_to(clone).as_posix(): path.stat().st_size for path in files}


def flat(found: dict[str, dict[str, int]]) -> dict[str, int]:
    return {path: size for part in found.values() for path, size in part.items()}


def test_the_printed_commands_leave_in_a_checkout_what_is_counted_and_bring_the_rest_back(clone: Path) -> None:
    whole, counted = there(clone), flat(pack.packed(clone))
    subprocess.run(shlex.split(pack.sparse_command()), cwd=clone, check=True)
    left = there(clone)
    del left[".promptgrid/store/record"]  # ignored, and not carried
    assert left == counted
    assert flat(pack.packed(clone)) == counted
    git(clone, "sparse-checkout", "disable")
    assert there(clone) == whole
    assert git(clone, "status", "--porcelain").split() == ["??", "notes.txt"]


def test_the_image_wing_travels_and_no_other_data_and_no_report_but_one(clone: Path) -> None:
    found = pack.packed(clone)
    assert set(found) == {"tracked", "untracked, not ignored", ".gpu/wheels"}
    image = "platform/promptgrid/tracks/image/bundled/"
    assert {path for path in found["tracked"] if path.startswith(image)} == {
        path for path in there(clone) if path.startswith(image)
    }
    sound = [path for path in found["tracked"] if "/sound/" in path]
    assert sound == ["platform/promptgrid/tracks/sound/track.py"]
    reports = [path for path in found["tracked"] if path.startswith("reports/")]
    assert reports == ["reports/quickstart/results.parquet"]


def test_a_pack_is_laid_out_whole_and_only_over_one_of_ours(clone: Path, tmp_path: Path) -> None:
    files, out = flat(pack.packed(clone)), tmp_path / "pack"
    pack.lay_out(clone, out, files)
    (out / "old.txt").touch()
    pack.lay_out(clone, out, files)
    laid = there(out)
    assert laid.pop(pack.MARKER) == 0
    assert laid == files
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="not made by this command"):
        pack.lay_out(clone, tmp_path / "mine", files)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_what_travels_from_here_is_at_most_60_mib_and_more_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pack"])
    pack.main()
    assert "of at most 60 MiB" in capsys.readouterr().out
    monkeypatch.setattr(pack, "MOST", 20 * pack.MIB)
    with pytest.raises(SystemExit, match="MB too much"):
        pack.main()
