"""Whether two revisions give the same numbers: five suites run on both, and a digest of all values side by side.

`python -m tests.bench.same_numbers main HEAD`: one suite of each kind (few-shot, transfer, an unlabelled pool, test
time, black box), cut to two datasets, one seed and short training, so that all of it takes minutes. `--whole` runs the
suites as they are. Each revision is checked out beside this one and run with its own code in a store of its own; an
interrupted run goes on where it was. The digest is of values by label, dataset, shots, seed, source and metric: keys,
and with them the `scores_digest` of a report, change with the text of a method, even where no number does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from tests.bench.moved import Moved, Square, moved, values

SUITES = ("quickstart", "transfer_400", "unlabelled", "test_time", "black_box")
SHORT = {
    "epochs": 1, "iterations": 6, "rounds": 2, "members": 2, "meta_steps": 4, "gan_epochs": 1, "text_steps": 10,
    "views": 4, "generated": 2, "steps_per_shot": 2, "batch_size": 32,
}  # fmt: skip
DATASETS, SEEDS = 2, 1
SETTINGS = """
import json, sys
from promptgrid import catalog
track = catalog.track("image")
print(json.dumps({name: track.resolver.method(name).defaults() for name in json.loads(sys.argv[1])}))
"""


def cut(suite: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """``suite`` on its first datasets and seed, with every length of training that a method has made short."""
    methods = []
    for entry in suite["methods"]:
        own = {"name": entry} if isinstance(entry, str) else dict(entry)
        own |= {name: value for name, value in SHORT.items() if name in known[own["name"]]}
        methods.append(own)
    found = dict(
        suite, methods=methods, datasets=list(suite["datasets"])[:DATASETS], seeds=list(suite["seeds"])[:SEEDS]
    )
    return found | {"shots": list(suite["shots"])[:1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revisions", nargs=2)
    parser.add_argument("--suites", nargs="+", default=list(SUITES), help=f"by default {' '.join(SUITES)}")
    parser.add_argument("--whole", action="store_true", help="the suites as they are: hours")
    parser.add_argument("--work", type=Path, default=Path("build/same_numbers"))
    asked = parser.parse_args()
    work = asked.work.resolve()
    homes = [checked_out(revision, work) for revision in asked.revisions]
    differ = []
    for name in asked.suites:
        before, now = (values_of(name, home, asked.whole) for home in homes)
        found = moved(before, now)
        same = before == now
        said = f"{len(now)} values" if same else f"{len(found)} of {len(now)} values differ" + largest(found)
        print(f"{name}: {digest_of(before)} {'=' if same else 'IS NOT'} {digest_of(now)}, {said}", flush=True)
        differ += [name] * (not same)
    sys.exit(1 if differ else 0)


def checked_out(revision: str, work: Path) -> Path:
    """A checkout of ``revision`` below ``work``."""
    commit = subprocess.run(["git", "rev-parse", f"{revision}^{{commit}}"], check=True, capture_output=True, text=True)
    home = work / commit.stdout.strip()[:12]
    if not home.is_dir():
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(home), commit.stdout.strip()], check=True)
    return home


def largest(found: Sequence[Moved]) -> str:
    """The largest difference in words."""
    return f", the largest by {found[0].by:.2g}" if found else ""


def digest_of(values: dict[Square, float]) -> str:
    """16 hex digits of all values and what they stand for."""
    lines = sorted(f"{' '.join(square)} {value.hex()}" for square, value in values.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def values_of(name: str, home: Path, whole: bool) -> dict[Square, float]:
    """The values of suite ``name``, run by the code in ``home``."""
    environment = os.environ | {"PYTHONPATH": str(home / "platform"), "OMP_NUM_THREADS": "1"}

    def python(*words: str) -> str:
        ran = subprocess.run(
            [sys.executable, *words], cwd=home, env=environment, check=False, capture_output=True, text=True
        )
        if ran.returncode not in (0, 1):  # 1: some cells failed, and the digest says so
            raise SystemExit(f"{home.name}: {name}: {ran.stderr[-2000:] or ran.stdout[-2000:]}")
        return ran.stdout

    yaml, suite = YAML(), home / "suites" / f"{name}.yaml"
    if not whole:
        written = yaml.load(suite.read_text(encoding="utf-8"))
        names = [entry if isinstance(entry, str) else entry["name"] for entry in written["methods"]]
        known = json.loads(python("-c", SETTINGS, json.dumps(names)))
        suite = home / "build" / f"{name}.yaml"
        suite.parent.mkdir(exist_ok=True)
        with suite.open("w", encoding="utf-8") as file:
            yaml.dump(cut(written, known), file)
    main = "from promptgrid.cli.main import app; app()"
    store, out = str(home / "build" / "store"), str(home / "build" / name)
    python("-c", main, "run", str(suite), "--local", "--no-mlflow", "--store", store)
    python("-c", main, "report", str(suite), "--store", store, "--out", out, "--top", "0")
    return values(Path(out) / "results.parquet")


if __name__ == "__main__":
    main()
