"""Which code made a record: dirty only where the code itself differs from what is committed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from promptgrid.engine.outcomes.provenance import revision, revision_of


def git(root: Path, *asked: str) -> str:
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", root, *named, *asked], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with code and a report, all committed."""
    for name in ("platform/code.py", "reports/quickstart/report.html", ".gitignore"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("__pycache__/\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all")
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    assert revision_of(checkout) == git(checkout, "rev-parse", "--short=12", "HEAD").strip()


@pytest.mark.parametrize("changed", ["reports/quickstart/report.html", "suites/new.yaml", "platform/__pycache__/x.pyc"])
def test_what_makes_no_result_makes_nothing_dirty(checkout: Path, changed: str) -> None:
    (checkout / changed).parent.mkdir(parents=True, exist_ok=True)
    (checkout / changed).write_text("other")
    assert not revision_of(checkout).endswith("+dirty")


@pytest.mark.parametrize("changed", ["platform/code.py", "platform/new_method.py"])
def test_changed_or_new_code_is_dirty(checkout: Path, changed: str) -> None:
    (checkout / changed).write_text("other")
    assert revision_of(checkout).endswith("+dirty")


def test_what_is_no_checkout_has_no_revision(tmp_path: Path) -> None:
    assert revision_of(tmp_path) == ""


def test_the_revision_is_that_of_this_checkout() -> None:
    root = Path(__file__).parents[2]
    assert (root / "platform" / "promptgrid").is_dir()
    assert revision() == revision_of(root)
