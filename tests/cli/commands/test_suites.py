"""plan, run, status, report and verify, as a script would call them."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.cli.conftest import SUITE, Invoke

from promptgrid import api
from promptgrid.cluster import RunSummary
from promptgrid.spec import ClusterLost, Refused, exits
from promptgrid.store import StoreFull


def test_plan_counts_without_running(invoke: Invoke, suite: Path, tmp_path: Path) -> None:
    planned = invoke("plan", suite, "--store", tmp_path / "store", "--json")
    counts = json.loads(planned.stdout)
    assert planned.exit_code == 0
    assert (counts["cells"], counts["finished"], counts["missing"]) == (8, 0, 8)
    assert counts["packs"] == 4, "the two seeds of a method on a dataset share a pack"
    assert not (tmp_path / "store" / "records").exists()


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
    assert now["messages"]["DATA_CORRUPT"].endswith("a.jpg: an HTML page saved as an image; the download failed")
    told = invoke("status", wild, "--store", tmp_path / "store")
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("DATA_CORRUPT 2: ")]
    assert str(folder) in line
    invoke("report", wild, "--store", tmp_path / "store", "--out", tmp_path / "report")
    invoke("export", tmp_path / "report", tmp_path / "files")
    for read, name in ((pd.read_parquet, "report/results.parquet"), (pd.read_csv, "files/results.csv")):
        rows = read(tmp_path / name)
        assert rows[rows["status"] == "failed"]["message"].str.contains("HTML page saved as an image").all()


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


@pytest.fixture
def own(store: Path, tmp_path: Path) -> Path:
    """A copy of the finished store that may be harmed."""
    shutil.copytree(store, tmp_path / "own")
    return tmp_path / "own"


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("name", ["predictions.parquet", "state.safetensors"])
def test_run_runs_what_it_sets_aside_in_the_same_call(invoke: Invoke, suite: Path, own: Path, name: str) -> None:
    digest = json.loads(invoke("status", suite, "--store", own, "--json").stdout)["scores_digest"]
    for victim in list((own / "records").glob(f"*/*/{name}"))[:3]:
        flip(victim)
    now = json.loads(invoke("status", suite, "--store", own, "--json").stdout)
    assert (now["finished"], now["missing"]) == (5, 3), "what is shown was verified"
    healed = invoke("run", suite, "--store", own, "--local", "--no-mlflow", "--json")
    now = json.loads(healed.stdout)
    assert (healed.exit_code, now["missing"], now["scores_digest"]) == (0, 0, digest)


def test_what_is_damaged_while_a_grid_runs_is_run_in_the_same_call(
    invoke: Invoke, suite: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, harmed = api.execute, []

    def harming(*given: Any, **how: Any) -> Any:
        summary = usual(*given, **how)
        if not harmed:
            harmed.append(max((own / "records").glob("*/*/record.json")))
            flip(harmed[0])
        return summary

    monkeypatch.setattr(api, "execute", harming)
    done = invoke("run", suite, "--store", own, "--local", "--no-mlflow", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["finished"] == 8
    assert "1 cells are missing again" in done.stderr


def test_no_run_with_cells_missing_exits_0(
    invoke: Invoke, suite: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "execute", lambda *given, **how: RunSummary(0, 0, 0, 0.1))
    for victim in list((own / "records").glob("*/*/record.json"))[:1]:
        flip(victim)
    done = invoke("run", suite, "--store", own, "--local", "--no-mlflow", "--json")
    assert (done.exit_code, json.loads(done.stdout)["missing"]) == (1, 1)


def test_verify_finds_a_flipped_bit(invoke: Invoke, suite: Path, own: Path) -> None:
    flip(next((own / "records").glob("*/*/predictions.parquet")))
    found = invoke("verify", suite, "--store", own, "--json")
    assert found.exit_code == 1
    assert len(json.loads(found.stdout)["damaged"]) == 1
    whole = invoke("verify", "--store", own)
    assert whole.exit_code == 0
    assert "cached features read" in whole.stdout


@pytest.mark.parametrize("command", ["status", "verify"])
def test_what_is_no_store_is_an_error(invoke: Invoke, suite: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name in ("nothing", "empty", "file"):
        done = invoke(command, suite, "--store", tmp_path / name)
        assert done.exit_code == 2
        assert str(tmp_path / name) in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Refused("no", where="--x"), 2, "refused: --x: no"),
        (ClusterLost("Ray is gone"), 4, "cluster lost: Ray is gone"),
        (StoreFull(errno.ENOSPC, "the disk of the store is full", "/x"), 3, "crashed: StoreFull"),
        (KeyError("what"), 3, "crashed: KeyError: 'what' (traceback in "),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_whatever_ends_a_command_is_one_line_and_has_its_exit_code(
    invoke: Invoke, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any, code: int, said: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def broken(*given: Any, **how: Any) -> None:
        raise error

    monkeypatch.setattr(api, "plan", broken)
    done = invoke("run", suite, "--store", tmp_path / "store")
    assert done.exit_code == code
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr
    kept = [path.read_text() for path in tmp_path.glob("promptgrid-crash-*.txt")]
    assert [text.splitlines()[-1] for text in kept] == (["KeyError: 'what'"] if said.endswith("in ") else [])


def test_the_help_documents_every_exit_code(invoke: Invoke) -> None:
    words = " ".join(invoke("--help").output.replace("│", " ").split())
    assert all(f"{code} " in words for code in (exits.FAILED, exits.REFUSED, exits.CRASHED, exits.LOST))
    assert "cluster was lost" in words


def test_the_last_line_names_the_next_command(invoke: Invoke, suite: Path, store: Path, tmp_path: Path) -> None:
    empty = tmp_path / "store"
    assert invoke("plan", suite, "--store", empty).stdout.splitlines()[-1] == (
        f"next: promptgrid run {suite} --store {empty}"
    )
    report = f"next: promptgrid report {suite} --store {store}"
    assert invoke("status", suite, "--store", store).stdout.splitlines()[-1] == report
    again = invoke("run", suite, "--store", store, "--local", "--no-mlflow")
    assert again.stdout.splitlines()[-1] == report
    written = invoke("report", suite, "--store", store, "--out", tmp_path / "report")
    assert written.stdout.splitlines()[-1] == f"report: {tmp_path / 'report' / 'report.html'}"
