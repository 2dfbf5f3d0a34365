"""A tiny suite over bundled tasks, run once for all tests of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from promptgrid.cli.main import app

SUITE = """
name: tiny
protocol: few_shot
methods: [zero_shot, {name: taskres, epochs: 5}]
datasets: [weather, digits]
shots: [1]
seeds: [1, 2]
"""
Invoke = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Listings are remembered in a folder of the tests, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def invoke() -> Invoke:
    """Runs the command line in this process."""

    def call(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suites") / "tiny.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, suite: Path, invoke: Invoke) -> Path:
    """A store in which the tiny suite has been run."""
    folder = tmp_path_factory.mktemp("grid") / "store"
    done = invoke("run", suite, "--store", folder, "--local", "--no-mlflow", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["finished"] == 8
    return folder
