"""Metrics computed again from what records keep of answers: five classes an example, and how sure the first was."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from promptgrid.api.recomputing import Recomputed, check_metrics
from promptgrid.contract.track import Predictions, Track
from promptgrid.engine.protocols.calibration import Calibration
from promptgrid.engine.rescoring import metrics_again
from promptgrid.engine.scoring import predictions_of, scores_of
from promptgrid.spec import Cell, Refused

CLASSES = tuple(f"class {at}" for at in range(9))
TESTED = cast(Cell, SimpleNamespace(scored="test"))


def answered(seed: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(200, len(CLASSES), generator=rng), torch.randint(len(CLASSES), (200,), generator=rng)


def kept(name: str, logits: Tensor, labels: Tensor) -> Predictions:
    found = predictions_of(name, list(range(len(labels))), logits, labels, [""] * len(labels), CLASSES)
    assert found.top.shape[1] < len(CLASSES)
    return found


@pytest.fixture
def both() -> dict[str, tuple[Tensor, Tensor]]:
    return {"base": answered(1), "new": answered(2)}


def test_calibration_is_computed_from_how_sure_the_first_answers_were(both: dict[str, tuple[Tensor, Tensor]]) -> None:
    protocol = Calibration()
    wanted = protocol.metrics({name: scores_of(*told, protocol.scores) for name, told in both.items()})
    again = metrics_again(protocol, TESTED, [kept(name, *told) for name, told in both.items()], {})
    assert again == pytest.approx(wanted, abs=1e-6)
    assert 0.01 < wanted["mean_ece"] < 0.9


def test_answers_that_do_not_say_how_sure_they_were_are_refused(both: dict[str, tuple[Tensor, Tensor]]) -> None:
    old = [replace(kept(name, *told), logsumexp=None) for name, told in both.items()]
    with pytest.raises(Refused, match="how sure the answers were is not among what was kept"):
        metrics_again(Calibration(), TESTED, old, {})


def test_the_area_under_the_curve_needs_all_logits(both: dict[str, tuple[Tensor, Tensor]]) -> None:
    ranked: Any = SimpleNamespace(scores=("roc_auc",), metrics=dict)
    with pytest.raises(Refused, match="needs the logits of all classes"):
        metrics_again(ranked, TESTED, [kept("test", *both["base"])], {})


def checked(metrics: dict[str, float], again: dict[str, float], answers: Predictions) -> Recomputed:
    found = Recomputed(wrong=[], unchecked=Counter())
    track = cast(Track, SimpleNamespace(rescored=lambda cell, given: again))
    check_metrics(track, TESTED, metrics, [answers], "a row", found)
    return found


def test_calibration_agrees_as_far_as_kept_logits_tell(both: dict[str, tuple[Tensor, Tensor]]) -> None:
    answers = kept("base", *both["base"])
    assert checked({"mean_ece": 0.2}, {"mean_ece": 0.200004}, answers).wrong == []
    (wrong,) = checked({"mean_ece": 0.2}, {"mean_ece": 0.21}, answers).wrong
    assert "mean_ece is 0.2" in wrong.said
    assert len(checked({"accuracy": 0.2}, {"accuracy": 0.200004}, answers).wrong) == 1


def test_an_answer_at_the_edge_of_a_bin_settles_nothing(both: dict[str, tuple[Tensor, Tensor]]) -> None:
    answers = kept("base", *both["base"])
    edge = answers.scores[:, 0] - np.float32(np.log(9 / 15))
    found = checked({"mean_ece": 0.2}, {"mean_ece": 0.21}, replace(answers, logsumexp=edge))
    assert found.wrong == []
    assert list(found.unchecked) == ["calibration was not computed again: an answer is as sure as the edge of a bin"]
