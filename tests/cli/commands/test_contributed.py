"""`promptgrid results`: a report and a store are checked, a lie is found, and a board takes what holds."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.cli.conftest import Invoke

from promptgrid.store import Store
from promptgrid.store.files import encoding
from promptgrid.store.files.manifest import FILES, manifest_bytes


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, suite: Path, store: Path, invoke: Invoke) -> Path:
    """The report of the tiny suite."""
    out = tmp_path_factory.mktemp("reports") / "tiny"
    assert invoke("report", suite, "--store", store, "--out", out, "--no-mlflow").exit_code == 0
    return out


def forged(report: Path, out: Path, change: Callable[[pd.DataFrame], Any]) -> Path:
    """A copy of a report with other rows and with digests that fit them."""
    shutil.copytree(report, out)
    frame = pd.read_parquet(out / "results.parquet")
    frame = change(frame)
    frame.to_parquet(out / "results.parquet", index=False)
    lines = [line for line in (out / "SHA256SUMS").read_text().splitlines() if "results.parquet" not in line]
    now = hashlib.sha256((out / "results.parquet").read_bytes()).hexdigest()
    (out / "SHA256SUMS").write_text("\n".join([*lines, f"{now}  results.parquet"]) + "\n")
    return out


def better(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[(frame["label"].str.startswith("taskres")) & (frame["metric"] == "accuracy"), "value"] = 0.99
    return frame


def test_what_was_run_here_holds(written: Path, suite: Path, store: Path, invoke: Invoke) -> None:
    told = invoke("results", "check", written, "--suite", suite, "--store", store, "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == {"kind": "report", "cells": 8, "wrong": [], "unchecked": []}
    told = invoke("results", "check", store, "--suite", suite, "--json")
    assert json.loads(told.stdout) == {"kind": "store", "cells": 8, "wrong": [], "unchecked": []}
    assert "seeds were not checked" in invoke("results", "check", store).stdout


def test_a_changed_file_is_found_by_its_digest(written: Path, tmp_path: Path, invoke: Invoke) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    (copy / "leaderboard.csv").write_text("mine\n")
    told = invoke("results", "check", copy)
    assert told.exit_code == 1
    assert "digest: leaderboard.csv: has sha256" in told.stdout
    (copy / "SHA256SUMS").unlink()
    assert "digest: SHA256SUMS: is missing" in invoke("results", "check", copy).stdout


def test_a_better_number_is_found_by_the_digest_of_scores_and_by_the_answers(
    written: Path, store: Path, tmp_path: Path, invoke: Invoke
) -> None:
    lie = forged(written, tmp_path / "lie", better)
    told = invoke("results", "check", lie, "--store", store)
    assert told.exit_code == 1
    assert "digest: report.json: scores digest" in told.stdout
    assert told.stdout.count("the record says") == 4


def test_other_settings_under_a_key_are_found(written: Path, tmp_path: Path, invoke: Invoke) -> None:
    def more(frame: pd.DataFrame) -> pd.DataFrame:
        frame["settings"] = frame["settings"].str.replace('"epochs":5', '"epochs":6')
        return frame

    told = invoke("results", "check", forged(written, tmp_path / "lie", more))
    lines = [line for line in told.stdout.splitlines() if line.startswith("key: ")]
    assert len(lines) == 4
    assert "its settings give" in lines[0]


def test_a_column_too_many_and_no_parquet_are_findings(written: Path, tmp_path: Path, invoke: Invoke) -> None:
    told = invoke("results", "check", forged(written, tmp_path / "more", lambda frame: frame.assign(note="x")))
    assert "schema: results.parquet: has a column 'note' that no report writes" in told.stdout
    (tmp_path / "more" / "results.parquet").write_bytes(b"nonsense")
    told = invoke("results", "check", tmp_path / "more")
    assert told.exit_code == 1
    assert "schema: results.parquet: cannot be read" in told.stdout


def test_a_store_whose_metrics_are_not_those_of_its_answers(
    suite: Path, store: Path, tmp_path: Path, invoke: Invoke
) -> None:
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    kept = Store(copy)
    key = next(iter(kept.keys()))
    record = kept.read(key)
    lie = record.model_copy(update={"metrics": record.metrics | {"accuracy": 0.987}})
    files = {name: (kept.folder(key) / name).read_bytes() for name in FILES} | {
        "record.json": encoding.record_bytes(lie)
    }
    (kept.folder(key) / "record.json").write_bytes(files["record.json"])
    (kept.folder(key) / "MANIFEST.json").write_bytes(manifest_bytes(key, files))
    told = invoke("results", "check", copy, "--suite", suite)
    assert told.exit_code == 1
    assert f"metric: cell {key[:12]}" in told.stdout
    assert "accuracy is 0.987, its answers give 0." in told.stdout


def test_a_damaged_store_is_told_and_not_changed(suite: Path, store: Path, tmp_path: Path, invoke: Invoke) -> None:
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    key = next(iter(Store(copy).keys()))
    path = Store(copy).folder(key) / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    told = invoke("results", "check", copy, "--suite", suite)
    assert told.exit_code == 1
    assert f"digest: cell {key[:12]}: predictions.parquet does not match its sha256" in told.stdout
    assert "has not run" in told.stdout
    assert path.is_file()


def test_what_cannot_be_computed_here_is_said(written: Path, tmp_path: Path, invoke: Invoke) -> None:
    def elsewhere(frame: pd.DataFrame) -> pd.DataFrame:
        frame["dataset"] = frame["dataset"].replace("digits", "imagefolder:/nowhere")
        return frame

    told = invoke("results", "check", forged(written, tmp_path / "far", elsewhere))
    assert "not checked: keys were not computed again: imagefolder:/nowhere" in told.stdout
    assert "(4 cells)" in told.stdout


def test_a_board_takes_results_once_and_keeps_its_bytes(
    written: Path, suite: Path, store: Path, tmp_path: Path, invoke: Invoke
) -> None:
    board = tmp_path / "board"
    assert invoke("results", "add", written, "--board", board).exit_code == 2
    first = invoke("results", "add", written, "--board", board, "--suite", suite)
    assert first.exit_code == 0, first.output
    assert "8 cells added, 0 skipped" in first.stdout
    bytes_of = {path.name: path.read_bytes() for path in board.iterdir()}
    assert set(bytes_of) == {"board.yaml", "results.csv", "leaderboard.csv", "report.html"}
    again = invoke("results", "add", store, "--board", board)
    assert "0 cells added, 8 skipped" in again.stdout
    assert {path.name: path.read_bytes() for path in board.iterdir()} == bytes_of
    assert invoke("results", "check", board, "--store", store).exit_code == 0
    lines = bytes_of["results.csv"].decode().splitlines()[1:]
    assert lines == sorted(lines)


def test_a_lie_is_not_added_and_an_edited_board_is_found(
    written: Path, suite: Path, store: Path, tmp_path: Path, invoke: Invoke
) -> None:
    board = tmp_path / "board"
    assert invoke("results", "add", written, "--board", board, "--suite", suite).exit_code == 0
    before = (board / "results.csv").read_bytes()
    refused = invoke("results", "add", forged(written, tmp_path / "lie", better), "--board", board)
    assert refused.exit_code == 2
    assert "nothing was added" in refused.output
    assert (board / "results.csv").read_bytes() == before
    (board / "leaderboard.csv").write_text("mine\n")
    told = invoke("results", "check", board)
    assert told.exit_code == 1
    assert "board: leaderboard.csv: does not say what board.yaml and results.csv give" in told.stdout
    changed = before.decode().replace(",accuracy,0.", ",accuracy,0.0", 1)
    (board / "results.csv").write_text(changed)
    refused = invoke("results", "add", written, "--board", board)
    assert refused.exit_code == 2
    assert "is on the board with another result" in refused.output


@pytest.fixture
def board(written: Path, suite: Path, tmp_path: Path, invoke: Invoke) -> Path:
    """A board of the tiny suite."""
    place = tmp_path / "board"
    assert invoke("results", "add", written, "--board", place, "--suite", suite).exit_code == 0
    return place


def test_an_upgrade_leaves_a_board_sound_and_says_who_wrote_its_page(
    board: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptgrid.api.reporting.__version__", "9.8.7")
    monkeypatch.setattr("promptgrid.leaderboard.page.content_hash", lambda script: "sha256-another")  # other code, too
    told = invoke("results", "check", board)
    assert told.exit_code == 0, told.stdout
    assert "0 findings" in told.stdout
    assert (
        "not checked: report.html was written by promptgrid 0.1.0, this is promptgrid 9.8.7: its values" in told.stdout
    )
    assert "`promptgrid results page` writes it again" in told.stdout
    rows = (board / "results.csv").read_bytes()
    assert "written: " in invoke("results", "page", board).stdout
    assert (board / "results.csv").read_bytes() == rows
    assert "report.html" not in invoke("results", "check", board).stdout


def test_a_page_that_says_something_else_is_found_whoever_wrote_it(
    board: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (board / "report.html").read_text()
    monkeypatch.setattr("promptgrid.api.reporting.__version__", "9.8.7")

    def found(text: str) -> str:
        (board / "report.html").write_text(text)
        told = invoke("results", "check", board)
        assert told.exit_code == 1
        return str(told.stdout)

    assert "was changed after promptgrid 0.1.0 wrote it" in found(page.replace("</h1>", " (mine)</h1>"))
    unsealed = re.sub(r'\n<meta name="promptgrid-board"[^>]*>', "", page)
    forged = re.sub(r'"mean":0\.\d+', '"mean":0.999', unsealed, count=1)
    assert re.search(r"mean of .* is 0.999, expected 0\.\d", found(forged))
    lines = (board / "results.csv").read_text().splitlines(keepends=True)
    kept = [line for line in lines if ",digits," not in line]
    (board / "results.csv").write_text("".join(kept))
    assert "was made of other rows" in found(page)
    (board / "report.html").unlink()
    assert "report.html: is missing" in invoke("results", "check", board).stdout


def test_a_page_without_a_seal_is_compared_by_its_values(board: Path, invoke: Invoke) -> None:
    page = (board / "report.html").read_text()
    (board / "report.html").write_text(re.sub(r'\n<meta name="promptgrid-board"[^>]*>', "", page))
    told = invoke("results", "check", board)
    assert told.exit_code == 0
    assert "written by a version before pages had a seal" in told.stdout


def test_there_is_no_page_without_a_board(tmp_path: Path, invoke: Invoke) -> None:
    refused = invoke("results", "page", tmp_path)
    assert refused.exit_code == 2
    assert "no board there" in refused.output


def test_what_is_neither_is_refused(tmp_path: Path, invoke: Invoke) -> None:
    refused = invoke("results", "check", tmp_path)
    assert refused.exit_code == 2
    assert "no results there" in refused.output
