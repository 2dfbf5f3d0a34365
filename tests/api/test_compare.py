"""Comparisons of methods, suites and stores on grids that ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.api import tiny
from typer.testing import CliRunner

import promptgrid
from promptgrid import api
from promptgrid.cli.main import app
from promptgrid.spec import Refused


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two suites that differ in a length, run into one store, and the first of them into another."""
    root = tmp_path_factory.mktemp("compare")
    model, dataset = tiny.write_model(root / "model"), tiny.write_dataset(root / "fruit")
    short = tiny.suite(model, dataset, seeds=[1, 2])
    longer = {**short, "name": "longer"}
    longer["methods"] = ["zero_shot", {"name": "coop", "context_length": 2, "epochs": 3, "label": "coop"}]
    short["methods"] = ["zero_shot", {"name": "coop", "context_length": 2, "epochs": 2, "label": "coop"}]
    for suite in (short, longer):
        with (root / f"{suite['name']}.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(suite, file)
        promptgrid.run(suite, root / "store", local=True, mlflow=False)
    promptgrid.run(short, root / "again", local=True, mlflow=False)
    return root


def test_two_methods(home: Path) -> None:
    found = api.compare("coop", "zero_shot", home / "tiny.yaml", home / "store")
    results = api.results(home / "tiny.yaml", home / "store")
    own = results[results["metric"] == "accuracy"].groupby("method")["value"].mean()
    (row,) = found.by_dataset
    assert found.pairs == 2
    assert (row.first, row.second) == (pytest.approx(own["coop"]), pytest.approx(own["zero_shot"]))
    assert row.alone is not None
    assert row.alone[0] - row.alone[1] == len([one for one in found.by_example if one.first > one.second]) - len(
        [one for one in found.by_example if one.first < one.second]
    )
    turned = api.compare("zero_shot", "coop", home / "tiny.yaml", home / "store").by_dataset[0]
    assert (turned.gap, turned.alone, turned.p) == (-row.gap, row.alone[::-1], row.p)


def test_two_suites_row_by_row(home: Path) -> None:
    found = api.compare(home / "tiny.yaml", home / "longer.yaml", store=home / "store")
    assert found.pairs == 4
    assert (found.first, found.second) == (str(home / "tiny.yaml"), str(home / "longer.yaml"))


def test_two_stores_of_the_same_numbers_agree_on_every_example(home: Path) -> None:
    found = api.compare(home / "store", home / "again", home / "tiny.yaml")
    assert found.pairs == 4
    assert found.seeds.value == 0.0
    assert found.by_example == ()
    assert found.by_dataset[0].alone == (0, 0)


@pytest.mark.parametrize(
    ("sides", "given", "said"),
    [
        (("coop", "zero_shot"), {}, "which suite"),
        (("copo", "zero_shot"), {"suite": "tiny.yaml"}, "no such row"),
        (("coop", "zero_shot"), {"suite": "tiny.yaml", "shots": 9}, "nothing|no finished cells in common"),
    ],
)
def test_refused(home: Path, sides: tuple[str, str], given: dict[str, Any], said: str) -> None:
    suite = home / given.pop("suite") if "suite" in given else None
    with pytest.raises(Refused, match=said):
        api.compare(*sides, suite, home / "store", **given)


def test_the_command_prints_tables_and_json(home: Path) -> None:
    asked = ["compare", "coop", "zero_shot", "--suite", str(home / "tiny.yaml"), "--store", str(home / "store")]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert "only A right" in shown.output
    found = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert found["pairs"] == 2
    assert found["metric"]["name"] == "accuracy"
