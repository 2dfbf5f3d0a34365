"""Where the public files lie that readers are tried on once more, where there are any."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[4]


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """The path of public data by its name below the folder ``text``; the test is skipped where it is not there."""

    def find(name: str) -> Path:
        root = Path(os.environ.get("PROMPTGRID_SHARED") or CHECKOUT.parent / "shared" / "data")
        path = root / "text" / name
        if not path.exists():
            pytest.skip(f"no {path}; PROMPTGRID_SHARED names the folder that holds text/")
        return path

    return find
