"""The console script itself, in a process of its own: what it prints and how it leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from promptgrid.cli.main import app; app()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_a_refusal_says_why_and_leaves_with_two(tmp_path: Path) -> None:
    done = call("plan", str(tmp_path / "nowhere.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("refused: ")
    assert "nowhere.yaml" in done.stderr


def test_anything_else_leaves_as_ever() -> None:
    assert call("--version").returncode == 0
    assert call("protocols").stdout.count("few_shot") >= 1


def test_a_reader_that_has_enough_is_no_crash() -> None:
    """As `promptgrid methods | head -1`: quiet, and the exit status that a shell gives for a closed pipe."""
    command = "import sys; from promptgrid.cli.main import app; sys.argv = ['promptgrid', 'methods']; app()"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        said = running.stderr.read().decode()
    assert said == ""
    assert running.returncode == 128 + 13
