"""Results that are handed in: checked, and added to a board in a git repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptgrid.api.recomputing import Asked, Recomputed, check_keys, check_metrics, request_of, wrong_identity
from promptgrid.api.reporting import board_about
from promptgrid.leaderboard.contributed import board as boards
from promptgrid.leaderboard.contributed import standing
from promptgrid.leaderboard.contributed.checks import Grid, is_ensemble, named, rows_of, wrong_rows, wrong_scores_digest
from promptgrid.leaderboard.contributed.findings import Finding
from promptgrid.leaderboard.contributed.report_files import read_report
from promptgrid.leaderboard.contributed.sealed import AGAIN, compare_page, compare_table
from promptgrid.leaderboard.files.results import grid_frame
from promptgrid.leaderboard.planned_grid import PlannedCell
from promptgrid.spec import Refused, Request, Suite, read_suite
from promptgrid.spec.cell import settings_and_members
from promptgrid.spec.paths import user_path
from promptgrid.spec.version import __version__

if TYPE_CHECKING:
    from promptgrid.contract import Track
    from promptgrid.store import Store
    from promptgrid.store.inspection import Inspected

WANTED = "a report folder (results.parquet, report.json, SHA256SUMS), a store, or a board (board.yaml, results.csv)"
PLAIN = "few_shot"
"""The protocol of cells that a study with sources learns on the sources themselves."""


@dataclass(frozen=True)
class Checked:
    """What a check of results found.

    Attributes:
        kind: ``report``, ``store`` or ``board``.
        rows: all of them, with the columns of a report's results; none of a store that was checked without a suite.
        cells: how many there are.
        wrong: findings; results with one are not added to a board.
        unchecked: what could not be looked at here, and why.
    """

    kind: str
    rows: tuple[dict[str, Any], ...]
    cells: int
    wrong: tuple[Finding, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True)
class Added:
    """What adding did: the files of the board, cells that are new, cells that were there with the same values."""

    board: Path
    added: tuple[str, ...]
    skipped: tuple[str, ...]
    unchecked: tuple[str, ...]


def check_results(folder: str | Path, suite: Path | Suite | None = None, store: str | Path | None = None) -> Checked:
    """Check a report folder, a store or a board; nothing in it is changed.

    Args:
        folder: what is checked.
        suite: what it must be results of: its protocol, backbones, datasets, shots and every seed. A report has those
            of its own head otherwise; of a store, seeds are checked only with a suite.
        store: of a report or board, where the per-example answers of its cells lie, to compute metrics again.

    Raises:
        Refused: ``folder`` is none of the three, or the suite cannot be read.
    """
    place = user_path(folder, "results")
    chosen = read_suite(suite) if isinstance(suite, Path) else suite
    if (place / boards.SUITE).is_file():
        return _check_board(place, chosen or read_suite(place / boards.SUITE), store)
    if (place / "results.parquet").is_file():
        return _check_report(place, chosen, store)
    if _store(place).exists():
        return _check_store(place, chosen)
    raise Refused("no results there", where=str(folder), expected=WANTED)


def add_results(
    folder: str | Path, board: str | Path, suite: Path | None = None, store: str | Path | None = None
) -> Added:
    """Check the results in ``folder`` and merge them into the folder ``board``, whose page is written anew.

    ``suite`` is the one that the results are of; a store needs it for the labels of its rows. A new board keeps it as
    its ``board.yaml``; results for a board that is there must lie within that one too. Nothing is written unless all
    of it can be. Twice the same gives the same bytes.

    Raises:
        Refused: something is wrong with the results, with the first of it; a cell is on the board with another result;
            or there is neither a suite nor a board.
    """
    from promptgrid.store.files.writable import refuse_unwritable

    place, kept = user_path(board, "--board"), user_path(board, "--board") / boards.SUITE
    if not kept.is_file() and suite is None:
        raise Refused("no board there yet", where=str(board), expected=f"a folder with {boards.SUITE}",
                      hint="a new one needs --suite SUITE, which says what may stand on it")  # fmt: skip
    own = None if suite is None else read_suite(suite)
    chosen = own if own is not None and not kept.is_file() else read_suite(kept)
    for name in ("track", "selection", "precision", "views") if own is not None else ():
        if getattr(own, name) != getattr(chosen, name):
            raise Refused(f"the board asks for another {name}", where=str(suite), got=getattr(own, name),
                          expected=str(getattr(chosen, name)))  # fmt: skip
    checked = check_results(folder, own or chosen, store)
    wrong = checked.wrong or tuple(wrong_rows(checked.rows, _grid(chosen)))
    if wrong:
        raise Refused(f"{len(wrong)} findings, nothing was added; the first: {wrong[0].line}",
                      where=str(folder), hint="`promptgrid results check` shows all of them")  # fmt: skip
    track = _track(chosen)
    new, unchecked = _with_cuts(track, chosen, checked)
    merged = boards.merged(boards.read_rows(place), new)
    files = {boards.ROWS: boards.rows_text(merged.rows).encode()}
    files |= _made_of(chosen, merged.rows)
    refuse_unwritable(place.absolute(), "--board")
    suite_text = {} if kept.is_file() or suite is None else {boards.SUITE: user_path(suite).read_bytes()}
    boards.write_files(place, suite_text | files)
    return Added(place, merged.added, merged.skipped, (*checked.unchecked, *unchecked))


def _check_report(place: Path, suite: Suite | None, store: str | Path | None) -> Checked:
    report = read_report(place)
    rows, header = rows_of(report.frame), report.told.get("header", {})
    found = Recomputed(wrong=list(report.findings))
    if rows and header:
        grid = _grid(suite) if suite is not None else _grid_of_header(header)
        selection = header["selection"]
        precision, views = (
            (suite.precision, suite.views) if suite else (header.get("precision", "fp32"), header.get("views", 0))
        )
        for name, wanted in (("selection", suite.selection), ("track", suite.track)) if suite is not None else ():
            if header[name] != wanted:
                said = f"{name} {header[name]!r}, the suite's is {wanted!r}"
                found.wrong.append(Finding("suite", "report.json", said))
        found.wrong += wrong_rows(rows, grid)
        if "search" not in report.told:  # the digest is of the suite as written, rows of searches come on top
            written = [row for row in rows if not is_ensemble(row)]  # those are on top too
            found.wrong += wrong_scores_digest(written, header["scores_digest"])
        _recompute(rows, header["track"], (selection, precision, views), store, found)
    return _checked("report", rows, found)


def _check_board(place: Path, suite: Suite, store: str | Path | None) -> Checked:
    rows = boards.read_rows(place)
    found = Recomputed(wrong=wrong_rows(rows, _grid(suite)))
    if not found.wrong and rows:
        _compare_made(place, rows, _made_of(suite, rows), found)
    _recompute(rows, suite.track, (suite.selection, suite.precision, suite.views), store, found)
    return _checked("board", rows, found)


def write_page(board: str | Path) -> tuple[Path, ...]:
    """Write the page and the table of ``board`` again, from its suite and its rows; say which files those are.

    Raises:
        Refused: no board is there, or it cannot be written.
    """
    from promptgrid.store.files.writable import refuse_unwritable

    place = user_path(board, "BOARD")
    if not (place / boards.SUITE).is_file():
        raise Refused("no board there", where=str(board), expected=f"a folder with {boards.SUITE} and {boards.ROWS}")
    suite, rows = read_suite(place / boards.SUITE), boards.read_rows(place)
    if wrong := wrong_rows(rows, _grid(suite)):
        raise Refused(f"{len(wrong)} findings in its rows; the first: {wrong[0].line}", where=str(board),
                      hint="`promptgrid results check` shows all of them")  # fmt: skip
    files = _made_of(suite, rows)
    refuse_unwritable(place.absolute(), "BOARD")
    boards.write_files(place, files)
    return tuple(place / name for name in files)


def _made_of(suite: Suite, rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    return standing.board_files(suite, rows, board_about(_track(suite), suite, rows))


def _compare_made(
    place: Path, rows: Sequence[Mapping[str, Any]], files: Mapping[str, bytes], found: Recomputed
) -> None:
    """Whether the files of a board say what its rows give, whichever version wrote them."""
    for name, made in {boards.ROWS: boards.rows_text(rows).encode(), **files}.items():
        there = (place / name).read_bytes() if (place / name).is_file() else None
        if there is None:
            found.wrong.append(Finding("board", name, f"is missing: {AGAIN}"))
        elif name == boards.ROWS:
            if there != made:
                found.wrong.append(
                    Finding("board", name, "is not sorted text as a board holds: `results add` sorts it")
                )
        else:
            same = (
                compare_page(name, there, made)
                if name == boards.PAGE
                else compare_table(name, there, made, __version__)
            )
            found.wrong += same.wrong
            found.files += same.unchecked


def _check_store(place: Path, suite: Suite | None) -> Checked:
    from promptgrid import catalog
    from promptgrid.store.inspection import inspected

    found, sound = Recomputed(), []
    for one in inspected(_store(place)):
        if one.record is None:
            found.wrong.append(Finding("digest", f"cell {one.key[:12]}", one.trouble))
        else:
            sound.append(one)
    if suite is None:
        found.unchecked["seeds were not checked: no --suite says which there are"] += len(sound)
        picked = [(one.record.cell.method, one) for one in sound if one.record]
    else:
        picked = list(_picked(suite, sound, found))
    grid = [PlannedCell(label, one.record.cell, one.record.cell.shots, one.record.cell.seed, one.record, label)
            for label, one in picked if one.record]  # fmt: skip
    headline = _track(suite).headline(suite.protocol) if suite is not None else ""
    rows = rows_of(grid_frame(grid, suite.name if suite else "", headline))
    found.wrong += wrong_rows(rows, None if suite is None else _grid(suite))
    asked: dict[str, list[Asked]] = {}
    for label, one in picked:
        assert one.record is not None  # those that cannot be read were told above
        cell, name = one.record.cell, f"cell {one.key[:12]} ({label} on {one.record.cell.dataset})"
        asked.setdefault(cell.track, []).append((name, one.key, request_of(cell), cell.identity, cell.members))
        found.wrong += wrong_identity(cell, name)
        if one.record.status == "done":
            check_metrics(_track(cell), cell, one.record.metrics, one.predictions, name, found)
    for name, those in asked.items():
        _into(found, check_keys(catalog.track(name), those))
    checked = _checked("store", rows if suite is not None else [], found)
    return replace(checked, cells=len(picked))


def _picked(suite: Suite, sound: Sequence[Inspected], found: Recomputed) -> Iterator[tuple[str, Inspected]]:
    """(label, cell) of what ``suite`` asks for; settings as written decide, whatever the defaults are."""
    cells: dict[tuple[Any, ...], list[Inspected]] = {}
    for one in sound:
        if one.record is not None:
            cells.setdefault(_place(one.record.cell), []).append(one)
    for label, asked in suite.requests(_datasets(suite)):
        wanted = asked.settings.items()
        own = [one for one in cells.get(_place(asked), ()) if one.record and wanted <= one.record.cell.settings.items()]
        if not own:
            name = f"{label} on {asked.dataset}, {asked.shots} shots, seed {asked.seed}"
            found.wrong.append(Finding("seed", name, "has not run"))
        if len(own) > 1 and (exact := _exact(own, asked)):
            own = exact
        yield from ((label, one) for one in own)


def _exact(own: Sequence[Inspected], asked: Request) -> list[Inspected]:
    """Of cells that differ in settings nobody wrote, the one that the request means here."""
    try:
        key = _track(asked).resolve([asked])[0].key
    except (Refused, OSError):
        return []
    return [one for one in own if one.key == key]


def _place(cell: Any) -> tuple[Any, ...]:
    return tuple(getattr(cell, name) for name in Request.__dataclass_fields__ if name != "settings")


def _recompute(
    rows: Sequence[Mapping[str, Any]],
    track_name: str,
    how: tuple[Any, Any, Any],
    store: str | Path | None,
    found: Recomputed,
) -> None:
    """Keys of ``rows`` from their settings; with a store, values from its records and from their answers."""
    from promptgrid import catalog

    if any(one.kind == "schema" for one in found.wrong):
        return  # what cannot be read cannot be resolved
    track, (selection, precision, views) = catalog.track(track_name), how
    firsts = {row["cell_key"]: (number, row) for number, row in reversed(list(enumerate(rows, 1)))}
    asked = [
        (
            named(number, row),
            key,
            Request(track_name, row["protocol"], row["method"], settings, row["backbone"],
                    row["dataset"], row["shots"], row["seed"], selection, precision, row["source"], row["reading"],
                    views),
            None,
            members,
        )
        for key, (number, row) in sorted(firsts.items(), key=lambda item: item[1][0])
        for settings, members in [settings_and_members(json.loads(row["settings"]))]
    ]  # fmt: skip
    _into(found, check_keys(track, asked))
    if store is None:
        found.unchecked["metrics were not computed again: no --store holds the answers"] += len(firsts)
        return
    _compare(track, rows, user_path(store, "--store"), found)


def _compare(track: Track, rows: Sequence[Mapping[str, Any]], store: Path, found: Recomputed) -> None:
    from promptgrid.store.inspection import inspect

    kept = _store(store)
    cells: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for number, row in enumerate(rows, 1):
        cells.setdefault(row["cell_key"], []).append((number, row))
    for key, own in cells.items():
        if own[0][1]["status"] != "done":
            continue
        name, one = named(*own[0]), inspect(kept, key)
        if one.record is None:
            found.unchecked["metrics were not computed again: the store lacks the cell, or it is damaged"] += 1
            continue
        said = {row["metric"]: row["value"] for _, row in own}
        if said != one.record.metrics:
            found.wrong.append(Finding("metric", name, f"is {said}, the record says {one.record.metrics}"))
        check_metrics(track, one.record.cell, one.record.metrics, one.predictions, name, found)


def _with_cuts(track: Track, suite: Suite, checked: Checked) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The rows with what a board keeps beside: what training their settings take away."""
    rows, unknown = [], set()
    cuts: dict[str, str] = {}
    for row in checked.rows:
        key = row["cell_key"]
        if key not in cuts:
            cuts[key] = row.get("cut") or ""
            try:
                cuts[key] = cuts[key] or track.cut(standing.cell_of(suite, row))
            except (Refused, OSError, TypeError, ValueError):  # another version's settings among them
                unknown.add(key)
        rows.append({name: row.get(name) for name in boards.KINDS} | {"cut": cuts[key]})
    said = f"whether training was cut short is not known: method or data are not here ({len(unknown)} cells)"
    return rows, (said,) if unknown else ()


