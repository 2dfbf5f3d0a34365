"""Plans without data: by published sizes, for every suite of a paper, and for what nobody publishes a refusal."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from promptgrid.cli.main import app
from promptgrid.cluster.without_data import UnseenPlan, plan_without_data
from promptgrid.spec import Refused, Suite, read_suite

PAPERS = sorted((Path(__file__).parents[2] / "suites" / "papers").glob("*.yaml"))
ASKED = {
    *("coop_few_shot", "coop_base_to_new", "coop_cross_dataset", "coop_domain_generalization", "elevater_20shot"),
    *("mvlpt_transfer_400", "tta_vlm", "fewtrans", "all_to_all", "validation_free"),
}
B16 = {"model": "ViT-B-16-quickgelu", "pretrained": "openai"}


def planned(**facts: Any) -> UnseenPlan:
    usual = {"name": "some", "protocol": "few_shot", "methods": ["zero_shot"], "shots": [16], "seeds": [1]}
    return plan_without_data(Suite.model_validate(usual | {"backbones": [B16]} | facts))


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_every_suite_of_a_paper_plans_without_its_data(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    suite = read_suite(path)
    assert suite.name == path.stem
    part = {"seeds": suite.seeds[:1], "shots": suite.shots[-1:]}  # tells as much, sooner
    plan = plan_without_data(suite.model_copy(update=part))
    assert list(plan.methods) == suite.labels
    assert all(cost.cells for cost in plan.methods.values())
    assert plan.looking > 0
    assert plan.gpu_hours > plan.looking
    assert plan.datasets.keys() >= {name for name in suite.datasets if isinstance(suite.datasets, list)}
    assert any("not measured" in sentence for sentence in plan.basis)
    assert bool(plan.trials) == (suite.search is not None)


def test_the_suites_of_papers_are_those_that_are_promised() -> None:
    assert {path.stem for path in PAPERS} == ASKED


def test_sizes_are_the_published_ones_and_no_file_of_data_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    plain = builtins.open

    def watched(file: Any, *arguments: Any, **named: Any) -> Any:
        opened.append(str(file))
        return plain(file, *arguments, **named)

    monkeypatch.setattr(builtins, "open", watched)
    places = ["coop:${NOWHERE}/dtd", "vtab:/nowhere/vtab-1k/cifar?train=1000", "elevater:/nowhere/mnist_20211008",
              "coop-split:/nowhere/split_zhou_UCF101.json"]  # fmt: skip
    plan = planned(datasets=places)
    assert plan.datasets == {
        places[0]: {"classes": 47, "train": 2820, "val": 1128, "test": 1692},
        places[1]: {"classes": 100, "train": 1000, "test": 10000},
        places[2]: {"classes": 10, "train": 60000, "test": 10000},
        places[3]: {"classes": 101, "train": 7639, "val": 1898, "test": 3783},
    }
    assert not [file for file in opened if "nowhere" in file.lower()]


def test_hours_are_the_steps_and_looks_that_they_say() -> None:
    """CoOp by hand: 200 epochs of 752 // 32 + 1 batches, 16 contexts of 5 tokens a class and 17 more, three passes."""
    coop = planned(methods=[{"name": "coop", "context_length": 16}], datasets=["coop:/nowhere/dtd"])
    steps, tokens = 200 * (752 // 32), 47 * 5 + 17
    flops = 24 * 512**2 * 12 * tokens * 3 + 6 * 512 * (47 + 0) * 32
    hand = 0.1 + steps * (2e-3 / 8 + flops / 1e13)
    (cost,) = coop.methods.values()
    assert cost.gpu_hours * 3600 == pytest.approx(hand, rel=0.02)
    images = 1692 + 2820
    each = 4.5e-3 + 12 * (24 * 768**2 * 197 + 4 * 768 * 197**2) / (0.5 * 1e13)
    assert coop.looking * 3600 == pytest.approx(images * each, rel=1e-6)


def test_views_are_looked_at_once_for_all_methods_and_test_images_through_a_changed_tower_count() -> None:
    dtd = ["coop:/nowhere/dtd"]
    one = planned(methods=["coop"], datasets=dtd, views="online")
    two = planned(
        methods=["coop", {"name": "coop", "label": "again", "class_specific": True}], datasets=dtd, views="online"
    )
    plain = planned(methods=["coop"], datasets=dtd)
    assert two.looking == one.looking > 5 * plain.looking
    few = planned(methods=[{"name": "vpt", "epochs": 1}], datasets=["coop:/nowhere/eurosat"], shots=[1])
    scored = 8100 * 24 * 768**2 * 12 * 213 / 1e13
    (cost,) = few.methods.values()
    assert cost.gpu_hours * 3600 > scored


def test_a_search_is_reckoned_with_its_trials() -> None:
    searched = planned(methods=["coop"], datasets=["coop:/nowhere/dtd"], search={"trials": 5})
    assert searched.trials == 5
    assert searched.searching == pytest.approx(5 * searched.methods["coop"].gpu_hours, rel=0.2)
    drawn = planned(methods=["coop"], datasets=["coop:/nowhere/dtd"], search={"trials": 5, "ensemble": True})
    assert drawn.trials == 4, "the written configuration is a draw, and is in the grid"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"datasets": ["imagefolder:/nowhere/birds"]}, "nothing is published of how large"),
        ({"datasets": ["domains:/nowhere/PACS"]}, "nothing is published of how large"),
        ({"datasets": ["coop:/nowhere/food101"]}, "did you mean 'food-101'"),
        ({"backbones": [{"model": "hf-hub:org/name"}], "datasets": ["coop:/nowhere/dtd"]}, "stands in its files"),
        ({"backbones": [B16 | {"pretrained": "opnai"}], "datasets": ["coop:/nowhere/dtd"]}, "did you mean 'openai'"),
        ({"track": "text", "protocol": "text_few_shot", "backbones": [{"model": "minilm-l6-mlm"}],
          "datasets": ["lm-bff:/nowhere/SST-2"]}, "nothing is published of how large"),
    ],
)  # fmt: skip
def test_what_nobody_publishes_is_refused(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        planned(**facts)


def test_the_command_says_that_nothing_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = 'name: one\nprotocol: few_shot\nmethods: [zero_shot, coop]\ndatasets: ["coop:data/coop/dtd"]\nseeds: [1]\n'
    (tmp_path / "one.yaml").write_text(text + "backbones: [{model: ViT-B-16-quickgelu, pretrained: openai}]\n")
    shown = CliRunner().invoke(app, ["plan", "one.yaml", "--no-data"])
    assert shown.exit_code == 0, shown.output
    assert "nothing was looked at: no folder of data, no weights, no store" in shown.output
    assert "GPU-hours" in shown.output
    assert "basis:" in shown.output
    told = json.loads(CliRunner().invoke(app, ["plan", "one.yaml", "--no-data", "--json"]).stdout)
    assert told["no_data"] is True
    assert told["methods"]["coop"]["cells"] == 1
    assert told["gpu_hours"] == pytest.approx(
        told["looking_hours"] + sum(row["gpu_hours"] for row in told["methods"].values()), abs=1e-3
    )
    refused = CliRunner().invoke(app, ["plan", "one.yaml", "--no-data", "--workers", "2"])
    assert refused.exit_code == 2
    assert not (tmp_path / ".promptgrid").exists(), "no store was made"
