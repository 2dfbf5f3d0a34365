"""What a suite asks for, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptgrid.api.stores import existing_store, open_store
from promptgrid.spec import Suite, read_suite
from promptgrid.spec.suite import parse_suite

if TYPE_CHECKING:
    from promptgrid.cluster import Plan
    from promptgrid.cluster.status import Status
    from promptgrid.cluster.without_data import UnseenPlan
    from promptgrid.spec.search import SearchEntry
    from promptgrid.store import Store, VerifyReport


SuiteLike = Suite | str | Path | Mapping[str, Any]


def as_suite(suite: SuiteLike) -> Suite:
    """A suite from a file, a mapping, or itself.

    Raises:
        Refused: see :func:`promptgrid.spec.read_suite`.
    """
    if isinstance(suite, Suite):
        return suite
    return parse_suite(dict(suite), "suite") if isinstance(suite, Mapping) else read_suite(suite)


def plan(suite: SuiteLike, store: Store | str | Path | None = None, *, retry_failed: bool = False) -> Plan:
    """What ``suite`` asks for, what the store has of it, and the packs that are left."""
    from promptgrid.api.reporting import imported_results
    from promptgrid.cluster import make_plan
    from promptgrid.cluster.search.search import make_search

    chosen = as_suite(suite)
    if chosen.imported is not None:
        imported_results(chosen)  # refuses folders that hold none
    if chosen.search is not None:
        make_search(chosen, open_store(store))  # refuses a space that does not fit
    return make_plan(chosen, open_store(store), retry_failed=retry_failed)


def plan_without_data(suite: SuiteLike) -> UnseenPlan:
    """What ``suite`` would take on a GPU, by published sizes: no folder is opened and no store is read.

    Raises:
        Refused: the suite asks for what does not exist, or for data of which nothing is published.
    """
    from promptgrid.cluster.without_data import plan_without_data as planned

    return planned(as_suite(suite))


def search_entry(suite: SuiteLike, *, ensemble: bool | None = None) -> SearchEntry:
    """Budget and selection that a search of ``suite`` has.

    Raises:
        Refused: as :func:`search`.
    """
    from promptgrid.cluster.search.search import entry_of

    return entry_of(as_suite(suite), ensemble=ensemble)


def status(suite: SuiteLike | Plan, store: Store | str | Path | None = None) -> Status:
    """How far ``suite`` (or a plan of it, made earlier) is in ``store``."""
    from promptgrid.cluster import Plan
    from promptgrid.cluster.status import status_of

    found = open_store(store)
    return status_of(suite if isinstance(suite, Plan) else plan(suite, found), found)


def verify(suite: SuiteLike | None = None, store: Store | str | Path | None = None) -> VerifyReport:
    """Read every file of the store again, or of the cells of ``suite``; what is damaged goes to quarantine.

    Raises:
        Refused: there is no store.
    """
    from promptgrid import catalog
    from promptgrid import store as kept
    from promptgrid.cluster.planner import requests_of

    found = existing_store(store)
    if suite is None:
        return kept.verify(found)
    chosen = as_suite(suite)
    track = catalog.track(chosen.track)
    return kept.verify(found, (cell.key for cell in track.resolve([asked for _, asked in requests_of(chosen, track)])))
