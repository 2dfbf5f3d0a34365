"""Every text method through the engine: packs, resumed packs, kept states, the protocols that admit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.tracks.text import small_world
from tests.tracks.text.small_world import MemoryCache, brief, request, track

from promptgrid.contract.track import Outcome
from promptgrid.spec import Cell, Pack, Refused

METHODS = sorted(track().resolver.methods)
CONTROLS: list[tuple[str, dict[str, Any]]] = [
    ("ept", {"fusion": False}),
    ("ept", {"spaces": 0}),
    ("iapt", {"activation": "relu"}),
    ("iapt", {"activation": "gelu"}),
    ("pcp", {"labels": "random"}),
    ("pcp", {"labels": "gold"}),
    ("bayes_prompt", {"domain": "noise"}),
    ("sci_prompt", {"verbalizer": "soft"}),
    ("sci_prompt", {"tunes": "answer"}),
    ("zero_shot", {"calibration": "empty"}),
    ("zero_shot", {"calibration": "support", "words": "all"}),
    ("prompt_tuning", {}),
]
CACHE = MemoryCache()
CLOSE = 2e-4
"""Of metrics and parameters of a cell in a pack and alone: products of other shapes round otherwise."""


def outcomes(cells: Sequence[Cell], wanted: Sequence[Cell] | None = None) -> dict[str, Outcome]:
    """What the ``wanted`` cells of packs of ``cells`` gave, by key."""
    keys = frozenset(cell.key for cell in (cells if wanted is None else wanted))
    packs = [replace(pack, wanted=keys & {cell.key for cell in pack.cells}) for pack in track().pack(cells)]
    found = [one for pack in packs for one in track().run(pack, CACHE, "cpu")]
    return {one.record.cell.key: one for one in found}


def finished(method: str, **more: Any) -> Outcome:
    """One cell of ``method``."""
    (cell,) = track().resolve([request(method, **more)])
    (one,) = outcomes([cell]).values()
    assert one.record.status == "done", one.record.log_tail
    return one


def test_there_are_twenty_methods() -> None:
    rows = track().describe("methods")
    assert len(rows) >= 20
    assert all(row["about"] and row["paper"] for row in rows)


@pytest.mark.parametrize("method", METHODS)
def test_a_pack_gives_what_its_cells_give_alone_and_resumes_to_the_bit(method: str) -> None:
    cells = track().resolve([request(method, seed=seed) for seed in (1, 2)])
    together = outcomes(cells)
    assert all(one.record.status == "done" for one in together.values()), next(iter(together.values())).record.log_tail
    resumed = outcomes(cells, cells[1:])[cells[1].key]
    first = together[cells[1].key]
    assert resumed.record.metrics == first.record.metrics
    assert all(np.array_equal(resumed.state[name], value) for name, value in first.state.items())
    alone = outcomes(cells[1:])[cells[1].key]
    for name, value in first.state.items():
        gap = float(np.abs(alone.state[name] - value).max()) if value.size else 0.0
        assert gap <= CLOSE * max(1.0, float(np.abs(value).max()) if value.size else 1.0), name


@pytest.mark.parametrize(("method", "settings"), CONTROLS, ids=lambda value: str(value))
def test_controls_run(method: str, settings: dict[str, Any]) -> None:
    one = finished(method, **settings)
    assert one.record.metrics[track().headline(one.record.cell.protocol)] >= 0


@pytest.mark.parametrize("method", ["linear_probe", "prompt_tuning", "prompt_finetune", "zero_shot", "p_tuning_v2"])
def test_what_was_learned_classifies_texts_as_it_was_scored(method: str) -> None:
    one = finished(method)
    learned = track().restore(one.record, one.state, one.about, "cpu")
    (given,) = one.predictions
    texts = [small_world.dataset().read(int(index)) for index in given.example]
    answers = learned.classify(texts)
    logits = learned.logits(texts)
    assert isinstance(answers, list)
    top = torch.from_numpy(given.scores[:, 0])
    assert torch.allclose(logits.max(1).values, top, atol=1e-4)
    single = learned.classify("the film was fun")
    assert not isinstance(single, list)
    assert single.name in learned.classes
    assert abs(sum(score for _, score in single.ranked) - 1) < 1e-6


def test_what_is_no_text_is_refused() -> None:
    one = finished("linear_probe")
    learned = track().restore(one.record, one.state, one.about, "cpu")
    with pytest.raises(TypeError, match="expected a text"):
        learned.classify([3])


def test_another_backbone_than_learned_on_is_refused() -> None:
    one = finished("linear_probe")
    cell = one.record.cell
    other = cell.model_copy(update={"identity": {**cell.identity, "backbone": "0" * 64}})
    with pytest.raises(Refused, match="not the one this was learned on"):
        track().restore(one.record.model_copy(update={"cell": other}), one.state, one.about, "cpu")


def test_pairs_are_read_as_pairs() -> None:
    assert finished("prompt_tuning", dataset="pairs").record.status == "done"
    assert finished("prompt_finetune", dataset="pairs").record.status == "done"


def test_frozen_states_are_computed_once() -> None:
    finished("linear_probe")
    names = set(CACHE.kept)
    finished("linear_probe", seed=5)
    assert set(CACHE.kept) == names


def test_training_texts_are_as_wide_as_the_longest_of_the_pack() -> None:
    from promptgrid.engine.data import Opened
    from promptgrid.tracks.text.data.pack_data import TextData

    cells = tuple(track().resolve([request("prompt_tuning", seed=seed) for seed in (1, 2)]))
    resolver = track().resolver

    def data_of(some: tuple[Cell, ...]) -> TextData:
        method, protocol = resolver.method("prompt_tuning"), resolver.protocol("text_few_shot")
        opened = Opened(method, small_world.dataset(), protocol, "cpu", resolver.split, lambda key: {}, some)
        return track().data_of(cells[0], opened, CACHE, lambda: None)

    data = data_of(cells)
    widths = [data.training_set(cell).columns["tokens"].values.shape[1] for cell in cells]  # type: ignore[union-attr]
    lengths = [data.backbone.tokenize([small_world.dataset().read(i).a]).ids.shape[1]
               for cell in cells for i in data.split(cell).train]  # fmt: skip
    assert widths == [max(lengths)] * 2


def test_a_tower_without_masks_takes_no_template() -> None:
    with pytest.raises(Refused, match="fills none"):
        track().resolve([request("prompt_finetune", backbone="no-masks")])
    with pytest.raises(Refused, match="fills none"):
        track().resolve([request("dept", backbone="no-masks", answers="words")])
    assert track().resolve([request("prompt_tuning", backbone="no-masks")])


def test_what_was_learned_on_a_source_is_scored_and_goes_on() -> None:
    """Answers by words apply to any classes, so the source's prompt is scored on the target as it is."""
    source = finished("dept", answers="words")
    learned = {source.record.cell.key: source.state}
    asked = {"protocol": "text_transfer", "source": "sentences", "dataset": "other", "answers": "words"}
    cells = track().resolve([request("dept", reading=reading, **asked) for reading in ("evaluate", "adapt")])
    for cell in cells:
        assert cell.needs == (source.record.cell.key,)
        (pack,) = track().pack([cell])
        (one,) = track().run(replace(pack, wanted=frozenset({cell.key})), CACHE, "cpu", learned=learned.__getitem__)
        assert one.record.status == "done", one.record.log_tail
        assert bool(one.state) == (cell.reading == "adapt")


