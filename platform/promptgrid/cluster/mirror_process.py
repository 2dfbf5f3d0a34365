"""Mirrors a running grid to MLflow from a process of its own.

A process and not a thread: importing MLflow takes seconds, a dead server minutes, and neither may hold up the
scheduler or the end of the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from promptgrid.cluster.workers.import_path import import_path
from promptgrid.store import Store
from promptgrid.store.mirror.submission import Submission

FINISH = "finish"
NICENESS = 19
"""The mirror takes what the workers leave: about 2 ms of CPU a cell, into a file of this machine."""
SO_FAR = "so_far.txt"


@dataclass(frozen=True)
class Mirrored:
    """What the mirror did: counts of runs, and one line about what went wrong, if anything did."""

    written: int = 0
    failed: int = 0
    problem: str = ""
    uri: str = ""


class MirrorProcess:
    """Mirrors cells as they finish; :meth:`close` waits for the rest, :meth:`kill` does not.

    Args:
        store: the records.
        submission: what of them to mirror, and where to.
    """

    def __init__(self, store: Store, submission: Submission) -> None:
        self._given: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="promptgrid-mirror-")
        task = Path(self._folder.name) / "task.jsonl"
        submission.write(task)
        with (Path(self._folder.name) / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "promptgrid.cluster.mirror_process", str(store.root), str(task)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": import_path()},
                start_new_session=True,  # a Ctrl-C on the terminal is for the driver to deal with
                text=True,
                bufsize=1,
            )

    def add(self, key: str) -> None:
        """The store holds something new about ``key``."""
        self._given.add(key)
        self._say(key)

    def close(self, seconds: float) -> Mirrored:
        """Mirror the rest, for at most ``seconds``; what was not reached is repaired by the next run."""
        try:
            self._say(FINISH)
            answer, _ = self._process.communicate(timeout=seconds)
            return Mirrored(**json.loads(answer.strip().splitlines()[-1]))
        except subprocess.TimeoutExpired:
            behind = f"MLflow took longer than {seconds:.0f} s and was left behind with {self._so_far():,} of "
            return Mirrored(self._so_far(), problem=f"{behind}{len(self._given):,} cells; `promptgrid sync` goes on")
        except (ValueError, IndexError, TypeError):
            return Mirrored(problem=f"the mirror ended with {self._process.returncode}: {self._last_words()}")
        finally:
            self.kill()

    def kill(self) -> None:
        """End it now. MLflow's database survives that, and the next mirror completes it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _say(self, line: str) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.closed or self._process.poll() is not None:
            return
        try:
            pipe.write(line + "\n")
        except BrokenPipeError:
            return  # it has died; close() will say so

    def _so_far(self) -> int:
        """Cells mirrored by now."""
        place = Path(self._folder.name) / SO_FAR
        return int(place.read_text() or 0) if place.is_file() else 0

    def _last_words(self) -> str:
        lines = (Path(self._folder.name) / "log.txt").read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "no message"


def main(store: Path, task: Path, orders: IO[str]) -> None:
    """The process: keys come in on ``orders``, ``finish`` ends it with a report; silence means the driver has died."""
    from promptgrid.store.mirror.writer import MirrorThread  # imports MLflow when it starts

    told = Submission.read(task)
    mirror = MirrorThread(Store(store), told, lambda cells: _note(task.with_name(SO_FAR), cells)).start()
    for line in orders:
        if line.strip() == FINISH:
            report = mirror.close()
            done = {"written": report.written + report.replaced, "failed": report.failed}
            print(json.dumps(done | {"problem": report.problem, "uri": report.uri}), flush=True)
            return
        mirror.add(line.strip())


def _note(place: Path, cells: int) -> None:
    """Write ``cells`` into ``place``, whole at every moment. A file: nobody empties a pipe while a grid runs."""
    place.with_suffix(".new").write_text(str(cells))
    place.with_suffix(".new").replace(place)


if __name__ == "__main__":
    os.nice(NICENESS)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.stdin)
