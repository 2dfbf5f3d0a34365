"""Result files of other tools, made here as they write them; and files that are none, each refused with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promptgrid.engine.imports import IMPORTS
from promptgrid.spec import Refused
from promptgrid.spec.imported import Imported, imported_text, joined

ARGUMENTS = """***************
** Arguments **
***************
backbone:
seed: {seed}
trainer: CoOp
************
** Config **
************
"""
CONFIG = """DATASET:
  ALL_AS_UNLABELED: False
  NAME: {dataset}
  NUM_SHOTS: {shots}
  SUBSAMPLE_CLASSES: all
MODEL:
  BACKBONE:
    NAME: RN50
    PRETRAINED: True
SEED: {seed}
TRAINER:
  COOP:
    N_CTX: 16
  NAME: CoOp
"""
LOG = (
    ARGUMENTS
    + CONFIG
    + """Collecting env info ...
epoch [200/200] batch [5/5] loss 0.1 (0.2) acc 93.7 (95.0)
{finished}
{split}
=> result
* total: 3,669
* correct: 3,194
* accuracy: 87.1%
* error: 12.9%
* macro_f1: 86.9%
Elapsed: 0:05:00
"""
)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def log(seed: int = 1, shots: int = 16, accuracy: str = "87.1", total: str = "3,194", **told: str) -> str:
    words = {"dataset": "OxfordPets", "finished": "Finished training", "split": "Do evaluation on test set"} | told
    return LOG.format(seed=seed, shots=shots, **words).replace("87.1", accuracy).replace("3,194", total)


def test_a_tree_of_dassl(tmp_path: Path) -> None:
    for seed in (1, 2):
        write(tmp_path / f"output/oxford_pets/shots_16/CoOp/rn50_ep200/seed{seed}/log.txt", log(seed))
    write(tmp_path / "output/dtd/CoOp/rn50_1shots/nctx16_cscFalse_ctpend/seed3/log.txt", log(3, 1, dataset="DTD"))
    found = {(one.dataset, one.seed): one for one in IMPORTS["dassl-logs"](tmp_path / "output")}
    assert set(found) == {("OxfordPets", 1), ("OxfordPets", 2), ("DTD", 3)}
    one = found["OxfordPets", 1]
    assert one.metrics == {"accuracy": 0.871, "macro_f1": 0.869}
    assert (one.tool, one.method, one.backbone, one.protocol, one.shots) == ("dassl", "CoOp", "RN50", "few_shot", 16)
    assert one.variant == "rn50_ep200"
    assert one.configuration == {
        "arguments": {"backbone": "", "seed": "1", "trainer": "CoOp"},
        "config": CONFIG.format(dataset="OxfordPets", shots=16, seed=1),
    }
    assert one.file == "oxford_pets/shots_16/CoOp/rn50_ep200/seed1/log.txt"
    assert found["DTD", 3].shots == 1


def test_validation_scores_of_a_log_are_not_its_result(tmp_path: Path) -> None:
    text = log(split="Evaluate on the *test* set")
    before = "Evaluate on the *val* set\n=> result\n* accuracy: 99.0%\n"
    after = "Evaluate on the *val* set\n=> result\n* accuracy: 98.0%\n"
    write(tmp_path / "pets/shots_16/CoOp/cfg/seed1/log.txt", before + text + after)
    (one,) = IMPORTS["dassl-logs"](tmp_path)
    assert one.metrics["accuracy"] == 0.871


def test_halves_of_base_to_new_are_one_result(tmp_path: Path) -> None:
    base = write(tmp_path / "base2new/train_base/oxford_pets/shots_16/CoOp/cfg/seed1/log.txt", log())
    with pytest.raises(Refused, match="no log of test_new beside it"):
        IMPORTS["dassl-logs"](tmp_path)
    text = log(accuracy="97.0", total="3,559", finished="", split="Evaluate on the *test* set")
    write(tmp_path / "base2new/test_new/oxford_pets/shots_16/CoOp/cfg/seed1/log.txt", text)
    (one,) = IMPORTS["dassl-logs"](tmp_path)
    assert one.protocol == "base_to_new"
    assert one.metrics["base_accuracy"] == 0.871
    assert one.metrics["new_accuracy"] == 0.97
    assert one.metrics["harmonic_mean"] == pytest.approx(2 * 0.871 * 0.97 / (0.871 + 0.97), abs=1e-12)
    assert base.is_file()


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        ("pets/shots_16/CoOp/cfg/seed2", log(1), "its folder says seed 2, its configuration 1"),
        ("pets/shots_4/CoOp/cfg/seed1", log(1), "its folder says shots 4, its configuration 16"),
        ("pets/shots_16/CoOp/cfg/seed1", log(finished=""), "holds no accuracy on a test split"),
        ("pets/shots_16/CoOp/cfg/seed1", log(accuracy="99.1"), "says 3194 of 3669 right, and accuracy 99.1%"),
        ("pets", log(), "lies in no layout that is known"),
    ],
)
def test_logs_that_contradict_themselves_are_refused(tmp_path: Path, place: str, text: str, said: str) -> None:
    write(tmp_path / place / "log.txt", text)
    with pytest.raises(Refused, match=said):
        IMPORTS["dassl-logs"](tmp_path)


ROW = {
    "dataset": "cifar10", "model": "ViT-B-32", "pretrained": "openai", "task": "zeroshot_classification",
    "metrics": {"acc1": 0.8983, "acc5": 0.9961, "mean_per_class_recall": 0.8983, "mean_average_precision": None},
    "language": "en",
}  # fmt: skip
PROBE = {**ROW, "task": "linear_probe", "metrics": {"acc1": 0.95, "lr": 0.1, "epochs": 10, "seed": 3, "fewshot_k": 16}}


@pytest.mark.parametrize("lay", [lambda rows: json.dumps(rows), lambda rows: "\n".join(map(json.dumps, rows))])
def test_rows_of_clip_benchmark(tmp_path: Path, lay: Callable[[Any], str]) -> None:
    write(tmp_path / "all.json", lay([ROW, PROBE]))
    zero, probe = IMPORTS["clip-benchmark-json"](tmp_path / "all.json")
    assert zero.metrics == {"accuracy": 0.8983, "top5_accuracy": 0.9961, "mean_per_class": 0.8983}
    assert (zero.method, zero.backbone, zero.shots, zero.seed) == ("zero_shot", "ViT-B-32@openai", 0, None)
    assert zero.configuration == {"language": "en", "task": "zeroshot_classification"}
    assert (probe.method, probe.shots, probe.seed, probe.line) == ("linear_probe", 16, 3, 2)
    assert probe.configuration["lr"] == 0.1


def test_elevater_scores_and_predictions_without_any(tmp_path: Path) -> None:
    name = "oxford-iiit-pets_zeroshot_eval_wiki_False_predictions.tsv"
    told = {"result": 0.871, "seed": 0, "n_train_sample": 0, "n_train_params": 0, "knowledge_source": {"gpt3": False}}
    write(tmp_path / name, json.dumps(told))
    tuned = {"dataset_name": "cifar-10", "model_name": "vit", "n_shot": 20, "rnd_seeds": [0, 1], "result": [0.9, 0.92]}
    write(tmp_path / "tuned.json", json.dumps(tuned))
    found = {(one.dataset, one.seed): one for one in IMPORTS["elevater-json"](tmp_path)}
    assert found["oxford-iiit-pets", 0].metrics == {"mean_per_class": 0.871}
    assert found["oxford-iiit-pets", 0].method == "zero_shot"
    assert found["cifar-10", 1].metrics == {"accuracy": 0.92}
    assert found["cifar-10", 1].shots == 20
    write(tmp_path / "zz.json", json.dumps({"dataset_name": "dtd", "predictions": [[0.1, 0.9]], "rnd_seeds": [0]}))
    with pytest.raises(Refused, match=r"zz.json: holds predictions without labels"):
        IMPORTS["elevater-json"](tmp_path)


def checkpoint(step: int, test: float, others: tuple[float, float], **args: Any) -> str:
    told = {"algorithm": "ERM", "dataset": "PACS", "test_envs": [0], "trial_seed": 1, "hparams_seed": 0} | args
    row = {"args": told, "hparams": {"lr": 5e-5}, "step": step, "env0_in_acc": test, "env0_out_acc": 0.5,
           "env1_in_acc": 0.9, "env1_out_acc": others[0], "env2_in_acc": 0.9, "env2_out_acc": others[1]}  # fmt: skip
    return json.dumps(row)


def test_domainbed_chooses_by_its_training_domains(tmp_path: Path) -> None:
    lines = [checkpoint(0, 0.99, (0.1, 0.2)), checkpoint(300, 0.80, (0.90, 0.94)), checkpoint(600, 0.85, (0.91, 0.92))]
    write(tmp_path / "run1/results.jsonl", "\n".join(lines))
    write(tmp_path / "run2/results.jsonl", checkpoint(300, 0.70, (0.93, 0.93), hparams_seed=1))
    (one,) = IMPORTS["domainbed-jsonl"](tmp_path)
    assert one.metrics == {"accuracy": 0.70, "val_accuracy": pytest.approx(0.93)}
    assert (one.dataset, one.seed, one.method) == ("PACS/env0", 1, "ERM")
    (alone,) = IMPORTS["domainbed-jsonl"](tmp_path / "run1")
    assert (alone.metrics["accuracy"], alone.configuration["step"], alone.line) == (0.80, 300, 2)


@pytest.mark.parametrize(
    ("form", "file", "text", "said"),
    [
        ("clip-benchmark-json", "a.json", "{", "a.json: not JSON"),
        ("clip-benchmark-json", "a.json", json.dumps([ROW, {**ROW, "metrics": {"acc1": 89.8}}]), "row 2: .*accuracy"),
        ("clip-benchmark-json", "a.json", json.dumps({"dataset": "x"}), "no row of CLIP_benchmark: model"),
        ("clip-benchmark-json", "a.json", json.dumps({**ROW, "metrics": {"lr": 1}}), "metrics: "),
        ("elevater-json", "a.json", "[1]", "no result of ELEVATER"),
        ("elevater-json", "a.json", json.dumps({"result": 0.5}), "says no dataset"),
        ("domainbed-jsonl", "results.jsonl", checkpoint(0, 0.5, (0.5, 0.5)) + "\n{oops", "line 2 is not JSON"),
        ("domainbed-jsonl", "results.jsonl", checkpoint(0, 0.5, (0.5, 0.5), test_envs=[0, 1]), "other than one domain"),
        ("domainbed-jsonl", "other.txt", "", "nothing to import there"),
    ],
)
def test_bad_files_are_refused_with_their_place(tmp_path: Path, form: str, file: str, text: str, said: str) -> None:
    write(tmp_path / file, text)
    with pytest.raises(Refused, match=said):
        IMPORTS[form](tmp_path)


def test_the_same_result_twice_is_one_and_another_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.json", json.dumps(ROW))
    (one,) = IMPORTS["clip-benchmark-json"](tmp_path)
    assert imported_text([one, one]).count("\n") == 1
    assert Imported.model_validate_json(imported_text([one])) == one
    assert joined([one], [one]) == [one]
    other = one.model_copy(update={"metrics": {"accuracy": 0.5}, "file": "b.json"})
    with pytest.raises(Refused, match=r"was measured twice: .* in a.json, .* in b.json"):
        joined([one], [other])
