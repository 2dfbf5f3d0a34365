"""The graph wing: its methods keep their promises, its cells are what they are alone, its pages are there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from tests.tracks.graph.world import CLASSES, dataset, tower

from promptgrid import catalog
from promptgrid.cluster.planner import requests_of
from promptgrid.contract.conformance import check_dataset, check_protocol
from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.track import Arrays, Outcome
from promptgrid.engine.rescoring import metrics_again
from promptgrid.engine.scoring import scores_of
from promptgrid.spec import Cell, DatasetCard, Pack, Refused, Suite
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.graph.backbone import GraphBackbone
from promptgrid.tracks.graph.backbones.towers import Towers
from promptgrid.tracks.graph.bundled.pretrain.recipe import recipes
from promptgrid.tracks.graph.bundled.pretrain.train import trained
from promptgrid.tracks.graph.conformance import check_method
from promptgrid.tracks.graph.datasets.graph import Graph, GraphDataset, Source
from promptgrid.tracks.graph.protocols.graph_classification import GraphClassification
from promptgrid.tracks.graph.track import GraphTrack

WING = catalog.track("graph")
METHODS = WING.resolver.methods  # type: ignore[attr-defined]
HOME = Path(__file__).parents[3]
CONTROLS = [("relief", {"nodes": "random"})]


class World(DatasetFamily):
    name = "world"

    def listing(self) -> list[DatasetCard]:
        return [dataset().card]

    def knows(self, dataset: str) -> bool:
        return dataset == "world"

    def open(self, dataset_: str) -> Dataset:
        return dataset()


class Tiny(Towers):
    name = "tiny"

    def listing(self) -> list[dict[str, object]]:
        return [{"name": "tiny", "about": "untrained"}]

    def knows(self, backbone: str) -> bool:
        return backbone == "tiny"

    def load(self, backbone: str, device: str) -> GraphBackbone:
        return replace(tower("gps"), digest="1" * 64)


class Nothing:
    def get(self, name: str, compute: Any) -> Arrays:
        found: Arrays = compute()
        return found


def small() -> GraphTrack:
    found = WING.resolver  # type: ignore[attr-defined]
    return GraphTrack(found.methods, [World()], [Tiny()], found.protocols, found.columns)


def cells_of(track: GraphTrack, methods: list[Any], **facts: Any) -> list[Cell]:
    said = {"name": "s", "track": "graph", "protocol": "graph_nodes", "backbones": ["tiny"], "datasets": ["world"],
            "methods": methods, "shots": [2], "seeds": [1, 2]} | facts  # fmt: skip
    return track.resolve([request for _, request in requests_of(Suite.model_validate(said), track)])


def outcomes(track: GraphTrack, cells: list[Cell]) -> list[Outcome]:
    keys = frozenset(cell.key for cell in cells)
    found = [one for pack in track.pack(cells) for one in track.run(replace(pack, wanted=keys), Nothing(), "cpu")]
    return sorted(found, key=lambda one: [cell.key for cell in cells].index(one.record.cell.key))


@pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in sorted(METHODS)), *CONTROLS])
def test_every_method_keeps_its_promises(name: str, settings: dict[str, Any]) -> None:
    check_method(METHODS[name], **settings)


def test_the_wing_is_small_because_the_engine_does_the_work() -> None:
    home = HOME / "platform/promptgrid/tracks/graph"
    own = [
        path for path in home.rglob("*.py") if path.relative_to(home).parts[0] not in ("methods", "datasets", "bundled")
    ]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in own) < 1500


LEARNING = ("gpf", "all_in_one", "graph_clip_prompt", "gcn_scratch", "relief", "fine_tuning")
SHORT = [{"name": name, "iterations": 2} for name in LEARNING]


@pytest.mark.parametrize("method", SHORT, ids=LEARNING)
def test_a_cell_is_the_same_alone_and_in_a_pack(method: dict[str, Any]) -> None:
    track = small()
    cells = cells_of(track, [method])
    together = outcomes(track, cells)
    for cell, one in zip(cells, together, strict=True):
        assert one.record.status == "done", one.record.reason
        (alone,) = track.run(Pack((cell,), wanted=frozenset({cell.key})), Nothing(), "cpu")
        for name, value in one.state.items():
            np.testing.assert_allclose(alone.state[name], value, rtol=1e-4, atol=1e-5)


def test_what_was_learned_is_used_again() -> None:
    track = small()
    for one in outcomes(track, cells_of(track, ["text_alone", "sgc", "linear_head", {"name": "gpf", "iterations": 3}])):
        learned = track.restore(one.record, one.state, one.about, "cpu")
        (told,) = one.predictions
        logits = learned.logits(dataset(), told.example.tolist())
        assert logits.argmax(1).tolist() == told.top[:, 0].tolist()
        assert set(learned.classify(dataset(), [0, 40])) <= set(CLASSES)


def test_zero_shot_takes_methods_without_labels_alone() -> None:
    track = small()
    found = outcomes(
        track, cells_of(track, ["graph_clip", "text_zero_shot"], protocol="graph_zero_shot", shots=[0], seeds=[1])
    )
    assert [one.record.status for one in found] == ["done", "done"]
    assert found[1].record.metrics["accuracy"] > 0.6, "features point to their class"
    with pytest.raises(Refused, match="learns from labelled nodes"):
        cells_of(track, ["gpf"], protocol="graph_zero_shot", shots=[0])
    with pytest.raises(Refused, match="learns from no labelled node"):
        cells_of(track, ["graph_clip"], protocol="graph_zero_shot", shots=[1])


def test_other_features_and_missing_sentences_are_refused() -> None:
    track = small()
    source = Source("w", "w", Graph(torch.zeros(20, 4), torch.zeros(0, 2, dtype=torch.int64)), [0, 1] * 10, ("a", "b"))
    bare = Source("b", "b", Graph(torch.zeros(20, 6), torch.zeros(0, 2, dtype=torch.int64)), [0, 1] * 10, ("a", "b"))

    class Others(World):
        def knows(self, dataset: str) -> bool:
            return dataset in ("w", "b")

        def open(self, dataset_: str) -> Dataset:
            return source.dataset() if dataset_ == "w" else bare.dataset()

    track.resolver.datasets = [Others()]
    with pytest.raises(Refused, match="reads other features"):
        cells_of(track, ["gpf"], datasets=["w"])
    cells_of(track, ["text_alone", "gcn_scratch"], datasets=["w"])
    with pytest.raises(Refused, match="sentences about classes"):
        cells_of(track, ["graph_clip"], datasets=["b"])


def rings() -> GraphDataset:
    """Sixty small graphs of two classes, told apart by their features."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(3, 6, 60)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    labels = [int(at % 3 == 0) for at in range(60)]
    features = rng.normal(0, 1, (starts[-1], 6)).astype(np.float32)
    for at, label in enumerate(labels):
        features[starts[at] : starts[at + 1], 0] += 2 * label
    links = [(a, a + 1) for at in range(60) for a in range(starts[at], starts[at + 1] - 1)]
    both = torch.tensor([*links, *((b, a) for a, b in links)])
    return Source(
        "rings", "rings", Graph(torch.from_numpy(features), both), labels, ("a", "b"), starts=starts
    ).dataset()


