"""What a report is made of: records and failures of a plan, its searches, the names that papers use."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from promptgrid.spec import Cell, Refused, Suite
from promptgrid.spec.imported import Imported, joined, read_imported
from promptgrid.spec.paths import user_path
from promptgrid.spec.version import __version__

if TYPE_CHECKING:
    from promptgrid.cluster import Plan
    from promptgrid.contract import Track
    from promptgrid.contract.track import Predictions
    from promptgrid.leaderboard import ReportInput
    from promptgrid.store import Store

_log = logging.getLogger(__name__)


def report_input(planned: Plan, store: Store, command: str, *, examples: bool = True) -> ReportInput:
    """What a page about the suite of ``planned`` is made of; ``command`` runs it again.

    ``examples``: whether it may show test examples.
    """
    from promptgrid import catalog
    from promptgrid.cluster.search.ensemble import member_costs
    from promptgrid.cluster.search.stored import chosen_rows, stored_searches
    from promptgrid.cluster.search.winners import tested_scores
    from promptgrid.leaderboard import ReportInput
    from promptgrid.leaderboard.analysis.published.beside import ranked_grid
    from promptgrid.leaderboard.inputs import SearchedRow, nothing_shown

    suite = planned.suite
    stored = stored_searches(suite, store)
    for one in stored:
        if one.found.ensemble and one.stale:
            _log.warning("the ensemble of %d draws has no row: %s; `promptgrid search --ensemble` brings it up to date",
                         one.found.trials, "; ".join(one.stale))  # fmt: skip
    rows = chosen_rows(suite, store, stored)
    grid = [*planned.grid, *((row.label, cell) for row in rows for cell in row.cells)]
    cells = {cell.key: cell for _, cell in grid}
    track = catalog.track(suite.track)
    methods = track.describe("methods")
    records = {record.cell.key: record for record in store.records(store.finished(cells))}
    for key, cost in member_costs(cells, store).items():
        if key in records:
            records[key] = records[key].model_copy(update={"cost": records[key].cost.model_copy(update=cost)})
    headline = track.headline(suite.protocol)
    known_as = _known_as(track, list(cells.values()))
    imported = imported_results(suite)
    if suite.imported is not None and suite.imported.rank:
        datasets = list(dict.fromkeys(cell.dataset for cell in cells.values()))
        more, read = ranked_grid(suite, imported, datasets, known_as, headline)
        grid, records = [*grid, *more], records | read
    revisions = sorted({record.provenance.revision for record in records.values()} - {""})
    return ReportInput(
        suite=suite,
        grid=grid,
        records=records,
        failures=store.failures(cells.keys() - records.keys()),
        headline=headline,
        scores_digest=store.scores_digest(planned.cells),
        command=command,
        version=__version__,
        revision=", ".join(revisions),
        titles=planned.titles,
        kinds={row["name"]: row["kind"] for row in methods},
        seen=seen_before(track, planned),
        about={row["name"]: row.get("about") or "" for row in methods},
        papers={row["name"]: row.get("paper") or "" for row in methods},
        axes={row["name"]: row.get("axes", {}) for row in methods},
        defaults={row["name"]: row.get("settings", {}) for row in methods},
        parities=track.parities(),
        cards=_method_cards(track, dict.fromkeys(cell.method for _, cell in planned.grid)),
        published=track.published(),
        known_as=known_as,
        imported=imported,
        searches=[one.found for one in stored if not one.found.ensemble],
        stale={one.found.question: one.stale for one in stored if one.stale},
        tested=tested_scores([one.found for one in stored], store),
        searched={row.label: SearchedRow(row.entry, row.budget, row.lengths, row.together) for row in rows},
        examples=track.examples,
        answers=partial(_own_answers, store, frozenset(store.finished(cells))),
        show=track.thumbnails if examples else nothing_shown,
        chosen_by=track.chosen_by(suite.protocol),
        cuts={key: cut for key, cell in cells.items() if (cut := track.cut(cell))},
    )


def _method_cards(track: Track, methods: Iterable[str]) -> dict[str, dict[str, Sequence[str]]]:
    """What a page says of each of ``methods`` beside its row."""
    from promptgrid.leaderboard.method_cards import page_card

    return {name: page_card(track.card(name), track.examples) for name in methods}


def _own_answers(store: Store, ours: frozenset[str], key: str) -> Sequence[Predictions]:
    """What a cell of the store answered; nothing of what other tools computed."""
    from promptgrid.store.answers import stored_answers

    return stored_answers(store, key) if key in ours else ()


def with_transfer(given: ReportInput, store: Store) -> ReportInput:
    """What a study of transfer needs beside the records: answers example by example, and how alike its tasks are."""
    from promptgrid import catalog
    from promptgrid.leaderboard.inputs import Similarities
    from promptgrid.leaderboard.planned_grid import is_multitask
    from promptgrid.store import FeatureCache
    from promptgrid.store.answers import right_answers

    pairs = [cell for _, cell in given.grid if cell.reading]
    if not pairs:
        return given
    apart = [cell for cell in pairs if not is_multitask(cell)]
    tasks = list(dict.fromkeys(name for cell in apart for name in (cell.source, cell.dataset)))
    track, cache = catalog.track(given.suite.track), FeatureCache(store.root)
    alike = {}
    for backbone in dict.fromkeys(cell.backbone for cell in apart):
        try:
            matrices = track.similarities(backbone, tasks, cache)
        except (Refused, OSError) as error:
            _log.warning("similarities of tasks are left out of the report: %s", error)
        else:
            alike[backbone] = Similarities(tuple(tasks), matrices)
    return replace(given, correct=right_answers(store, given.records), similarities=alike)


def seen_before(track: Track, planned: Plan) -> dict[str, str]:
    """{dataset: what is said of it} of those in a plan that the pretraining of a backbone in it saw a part of."""
    used = {cell.backbone for _, cell in planned.grid}
    rows = [row for row in track.describe("backbones") if row["name"] in used]
    flagged = [row["name"] for row in track.describe("datasets") if row.get("seen_in_pretraining")]
    found: dict[str, str] = {}
    if "bundled" in used:
        found = dict.fromkeys(flagged, "the training part was among what the bundled backbone was trained on")
    elif any(row.get("bundled") for row in rows):
        found = dict.fromkeys(flagged, "some of it may be among what the backbone was trained on")
    by_dataset: dict[str, list[str]] = {}
    for row in rows:
        for name in row.get("trained_on", ()):
            by_dataset.setdefault(name, []).append(row["name"])
    return found | {name: f"without its labels among what trained {', '.join(on)}" for name, on in by_dataset.items()}


def imported_results(suite: Suite) -> list[Imported]:
    """Results of other tools that ``suite`` names, each once. Raises Refused where a folder holds none."""
    folders = suite.imported.folders if suite.imported is not None else []
    found: list[Imported] = []
    for folder in folders:
        found = joined(found, read_imported(user_path(folder, "imported.folders")))
    return found


def board_about(track: Track, suite: Suite, rows: Sequence[Mapping[str, Any]]) -> ReportInput:
    """What the page of a board is made of beside its rows: what ``track`` says of names, without opening anything."""
    from promptgrid.leaderboard import ReportInput

    methods = track.describe("methods")
    known = {row["backbone"]: track.known_as("backbone", row["backbone"]) for row in rows}
    known |= {row["dataset"]: track.known_as("dataset", row["dataset"]) for row in rows}
    return ReportInput(
        suite=suite,
        grid=(),
        records={},
        failures={},
        headline=track.headline(suite.protocol),
        version=__version__,
        kinds={row["name"]: row["kind"] for row in methods},
        axes={row["name"]: row.get("axes", {}) for row in methods},
        defaults={row["name"]: row.get("settings", {}) for row in methods},
        parities=track.parities(),
        published=track.published(),
        known_as={name: said for name, said in known.items() if said},
        examples=track.examples,
        chosen_by=track.chosen_by(suite.protocol),
    )


def _known_as(track: Any, cells: list[Cell]) -> dict[str, str]:
    """Datasets and backbones that papers know, with the papers' names."""
    found = {cell.backbone: track.known_as("backbone", cell.backbone) for cell in cells}
    for cell in cells:
        found |= {name: track.known_as("dataset", name) for name in (cell.dataset, cell.source) if name not in found}
    return {name: known for name, known in found.items() if known}
