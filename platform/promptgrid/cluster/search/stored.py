"""The stored searches of a suite: which are still valid, why others are stale, and the rows that they chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promptgrid.cluster.search.search import Where, make_search, where_of
from promptgrid.spec import Cell, Refused, Request, Suite
from promptgrid.spec.ensembles import ensemble_of
from promptgrid.spec.search import LENGTH, SearchEntry
from promptgrid.spec.searched import PlaceFound, SearchFound, StudyFound

if TYPE_CHECKING:
    from promptgrid.cluster.search.search import Search
    from promptgrid.store import Store


@dataclass(frozen=True)
class StoredSearch:
    """A stored search of a suite. ``stale`` lists what has changed in the suite since; empty where nothing has."""

    found: SearchFound
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """What a search chose for one method variant on one backbone, or the ensemble of its draws, as a row of its own.

    ``cells`` are the test cells of what was chosen at each place, or those of the ensembles where all draws answer
    ``together``. ``lengths``: how long it trains was searched too.
    """

    label: str
    entry: str
    budget: str
    lengths: bool
    cells: tuple[Cell, ...]
    together: bool = False


def stored_searches(suite: Suite, store: Store) -> list[StoredSearch]:
    """The searches in ``store`` of the present code, data and seeds of ``suite``; of equal ones the longest.

    Behind them those that share some cells with the suite and nothing newer has taken the place of, with what is stale.
    """
    kept = list(store.searches.all().values())
    if not kept or suite.selection == "val" or suite.sources is not None:
        return []
    try:
        search = make_search(suite, store, SearchEntry(trials=1))
    except Refused:  # no search of this suite can have run
        return []
    base = _base(search)
    now = _test_keys(search)
    ours = [(found, told) for found in kept if (told := stale_parts(found, suite.name, now)) is not None]
    current = _longest([StoredSearch(found) for found, told in ours if _same_base(found, base) and not told])
    older = [
        StoredSearch(found, told or (f"validation {search.track.examples.many} have changed since",))
        for found, told in ours
        if told or not _same_base(found, base)
    ]
    asked = {_asked(stored.found) for stored in current}
    return current + [stored for stored in _longest(older) if _asked(stored.found) not in asked]


def _base(search: Search) -> str:
    """The base of ``search``; none of a dataset without validation examples, which ensembles alone can do without."""
    try:
        return search.base
    except Refused:
        return ""


def _same_base(found: SearchFound, base: str) -> bool:
    """Whether ``found`` is of that base; an ensemble read no validation example, so its test cells tell all."""
    return found.ensemble or found.base == base


def stale_parts(found: SearchFound, suite: str, now: Mapping[Where, Sequence[str]]) -> tuple[str, ...] | None:
    """What has changed since ``found`` was made, against the test cells ``now`` of the suite called ``suite``.

    None where they share no cell, or only cells in which the search of a suite of another name varied nothing.
    """
    then = {where_of_place(place): set(place.keys(0)) for place in found.places}
    varied = {(study.label, study.backbone) for study in found.studies if len(study.trials) > 1}
    telling = then if found.suite == suite else {where: keys for where, keys in then.items() if where[:2] in varied}
    if not any(keys & set(now.get(where, ())) for where, keys in telling.items()):
        return None  # what nothing varies in, such as zero-shot, is shared with searches of other suites
    seeds: Counter[tuple[int, int]] = Counter()
    changed = gone = 0
    for where, keys in then.items():
        here = set(now.get(where, ()))
        gone += where not in now
        changed += where in now and not keys & here
        if keys & here and keys != here:
            seeds[len(keys), len(here)] += 1
    told = [
        f"at {_places(count)} it chose over {before} seed{'s' if before != 1 else ''}, the suite has {after} now"
        for (before, after), count in sorted(seeds.items())
    ]
    told += [f"at {_places(changed)} code, settings or data have changed since"] if changed else []
    told += [f"{_places(gone)} are in the suite no more"] if gone else []
    new = len(now.keys() - then.keys())
    told += [f"{_places(new)} of the suite were never searched"] if new else []
    return tuple(told)


def chosen_rows(suite: Suite, store: Store, searches: Sequence[StoredSearch]) -> list[Chosen]:
    """One row for each method variant for which a valid search made a choice, or an ensemble, at every place."""
    valid = [stored.found for stored in searches if not stored.stale and stored.found.trials > 1]
    if not valid:
        return []
    search = make_search(suite, store, SearchEntry(trials=1))
    taken = set(suite.labels)
    rows = []
    for found in valid:
        for study in (study for study in found.studies if study.space and len(study.trials) > 1):
            label = _label(study, found, several=len({(one.algorithm, one.seed) for one in valid}) > 1)
            if label in taken:
                continue
            made = _ensembles if found.ensemble else _chosen
            if cells := made(search, found, study):
                rows.append(
                    Chosen(label, study.label, _budget(found, study), LENGTH in study.space, cells, found.ensemble)
                )
    return rows


def _chosen(search: Search, found: SearchFound, study: StudyFound) -> tuple[Cell, ...]:
    return tuple(search.track.resolve(list(_requests(search, found, study))))


def _ensembles(search: Search, found: SearchFound, study: StudyFound) -> tuple[Cell, ...]:
    """The cells in which the draws of ``study`` answer together; none where no draw of a place finished."""
    draws = {where_of_place(place): place.draws for place in found.places}
    asked = [pair for pair in search.requests if (pair[0], pair[1].backbone) == (study.label, study.backbone)]
    if not all(draws.get(where_of(label, request)) for label, request in asked):
        return ()
    lists = [
        [request, *(replace(request, settings={**request.settings, **study.trials[trial]}) for trial in own)]
        for label, request in asked
        for own in [draws[where_of(label, request)]]
    ]
    cells = iter(search.track.resolve([request for own in lists for request in own]))
    return tuple(ensemble_of(next(cells), [next(cells) for _ in own[1:]]) for own in lists)


def _requests(search: Search, found: SearchFound, study: StudyFound) -> Iterator[Request]:
    """The cells of ``study`` with what was chosen at their places; none where a place has no choice."""
    chosen = {
        where_of_place(place): place.chosen
        for place in found.places
        if (place.label, place.backbone) == (study.label, study.backbone)
    }
    if any(trial is None for trial in chosen.values()):
        return
    for label, request in search.requests:
        trial = chosen.get(where_of(label, request))
        if trial is not None:
            yield replace(request, settings={**request.settings, **study.trials[trial]})


def _budget(found: SearchFound, study: StudyFound) -> str:
    length = study.space.get(LENGTH)
    epochs = f", {length[0]:g} to {length[1]:g} epochs" if length else ""
    if found.ensemble:
        places = [place for place in found.places if (place.label, place.backbone) == (study.label, study.backbone)]
        short = [place for place in places if len(place.draws) < len(study.trials)]
        fewer = f"; {min(len(place.draws) for place in short)} or more at {_places(len(short))}" if short else ""
        return f"ensemble of {found.trials} draws, seed {found.seed}{epochs}{fewer}; nothing chosen"
    one = ", one setting for all datasets" if found.one_setting else ""
    return f"{found.trials} trials, {found.algorithm}, seed {found.seed}{epochs}{one}"


def _label(study: StudyFound, found: SearchFound, several: bool) -> str:
    how = f", {found.algorithm}, seed {found.seed}" if several else ""
    if found.ensemble:
        return f"{study.label}, ensemble of {found.trials} draws{how}"
    one = ", one setting" if found.one_setting else ""
    return f"{study.label}, {found.trials} trials{one}{how}"


def _test_keys(search: Search) -> dict[Where, list[str]]:
    cells = search.track.resolve([request for _, request in search.requests])
    keys: dict[Where, list[str]] = {}
    for (label, request), cell in zip(search.requests, cells, strict=True):
        keys.setdefault(where_of(label, request), []).append(cell.key)
    return keys


def _asked(found: SearchFound) -> tuple[object, ...]:
    """What was asked, whatever the budget and the state of the suite."""
    spaces = tuple((study.label, study.backbone, tuple(sorted(study.space.items()))) for study in found.studies)
    return found.algorithm, found.seed, found.one_setting, found.ensemble, spaces


def _longest(searches: Sequence[StoredSearch]) -> list[StoredSearch]:
    """Of those that asked the same the one with most trials; in an order of their own."""
    largest: dict[tuple[object, ...], StoredSearch] = {}
    for stored in sorted(searches, key=lambda stored: stored.found.trials):
        largest[_asked(stored.found)] = stored
    return sorted(
        largest.values(),
        key=lambda stored: (*_asked(stored.found)[:4], stored.found.question),
    )


def where_of_place(place: PlaceFound) -> Where:
    """Where the choice of ``place`` was made."""
    return place.label, place.backbone, place.dataset, place.shots


def _places(count: int) -> str:
    return f"{count} place{'s' if count != 1 else ''}"
