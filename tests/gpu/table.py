"""What GPU runs found, as one page and one JSON: `python -m tests.gpu.table build/gpu/out --out reports/gpu`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PARTS = ("checks", "suite", "bench", "grid", "pretrain")
Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of tests/gpu/run.sh, the earliest first")
    parser.add_argument("--out", type=Path, required=True, help="where README.md and gpu.json go")
    parser.add_argument("--notes", type=Path, help="what a person has to say of these runs, in Markdown")
    asked = parser.parse_args()
    runs = [
        {
            name: json.loads((folder / f"{name}.json").read_text())
            for name in PARTS
            if (folder / f"{name}.json").exists()
        }
        for folder in asked.runs
    ]
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "gpu.json").write_text(json.dumps(runs, indent=1) + "\n")
    notes = asked.notes.read_text() if asked.notes else ""
    text = "\n".join(page(runs, notes)) + "\n"
    (asked.out / "README.md").write_text(text)
    print(text)


def page(runs: Sequence[Run], notes: str = "") -> Iterator[str]:
    """The lines of the page."""
    yield "# What a GPU showed"
    yield ""
    yield "Written by `make gpu` on a GPU machine and `python -m tests.gpu.table`; the same numbers lie in `gpu.json`."
    yield from ["", notes.rstrip()] if notes else []
    for number, run in enumerate(runs, start=1):
        for name, part in run.items():
            machine = part["machine"]
            where = ", ".join(
                (
                    machine["card"],
                    f"driver {machine['driver'] or 'none'}",
                    f"torch {machine['torch']}",
                    machine["commit"],
                )
            )
            whole = "" if part["complete"] else "; **cut off by its time limit: what is missing was not measured**"
            title = f"## {name}" if len(runs) == 1 else f"## Run {number}: {name}"
            yield from ("", title, "", f"{where}; {part['seconds']:.0f} s{whole}.", "")
            yield from SAID[name](part["rows"])


def checks(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How many held, the largest gaps, and what failed."""
    passed = [row for row in rows if row["outcome"] == "passed"]
    skipped = sum(row["outcome"] == "skipped" for row in rows)
    yield f"{len(passed)} of {len(rows) - skipped} tests passed, {skipped} skipped (`tests/gpu/test_on_gpu.py`)."
    yield ""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in passed:
        kinds.setdefault(row["test"].partition("[")[0], []).append(row)
    lines = []
    for kind, own in kinds.items():
        loss = max((row["loss gap"] for row in own if "loss gap" in row), default=None)
        cosine = max((row["cosine gap"] for row in own if "cosine gap" in row), default=None)
        lines.append([kind.removeprefix("test_").replace("_", " "), len(own), loss, cosine])
    yield from table(("test", "passed", "largest gap of a loss", "of a cosine"), lines)
    for row in rows:
        if row["outcome"] == "failed":
            yield f"* failed: `{row['test']}`: {row['said'].splitlines()[-1][:200]}"


def suite(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One suite beside its report from a CPU."""
    for row in rows:
        stopped = row["finished"] + row["failed"] < row["cells"]
        yield from ["**Stopped by its time limit.**"] * stopped
        yield (
            f"`{row['suite']}`, {row['finished']} of {row['cells']} cells in {row['seconds']} s (`--local`), "
            f"{row['failed']} failed {row['reasons'] or ''}. Of {row['values']} values {row['different']} differ from "
            f"those of a CPU: by at most {row['largest difference']:.4f}, on average by {row['mean difference']:.5f}."
        )


def bench(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The table of `promptgrid bench`."""
    lines = [
        [row["family"], row["classes"], row["variant"], row["ms"], row["ratio"], f"{row['share']:.0%}",
         row["peak_mb"], row["difference"]]
        for row in rows if "failed" not in row
    ]  # fmt: skip
    heads = ("family", "classes", "variant", "ms a cell-step", "times faster", "of the floor", "peak MB", "difference")
    yield from table(heads, lines)
    yield from (
        f"* failed: {row['family']}, {row['classes']} classes: {row['failed'][:300]}" for row in rows if "failed" in row
    )


def grid(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The paper's grid, dataset by dataset, and the pairs."""
    lines = [
        [row["grid"], row["classes"], row["cell_steps"], row["ms_a_cell_step"], row["seconds"], row["floor_seconds"],
         row["seconds"] / row["floor_seconds"], row["hours_16_shots_3_seeds"]]
        for row in rows if "grid" in row and row["grid"] != "all"
    ]  # fmt: skip
    lines += [
        ["all", "", "", "", row["seconds"], row["floor_seconds"], row["times"], ""]
        for row in rows
        if row.get("grid") == "all"
    ]
    heads = (
        "CoOp on",
        "classes",
        "cell-steps",
        "ms a cell-step",
        "seconds",
        "floor, s",
        "times",
        "16 shots, 3 seeds: hours",
    )
    yield from table(heads, lines)
    for row in rows:
        if "transfer" in row and row["finished"] + row["failed"] < row["cells"]:
            yield (
                f"{row['transfer']}: **stopped by its time limit** after {row['finished']} of {row['cells']} cells and "
                f"{row['seconds']:.1f} s: no measurement."
            )
        elif "transfer" in row:
            yield (
                f"{row['transfer']}: {row['finished']} of {row['cells']} cells in {row['seconds']:.1f} s, of which "
                f"training {row['training_seconds']:.1f} s; the counted floor is {row['floor_seconds']:.2f} s "
                f"({row['times']:.1f} times)."
            )
        if "failed" in row and "said" in row:
            yield f"* failed: {row['failed']}: {row['said'][:300]}"


def pretrain(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Speed of pretraining."""
    if rows:
        yield from table(tuple(rows[0]), [list(row.values()) for row in rows])


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """A Markdown table."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(said(value) for value in row)} |"
    yield ""


def said(value: Any) -> str:
    """A cell's text."""
    if value is None:
        return ""
    return f"{value:,.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


SAID = {"checks": checks, "suite": suite, "bench": bench, "grid": grid, "pretrain": pretrain}

if __name__ == "__main__":
    main()
