"""Calibration, strangers, long tails and streams through the whole engine, on a small world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.contracts.small_world import MemoryCache, brief, request, track

from promptgrid.contract.clip import Outcome
from promptgrid.spec import Pack, Refused

CACHE = MemoryCache()


def ran(method: str, protocol: str, **changes: Any) -> Outcome:
    asked = replace(request(method, protocol=protocol, **brief(method)), **changes)
    (cell,) = track().resolve([asked])
    pack = Pack((cell,), wanted=frozenset({cell.key}))
    (outcome,) = track().run(pack, CACHE, "cpu")
    assert outcome.record.status == "done", outcome.record.log_tail
    return outcome


def test_calibration_of_a_learned_prompt() -> None:
    found = ran("coop", "calibration").record.metrics
    assert {"mean_ece", "base_ece", "new_ece", "base_accuracy", "new_accuracy", "harmonic_mean"} == found.keys()


def test_strangers_are_scored_and_leave_no_answers() -> None:
    outcome = ran("zero_shot", "ood_detection")
    assert {"accuracy", "auroc", "fpr95"} == outcome.record.metrics.keys()
    (known,) = outcome.predictions
    assert known.evaluation == "known"
    assert known.classes == ("red_square", "blue disc", "green fern leaf")
    assert known.logsumexp is not None
    assert 0.0 <= outcome.record.metrics["auroc"] <= 1.0


def test_a_temperature_is_another_cell_with_another_score() -> None:
    plain, mcm = (ran("zero_shot", name) for name in ("ood_detection", "ood_detection-50"))
    assert plain.record.cell.key != mcm.record.cell.key
    assert plain.record.metrics["accuracy"] == mcm.record.metrics["accuracy"]
    assert plain.record.metrics["auroc"] != mcm.record.metrics["auroc"]


def test_methods_of_their_own_classes_can_tell_strangers_too() -> None:
    assert "auroc" in ran("nearest_mean", "ood_detection").record.metrics


def test_a_long_tail_is_learned_from_fewer_images() -> None:
    outcome = ran("nearest_mean", "long_tail-8", shots=8)
    assert {"accuracy", "macro_f1", "tail_accuracy"} == outcome.record.metrics.keys()
    assert any("fewer than 8" in note for note in outcome.record.notes)


def test_a_stream_changes_the_order_and_no_answer() -> None:
    stream, plain = ran("zero_shot", "test_stream", shots=0), ran("zero_shot", "test_time", shots=0)
    assert stream.record.metrics["accuracy"] == plain.record.metrics["accuracy"]
    (given,), (other,) = stream.predictions, plain.predictions
    assert given.example.tolist() != other.example.tolist()
    np.testing.assert_array_equal(given.top[np.argsort(given.example), 0], other.top[np.argsort(other.example), 0])


def test_an_unknown_protocol_with_a_number_names_the_nearest() -> None:
    with pytest.raises(Refused, match="unknown protocol"):
        track().resolve([request("zero_shot", protocol="long_tale-8")])
    with pytest.raises(Refused, match="takes no number"):
        track().resolve([request("zero_shot", protocol="few_shot-8")])
