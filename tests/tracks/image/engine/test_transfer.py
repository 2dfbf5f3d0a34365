"""Cells that start from what another cell learned: scored as it is, or as the start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.tracks.image.small_study import Patches, cells_of, run_study, study_track

from promptgrid.contract.clip import Outcome
from promptgrid.engine.data import Opened
from promptgrid.engine.training.programs import start
from promptgrid.spec import Cell, Reason
from promptgrid.tracks.image.data.pack_data import ImageData
from promptgrid.tracks.image.data.tables import Looking
from promptgrid.tracks.image.track import ImageTrack

SHORT = {"epochs": 2, "batch_size": 3, "learning_rate": 0.05}
METHODS = [{"name": "coop", "context_length": 3}, {"name": "vpt", "tokens": 2}, {"name": "upt", "width": 8}]
PAIR = {"protocol": "transfer", "datasets": ["warm", "cold"], "sources": "datasets"}


@pytest.fixture(scope="module")
def wing() -> ImageTrack:
    return study_track()


@pytest.fixture(scope="module")
def cells(wing: ImageTrack) -> list[Cell]:
    methods = [method | SHORT for method in METHODS]
    return cells_of(wing, **PAIR, methods=methods, readings=["evaluate", "adapt"], seeds=[1, 2])


@pytest.fixture(scope="module")
def outcomes(wing: ImageTrack, cells: list[Cell]) -> dict[str, Outcome]:
    found = run_study(wing, cells)
    assert all(outcome.record.status == "done" for outcome in found.values())
    return found


def test_on_its_own_dataset_a_source_scores_as_it_did(cells: list[Cell], outcomes: dict[str, Outcome]) -> None:
    own = [cell for cell in cells if cell.reading == "evaluate" and cell.source == cell.dataset]
    assert len(own) == 2 * 2 * len(METHODS)
    for cell in own:
        here, there = outcomes[cell.key], outcomes[cell.needs[0]]
        assert here.record.metrics == there.record.metrics
        np.testing.assert_array_equal(here.predictions[0].scores, there.predictions[0].scores)


def test_elsewhere_it_is_what_the_learned_method_says_of_the_pictures(
    wing: ImageTrack, cells: list[Cell], outcomes: dict[str, Outcome]
) -> None:
    away = [cell for cell in cells if cell.reading == "evaluate" and (cell.source, cell.dataset) == ("warm", "cold")]
    cold = Patches("cold")
    pictures = [cold.read(index) for index in cold.splits["test"]]
    for cell in away:
        source = outcomes[cell.needs[0]]
        learned = wing.restore(source.record, source.state, source.about, "cpu").rebind(cold.card.classes)
        (given,) = outcomes[cell.key].predictions
        scores = torch.zeros(len(pictures), len(cold.card.classes)).scatter(
            1, torch.from_numpy(given.top).long(), torch.from_numpy(given.scores)
        )
        if cell.method != "vpt":  # its texts are the target's own template, which a learned method does not know
            torch.testing.assert_close(scores, learned.logits(pictures), rtol=1e-4, atol=1e-3)
        right = (given.top[:, 0] == given.label).mean()
        assert outcomes[cell.key].record.metrics["accuracy"] == right


def test_scoring_as_it_is_costs_no_training_and_keeps_no_copy(
    wing: ImageTrack, cells: list[Cell], outcomes: dict[str, Outcome]
) -> None:
    for cell in cells:
        found = outcomes[cell.key]
        learns = cell.reading != "evaluate"
        assert bool(found.state) == learns
        assert (found.record.cost.trainable_parameters > 0) == learns
        assert (found.record.cost.train_seconds > 0) == learns
        assert bool(found.record.curves) == learns


def test_adapting_starts_from_the_source_and_goes_on(
    wing: ImageTrack, cells: list[Cell], outcomes: dict[str, Outcome]
) -> None:
    for cell in cells:
        if cell.reading != "adapt":
            continue
        source = outcomes[cell.needs[0]].state
        begun = start(_data(wing, cell, lambda key: outcomes[key].state).prepare(cell), "cpu")
        for name, value in begun.items():
            np.testing.assert_array_equal(value.numpy(), source[name])
            assert not np.array_equal(outcomes[cell.key].state[name], source[name]), f"{name} did not move"


def test_sources_share_the_batches_of_the_target(cells: list[Cell], outcomes: dict[str, Outcome]) -> None:
    """The random streams are named by the split, which no source changes; only the start differs."""
    targets = [cell for cell in cells if cell.reading == "adapt" and cell.method == "coop" and cell.dataset == "cold"]
    ends = {(cell.source, cell.seed): outcomes[cell.key].state["context"] for cell in targets}
    assert not np.array_equal(ends["warm", 1], ends["cold", 1])
    assert len({cell.identity["split"] for cell in targets if cell.seed == 1}) == 1


def test_what_does_not_fit_fails_its_cell_alone(wing: ImageTrack) -> None:
    cells = cells_of(wing, **PAIR, methods=[METHODS[0] | SHORT], readings=["adapt"])
    target = next(cell for cell in cells if cell.source == "warm" and cell.dataset == "cold")
    data = _data(wing, target, lambda key: {"context": np.zeros((9, 32), np.float32)})
    with pytest.raises(ValueError, match=r"'context' learned on warm does not fit.*\(9, 32\).*\(3, 32\)"):
        start(data.prepare(target), "cpu")


def test_a_source_whose_state_is_gone_fails_its_targets_alone(wing: ImageTrack) -> None:
    cells = cells_of(wing, **PAIR, methods=[METHODS[0] | SHORT], readings=["evaluate", "adapt"])
    gone = next(cell.key for cell in cells if not cell.source and cell.dataset == "warm")
    found = run_study(wing, cells, lost=frozenset({gone}))
    for cell in cells:
        record = found[cell.key].record
        assert record.reason == (Reason.DATA_MISSING if gone in cell.needs else None), record.message


def _data(wing: ImageTrack, cell: Cell, learned: Any) -> ImageData:
    from tests.contracts.small_world import MemoryCache, backbone

    opened = Opened(
        method=wing.resolver.method(cell.method),
        dataset=wing.resolver.dataset(cell.dataset),
        protocol=wing.resolver.protocol(cell.protocol),
        device="cpu",
        split_of=wing.resolver.split,
        learned=learned,
    )
    return ImageData(opened, Looking(backbone(), MemoryCache(), wing.resolver.columns))
