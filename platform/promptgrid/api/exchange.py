"""To and from other tools: what cells learned in their forms, and their results marked as imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptgrid import api
from promptgrid.spec import Cell, Refused, nearest
from promptgrid.spec.imported import FILE, Imported, imported_text, joined, read_imported
from promptgrid.spec.paths import user_path

if TYPE_CHECKING:
    from promptgrid.contract import Track
    from promptgrid.contract.track import Kept
    from promptgrid.store import Store


@dataclass(frozen=True)
class Exported:
    """What was written, and which cells of a suite could not become it: (key, why)."""

    files: tuple[Path, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def export_cells(what: str | Path, form: str, out: str | Path, store: str | Path | None = None) -> Exported:
    """Write a cell, or the finished cells of a suite, in the form of another tool.

    Args:
        what: a key or its beginning, or a suite file.
        form: a name of the track's ``exports``.
        out: a folder; files of these names in it are not replaced by others.
        store: where the cells are.

    Raises:
        Refused: an unknown form; nothing of it can become that, and what can; files are in the way.
    """
    from promptgrid.store.files.writable import refuse_unwritable

    found, name = api.existing_store(store), str(what)
    whole = name.endswith((".yaml", ".yml"))
    keys = _finished(name, found) if whole else [api.whole_key(name, found, "export")]
    cells = [kept_of(found, key) for key in keys]
    track = _track(cells[0].record.cell)
    if form not in track.exports:
        raise Refused("unknown form", where="--as", got=form, hint=nearest(form, track.exports))
    left_out, able = [], cells
    if whole:
        able = []
        for kept in cells:
            try:
                track.exports[form]([kept])
                able.append(kept)
            except Refused as error:
                left_out.append((kept.record.cell.key, str(error)))
        if not able:
            raise Refused(f"no cell of it can become that; the first: {left_out[0][1]}", where=name)
    files, folder = track.exports[form](able), user_path(out, "DIR")
    for file, content in files.items():
        if (folder / file).exists() and (folder / file).read_bytes() != content:
            raise Refused("another file is there", where=str(folder / file), hint="name another folder")
    refuse_unwritable(folder.absolute(), "DIR")
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    return Exported(tuple(folder / file for file in files), tuple(left_out))


def nearest_words(key: str, store: str | Path | None = None, count: int = 5) -> list[dict[str, Any]]:
    """The words nearest to each token that the cell of ``key`` learned; see ``Track.words``."""
    found = api.existing_store(store)
    kept = kept_of(found, api.whole_key(key, found, "words"))
    return _track(kept.record.cell).words(kept, count)


def kept_of(store: Store, key: str) -> Kept:
    """All that is kept of a finished cell; of one that scores what another learned, with the arrays of that one."""
    from promptgrid.contract.track import Kept

    record = store.read(key)
    learned_by = record.cell.needs[0] if record.cell.reading == "evaluate" else key
    return Kept(record, store.predictions(key), store.state(learned_by), store.about(key))


def import_results(form: str, path: str | Path, out: str | Path, track: str) -> list[Imported]:
    """Read the results of another tool and keep them in ``out``, beside those that are there; all of them or none.

    Raises:
        Refused: an unknown form; a file that cannot be read, naming it; a result that is there with other numbers.
    """
    from promptgrid import catalog
    from promptgrid.store.files.writable import refuse_unwritable

    forms = catalog.track(track).imports
    if form not in forms:
        hint = nearest(form, forms) if forms else f"track {track!r} reads results of no other tool"
        raise Refused("unknown format", where="import", got=form, hint=hint)
    place, folder = user_path(path, "PATH"), user_path(out, "--out")
    if not place.exists():
        raise Refused("no such file or folder", where=str(path))
    new = forms[form](place)
    there = read_imported(folder) if (folder / FILE).is_file() else []
    text = imported_text(joined(there, new))
    refuse_unwritable(folder.absolute(), "--out")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(text, encoding="utf-8")
    return new


def _finished(suite: str, store: Store) -> Sequence[str]:
    planned = api.plan(suite, store)
    done = store.finished(planned.cells)
    keys = list(dict.fromkeys(cell.key for _, cell in planned.grid if cell.key in done))
    if not keys:
        raise Refused("no cell of this suite has finished", where=suite, hint=f"promptgrid run {suite}")
    return keys


def _track(cell: Cell) -> Track:
    from promptgrid import catalog

    return catalog.track(cell.track)
