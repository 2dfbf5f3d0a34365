"""What the two commands of the README do to a checkout: nothing that git would tell of."""

from __future__ import annotations

import inspect
import subprocess
from pathlib import Path

import pytest

from promptgrid import api

ROOT = Path(__file__).parents[2]


def made(target: str) -> list[str]:
    """The commands that `make TARGET` would run, in an environment that is installed already."""
    asked = ["make", "--dry-run", "--assume-old=.venv/.installed", target]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_demo_writes_where_git_does_not_look() -> None:
    assert not any("--out" in line for line in made("demo"))
    assert 'Path("results") / chosen.name' in inspect.getsource(api.report)
    written = ["results/quickstart/report.html", ".promptgrid/store/records"]
    ignored = subprocess.run(["git", "check-ignore", *written], cwd=ROOT, capture_output=True, text=True)
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout of git")
    assert ignored.stdout.splitlines() == written


def test_reports_alone_writes_the_committed_ones_and_knows_their_suites() -> None:
    (loop,) = ["\n".join(made("reports"))]
    assert "--out reports/$suite" in loop
    assert " gpu" not in loop, "what a GPU showed is no suite's"
    for folder in sorted(path.parent for path in (ROOT / "reports").glob("*/report.json")):
        assert f" {folder.name}" in loop
        assert (ROOT / "suites" / f"{folder.name}.yaml").is_file()
