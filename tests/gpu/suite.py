"""Part 2: a real suite as a user runs it, `--local --device cuda`, beside its committed report from a CPU."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML
from tests.gpu.part import Part

from promptgrid import api
from promptgrid.spec.parquet import read_frame

PLACE = ["label", "backbone", "dataset", "shots", "seed", "metric"]
TINY = {"methods": ["zero_shot", "tip_adapter"], "datasets": ["weather"], "shots": [1], "seeds": [1]}


def main() -> None:
    part = Part(__doc__ or "")
    suite = api.as_suite(YAML(typ="safe").load(Path("suites/quickstart.yaml")) | (TINY if part.tiny else {}))
    committed = read_frame(Path("reports/quickstart/results.parquet"))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        planned = api.plan(suite, folder)
        api.execute(planned, folder, local=True, device=part.device, mlflow=False)
        seconds = time.perf_counter() - began
        told = api.status(suite, folder)
        part.add(
            suite=suite.name,
            cells=told.cells,
            finished=told.finished,
            failed=told.failed,
            reasons=told.reasons,
            seconds=round(seconds, 1),
            digest=told.scores_digest,
            **_beside(api.results(suite, folder), committed),
        )
    part.finish()


def _beside(now: pd.DataFrame, committed: pd.DataFrame) -> dict[str, object]:
    """How many values differ from the committed ones, and by how much at most."""
    both = now[now.status == "done"].merge(committed, on=PLACE, suffixes=("", "_committed"))
    gap = (both.value - both.value_committed).abs()
    by_label = gap.groupby(both.label).max()
    return {
        "values": len(both),
        "different": int((gap > 0).sum()),
        "largest difference": float(gap.max()),
        "mean difference": float(gap.mean()),
        "largest by method": {str(label): float(value) for label, value in by_label.items()},
    }


if __name__ == "__main__":
    main()
