"""What searches chose: small files beside the records, each named by its own content."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from promptgrid.spec import digest
from promptgrid.spec.searched import SearchFound
from promptgrid.store.faults import explained
from promptgrid.store.files.commit import make_folder, sync_folder, write_file
from promptgrid.store.files.quarantine import move_aside

_log = logging.getLogger(__name__)


class Searches:
    """The folder ``searches/`` of the store under ``root``: one JSON file a search, ``<sha256 of the file>.json``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "searches"

    def keep(self, found: SearchFound) -> Path:
        """Write ``found``, and remove earlier answers to the same question. Whole or not at all.

        Raises:
            StoreFull, StoreReadOnly: the disk is full or may not be written.
        """
        raw = found.text().encode()
        path = self.folder / f"{digest(raw)}.json"
        with explained(self.root):
            make_folder(self.folder)
            if not path.is_file():
                partial = self.folder / f".{path.stem[:16]}.{secrets.token_hex(4)}"
                try:
                    write_file(partial, raw)
                    os.replace(partial, path)
                finally:
                    partial.unlink(missing_ok=True)
            for other, earlier in self.all().items():
                if other != path and earlier.question == found.question:
                    other.unlink(missing_ok=True)
            sync_folder(self.folder)
        return path

    def all(self) -> dict[Path, SearchFound]:
        """Every search by its file, in the order of their names; a file that does not verify is left out."""
        found = {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                found[path] = _read(path)
            except FileNotFoundError:
                _log.info("%s was replaced while it was read", path)
            except (ValidationError, ValueError) as error:
                _log.warning("a search that does not verify is left out: %s: %s", path, error)
        return found

    def examine(self) -> Examined:
        """Read every search again; what does not verify goes to quarantine."""
        sound, damaged = 0, []
        for path in sorted(self.folder.glob("*.json")):
            try:
                _read(path)
                sound += 1
            except FileNotFoundError:
                continue
            except (ValidationError, ValueError) as error:
                why = f"{path.name}: {' '.join(str(error).split())[:200]}"
                move_aside(self.root, path, path.stem[:64], why)
                damaged.append(why)
        return Examined(sound, damaged)


class Examined(NamedTuple):
    """How many searches verified, and what was wrong with the others."""

    sound: int
    damaged: list[str]


def _read(path: Path) -> SearchFound:
    raw = path.read_bytes()
    if digest(raw) != path.stem:
        raise ValueError("its content is not what its name says")
    return SearchFound.model_validate_json(raw)
