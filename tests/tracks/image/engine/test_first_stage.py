"""A first stage: learned once for all cells that begin from it, on classes and images that are none of theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from tests.contracts.small_world import MemoryCache, Pictures, SmallBackbones, SmallDatasets, request, track

from promptgrid.contract.clip import Dataset, Outcome
from promptgrid.contract.track import Arrays
from promptgrid.spec import Cell, Pack, Refused, Request
from promptgrid.spec.cell import digest
from promptgrid.tracks.image.track import ImageTrack

SHORT = {"source": "elsewhere", "source_steps": 3, "source_batch": 7, "steps": 2, "batch_size": 5}


class Elsewhere(Pictures):
    """Other pictures of other classes; ``shares``: a class name, or a picture, of the first."""

    def __init__(self, shares: str = "") -> None:
        super().__init__()
        names = ("pan", "pot", "lid", "jar", "blue_disc" if shares == "class" else "cup")
        self.shares = shares
        facts = {"name": f"elsewhere {shares}", "classes": names}
        self.card = self.card.model_copy(update={**facts, "sha256": digest(facts)})

    def read(self, index: int) -> Image.Image:
        own = super().read(index)
        return own if self.shares == "picture" and index == 3 else ImageOps.invert(own)


class Datasets(SmallDatasets):
    """``pictures``, ``elsewhere``, and two that share something with the first."""

    KNOWN: ClassVar = {"pictures": "", "elsewhere": "", "same_class": "class", "same_picture": "picture"}

    def knows(self, dataset: str) -> bool:
        return dataset in self.KNOWN

    def open(self, dataset: str) -> Dataset:
        return Pictures() if dataset == "pictures" else Elsewhere(self.KNOWN[dataset])


def wing() -> ImageTrack:
    own = track().resolver
    return ImageTrack(own.methods, [Datasets()], [SmallBackbones()], own.protocols, own.columns)


def asked(method: str = "pvp", seed: int = 1, **settings: Any) -> Request:
    return request(method, seed, "vision_few_shot", **{**SHORT, **settings})


def ran(requests: list[Request], cache: Any = None, on: ImageTrack | None = None) -> list[Outcome]:
    found = on or wing()
    cells = found.resolve(requests)
    pack = Pack(tuple(cells), wanted=frozenset(cell.key for cell in cells))
    outcomes = list(found.run(pack, cache or MemoryCache(), "cpu"))
    assert [one.record.status for one in outcomes] == ["done"] * len(cells), outcomes[0].record.log_tail
    return outcomes


class Counting(MemoryCache):
    """Says how many first stages were learned."""

    learned = 0

    def get(self, name: str, compute: Any) -> Arrays:
        if "first_stage" in name and name not in self.kept:
            self.learned += 1
        return super().get(name, compute)


def test_the_first_stage_is_a_plain_cell_of_the_source() -> None:
    (own,) = wing().resolve([asked(host_settings="learning_rate=0.05; prompt_length=3")])
    settings = {"learning_rate": 0.05, "prompt_length": 3, "steps": 3, "batch_size": 7}
    plain = replace(asked(), method="deep_prompts", dataset="elsewhere", shots=4096, settings=settings)
    (first,) = wing().resolve([plain])
    assert own.identity["first_stage"] == first.key
    assert own.needs == ()


def test_the_head_is_drawn_anew_and_the_rest_is_carried() -> None:
    stay = "learning_rate=0.000001; weight_decay=0; prompt_length=3"
    (outcome,) = ran([asked(host_settings=stay)])
    (random,) = ran([asked(source="", host_settings=stay)])
    first = wing().resolver.first_of(outcome.record.cell)
    assert first is not None
    (source,) = wing().run(Pack((first,), wanted=frozenset({first.key})), MemoryCache(), "cpu")
    np.testing.assert_allclose(outcome.state["prompt"], source.state["prompt"], atol=1e-5)
    np.testing.assert_allclose(outcome.state["head_weight"], random.state["head_weight"], atol=1e-5)
    assert np.abs(outcome.state["head_weight"] - source.state["head_weight"]).max() > 1e-3


def test_it_is_learned_once_for_shots_and_seeds_and_again_for_another_source_seed() -> None:
    cache = Counting()
    requests = [asked(seed=seed) for seed in (1, 2)] + [replace(asked(), shots=4)]
    outcomes = ran(requests, cache)
    assert cache.learned == 1
    assert len({one.record.cell.key for one in outcomes}) == 3
    ran([asked(source_seed=2)], cache)
    assert cache.learned == 2


@pytest.mark.parametrize("host", ["prompt_tuning", "deep_prompts", "lora", "adapter"])
def test_every_host_has_a_first_stage(host: str) -> None:
    (outcome,) = ran([asked(host=host)])
    (random,) = ran([asked(host=host, source="")])
    assert outcome.record.metrics["stage_one_examples"] == 3 * 7
    assert "stage_one_examples" not in random.record.metrics
    names = set(outcome.state) - {"head_weight", "head_bias"}
    assert any(np.abs(outcome.state[name] - random.state[name]).max() > 1e-4 for name in names)


def test_the_control_spends_it_on_a_head_and_never_touches_the_tower() -> None:
    (outcome,) = ran([asked("pvp_head", source_steps=20)])
    assert set(outcome.state) == {"map", "head_weight", "head_bias"}
    assert np.abs(outcome.state["map"] - np.eye(48)).max() > 5e-3
    assert outcome.record.metrics["stage_one_examples"] == 20 * 7


def test_a_source_smaller_than_a_batch_counts_as_what_it_has() -> None:
    (outcome,) = ran([asked(source_batch=64)])
    assert outcome.record.metrics["stage_one_examples"] == 3 * 40


def test_metrics_computed_again_have_what_was_spent() -> None:
    found = wing()
    (outcome,) = ran([asked()], on=found)
    assert found.rescored(outcome.record.cell, outcome.predictions) == pytest.approx(outcome.record.metrics)


def test_all_that_makes_the_first_stage_is_in_the_key() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"source_steps": 4}, {"source_batch": 8}, {"source_shots": 3}, {"source_seed": 2}, {"source": ""},
        {"host_settings": "prompt_length=3"}, {"host": "lora"},
    ]  # fmt: skip
    cells = wing().resolve([asked(**some) for some in changes])
    assert len({cell.identity.get("first_stage") for cell in cells}) == len(changes)
    assert len({cell.key for cell in cells}) == len(changes)
    assert "first_stage" not in wing().resolve([request("lora")])[0].identity


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("pictures", "has classes of"),
        ("same_class", "got 'blue"),
        ("same_picture", "has examples of"),
        ("nowhere", "nknown"),
    ],
)
def test_a_source_that_shares_something_is_refused(source: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        wing().resolve([asked(source=source)])


def test_a_method_with_a_source_of_its_own_begins_from_no_other() -> None:
    with pytest.raises(Refused, match="first stage of its own"):
        wing().resolve([replace(asked(), protocol="transfer", source="ordered:pictures", reading="adapt")])


def test_a_first_stage_that_fails_fails_its_cells_with_the_reason() -> None:
    found = wing()
    (cell,) = found.resolve([asked(host_settings="learning_rate=1", source_steps=3)])
    broken = found.resolver.method("deep_prompts")

    def nan(self: Any, task: Any, rng: Any) -> Any:
        return {"prompt": torch.full((task.tower.layers, self.prompt_length, task.tower.width), float("nan"))}

    before = broken.start
    try:
        broken.start = nan  # type: ignore[method-assign,assignment]
        (outcome,) = found.run(Pack((cell,), wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    finally:
        broken.start = before  # type: ignore[method-assign]
    assert outcome.record.status == "failed"
    assert "first stage failed" in outcome.record.message


def test_a_plan_counts_its_seconds_once() -> None:
    found = wing()
    cells = found.resolve([asked(seed=seed) for seed in range(1, 4)])
    bare = found.resolve([asked(seed=seed, source="") for seed in range(1, 4)])
    first = found.resolver.first_of(cells[0])
    assert isinstance(first, Cell)
    (alone,) = found.pack([first])
    seconds, without = (sum(pack.seconds for pack in found.pack(some)) for some in (cells, bare))
    assert seconds == pytest.approx(without + alone.seconds)