def test_graph_classification_draws_in_all_and_scores_the_curve() -> None:
    data = rings()
    split = GraphClassification().split(data, 10, 1)
    assert len(split.train) == 10
    assert {data.labels[index] for index in split.train} == {0, 1}
    assert split == GraphClassification().split(data, 10, 1) != GraphClassification().split(data, 10, 2)
    with pytest.raises(Refused, match="fewer labelled graphs than classes"):
        GraphClassification().check(data.card, 1)

    class Rings(World):
        def open(self, dataset_: str) -> Dataset:
            return data

    track = small()
    track.resolver.datasets = [Rings()]
    methods = ["text_alone", {"name": "gpf", "iterations": 3}]
    cells = cells_of(track, methods, protocol="graph_classification", shots=[10], seeds=[1])
    found = outcomes(track, cells)
    for one in found:
        assert one.record.status == "done"
        (told,) = one.predictions
        margin = np.where(told.top[:, 0] == 1, 1, -1) * (told.scores[:, 0] - told.scores[:, 1])
        assert one.record.metrics["roc_auc"] == pytest.approx(roc_auc_score(told.label, margin), abs=1e-6)
        again = metrics_again(GraphClassification(), one.record.cell, [told], {})
        assert again["roc_auc"] == pytest.approx(one.record.metrics["roc_auc"], abs=1e-6)


