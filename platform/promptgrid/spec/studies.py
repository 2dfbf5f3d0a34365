"""The studies of a suite that is searched, and the cells that their trials ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from promptgrid.spec.cell import Request, Scored, Setting
from promptgrid.spec.refusal import Refused, nearest
from promptgrid.spec.search import LENGTH, Interval, Knobs, SearchEntry, Study
from promptgrid.spec.suite import Suite


def studies_of(suite: Suite, knobs: Knobs, entry: SearchEntry) -> list[Study]:
    """One study for each backbone and method variant, each with nothing but the written configuration so far.

    A knob that the suite writes for a method stays as written, unless the search's space names it.

    Raises:
        Refused: the suite cannot be searched, or the space names what does not exist or reaches beyond a knob.
    """
    _refuse_suite(suite)
    _refuse_ensemble(entry)
    _refuse_space(suite, knobs, entry)

    def narrowed(method: str) -> dict[str, list[float]]:
        every = {LENGTH: list(map(float, entry.epochs))} if entry.epochs and LENGTH in knobs[method] else {}
        return every | entry.space.get(method, {})

    return [
        Study(label, method.name, backbone.id, _space(knobs[method.name], written, narrowed(method.name)))
        for backbone in suite.backbones
        for method in suite.methods
        for label, written in method.variants()
    ]


def trial_requests(
    requests: Sequence[tuple[str, Request]], studies: Iterable[Study], scored: Scored = "val"
) -> Iterator[tuple[int, str, Request]]:
    """(trial, label, request) for every trial of every cell, ``scored`` as said, earliest trials first.

    Within a trial the order is that of ``requests``, so that packs hold whole configurations over their seeds.
    """
    trials = {(study.label, study.backbone): study.trials for study in studies}
    for number in range(max(map(len, trials.values()), default=0)):
        for label, request in requests:
            tried = trials.get((label, request.backbone), ())
            if number < len(tried):
                settings = {**request.settings, **tried[number]}
                yield number, label, replace(request, settings=settings, scored=scored)


def _space(
    knobs: Mapping[str, Interval], written: Mapping[str, Setting], narrowed: Mapping[str, list[float]]
) -> dict[str, Interval]:
    searched = {
        knob: place
        for knob, place in knobs.items()
        if knob in narrowed or (knob not in written and not place.whole)  # a length is searched where it is asked for
    }
    return {
        knob: replace(place, low=narrowed[knob][0], high=narrowed[knob][1]) if knob in narrowed else place
        for knob, place in searched.items()
    }


def _refuse_suite(suite: Suite) -> None:
    if suite.selection == "val":
        raise Refused(
            "a search would choose on the examples that already choose the checkpoint",
            where="selection",
            got="val",
            expected="last",
        )
    if suite.sources is not None:
        raise Refused("a study of transfer cannot be searched", where="sources", hint="search a suite without sources")


def _refuse_ensemble(entry: SearchEntry) -> None:
    if entry.ensemble and entry.one_setting:
        raise Refused("an ensemble chooses nothing, so there is no one setting to choose", where="search",
                      hint="ask for the two in two searches: they share what they draw")  # fmt: skip
    if entry.ensemble and entry.algorithm != "random":
        raise Refused("an ensemble is over configurations that were drawn, whatever they score",
                      where="search.algorithm", got=entry.algorithm, expected="random")  # fmt: skip


def _refuse_space(suite: Suite, knobs: Knobs, entry: SearchEntry) -> None:
    names = [method.name for method in suite.methods]
    lengths = entry.epochs is not None or any(LENGTH in narrowed for narrowed in entry.space.values())
    if lengths and entry.algorithm in ("asha", "pbt"):
        raise Refused(
            f"{entry.algorithm} sets epochs itself: it gives trials more as they do well",
            where="search.epochs",
            hint="use random or optuna",
        )
    for method in names:
        if method not in knobs:
            raise Refused("unknown method", where="methods", got=method, hint=nearest(method, knobs))
    for method, narrowed in entry.space.items():
        if method not in names:
            raise Refused("no such method in this suite", where="search.space", got=method, hint=nearest(method, names))
        for knob, (low, high) in narrowed.items():
            where = f"search.space.{method}"
            if knob not in knobs[method]:
                raise Refused(f"unknown knob {knob!r}", where=where, hint=nearest(knob, knobs[method]))
            whole = knobs[method][knob]
            if not whole.low <= low <= high <= whole.high:
                expected = f"a range within [{whole.low}, {whole.high}]"
                raise Refused(f"{knob!r} reaches too far", where=where, got=[low, high], expected=expected)
