"""A process that commits synthetic outcomes, and may die of it."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.store.synthetic import make_cell, make_outcome

from promptgrid.store import Store


def committing(root: Path, seeds: tuple[int, ...], failpoint: str = "", answers: Path | None = None) -> BaseProcess:
    """A started process; the answers of its commits (0 or 1) go to ``answers``, a line each.

    It is forked from a server that has imported everything once: starting Python for each would cost seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.committer"])
    process = context.Process(target=_commit, args=(root, seeds, failpoint, answers))
    process.start()
    return process


def _commit(root: Path, seeds: tuple[int, ...], failpoint: str, answers: Path | None) -> None:
    os.environ["PROMPTGRID_FAILPOINT"] = failpoint
    store = Store(root)
    said = [int(store.commit(make_outcome(make_cell(seed)))) for seed in seeds]
    if answers is not None:
        answers.write_text("\n".join(map(str, said)))
