"""What the text protocols train on, score and refuse."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from sklearn.metrics import matthews_corrcoef
from tests.tracks.text.small_world import MemoryCache, dataset, request, track

from promptgrid.contract.protocol import Protocol
from promptgrid.contract.track import Outcome
from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.text import TextDataset


def protocol(name: str) -> Protocol:
    return track().resolver.protocol(name)


def test_as_many_texts_select_as_train() -> None:
    own = dataset()
    split = protocol("text_few_shot").split(own, 2, 1)
    assert Counter(own.labels[index] for index in split.train) == {0: 2, 1: 2, 2: 2}
    assert Counter(own.labels[index] for index in split.val) == {0: 2, 1: 2, 2: 2}
    assert set(split.train) <= set(own.splits["train"])
    assert set(split.val) <= set(own.splits["val"])
    (evaluation,) = split.evaluations
    assert evaluation.indices == tuple(own.splits["test"])


def test_published_draws_are_taken_and_no_others() -> None:
    split = protocol("text_few_shot").split(dataset("drawn"), 2, 13)
    assert split.train == (0, 1, 8, 9, 16, 17)
    assert split.val == (24, 25, 27, 28, 30, 31)
    with pytest.raises(Refused, match="no such draw"):
        protocol("text_few_shot").split(dataset("drawn"), 2, 1)


def test_relations_leave_out_the_class_without_one() -> None:
    (evaluation,) = protocol("relation").split(dataset("relations"), 2, 1).evaluations
    assert evaluation.left_out == 2
    with pytest.raises(Refused, match="two marked words"):
        protocol("relation").split(dataset(), 2, 1)


@pytest.mark.parametrize("name", sorted(track().resolver.protocols))
def test_the_score_of_the_headline_chooses(name: str) -> None:
    own = protocol(name)
    assert own.choose_by in own.scores
    assert own.choose_by == own.headline
    assert track().chosen_by(name) == f"val_{own.headline}"


def of_cola() -> TextDataset:
    """The sentences of the small world, scored as CoLA is."""
    own = dataset()
    return TextDataset(own.card.model_copy(update={"metric": "matthews"}), own.texts, own.labels, own.splits)


def test_a_task_is_scored_by_its_own_metric() -> None:
    own = protocol("text_glue")
    split, plain = own.split(of_cola(), 2, 1), own.split(dataset(), 2, 1)
    method = track().resolver.method("prompt_tuning")()
    assert [one.scored_by for one in (*split.evaluations, split.validation(method))] == ["matthews", "matthews"]
    assert [one.scored_by for one in plain.evaluations] == ["accuracy"]
    few = protocol("text_few_shot").split(of_cola(), 2, 1)
    assert (split.train, split.val) == (few.train, few.val)
    assert "scored_by" not in str(few.identity()), "the keys of others are as they were"


def test_a_cell_is_scored_and_scored_again_by_the_metric_of_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    wing = track()
    monkeypatch.setattr(wing.resolver, "dataset", lambda name: of_cola())
    (cell,) = wing.resolve([request("prompt_tuning", protocol="text_glue", selection="val")])
    (pack,) = wing.pack([cell])
    (outcome,) = wing.run(replace(pack, wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    (answers,) = outcome.predictions
    right = matthews_corrcoef(answers.label, answers.top[:, 0])
    assert outcome.record.metrics["task_score"] == pytest.approx(right)
    assert outcome.record.metrics["task_score"] == outcome.record.metrics["matthews"]
    assert "val_task_score" in outcome.record.curves
    assert wing.rescored(cell, outcome.predictions) == outcome.record.metrics


def ran(**how: str) -> Outcome:
    """The outcome of one cell of relations."""
    (cell,) = track().resolve([request("prompt_tuning", protocol="relation", dataset="relations", **how)])
    (pack,) = track().pack([cell])
    (outcome,) = track().run(replace(pack, wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    return outcome


def test_a_search_of_relations_scores_without_the_class_that_means_none() -> None:
    outcome = ran(scored="val")
    (told,) = outcome.predictions
    answers, counted = told.top[:, 0], [told.classes.index(name) for name in told.classes if name != "science"]
    right = sum(int(((answers == label) & (told.label == label)).sum()) for label in counted)
    both = sum(int((answers == label).sum() + (told.label == label).sum()) for label in counted)
    metrics = outcome.record.metrics
    assert metrics["val_micro_f1"] == pytest.approx(2 * right / both)
    assert metrics["val_micro_f1"] != metrics["val_accuracy"], "the example tells the two apart"


def test_checkpoints_of_relations_are_chosen_by_the_same() -> None:
    curves = ran(selection="val").record.curves
    assert set(curves) == {"train_loss", "val_micro_f1"}


def test_zero_shot_labels_nothing() -> None:
    own = protocol("text_zero_shot")
    split = own.split(dataset(), 0, 1)
    assert not split.train
    assert set(split.unlabelled) == set(dataset().splits["train"])
    assert track().resolve([request("zero_shot", protocol="text_zero_shot", shots=0)])
    with pytest.raises(Refused, match="learns from labelled"):
        track().resolve([request("prompt_tuning", protocol="text_zero_shot", shots=0)])
    with pytest.raises(Refused, match="no labelled text"):
        own.check(dataset().card, 2, "last")


def test_a_pool_has_no_labelled_text() -> None:
    split = protocol("text_semi_supervised").split(dataset(), 2, 1)
    assert split.train == protocol("text_few_shot").split(dataset(), 2, 1).train
    assert not set(split.unlabelled) & {*split.train, *split.val}
    assert len(split.unlabelled) == len(dataset().splits["train"]) - 6


def test_a_pool_is_refused_where_the_protocol_has_none() -> None:
    with pytest.raises(Refused, match="does not offer"):
        track().resolve([request("tapt", protocol="text_few_shot")])


def test_transfer_wants_the_same_classes_and_starts_from_few_shot_cells() -> None:
    asked = request("prompt_tuning", protocol="text_transfer", source="sentences", reading="adapt", dataset="other")
    (cell,) = track().resolve([asked])
    (source,) = track().resolve([request("prompt_tuning")])
    assert cell.needs == (source.key,)
    with pytest.raises(Refused, match="other classes"):
        protocol("text_transfer").from_source(
            protocol("text_transfer").split(dataset("fewer"), 2, 1), dataset("fewer"), dataset()
        )
