"""plan, run, status, report and verify, as a script would call them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from tests.cli.conftest import SUITE, Invoke


def test_plan_counts_without_running(invoke: Invoke, suite: Path, tmp_path: Path) -> None:
    planned = invoke("plan", suite, "--store", tmp_path / "store", "--json")
    counts = json.loads(planned.stdout)
    assert planned.exit_code == 0
    assert (counts["cells"], counts["finished"], counts["missing"]) == (8, 0, 8)
    assert counts["packs"] == 4, "the two seeds of a method on a dataset share a pack"
    assert not (tmp_path / "store" / "records").exists()
    assert "no scores yet" in invoke("status", suite, "--store", tmp_path / "store").stdout


def test_a_second_run_finds_every_cell(invoke: Invoke, suite: Path, store: Path) -> None:
    before = json.loads(invoke("status", suite, "--store", store, "--json").stdout)
    again = invoke("run", suite, "--store", store, "--local", "--no-mlflow", "--json")
    after = json.loads(again.stdout)
    assert again.exit_code == 0
    assert before["scores_digest"] == after["scores_digest"]
    assert json.loads(invoke("plan", suite, "--store", store, "--json").stdout)["missing"] == 0


def test_a_refused_suite_exits_2_and_says_what_to_write(invoke: Invoke, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(SUITE.replace("taskres", "taskrse"), encoding="utf-8")
    refused = invoke("run", bad, "--store", tmp_path / "store", "--local", "--no-mlflow")
    assert refused.exit_code == 2
    assert "did you mean 'taskres'?" in refused.output
    assert not (tmp_path / "store" / "records").exists()


def test_a_failed_cell_exits_1_and_the_rest_is_kept(invoke: Invoke, tmp_path: Path) -> None:
    wild = tmp_path / "wild.yaml"
    exploding = "{name: coop, context_length: 4, learning_rate: 1.0, weight_decay: 0.1, epochs: 2}"
    text = SUITE.replace("{name: taskres, epochs: 5}", exploding).replace("seeds: [1, 2]", "seeds: [1]")
    folder = tmp_path / "photos"
    for label, split in ((name, part) for name in ("left", "right") for part in ("train", "test")):
        place = folder / split / label
        place.mkdir(parents=True)
        (place / "a.jpg").write_bytes(b"<html>not a picture</html>")
    wild.write_text(text.replace("[weather, digits]", f'[weather, "imagefolder:{folder}"]'), encoding="utf-8")
    done = invoke("run", wild, "--store", tmp_path / "store", "--local", "--no-mlflow", "--json")
    now = json.loads(done.stdout)
    assert done.exit_code == 1
    assert now["failed"] == 2
    assert now["finished"] == 2
    assert now["reasons"] == {"DATA_CORRUPT": 2}


def test_report_writes_the_page_and_the_long_form(invoke: Invoke, suite: Path, store: Path, tmp_path: Path) -> None:
    written = invoke("report", suite, "--store", store, "--out", tmp_path / "report")
    assert written.exit_code == 0, written.output
    assert "top of the leaderboard" in written.output
    assert "report.html" in written.output
    rows = pd.read_parquet(tmp_path / "report" / "results.parquet")
    assert set(rows["status"]) == {"done"}
    assert rows["cell_key"].nunique() == 8


def test_the_printed_top_says_what_is_not_finished(invoke: Invoke, suite: Path, store: Path, tmp_path: Path) -> None:
    wider = tmp_path / "wider.yaml"
    wider.write_text(suite.read_text(encoding="utf-8").replace("zero_shot", "zero_shot, clip_adapter"))
    printed = invoke("report", wider, "--store", store, "--out", tmp_path / "report").output
    (line,) = [line for line in printed.splitlines() if "clip_adapter" in line]
    assert "not finished" in line
    assert "nan" not in printed


def test_there_is_no_leaderboard_of_nothing(invoke: Invoke, suite: Path, tmp_path: Path) -> None:
    early = invoke("report", suite, "--store", tmp_path / "store", "--out", tmp_path / "report")
    assert early.exit_code == 2
    assert "nothing of this suite has run yet" in early.output
    assert not (tmp_path / "report").exists()


def test_verify_finds_a_flipped_bit_and_the_cell_runs_again(
    invoke: Invoke, suite: Path, store: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "store"
    invoke("run", suite, "--store", copy, "--local", "--no-mlflow")
    digest = json.loads(invoke("status", suite, "--store", copy, "--json").stdout)["scores_digest"]
    victim = next((copy / "records").glob("*/*/predictions.parquet"))
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(raw)
    found = invoke("verify", suite, "--store", copy, "--json")
    assert found.exit_code == 1
    assert len(json.loads(found.stdout)["damaged"]) == 1
    healed = invoke("run", suite, "--store", copy, "--local", "--no-mlflow", "--json")
    assert json.loads(healed.stdout)["scores_digest"] == digest


def test_the_last_line_names_the_next_command(invoke: Invoke, suite: Path, store: Path, tmp_path: Path) -> None:
    empty = tmp_path / "store"
    for command in ("plan", "status"):
        assert invoke(command, suite, "--store", empty).stdout.splitlines()[-1] == (
            f"next: promptgrid run {suite} --store {empty}"
        )
    report = f"next: promptgrid report {suite} --store {store}"
    assert invoke("status", suite, "--store", store).stdout.splitlines()[-1] == report
    again = invoke("run", suite, "--store", store, "--local", "--no-mlflow")
    assert again.stdout.splitlines()[-1] == report
    written = invoke("report", suite, "--store", store, "--out", tmp_path / "report")
    assert written.stdout.splitlines()[-1] == f"report: {tmp_path / 'report' / 'report.html'}"