def _grid(suite: Suite) -> Grid:
    names = _datasets(suite)
    sources = suite.sources if isinstance(suite.sources, list) else []
    return Grid(
        protocols={suite.protocol} | ({PLAIN} if suite.sources is not None else set()),
        seeds=suite.seeds,
        shots=suite.shots,
        backbones=[backbone.id for backbone in suite.backbones],
        datasets=[*names, *(name for name in sources if name not in names)],
        methods={label: entry.name for entry in suite.methods for label, _ in entry.variants()},
    )


def _grid_of_header(header: Mapping[str, Any]) -> Grid:
    protocols = {header["protocol"]} | ({PLAIN} if header.get("sources") else set())
    return Grid(protocols, header["seeds"], header["shots"])


def _datasets(suite: Suite) -> list[str]:
    return _track(suite).bundled_datasets() if suite.datasets == "bundled" else list(suite.datasets)


def _track(of: Any) -> Track:
    from promptgrid import catalog

    return catalog.track(of.track)


def _store(place: Path) -> Store:
    from promptgrid.store import Store

    return Store(place)


def _into(found: Recomputed, more: Recomputed) -> None:
    found.wrong += more.wrong
    found.unchecked.update(more.unchecked)


def _checked(kind: str, rows: Sequence[dict[str, Any]], found: Recomputed) -> Checked:
    cells = len({row["cell_key"] for row in rows})
    return Checked(kind, tuple(rows), cells, tuple(found.wrong), found.sentences)