def test_a_method_on_relations_needs_them() -> None:
    with pytest.raises(Refused, match="marks no entities"):
        track().resolve([request("know_prompt", dataset="sentences", protocol="text_few_shot")])


def test_costs_are_expected_and_frozen_states_shared() -> None:
    (cell,) = track().resolve([request("linear_probe")])
    assert track().shared(cell, ()) is not None
    outcomes([cell])
    assert track().shared(cell, tuple(CACHE.kept)) is None
    (tuned,) = track().resolve([request("prompt_finetune")])
    assert track().shared(tuned, ()) is None
    (pack,) = track().pack([tuned])
    assert isinstance(pack, Pack)
    assert pack.seconds > 0


def test_a_preview_says_template_and_words() -> None:
    found = track().preview("sentences")
    assert found["mask_templates"] == ["{text} It was {mask}."]
    assert next(iter(found["label_words"].values())) == ["great", "good", "fun"]
    assert found["classes"][0]["train"] == 8


def test_settings_are_brief() -> None:
    assert brief("prompt_tuning") == {"steps": 3, "batch_size": 4, "prompt_length": 3}


def test_a_tower_of_its_own_is_expected_among_what_is_learned() -> None:
    frozen, tuned = track().resolve([request("prompt_tuning"), request("cls_finetune")])
    assert track().state_mb(frozen) == 0
    learned = track().resolver.method("cls_finetune")
    assert "weights" in learned.needs
    width, layers, vocabulary = (track().resolver.sizes("tiny")[name] for name in ("width", "layers", "vocabulary"))
    assert track().state_mb(tuned) == pytest.approx(4e-6 * (vocabulary * width + 12 * layers * width**2))
