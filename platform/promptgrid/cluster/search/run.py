"""Run a search: validation cells first, then a choice, then the test cells of what was chosen.

Every trial is made of ordinary cells, so an interrupted search goes on where it stood and nothing is computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptgrid.cluster.admission import admit
from promptgrid.cluster.execution import Options, RunSummary, execute
from promptgrid.cluster.search.ensemble import draws_of, together
from promptgrid.cluster.search.search import Search, choose
from promptgrid.spec import EXAMPLES, Noun, Refused
from promptgrid.spec.searched import SearchFound


@dataclass(frozen=True)
class SearchSummary:
    """What a search did.

    Attributes:
        found: the scores and the choice; None where the search was interrupted before it.
        path: the file of ``found``.
        searched: the run of the validation cells.
        tested: the run of the test cells; None where the search was interrupted before it.
        examples: what the track calls its examples.
    """

    found: SearchFound | None
    path: Path | None
    searched: RunSummary
    tested: RunSummary | None = None
    examples: Noun = EXAMPLES

    @property
    def interrupted(self) -> int | None:
        """The signal that ended the search early, else None."""
        return self.searched.interrupted or (self.tested.interrupted if self.tested else None)


def run_search(
    search: Search,
    *,
    local: bool = False,
    workers: int | None = None,
    address: str | None = None,
    options: Options | None = None,
    retry_failed: bool = False,
) -> SearchSummary:
    """Score every trial on validation examples, write down the choice, then test what was chosen.

    An ensemble chooses nothing: every draw is tested, and then those that finished answer together.

    The arguments are those of :func:`promptgrid.cluster.execute`. No test example is read before the choice is in the
    store. At every place the tested trials are the written configuration and each that was the best so far.

    Raises:
        Refused: the options contradict each other. Nothing was started.
    """
    chosen = options or Options()
    apart = replace(chosen, experiment=chosen.experiment or f"{search.suite.name}-search")  # its trials are no results
    how: dict[str, Any] = {"local": local, "workers": workers, "address": address, "options": apart}
    if search.entry.ensemble:
        return _run_ensemble(search, how, retry_failed=retry_failed)
    if search.entry.algorithm != "random":
        if local:
            raise Refused(f"{search.entry.algorithm} runs on Ray Tune", where="--local", hint="use --workers 1")
        from promptgrid.cluster.search.tune import run_tuned  # imports Ray

        admit(search.store.root, address, local=local, device=chosen.device, writes=True)
        search, searched = run_tuned(search, how, retry_failed=retry_failed)
    else:
        tried = f"search 1/2, {search.entry.trials} trials on validation {search.track.examples.many}"
        first = how | {"options": replace(apart, phase=tried)}
        searched = execute(search.plan(retry_failed=retry_failed), search.store, **first)
    if searched.interrupted is not None:
        return SearchSummary(None, None, searched)
    found, plan = choose(search, retry_failed=retry_failed)
    path = search.store.searches.keep(found)
    count = 2 if search.entry.algorithm == "random" else 3
    last = how | {
        "options": replace(apart, phase=f"search {count}/{count}, test {search.track.examples.many} of what was chosen")
    }
    return SearchSummary(found, path, searched, execute(plan, search.store, **last), search.track.examples)


def _run_ensemble(search: Search, how: dict[str, Any], *, retry_failed: bool) -> SearchSummary:
    examples, options = search.track.examples, how["options"]
    draws = draws_of(search, retry_failed=retry_failed)
    first = replace(options, phase=f"ensemble 1/2, {search.entry.trials} draws a method")
    searched = execute(draws.plan, search.store, **how | {"options": first})
    if searched.interrupted is not None:
        return SearchSummary(None, None, searched, examples=examples)
    found, plan = together(draws, retry_failed=retry_failed)
    path = search.store.searches.keep(found)
    last = replace(options, phase=f"ensemble 2/2, test {examples.many} answered together")
    return SearchSummary(found, path, searched, execute(plan, search.store, **how | {"options": last}), examples)
