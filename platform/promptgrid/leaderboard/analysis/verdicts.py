"""What a table says in words: whose mean is best, against what, and whether the first beats the second."""

from __future__ import annotations

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.analysis.first_two import FirstTwo
from promptgrid.leaderboard.leaderboard import Leaderboard, Row
from promptgrid.leaderboard.numbers import p_value, points, signed, span
from promptgrid.spec import Noun
from promptgrid.spec.metrics import Metric


def summary(leaderboard: Leaderboard, reference: str) -> str:
    """A few sentences about ``leaderboard``; every verdict names what it is against and rests on an interval."""
    ranked = [row for row in leaderboard.rows if row.ranked]
    if not ranked:
        return f"Nothing is ranked here: {_left_out(leaderboard) or 'no method has finished every cell'}."
    first = [row for row in ranked if row.place == 1]
    parts = [_leader(first, len(ranked))]
    if len(first) == 1:
        parts.append(_against_reference(first[0], reference))
        parts += [_against_second(leaderboard, first[0], ranked[1])] if len(ranked) > 1 else []
    left_out = _left_out(leaderboard)
    parts += [f"Not ranked: {left_out}"] if left_out else []
    return " ".join(f"{part}." for part in parts if part)


def answer(leaderboard: Leaderboard, reference: str, contest: FirstTwo | None, examples: Noun) -> tuple[str, str]:
    """What a reader wants first: who leads, and the rest of the sentence: by how much, and whether it beats the second.

    The first is empty where nothing is ranked.
    """
    ranked = [row for row in leaderboard.rows if row.ranked]
    first = [row for row in ranked if row.place == 1]
    if not first:
        return "", f"Nothing is ranked: {_left_out(leaderboard) or 'no method has finished every cell'}."
    best = first[0]
    score = f"{points(best.mean.value, metric=best.metric)}{best.metric.symbol}{_unlike_accuracy(best.metric)}"
    if len(first) > 1:
        return ", ".join(row.label for row in first), f"share the first place of {len(ranked)} with {score}."
    if len(ranked) == 1:
        left = _left_out(leaderboard)
        return best.label, f"is the only ranked method, with {score}{f'; not ranked: {left}' if left else ''}."
    told = f"leads {len(ranked)} ranked methods with {score}{_margin(best, reference)}."
    return best.label, f"{told} {_second(contest, best.metric, examples)}".rstrip()


def _unlike_accuracy(metric: Metric) -> str:
    """What a score is, in brackets, where a reader would take it for a share of right answers."""
    return "" if metric.by_answers else f" ({metric.title}, {metric.better} is better)"


def _margin(best: Row, reference: str) -> str:
    if best.reference:
        return ": it is the reference itself"
    if best.seeds is None:
        return ""
    width = span(best.seeds, sign=True, metric=best.metric)
    interval = f" ({width})" if width else ""
    return f", {signed(best.seeds.value, metric=best.metric)}{best.metric.steps} to {reference}{interval}"


def _second(contest: FirstTwo | None, metric: Metric, examples: Noun) -> str:
    """Whether the first beats the second, and by which test; empty where there is no second."""
    if contest is None:
        return ""
    behind = f"{points(contest.gap, metric=metric)}{metric.steps} behind"
    width = span(contest.seeds, sign=True, metric=metric)
    but = f", though new seeds may not agree ({width})" if contest.seeds.holds_zero and width else ""
    told = {
        "first": f"It beats the second, {contest.second}, {behind}{but}",
        "neither": f"The second, {contest.second}, {behind}, is not told apart from it",
        "second": f"The second, {contest.second}, {behind} in the mean, wins the test of the two all the same",
        "untested": f"The second is {contest.second}, {behind}; no test of the two is possible",
    }[contest.verdict]
    if not contest.test:
        return f"{told}."
    over = f", Holm over {contest.boards} boards" if contest.boards > 1 else ""
    if contest.alone is None:
        return f"{told} (paired t over datasets, p {p_value(contest.p_holm)}{over})."
    ours, theirs = contest.alone
    return (
        f"{told}: {ours:,} {examples.many} are right more often with the first, {theirs:,} with the second "
        f"(sign test, p {p_value(contest.p_holm)}{over})."
    )


def _leader(first: list[Row], ranked: int) -> str:
    best = first[0]
    told, end = span(best.mean, metric=best.metric), "highest" if best.metric.better == "higher" else "lowest"
    interval = f" ({told})" if told else ""
    mean = f"{points(best.mean.value, metric=best.metric)}{best.metric.symbol}{interval}"
    if len(first) > 1:
        names = f"{', '.join(row.label for row in first[:-1])} and {first[-1].label}"
        return f"{names} share the {end} mean of {ranked} ranked methods, {mean}"
    leads = f"has the {end} mean of {ranked} ranked methods," if ranked > 1 else "is the only ranked method:"
    return f"{best.label} {leads} {mean}"


def _against_reference(best: Row, reference: str) -> str:
    """The difference to the reference, its interval, and what both say."""
    if best.reference:
        return "It is the reference itself"
    if best.seeds is None:
        return ""
    gap = f"{signed(best.seeds.value, metric=best.metric)}{best.metric.steps} to the reference {reference}"
    width = span(best.seeds, sign=True, metric=best.metric)
    interval = f" ({width})" if width else ""
    told = verdict(best.seeds, best.metric, "better than it on these datasets", "worse than it on these datasets")
    others = "" if best.p_holm is None else f"; would other datasets agree: p (Holm) {p_value(best.p_holm)}"
    return f"{gap}{interval}: {told}{others}"


def _against_second(leaderboard: Leaderboard, best: Row, second: Row) -> str:
    """Whether the seeds tell the first from the second; what they tell from the reference was said before."""
    if second.reference:
        return "The reference is second"
    gap = st.seed_difference(leaderboard.scores, best.label, second.label)
    metric = best.metric
    width = span(gap, sign=True, metric=metric)
    interval = f" ({width})" if width else ""
    told = verdict(
        gap, metric, f"the first beats {second.label} on these datasets", f"{second.label} beats it seed by seed"
    )
    behind = f"{points(metric.sign * gap.value, metric=metric)}{metric.steps} behind"
    return f"Second is {second.label}, {behind}{interval}: {told}"


def verdict(gap: st.Interval, metric: Metric, better: str, worse: str) -> str:
    """``better`` where the whole interval is on the better side of 0, ``worse`` where it is on the other.

    Else that the two are not told apart.
    """
    if gap.low is None or gap.high is None:
        return "one seed, so no verdict"
    low, high = sorted((metric.sign * gap.low, metric.sign * gap.high))
    return better if low > 0 else worse if high < 0 else "these seeds do not tell the two apart"


def _left_out(leaderboard: Leaderboard) -> str:
    rows = leaderboard.rows
    counts = {
        "cut below what their papers trained": sum(bool(row.apart) and row.recipe.kind == "cut" for row in rows),
        "as written beside what a search chose": sum(bool(row.apart) and row.recipe.kind != "cut" for row in rows),
        "with missing cells": sum(not row.complete for row in rows),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)
