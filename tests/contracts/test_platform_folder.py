"""The source root is called ``platform``, as is a module of the standard library: it must stay a plain folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_platform_is_no_package() -> None:
    """With an __init__.py there, ``python -m pytest`` and every Ray worker would import it for the stdlib's module."""
    assert (ROOT / "platform" / "promptgrid" / "__init__.py").is_file(), "this is not the repository's root"
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert sorted(path.name for path in (ROOT / "platform").glob("*.py")) == []


def test_the_standard_library_keeps_its_module() -> None:
    ran = _python("-c", "import platform; print(platform.system(), platform.__file__)")
    assert ran.returncode == 0, ran.stderr
    system, place = ran.stdout.split(maxsplit=1)
    assert system in {"Linux", "Darwin", "Windows"}
    assert not Path(place.strip()).is_relative_to(ROOT / "platform")


def test_pytest_starts_from_the_root() -> None:
    ran = _python("-m", "pytest", "--version")
    assert ran.returncode == 0, ran.stderr
    assert "pytest" in ran.stdout + ran.stderr


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the root, with nothing of this process's path: as somebody types it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
