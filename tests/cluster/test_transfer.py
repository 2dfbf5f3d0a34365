"""A study of transfer through both runners: targets wait for their sources, and a lost source skips its own alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from promptgrid.cluster import Options, execute, make_plan
from promptgrid.spec import Reason
from promptgrid.spec.suite import parse_suite
from promptgrid.store import Store

QUIET = Options(mirror=False, quiet=True)


def _folder(root: Path, name: str, damaged: bool = False) -> str:
    """Two classes, three images to train on and two to test on each; one training image may be cut short."""
    rng = np.random.default_rng(list(name.encode()))
    for split, count in (("train", 3), ("test", 2)):
        for kind in ("left", "right"):
            for number in range(count):
                path = root / name / split / f"{kind} {name}" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    if damaged:
        broken = root / name / "train" / f"left {name}" / "0.png"
        broken.write_bytes(broken.read_bytes()[:80])
    return f"imagefolder:{root / name}"


def _suite(root: Path) -> dict[str, Any]:
    sound, broken = _folder(root, "sound"), _folder(root, "broken", damaged=True)
    return {
        "name": "study",
        "protocol": "transfer",
        "methods": [{"name": "clip_adapter", "epochs": 2}, {"name": "zero_shot", "readings": []}],
        "datasets": [sound, "weather"],
        "sources": [sound, broken],
        "readings": ["evaluate", "adapt"],
        "shots": [3],
        "seeds": [1],
    }


@pytest.mark.usefixtures("ray_here")
def test_targets_of_a_failed_source_are_skipped_with_the_reason(tmp_path: Path) -> None:
    suite = parse_suite(_suite(tmp_path), "study")
    digests = set()
    for name, local in {"local": True, "ray": False}.items():
        store = Store(tmp_path / name)
        plan = make_plan(suite, store)
        summary = execute(plan, store, local=local, workers=None if local else 2, options=QUIET)
        assert (summary.done, summary.failed) == (1 + 4 + 2, 1 + 4)
        failures = store.failures(plan.cells)
        for key, cell in plan.cells.items():
            record = failures.get(key)
            if "broken" in cell.source:
                assert record is not None
                assert record.reason is Reason.NEEDS_FAILED
                assert cell.needs[0][:12] in record.message
            elif "broken" in cell.dataset:
                assert record is not None
                assert record.reason is Reason.DATA_CORRUPT
            else:
                assert record is None, record
        assert make_plan(suite, store).to_json()["finished"] == 7
        digests.add(store.scores_digest(store.finished(plan.cells)))
    assert len(digests) == 1, "both runners give the same bits"
