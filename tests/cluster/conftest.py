"""One Ray for the session, and the toy track within everyone's reach."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptgrid.cluster.on_ray.token import secure_token
from promptgrid.store import Store

secure_token()  # before any test imports Ray, which decides about tokens once, when it is imported
TOY = Path(__file__).parent / "toy"
if str(TOY) not in sys.path:
    sys.path.insert(0, str(TOY))  # with its .dist-info the track is found like any installed plug-in


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """Two CPUs of Ray for every test that asks; started by the code under test, which tries twice."""
    from promptgrid.cluster.on_ray.session import ray_session

    before = dict(os.environ)
    with ray_session(2, None):
        yield
    os.environ.clear()
    os.environ.update(before)
