"""Every method that the catalogue finds keeps the contract, by itself and inside the engine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from tests.contracts.small_world import MemoryCache, backbone, brief, open_clip_model, request, track

from promptgrid.contract.clip import Method, Outcome
from promptgrid.contract.clip.black_box import INSIDE_IMAGES
from promptgrid.contract.clip.conformance import check_method
from promptgrid.contract.track import Arrays
from promptgrid.spec import Cell, Pack, Reason, Refused
from promptgrid.store import Store

METHODS = sorted(track().resolver.methods)
TRAINED = [name for name in METHODS if "learning_rate" in track().resolver.method(name).defaults()]
HIGHEST = 0.001
"""Cells learn at this rate at most, where a method allows it: from a higher one rounding errors grow."""
SATURATED = {"bar"}
"""At any rate at all they stay finite: what they learn goes through a sigmoid."""
LEARNED = [name for name in METHODS if track().resolver.method(name).axes.supervision != "none"]
"""Those that learn from more than the test image."""
PROBES = {"linear_probe", "tower_probe"}
"""Regressions of scikit-learn, on logits of no scale."""
ON_CLASS_TOKENS = {"mapped_head", "pvp_head"}
"""They learn from the column ``unprojected``, which is made of pixels anew."""
READS_FEATURES = [
    name
    for name in METHODS
    if name in set(LEARNED) - ON_CLASS_TOKENS
    and not (INSIDE_IMAGES | {"unlabelled"}) & track().resolver.method(name).needs
]
"""Those that learn, and from features of a few images: pixels cannot be NaN, and a pool is shared by all cells."""
every_method = pytest.mark.parametrize("name", METHODS)
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "coop": [{"class_specific": True}, {"position": "middle"}, {"words": "a photo of a", "context_length": 4}],
    "vpt": [{"deep": False}, {"place": "end", "before_norm": True, "start": "normal", "texts": "dataset"}],
    "upt": [{"attends": "across"}],
    "mvlpt_coop": [{"softmax": "own_task", "batches": "by_task"}],
    "prograd": [{"every_token": True}],
    "taskres": [{"underscores": "spaces"}],
    "clap": [{"penalty": "none", "underscores": "spaces"}],
    "prolip": [{"penalty": "inverse_square"}, {"penalty": "fixed", "strength": 2.0}],
    "two_stage": [{"texts": "dataset", "keep_last": False}],
    "clip_lora": [{"texts": "dataset", "keep_last": False}],
    "lafter": [{"guesses_by": "frozen"}],
    "upl": [{"vote": "probabilities"}],
    "fpl": [{"braces": True}],
    "tip_adapter": [{"search_on": "few"}],
    "stata": [{"counts": "soft"}, {"neighbours": 1, "smoothness": 0.0}],
}


def test_the_catalogue_finds_the_first_methods() -> None:
    assert {"zero_shot", "linear_probe", "coop", "cocoop", "kgcoop", "prograd", "clip_adapter"} <= set(METHODS)
    assert {"tip_adapter", "tip_adapter_f", "taskres", "vpt", "maple", "clip_lora"} <= set(METHODS)


@every_method
def test_it_keeps_the_contract(name: str) -> None:
    before = _weights()
    check_method(track().resolver.method(name), backbone())
    assert _weights() == before, "a frozen weight changed"
    assert not any(weight.requires_grad or weight.grad is not None for weight in open_clip_model().parameters())


@pytest.mark.parametrize(("name", "settings"), [(name, some) for name in VARIANTS for some in VARIANTS[name]])
def test_its_variants_keep_the_contract(name: str, settings: dict[str, Any]) -> None:
    check_method(track().resolver.method(name), backbone(), **settings)


@every_method
def test_a_cell_scores_the_same_alone_and_in_company(name: str, packed: dict[str, list[Outcome]]) -> None:
    unit = 1.0 if name in PROBES else backbone().logit_scale
    for company in packed[name]:
        (alone,) = _run([company.record.cell])
        assert alone.record.cost.packed_with == 1
        _close(alone.state, company.state)
        scores, wanted = (_by_class(outcome) / unit for outcome in (alone, company))
        np.testing.assert_allclose(scores, wanted, rtol=ROUNDING, atol=ROUNDING)


@every_method
def test_the_same_pack_gives_the_same_bits(name: str, packed: dict[str, list[Outcome]]) -> None:
    for first, again in zip(packed[name], _run(_cells(name)), strict=True):
        _same_bits(first, again)


@every_method
def test_a_resumed_cell_has_the_bits_it_would_have_had(name: str, packed: dict[str, list[Outcome]]) -> None:
    cells = _cells(name)
    (resumed,) = _run(cells, wanted=cells[1:2])
    _same_bits(packed[name][1], resumed)


@pytest.mark.parametrize("name", LEARNED)
def test_seeds_matter(name: str, packed: dict[str, list[Outcome]]) -> None:
    states = [outcome.state for outcome in packed[name]]
    assert any(not np.array_equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name", [name for name in TRAINED if name not in SATURATED])
def test_a_diverging_cell_fails_alone(name: str, packed: dict[str, list[Outcome]]) -> None:
    cells = _cells(name)
    wild = cells[1].model_copy(update={"settings": cells[1].settings | {"learning_rate": 3e38}})
    wild = wild.model_copy(update={"identity": wild.identity | {"settings": "a learning rate of 3e38"}})
    first, lost, last = _run([cells[0], wild, cells[2]])
    assert lost.record.status == "failed"
    assert lost.record.reason is Reason.NAN_LOSS, lost.record.log_tail
    assert lost.record.cell.key == wild.key
    _same_bits(packed[name][0], first)
    _same_bits(packed[name][2], last)


@pytest.mark.parametrize("name", READS_FEATURES)
def test_a_poisoned_support_fails_its_cell_alone(name: str, packed: dict[str, list[Outcome]]) -> None:
    """One training image that only the second cell draws has NaN for a feature."""
    cells = _cells(name)
    outcomes = _run(cells, cache=Poisoned(_only_in(cells[1], cells)))
    assert [outcome.record.status for outcome in outcomes] == ["done", "failed", "done"]
    by_library = {Reason.PLUGIN_ERROR} if name in PROBES else set()
    assert outcomes[1].record.reason in {Reason.NAN_LOSS} | by_library, outcomes[1].record.log_tail
    _same_bits(packed[name][0], outcomes[0])
    _same_bits(packed[name][2], outcomes[2])


@every_method
def test_base_to_new_takes_open_vocabularies_only(name: str) -> None:
    asked = request(name, protocol="base_to_new", **brief(name))
    method = track().resolver.method(name)()
    if not method.open_vocabulary or "unlabelled" in method.assets or method.joint:
        with pytest.raises(Refused, match=name):
            track().resolve([asked])
        return
    (outcome,) = _run(track().resolve([asked]))
    assert outcome.record.status == "done", outcome.record.log_tail
    assert {"base_accuracy", "new_accuracy", "harmonic_mean"} <= outcome.record.metrics.keys()
    base, new = outcome.predictions
    assert (base.top.shape[1], new.top.shape[1]) == (3, 2), "5 classes: 3 base, 2 new"


def test_a_setting_that_closes_the_vocabulary_is_refused_too() -> None:
    with pytest.raises(Refused, match="not trained on"):
        track().resolve([request("coop", protocol="base_to_new", class_specific=True)])


@every_method
def test_what_was_learned_is_used_again(name: str, packed: dict[str, list[Outcome]], store: Store) -> None:
    """Through the store and back: the logits kept with the record come out again."""
    outcome = packed[name][0]
    store.commit(outcome)
    record = store.read(outcome.record.cell.key)
    learned = track().restore(record, store.state(record.cell.key), store.about(record.cell.key), "cpu")
    dataset = track().resolver.dataset("pictures")
    logits = learned.logits([dataset.read(index) for index in dataset.splits["test"]])
    unit = 1.0 if name in PROBES else backbone().logit_scale
    np.testing.assert_allclose(logits.numpy() / unit, _by_class(outcome) / unit, rtol=ROUNDING, atol=ROUNDING)
    if learned.method.open_vocabulary and "descriptions" in learned.method.assets:
        with pytest.raises(ValueError, match="'a lamp' has no description"):
            learned.rebind(["a lamp", "a boat"]).logits([dataset.read(0)])
    elif learned.method.open_vocabulary:
        assert learned.rebind(["a lamp", "a boat"]).logits([dataset.read(0)]).shape == (1, 2)
    else:
        with pytest.raises(ValueError, match="not trained on"):
            learned.rebind(["a lamp", "a boat"])


def test_knobs_share_a_pack_and_other_settings_do_not() -> None:
    asked = [request("coop", context_length=4), request("coop", context_length=4, learning_rate=0.01)]
    asked += [request("coop", context_length=8), request("coop", context_length=4, seed=2)]
    packs = track().pack(track().resolve(asked))
    assert sorted(len(pack.cells) for pack in packs) == [1, 3]


@pytest.fixture(scope="module")
def packed() -> dict[str, list[Outcome]]:
    """Every method, three seeds in one pack."""
    return Packed()


class Packed(dict[str, list[Outcome]]):
    """Outcomes by method, run when first asked for."""

    def __missing__(self, name: str) -> list[Outcome]:
        self[name] = _run(_cells(name))
        assert [outcome.record.status for outcome in self[name]] == ["done"] * 3, self[name][0].record.log_tail
        return self[name]


@dataclass
class Poisoned(MemoryCache):
    """Gives out features in which one training image is NaN."""

    row: int

    def __post_init__(self) -> None:
        super().__init__()

    def spoil(self, arrays: Arrays) -> Arrays:
        train = len(track().resolver.dataset("pictures").splits["train"])
        if len(arrays["features"]) != train:
            return arrays
        features = arrays["features"].copy()
        features[self.row] = np.nan
        return arrays | {"features": features}


def _only_in(cell: Cell, cells: list[Cell]) -> int:
    """A training image of ``cell`` that no other of ``cells`` draws."""
    dataset, protocol = track().resolver.dataset("pictures"), track().resolver.protocol("few_shot")
    drawn = {other.key: set(protocol.split(dataset, other.shots, other.seed).train) for other in cells}
    own = drawn.pop(cell.key)
    return dataset.splits["train"].index(min(own - set().union(*drawn.values())))


def _cells(name: str) -> list[Cell]:
    """Seeds 1, 2, 3, and rates of their own where there are rates."""
    method: type[Method] = track().resolver.method(name)
    rate, knob = method.defaults().get("learning_rate"), method.knobs().get("learning_rate")
    rate = min(rate, max(HIGHEST, 2.0 * knob.low)) if rate and knob else rate
    own = [{"learning_rate": rate * factor} if rate else {} for factor in (1.0, 2.0, 0.5)]
    return track().resolve([request(name, seed, **brief(name), **own[seed - 1]) for seed in (1, 2, 3)])


def _run(cells: list[Cell], wanted: list[Cell] | None = None, cache: MemoryCache | None = None) -> list[Outcome]:
    keys = frozenset(cell.key for cell in (cells if wanted is None else wanted))
    return list(track().run(replace(Pack(tuple(cells)), wanted=keys), cache or MEMORY, "cpu"))


MEMORY = MemoryCache()
ROUNDING = 5e-5
"""Of float32 sums, which processors make in orders of their own, behind a training."""


def _by_class(outcome: Outcome) -> Any:
    """(N, C) scores, in the order of the images."""
    (given,) = outcome.predictions
    scores = np.zeros(given.scores.shape)
    np.put_along_axis(scores, given.top.astype(int), given.scores, axis=1)
    return scores[np.argsort(given.example)]


def _close(found: Arrays, wanted: Arrays) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        ours, theirs = _seen(name, found[name]), _seen(name, value)
        np.testing.assert_allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING, err_msg=name)


def _seen(name: str, value: Any) -> Any:
    """Without the bias of keys, which softmax does not see: its gradient is rounding, and AdamW makes steps of it."""
    if not name.endswith("in_proj_bias"):
        return value
    queries, _, values = np.split(value, 3)
    return np.concatenate([queries, values])


def _same_bits(one: Outcome, other: Outcome) -> None:
    assert one.record.cell.key == other.record.cell.key
    assert one.record.metrics == other.record.metrics
    assert one.record.curves == other.record.curves
    assert one.state.keys() == other.state.keys()
    for name in one.state:
        assert one.state[name].tobytes() == other.state[name].tobytes(), name
    for first, second in zip(one.predictions, other.predictions, strict=True):
        assert first.scores.tobytes() == second.scores.tobytes()
        assert first.top.tobytes() == second.top.tobytes()


def _weights() -> str:
    found = hashlib.sha256()
    for name, weight in sorted(open_clip_model().state_dict().items()):
        found.update(name.encode() + weight.contiguous().numpy().tobytes())
    return found.hexdigest()
