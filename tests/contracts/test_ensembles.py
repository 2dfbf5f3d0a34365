"""In every wing, an ensemble of one draw answers as that draw, bit by bit; of two, by their mean probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from tests.contracts import small_world as images
from tests.tracks.text import small_world as texts

from promptgrid.contract.track import Arrays, Outcome
from promptgrid.engine.planning.packing import ROOMS
from promptgrid.spec import Cell, Reason, SourceLost
from promptgrid.spec.ensembles import ensemble_of

CASES = [
    *((images, name) for name in ("zero_shot", "coop", "tip_adapter_f", "taskres", "maple", "tpt", "upl")),
    *((texts, name) for name in ("linear_probe", "prompt_tuning", "self_training", "full_finetune")),
]


def run(world: ModuleType, cells: Sequence[Cell], states: dict[str, Arrays]) -> list[Outcome]:
    def learned(key: str) -> Arrays:
        if key not in states:
            raise SourceLost("it is gone")
        return states[key]

    cache = world.MemoryCache()
    packs = [replace(pack, wanted=frozenset(cell.key for cell in pack.cells)) for pack in world.track().pack(cells)]
    found = {
        one.record.cell.key: one for pack in packs for one in world.track().run(pack, cache, "cpu", learned=learned)
    }
    return [found[cell.key] for cell in cells]


@pytest.mark.parametrize(("world", "method"), CASES, ids=[method for _, method in CASES])
def test_one_draw_alone_answers_as_it_did(world: ModuleType, method: str) -> None:
    (cell,) = world.track().resolve([world.request(method)])
    (draw,) = run(world, [cell], {})
    (alone,) = run(world, [ensemble_of(cell, [cell])], {cell.key: draw.state})
    assert alone.record.metrics == draw.record.metrics
    for one, other in zip(alone.predictions, draw.predictions, strict=True):
        assert (one.scores == other.scores).all()
        assert (one.top == other.top).all()
    assert alone.state == {}, "what answers is kept by the draws"
    assert alone.record.cost.trainable_parameters == 0, "a report adds those of the members"


@pytest.mark.parametrize(("world", "method"), [(images, "taskres"), (texts, "linear_probe")])
def test_two_draws_answer_by_their_mean_probability(world: ModuleType, method: str) -> None:
    track = world.track()
    name = next(iter(track.resolver.method(method).knobs()))
    low = track.resolver.method(method).knobs()[name].low
    cells = track.resolve([world.request(method), world.request(method, **{name: float(low)})])
    draws = run(world, cells, {})
    states = {one.record.cell.key: one.state for one in draws}
    (both,) = run(world, [ensemble_of(cells[0], cells)], states)
    chances = [np.exp(one.predictions[0].of_label - one.predictions[0].logsumexp) for one in draws]
    mine = both.predictions[0]
    np.testing.assert_allclose(np.exp(mine.of_label), (chances[0] + chances[1]) / 2, atol=1e-5)
    np.testing.assert_allclose(mine.logsumexp, 0.0, atol=1e-5)


def test_a_member_that_is_gone_fails_the_ensemble_and_it_waits() -> None:
    (cell,) = images.track().resolve([images.request("taskres")])
    (lost,) = run(images, [ensemble_of(cell, [cell])], {})
    assert lost.record.reason is Reason.NEEDS_FAILED


@pytest.mark.parametrize("world", [images, texts])
def test_more_members_are_expected_to_take_longer(world: ModuleType) -> None:
    method = "coop" if world is images else "prompt_tuning"
    cells = world.track().resolve([world.request(method), world.request(method, learning_rate=0.01)])
    one, two = (world.track().expect(ensemble_of(cells[0], own), ROOMS["cpu"]) for own in (cells[:1], cells))
    assert two.seconds == pytest.approx(2 * one.seconds)
