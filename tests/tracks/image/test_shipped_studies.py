"""The suites with sources that ship: every cell can be planned, and what their comments say of the data holds."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from promptgrid import catalog
from promptgrid.cluster.search.search import knobs_of, make_search
from promptgrid.contract.clip import Task
from promptgrid.contract.clip.practice import PracticeBackbone
from promptgrid.spec import Cell, Machine, Suite, read_suite
from promptgrid.store import Store
from promptgrid.tracks.image.datasets.bundled import Bundled, BundledDataset
from promptgrid.tracks.image.track import ImageTrack

SUITES = Path(__file__).parents[3] / "suites"
POOLED = ["unlabelled", "semi_supervised", "transductive_zero_shot"]
STUDIES = [
    *("transfer_400", "transfer_400_adapt", "multitask"),
    *("cross_dataset", "domain_generalization", "leave_one_domain_out"),
]


def _cells(track: ImageTrack, name: str) -> list[Cell]:
    suite = read_suite(SUITES / f"{name}.yaml")
    return track.resolve([request for _, request in suite.requests(track.bundled_datasets())])


@pytest.mark.parametrize("name", STUDIES)
def test_every_target_waits_for_a_cell_of_its_own_suite(image_track: ImageTrack, name: str) -> None:
    cells = _cells(image_track, name)
    keys = {cell.key for cell in cells}
    targets = [cell for cell in cells if cell.source]
    assert targets
    assert all(set(cell.needs) <= keys for cell in targets)
    packs = image_track.pack(list({cell.key: cell for cell in cells}.values()))
    assert Counter(cell.key for pack in packs for cell in pack.cells) == Counter(keys)


@pytest.mark.parametrize("name", POOLED)
def test_a_suite_with_a_pool_can_be_planned_and_tells_no_label(image_track: ImageTrack, name: str) -> None:
    cells = _cells(image_track, name)
    assert {cell.protocol for cell in cells} == {{"unlabelled": "unsupervised"}.get(name, name)}
    for split in map(image_track.resolver.split, {cell.identity["split"]: cell for cell in cells}.values()):
        tested = {index for evaluation in split.evaluations for index in evaluation.indices}
        assert split.unlabelled
        assert not {*split.train, *split.val, *tested} & {*split.unlabelled}


def test_twenty_sources_on_one_target_are_one_pack(image_track: ImageTrack) -> None:
    cells = _cells(image_track, "transfer_400")
    packs = [pack for pack in image_track.pack(cells) if pack.cells[0].source]
    assert {len(pack.cells) for pack in packs if pack.cells[0].reading == "evaluate"} == {20}
    assert len(packs) < 150


def test_adapting_vpt_and_upt_starts_from_the_cells_of_the_first_study(image_track: ImageTrack) -> None:
    first, second = ({cell.key: cell for cell in _cells(image_track, f"transfer_400{end}")} for end in ("", "_adapt"))
    new = [cell for cell in second.values() if cell.source]
    assert Counter((cell.method, cell.reading) for cell in new) == {("vpt", "adapt"): 400, ("upt", "adapt"): 400}
    assert second.keys() & first.keys() == second.keys() - {cell.key for cell in new}
    assert {need for cell in new for need in cell.needs} <= first.keys()


def test_a_paper_faithful_study_augments_online_with_the_papers_own_epochs(image_track: ImageTrack) -> None:
    cells = _cells(image_track, "paper_faithful")
    assert {cell.views for cell in cells} == {"online"}
    assert {cell.shots for cell in cells} == {1, 2, 4, 8, 16}
    assert {cell.settings["context_length"] for cell in cells if cell.method == "coop"} == {16}
    coop = {1: 50, 2: 100, 4: 100, 8: 200, 16: 200}
    own = {"coop": coop, "prograd": coop} | {
        method: dict.fromkeys(coop, epochs) for method, epochs in {"kgcoop": 100, "cocoop": 10, "maple": 5}.items()
    }
    batches = {"coop": 32, "prograd": 32, "kgcoop": 128, "cocoop": 1, "maple": 4}
    for cell in cells:
        card = image_track.resolver.dataset(cell.dataset).card
        task = Task.of(card.name, tuple(card.classes), card.template, PracticeBackbone(), shots=cell.shots)
        recipe = image_track.resolver.method(cell.method)(**cell.settings).recipe(task)
        if cell.method in {"zero_shot", "linear_probe"}:
            assert recipe is None
        else:
            assert recipe is not None
            assert (recipe.epochs, recipe.batches.size) == (own[cell.method][cell.shots], batches[cell.method])
    packs = image_track.pack(cells)
    assert Counter(cell.key for pack in packs for cell in pack.cells) == Counter(cell.key for cell in cells)


def test_targets_across_datasets_share_no_picture_with_what_was_learned(image_track: ImageTrack) -> None:
    bundled = Bundled()

    def pictures(name: str, split: str) -> set[str]:
        task = bundled.open(name)
        assert isinstance(task, BundledDataset)
        return {sha256(task.images[index].as_py()).hexdigest() for index in task.splits[split]}

    shown = pictures("concepts", "train")
    targets = {cell.dataset for cell in _cells(image_track, "cross_dataset") if cell.source}
    assert len(targets) == 9
    assert all(not shown & pictures(name, "test") for name in targets)
    assert len(shown & pictures("things", "test")) > 50, "why things is left out"


def test_vendors_without_one_draw_what_it_never_showed(image_track: ImageTrack) -> None:
    """Leave one domain out: the union of the other three, each class of each vendor k times."""
    cells = _cells(image_track, "leave_one_domain_out")
    for cell in cells:
        if cell.source:
            assert cell.dataset not in cell.source.split("|")
            split = image_track.resolver.split(image_track.resolve([_plain(cell)])[0])
            assert len(split.train) == 3 * 15 * cell.shots


def _plain(cell: Cell):  # type: ignore[no-untyped-def]
    from promptgrid.engine.planning.sources import source_request
    from promptgrid.spec import Request

    named = {name: getattr(cell, name) for name in Request.__dataclass_fields__}
    request = Request(**named)
    return source_request(request, catalog.track("image").resolver.protocol(request.protocol))


@pytest.mark.parametrize(("machine", "packs"), [("cpu", 16), ("cuda", 2)])
def test_cells_at_real_size_are_packed_on_a_gpu(image_track: ImageTrack, machine: Machine, packs: int) -> None:
    """CoOp on ViT-B/16, eight seeds on each of two tasks: alone on a CPU, where each takes minutes."""
    asked = {"protocol": "few_shot", "methods": [{"name": "coop", "context_length": 16}], "shots": [16]}
    asked |= {"backbones": ["ViT-B-16@random"], "datasets": ["weather", "digits"], "seeds": [*range(1, 9)]}
    suite = Suite.model_validate(asked | {"name": "real"})
    cells = image_track.resolve([request for _, request in suite.requests([])])
    found = image_track.pack(cells, machine)
    assert len(found) == packs
    assert sorted(cell.key for pack in found for cell in pack.cells) == sorted(cell.key for cell in cells)


def test_every_few_shot_method_has_the_same_budget_of_search(image_track: ImageTrack, tmp_path: Path) -> None:
    suite, board = read_suite(SUITES / "searched.yaml"), read_suite(SUITES / "methods.yaml")
    assert {entry.name for entry in suite.methods} == {entry.name for entry in board.methods}
    search = make_search(suite, Store(tmp_path), track=image_track)
    knobs = knobs_of(image_track)
    for study in search.studies:
        assert len(study.trials) == (suite.search.trials if study.space else 1)
        assert ("epochs" in study.space) == ("epochs" in knobs[study.method])
        assert ("learning_rate" in study.space) == ("learning_rate" in knobs[study.method])
    assert (len(suite.datasets), suite.shots, len(suite.seeds)) == (3, [16], 3)
    assert [study.method for study in search.studies if not study.space] == ["zero_shot"]
