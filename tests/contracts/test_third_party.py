"""A method in one file of somebody else's package takes part everywhere, with nothing in promptgrid edited."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from promptgrid.cli.commands import stub
from promptgrid.contract.clip.conformance import check_method
from promptgrid.spec import Refused

METHOD = '''"""Feature scale: a method that ships outside of promptgrid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Batch, Number, Params, Task, Trained, knob
from promptgrid.contract.clip.method import Kind


@dataclass(frozen=True)
class FeatureScale(Trained):
    """Feature scale: one learned factor for every dimension of the image feature."""

    name: ClassVar[str] = "feature_scale"
    kind: ClassVar[Kind] = "head"
    paper: ClassVar[str] = "unpublished"
    zero_shot_at_start: ClassVar[bool] = True

    strength: Number = knob(1.0, low=0.0, high=10.0)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"factor": torch.zeros(task.backbone.width)}

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return batch.features * (1.0 + self.strength * params["factor"])
'''
ENTRIES = """[promptgrid.methods]
feature_scale = their_methods:FeatureScale
"""
METADATA = "Metadata-Version: 2.1\nName: their-methods\nVersion: 0.1\n"
SUITE = """name: theirs
protocol: few_shot
methods:
  - zero_shot
  - {name: feature_scale, label: "Theirs", strength: [1.0, 2.0], epochs: 2}
backbones: [bundled]
datasets: [DATASET]
shots: [1]
seeds: [1, 2]
"""
RUN = """
import json, sys
from typer.testing import CliRunner
from promptgrid import catalog
from promptgrid.cli.main import app
from promptgrid.contract.clip.conformance import check_method
from promptgrid.spec import read_suite

suite, store, out = sys.argv[1:]
track = catalog.track("image")
check_method(track.resolver.method("feature_scale"))

def cli(*words):
    ran = CliRunner().invoke(app, list(words))
    assert ran.exit_code == 0, (words, ran.exit_code, ran.output, ran.exception)
    return ran.stdout

requests = [square for _, square in read_suite(suite).requests([])]
cells = track.resolve(requests)
packs = [[cell.method for cell in pack.cells] for pack in track.pack(cells)]
before = json.loads(cli("plan", suite, "--store", store, "--json"))
methods = json.loads(cli("methods", "--json"))
cli("run", suite, "--store", store, "--local")
after = json.loads(cli("status", suite, "--store", store, "--json"))
cli("report", suite, "--store", store, "--out", out)
print("RESULT" + json.dumps({"packs": packs, "plan": before, "methods": methods, "status": after}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip would fill it: the module, and metadata with its entry point."""
    site = tmp_path_factory.mktemp("site")
    assert len(METHOD.splitlines()) <= 60
    (site / "their_methods.py").write_text(METHOD)
    about = site / "their_methods-0.1.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_text(ENTRIES)
    (about / "METADATA").write_text(METADATA)
    return site


@pytest.fixture(scope="module")
def ran(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Everything a user does with the method, in a process of its own."""
    work = tmp_path_factory.mktemp("work")
    suite = work / "theirs.yaml"
    suite.write_text(SUITE.replace("DATASET", _smallest()))
    told = _python(installed, work, "-c", RUN, str(suite), str(work / "store"), str(work / "report"))
    assert told.returncode == 0, told.stderr[-4000:]
    return json.loads(told.stdout.split("RESULT")[1]), work


def test_it_is_listed(ran: tuple[dict[str, Any], Path]) -> None:
    (row,) = [row for row in ran[0]["methods"] if row["name"] == "feature_scale"]
    assert row["kind"] == "head"
    assert row["about"].startswith("Feature scale")
    assert {"strength", "learning_rate"} <= set(row["knobs"])


def test_its_cells_are_planned_and_share_a_pack(ran: tuple[dict[str, Any], Path]) -> None:
    told, _ = ran
    assert told["plan"]["cells"] == told["plan"]["missing"] == 6
    assert sorted(told["packs"]) == [["feature_scale"] * 4, ["zero_shot"] * 2], "two seeds and two strengths: one pack"


def test_its_cells_run(ran: tuple[dict[str, Any], Path]) -> None:
    status = ran[0]["status"]
    assert (status["finished"], status["failed"], status["missing"]) == (6, 0, 0)


def test_it_stands_in_the_report(ran: tuple[dict[str, Any], Path]) -> None:
    report = ran[1] / "report"
    for label in ("Theirs, strength=1.0", "Theirs, strength=2.0"):
        assert label in (report / "leaderboard.csv").read_text()
        assert label in (report / "report.html").read_text()


def test_a_broken_plugin_is_named_and_left_out(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('half written')\n")
    about = tmp_path / "broken-0.1.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_text("[promptgrid.methods]\nbroken = broken:Nothing\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n")
    code = "from promptgrid import catalog; print(sorted(catalog.track('image').resolver.methods))"
    told = _python(tmp_path, tmp_path, "-c", code)
    assert told.returncode == 0, told.stderr[-4000:]
    assert "half written" in told.stderr
    assert "'coop'" in told.stdout
    assert "broken" not in told.stdout


def test_the_stub_works_as_it_is_written(tmp_path: Path) -> None:
    stub.new_method("bright_idea", tmp_path)
    spec = importlib.util.spec_from_file_location("promptgrid_bright_idea", tmp_path / "promptgrid_bright_idea.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["promptgrid_bright_idea"] = module
    try:
        spec.loader.exec_module(module)
        check_method(module.BrightIdea)
    finally:
        del sys.modules["promptgrid_bright_idea"]
    with pytest.raises(Refused, match="exists already"):
        stub.new_method("bright_idea", tmp_path)


def _smallest() -> str:
    """The bundled task with the fewest images."""
    from promptgrid import catalog

    cards = [row for row in catalog.track("image").describe("datasets") if row["bundled"]]
    return str(min(cards, key=lambda row: (row["train"] + row["test"], row["name"]))["name"])


def _python(site: Path, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with ``site`` installed, at home in ``work``."""
    source = Path(__file__).parents[2] / "platform"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(site), str(source)]),
        "MLFLOW_TRACKING_URI": f"sqlite:///{work}/mlflow.db",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=work, env=environment, capture_output=True, text=True, timeout=900
    )
