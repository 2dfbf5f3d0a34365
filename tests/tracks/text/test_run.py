"""Two cells of a user's own table on MiniLM, from a suite to a method that classifies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import promptgrid
from promptgrid.cli.main import app
from promptgrid.store import Store

pytest.importorskip("all_minilm_l6_v2", reason="MiniLM's package is an extra")

SUITE = """
name: tiny_text
track: text
protocol: text_few_shot
methods: [linear_probe, {name: prompt_tuning, steps: 2, batch_size: 2, prompt_length: 2}]
backbones: [minilm-l6]
datasets: ["table:FILE?text=text&label=label"]
shots: [1]
seeds: [1]
"""
GOOD = ("a delightful film", "wonderful and warm", "a great joy to watch", "I loved it", "superb acting", "charming")
BAD = ("a dreadful film", "boring and cold", "a terrible bore", "I hated it", "awful acting", "tedious")


def test_a_suite_of_two_cells_runs_and_what_it_learned_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [f"{text},{name}" for name, texts in (("good", GOOD), ("bad", BAD)) for text in texts]
    (tmp_path / "films.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    suite, store = tmp_path / "tiny_text.yaml", tmp_path / "store"
    suite.write_text(SUITE.replace("FILE", str(tmp_path / "films.csv")), encoding="utf-8")
    done = CliRunner().invoke(app, ["run", str(suite), "--store", str(store), "--local", "--no-mlflow", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["finished"] == 2
    (record,) = (one for one in Store(store).records() if one.cell.method == "linear_probe")
    learned = promptgrid.load_method(record, store)
    assert learned.classify("a wonderful film").name == "good"
    assert learned.classify(["an awful film", "a superb film"])[0].name == "bad"
