"""What a method answers: finite, of the right shape, about one example at a time, about classes it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from promptgrid.contract.conformance.closeness import assert_close
from promptgrid.contract.conformance.trial import Trial

FEW = 3
"""Examples of the small company that each one is asked in beside the whole batch and by itself."""


def check_answers(trial: Trial) -> None:
    """One finite score per example and class, the same bits twice, the same with and without what ``once`` gives."""
    name, answers = trial.method.name, trial.answers(trial.start)
    expected = (len(trial.batch.labels), len(trial.task.classes))
    assert tuple(answers.shape) == expected, f"{name}: answers are {tuple(answers.shape)}, expected {expected}"
    assert bool(torch.isfinite(answers).all()), f"{name}: an answer is not finite"
    assert torch.equal(answers, trial.answers(trial.start)), f"{name}: the same input gave other answers"
    with torch.no_grad():
        afresh = trial.method.predict(trial.start, trial.examples, trial.task.without_examples())
    assert_close(afresh, answers, f"{name} answers otherwise with what `once` gave than without")


def check_company(trial: Trial) -> None:
    """Each example has the same scores by itself, in a small company, among all, and once more behind these.

    Methods that say they are ``joint`` are not asked: only protocols that are ``joint`` too take them.
    """
    method, name = trial.method, trial.method.name
    if method.joint:
        return
    with torch.no_grad():
        learned = method.finish(trial.shaken(), trial.task)
    task, count = trial.task.without_examples(), len(trial.batch.labels)

    def asked(rows: Sequence[int]) -> Tensor:
        with torch.no_grad():
            shown = trial.practice.shown(trial.batch, rows)
            return method.predict(learned, shown, task, method.once(learned, task))

    together = asked(range(count))
    for one in range(0, count, FEW):
        few = [(one + step) % count for step in range(FEW)]
        for rows, company in (([one], "by itself"), (few, f"among {FEW}"), (few[::-1], f"among {FEW}, turned round")):
            _same(asked(rows), together[rows], f"{name} scores an example otherwise {company}")
    _same(asked(range(count)), together, f"{name} scores examples otherwise once it has been asked about others")


def check_new_classes(trial: Trial) -> None:
    """A method with an open vocabulary scores classes it never saw."""
    if not trial.method.open_vocabulary:
        return
    wanted, method = trial.practice.new_classes, trial.method.name
    rebound = replace(trial.task.without_examples(), classes=wanted)
    try:
        answers = trial.answers(trial.shaken(), rebound)
    except (RuntimeError, ValueError, IndexError) as error:
        claim = f"{method} says it has an open vocabulary but fails on new classes: {error}"
        raise AssertionError(claim) from error
    good = tuple(answers.shape) == (len(trial.batch.labels), len(wanted)) and bool(torch.isfinite(answers).all())
    assert good, f"{method} says it has an open vocabulary but cannot score new classes"


def _same(found: Tensor, wanted: Tensor, message: str) -> None:
    advice = "scores are a function of one example; a method that must see all of them says `joint = True`"
    assert_close(found, wanted, f"{message}: {advice}")