def test_the_area_under_the_curve_of_several_classes_is_sklearns() -> None:
    rng = torch.Generator().manual_seed(1)
    logits, labels = torch.randn(50, 3, generator=rng), torch.randint(3, (50,), generator=rng)
    wanted = roc_auc_score(labels, logits.double().softmax(1), multi_class="ovr")
    assert scores_of(logits, labels, ("roc_auc",))["roc_auc"] == pytest.approx(wanted)
    assert scores_of(logits, torch.zeros(50, dtype=torch.int64), ("roc_auc",))["roc_auc"] == 0.5


def test_protocols_and_datasets_keep_their_contracts() -> None:
    check_dataset(dataset())
    check_protocol(WING.resolver.protocol("graph_nodes"), dataset())  # type: ignore[attr-defined]
    check_protocol(WING.resolver.protocol("graph_classification"), rings())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_card_is_whole(name: str) -> None:
    card = WING.card(name)
    assert card["problems"] == []
    assert card["missing"] == []
    assert bool(card["losses"]["names"]) == (card["recipe"] is not None) == (card["cost"]["steps"] > 0)
    assert any(row["allowed"] for row in card["protocols"])


def test_there_is_no_card_without_a_method() -> None:
    folder = HOME / "platform/promptgrid/tracks/graph/methods/cards"
    assert {path.stem for path in folder.glob("*.yaml")} == METHODS.keys()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("gpf", 128 + 3 * 257),
        ("gpf_plus", 10 * 128 + 10 * 129 + 3 * 257),
        ("graph_prompt", 256),
        ("graph_clip_prompt", 10 * 128 + 10 * 129),
        ("linear_head", 3 * 257),
        ("sgc", 3 * 129),
    ],
)
def test_counts_are_those_of_the_formulas(name: str, count: int) -> None:
    assert WING.card(name)["learns"]["counts"][0]["count"] == count


def test_relief_counts_its_policies() -> None:
    """Three pairs of actors and one critic on seven nodes of 128 numbers, and a head."""
    flat = 7 * 128
    actors = 3 * ((64 * 129) + (32 * 65) + 32 + (64 * 129) + (64 * 65) + (128 * 65))
    critic = flat // 20 * (flat + 1) + flat // 40 * (flat // 20 + 1) + flat // 40 + 1
    assert WING.card("relief")["learns"]["counts"][0]["count"] == actors + critic + 3 * 257


def test_towers_that_ship_are_those_of_the_recipes_and_have_an_untrained_twin() -> None:
    names = {str(row["name"]) for row in Towers().listing()}
    assert names == {*recipes(), *(f"random:{name}" for name in recipes())}
    one, other = Towers().load("gin", "cpu"), Towers().load("random:gin", "cpu")
    assert one.shape == other.shape
    assert one.digest != other.digest


def test_training_goes_on_where_it_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptgrid.tracks.graph.bundled.pretrain.train.KEEP", 2)
    for name in ("gin", "gps"):
        recipe = recipes()[name].model_copy(update={"steps": 4, "batch": 4, "width": 8})
        said: list[str] = []
        whole = trained(recipe, name, [dataset()], tmp_path / "never", said.append) if (tmp_path / "never").mkdir(
            exist_ok=True) is None else {}  # fmt: skip
        (tmp_path / "never" / f"{name}.checkpoint.pt").unlink()
        trained(recipe.model_copy(update={"steps": 2}), name, [dataset()], tmp_path, said.append)
        resumed = trained(recipe.model_copy(update={"steps": 2}), name, [dataset()], tmp_path, said.append)
        assert resumed.keys() == whole.keys()
        assert all(torch.isfinite(value).all() for value in whole.values())


def test_suites_are_planned_and_name_every_method() -> None:
    named = set()
    for path in sorted((HOME / "suites/graph").glob("*.yaml")):
        suite = Suite.model_validate(read_yaml(path))
        cells = WING.resolve([request for _, request in requests_of(suite, WING)])
        named |= {cell.method for cell in cells}
        assert not any(WING.cut(cell) for cell in cells)
    assert named == METHODS.keys()


def test_rows_about_what_there_is() -> None:
    assert {row["name"] for row in WING.describe("datasets")} == {"foldoc", "wordnet_verbs", "debian_packages"}
    assert WING.known_as("dataset", "planetoid:/data/Cora") == "Cora"
    assert json.dumps(WING.describe("backbones"))
    assert isinstance(WING.describe("protocols")[0]["about"], str)
