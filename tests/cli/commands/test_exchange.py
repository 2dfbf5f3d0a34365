"""`promptgrid export --as`, `import` and `words`, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tests.cli.conftest import Invoke

from promptgrid.store import Store

ROW = {
    "dataset": "weather", "model": "ViT-B-32", "pretrained": "openai", "task": "zeroshot_classification",
    "metrics": {"acc1": 0.61},
}  # fmt: skip


def key_of(store: Path, method: str) -> str:
    return next(record.cell.key for record in Store(store).records() if record.cell.method == method)


def test_a_key_becomes_safetensors_with_equal_arrays(store: Path, tmp_path: Path, invoke: Invoke) -> None:
    key = key_of(store, "taskres")
    for _ in range(2):  # the second finds the same bytes there
        done = invoke("export", key[:12], tmp_path / "out", "--as", "safetensors", "--store", store)
        assert done.exit_code == 0, done.output
    back, kept = load_file(tmp_path / "out" / "state.safetensors"), Store(store).state(key)
    assert set(back) == set(kept)
    assert all((back[name] == kept[name]).all() for name in kept)
    (tmp_path / "out" / "state.safetensors").write_bytes(b"mine")
    refused = invoke("export", key[:12], tmp_path / "out", "--as", "safetensors", "--store", store)
    assert refused.exit_code == 2
    assert "another file is there" in refused.output


def test_of_a_suite_what_cannot_is_said(suite: Path, store: Path, tmp_path: Path, invoke: Invoke) -> None:
    done = invoke("export", suite, tmp_path / "out", "--as", "safetensors", "--store", store)
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "out").glob("*/state.safetensors"))) == 4
    assert done.output.count("left out") == 4
    refused = invoke("export", suite, tmp_path / "none", "--as", "coop", "--store", store)
    assert refused.exit_code == 2
    assert "no cell of it can become that" in refused.output
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("form", "method", "said"),
    [
        ("onnx", "taskres", "unknown form"),
        ("peft", "taskres", "expected a cell of clip_lora or lora; safetensors take any"),
        ("safetensors", "zero_shot", "keeps no learned arrays"),
    ],
)
def test_other_forms_are_refused(
    form: str, method: str, said: str, store: Path, tmp_path: Path, invoke: Invoke
) -> None:
    refused = invoke("export", key_of(store, method), tmp_path / "out", "--as", form, "--store", store)
    assert refused.exit_code == 2
    assert said in refused.output
    assert not (tmp_path / "out").exists()


def test_words_of_a_cell_that_has_none(store: Path, invoke: Invoke) -> None:
    refused = invoke("words", key_of(store, "taskres"), "--store", store)
    assert refused.exit_code == 2
    assert "learned no context of words" in refused.output


def test_results_are_imported_whole_or_not_at_all(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "a.json").write_text(json.dumps(ROW))
    out = tmp_path / "kept"
    for _ in range(2):
        done = invoke("import", "clip-benchmark-json", tmp_path / "a.json", "--out", out)
        assert done.exit_code == 0, done.output
        assert "1 results in" in done.output
    before = (out / "imported.jsonl").read_bytes()
    assert before.count(b"\n") == 1
    (tmp_path / "b.json").write_text("{")
    refused = invoke("import", "clip-benchmark-json", tmp_path, "--out", out)
    assert refused.exit_code == 2
    assert "b.json: not JSON" in refused.output
    assert (out / "imported.jsonl").read_bytes() == before
    refused = invoke("import", "csv", tmp_path, "--out", out)
    assert "unknown format" in refused.output


def test_a_report_shows_what_its_suite_names(suite: Path, store: Path, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "a.json").write_text(json.dumps(ROW))
    assert invoke("import", "clip-benchmark-json", tmp_path / "a.json", "--out", tmp_path / "kept").exit_code == 0
    named = tmp_path / "beside.yaml"
    named.write_text(suite.read_text() + f"imported: {{folders: ['{tmp_path / 'kept'}'], rank: true}}\n")
    done = invoke("report", named, "--store", store, "--out", tmp_path / "report", "--no-mlflow")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "report" / "report.json").read_text())["imported"]
    assert [(row["method"], row["dataset"], row["ranked"]) for row in told["imported"]] == [
        ("zero_shot", "weather", False)
    ]
    assert len(told["imported"][0]["ours"]) == 2
    named.write_text(suite.read_text() + "imported: {folders: [nowhere]}\n")
    refused = invoke("report", named, "--store", store, "--out", tmp_path / "report", "--no-mlflow")
    assert refused.exit_code == 2
    assert "no imported results there" in refused.output
