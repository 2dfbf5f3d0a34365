"""What a report says of a suite's searches: rows of what was chosen, and what of an older search is stale."""

from __future__ import annotations

from typing import Any

from tests.cluster.toy.driving import SILENT, toy_suite

from promptgrid.cluster.search.run import SearchSummary, run_search
from promptgrid.cluster.search.search import make_search
from promptgrid.cluster.search.stored import chosen_rows, stored_searches
from promptgrid.spec.search import SearchEntry
from promptgrid.store import Store


def searched(store: Store, trials: int, *methods: Any, **changes: Any) -> SearchSummary:
    suite = toy_suite(*methods, **changes)
    return run_search(make_search(suite, store, SearchEntry(trials=trials)), local=True, options=SILENT)


def test_what_was_chosen_is_a_row_with_its_budget(store: Store) -> None:
    found = searched(store, 4, "tuned", "sleep").found
    assert found is not None
    suite = toy_suite("tuned", "sleep")
    (row,) = chosen_rows(suite, store, stored_searches(suite, store))  # sleep has no knobs, so nothing to choose
    assert (row.label, row.entry, row.budget) == ("tuned, 4 trials", "tuned", "4 trials, random, seed 1")
    assert not row.lengths
    tested = {key for place in found.places if place.label == "tuned" for key in place.keys(place.chosen)}
    assert {cell.key for cell in row.cells} == tested == store.finished(tested)


def test_one_trial_chooses_nothing(store: Store) -> None:
    searched(store, 1, "tuned")
    assert chosen_rows(toy_suite("tuned"), store, stored_searches(toy_suite("tuned"), store)) == []


def test_a_search_stays_when_seeds_are_added_and_says_so(store: Store) -> None:
    searched(store, 3, "tuned")
    more = toy_suite("tuned", seeds=[1, 2, 3, 4])
    (stored,) = stored_searches(more, store)
    (told,) = stored.stale
    assert told.endswith("it chose over 3 seeds, the suite has 4 now")
    assert chosen_rows(more, store, [stored]) == []


def test_a_newer_search_takes_the_place_of_a_stale_one(store: Store) -> None:
    searched(store, 3, "tuned")
    searched(store, 3, "tuned", seeds=[1, 2, 3, 4])
    assert [stored.stale for stored in stored_searches(toy_suite("tuned", seeds=[1, 2, 3, 4]), store)] == [()]


def test_places_that_came_or_went_are_counted(store: Store) -> None:
    searched(store, 3, "tuned", "sleep")
    (stored,) = stored_searches(toy_suite("sleep", {"name": "tuned", "label": "new"}), store)
    gone, new = stored.stale
    assert gone.endswith("are in the suite no more")
    assert new.endswith("of the suite were never searched")


def test_a_search_that_shares_no_cell_is_none_of_the_suite(store: Store) -> None:
    searched(store, 3, "tuned")
    assert stored_searches(toy_suite("tuned", seeds=[7]), store) == []


def test_a_search_of_another_suite_that_shares_only_what_cannot_vary_is_not_shown(store: Store) -> None:
    searched(store, 3, "tuned", "sleep", name="other")
    assert stored_searches(toy_suite("sleep", seeds=[1, 2]), store) == []
    (stored,) = stored_searches(toy_suite("tuned", seeds=[1, 2]), store)
    assert stored.stale
