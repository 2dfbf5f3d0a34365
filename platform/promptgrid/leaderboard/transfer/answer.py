"""What a reader of a matrix of transfer wants first: does it help, how much, from where, is that more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.numbers import p_value, signed, span
from promptgrid.leaderboard.transfer import gains as tr
from promptgrid.leaderboard.transfer.matrices import SCRATCH, Transfer
from promptgrid.spec.metrics import Metric


@dataclass(frozen=True)
class TransferAnswer:
    """The answer of one matrix; own pairs are left out of all of it.

    Attributes:
        label: method and reading.
        backbone: on which it was learned.
        shots: with so many a class.
        base: what gains are over, ``scratch`` or ``zero_shot``.
        gaining: pairs with a gain above 0.
        pairs: pairs with a gain.
        mean: over targets of the mean gain from their sources, with the paired t interval over targets and its p.
        best: the source with the greatest mean gain over its targets, the first of equals.
        best_gain: that gain.
        sources: how many there are to choose from.
        p_holm: the p of ``mean``, corrected for the number of matrices; None where there is no test.
        matrices: how many there are.
    """

    label: str
    backbone: str
    shots: int
    base: str
    gaining: int
    pairs: int
    mean: st.Interval
    best: str
    best_gain: float
    sources: int
    p_holm: float | None = None
    matrices: int = 1


def transfer_answers(items: Sequence[Transfer]) -> list[TransferAnswer]:
    """One for each matrix in which some target has sources to choose between, in their order.

    Pairs share tasks, so they are no independent observations: the test counts targets, each by the mean over its
    sources, and says whether new targets would agree with these sources.
    """
    found = [_of(item) for item in items if _by_target(item).max(initial=0) > 1]
    corrected = iter(st.holm([one.mean.p for one in found if one.mean.p is not None]))
    return [replace(one, matrices=len(found), p_holm=None if one.mean.p is None else next(corrected)) for one in found]


def _by_target(item: Transfer) -> tr.Places:
    """(T,) how many sources each target has a gain from."""
    found: tr.Places = np.isfinite(item.apart(item.base)).sum(axis=0)
    return found


def _of(item: Transfer) -> TransferAnswer:
    gain = item.apart(item.base)
    known, by_source = gain[np.isfinite(gain)], tr.seed_mean(gain)
    best = int(np.nanargmax(np.round(by_source, st.SAME)))
    return TransferAnswer(
        label=item.label,
        backbone=item.backbone,
        shots=item.shots,
        base=item.base,
        gaining=int((known > 0).sum()),
        pairs=len(known),
        mean=st.dataset_difference(tr.seed_mean(gain.T)),
        best=item.sources[best],
        best_gain=float(by_source[best]),
        sources=int(np.isfinite(by_source).sum()),
    )


def sentence(answer: TransferAnswer, metric: Metric, people: Mapping[str, str]) -> str:
    """The answer in words, behind its label; ``people`` has the names of tasks."""
    base = "learning from scratch" if answer.base == SCRATCH else "zero-shot"
    share = f"{100 * answer.gaining / answer.pairs:.0f} %"
    width = span(answer.mean, sign=True, metric=metric)
    interval = f" ({width})" if width else ""
    told = (
        f"gains over {base} on {answer.gaining:,} of {answer.pairs:,} pairs of tasks ({share}); "
        f"the mean gain is {signed(answer.mean.value, metric=metric)}{metric.steps}{interval}, {_verdict(answer)}. "
    )
    name = people.get(answer.best, answer.best)
    best = f"{signed(answer.best_gain, metric=metric)}{metric.steps} on average"
    return f"{told}Best of {answer.sources} sources: {name}, {best}."


def _verdict(answer: TransferAnswer) -> str:
    if answer.p_holm is None:
        return "one target, so no test"
    over = f", Holm over {answer.matrices} matrices" if answer.matrices > 1 else ""
    test = f"(paired t over {answer.mean.n} targets, p {p_value(answer.p_holm)}{over})"
    if answer.p_holm >= 1 - st.LEVEL:
        return f"not told apart from no transfer {test}"
    return f"{'better' if answer.mean.value > 0 else 'worse'} than no transfer {test}"
