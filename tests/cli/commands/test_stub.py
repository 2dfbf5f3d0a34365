"""`promptgrid new method` writes something that works as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Invoke


def test_the_stub_passes_its_own_conformance_test(invoke: Invoke, tmp_path: Path) -> None:
    written = invoke("new", "method", "shifty", "--out", tmp_path / "stub")
    assert written.exit_code == 0, written.output
    paths = [str(tmp_path / "stub"), str(Path("platform").resolve())]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_bad_or_taken_names_are_refused_and_files_are_kept(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("new", "method", "Bad-Name", "--out", tmp_path).exit_code == 2
    assert invoke("new", "method", "coop", "--out", tmp_path).exit_code == 2
    assert invoke("new", "method", "mine", "--out", tmp_path).exit_code == 0
    again = invoke("new", "method", "mine", "--out", tmp_path)
    assert again.exit_code == 2
    assert "left as it is" in again.output
