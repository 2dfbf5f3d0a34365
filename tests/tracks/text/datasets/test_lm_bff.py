from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.lm_bff import LmBff, tasks
from promptgrid.tracks.text.datasets.text import TextDataset

SEEDS = (13, 21, 42, 87, 100)
HEADERS = {
    "MNLI": "index\tpromptID\tpairID\tgenre\tp1\tp2\tsp1\tsp2\tsentence1\tsentence2\tlabel1\tgold_label",
    "SNLI": "index\tcaptionID\tpairID\tp1\tp2\tsp1\tsp2\tsentence1\tsentence2\tlabel1\tgold_label",
    "QNLI": "index\tquestion\tsentence\tlabel",
    "QQP": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "STS-B": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
}


def opened(path: Path, query: str = "") -> TextDataset:
    found = LmBff().open(f"lm-bff:{path}{query}")
    assert isinstance(found, TextDataset)
    return found


def draw(folder: Path, suffix: str = "tsv", **parts: str) -> Path:
    folder.mkdir(parents=True)
    for part, text in parts.items():
        (folder / f"{part}.{suffix}").write_text(text, "utf-8", newline="")
    return folder


def sst2(root: Path, seed: int, train: str, dev: str, test: str = "good one\t1\nbad one\t0\n") -> Path:
    head = "sentence\tlabel\n"
    return draw(root / "SST-2" / f"2-{seed}", train=head + train, dev=head + dev, test=head + test)


TRAIN = 'fine film\t1\nlovely\t1\ndull\t0\nbad "film\t0\n'


def test_one_draw_is_what_a_cell_with_its_shots_and_seed_trains_on(tmp_path: Path) -> None:
    found = opened(sst2(tmp_path, 13, TRAIN, "nice\t1\ngood\t1\nno\t0\nweak\t0\n"))
    assert found.card.classes == ("negative", "positive")
    assert found.splits == {"train": [0, 1, 2, 3], "val": [4, 5, 6, 7], "test": [8, 9]}
    assert found.draws == {(2, 13): ([0, 1, 2, 3], [4, 5, 6, 7])}
    assert found.read(3).a == 'bad "film'
    assert list(found.labels) == [1, 1, 0, 0, 1, 1, 0, 0, 1, 0]
    assert found.words["negative"][0] == "terrible"
    assert found.mask_templates == ("{text} It was {mask}.",)


def test_draws_of_one_task_share_texts_and_the_test_and_keep_their_order(tmp_path: Path) -> None:
    sst2(tmp_path, 13, TRAIN, "nice\t1\nno\t0\n")
    sst2(tmp_path, 21, "dull\t0\nfine film\t1\nnice\t1\nworse\t0\n", "no\t0\nweak\t0\n")
    found = opened(tmp_path / "SST-2")
    assert found.splits == {"train": [0, 1, 2, 3, 4, 5], "val": [6, 7, 8], "test": [9, 10]}
    assert found.draws == {(2, 13): ([0, 1, 2, 3], [6, 7]), (2, 21): ([2, 0, 4, 5], [7, 8])}
    assert [found.read(index).a for index in found.draws[2, 21][0]] == ["dull", "fine film", "nice", "worse"]
    assert "1 texts stand in train of one draw and in dev of another" in found.notes


def test_draws_with_another_test_are_refused(tmp_path: Path) -> None:
    sst2(tmp_path, 13, TRAIN, "nice\t1\nno\t0\n")
    sst2(tmp_path, 21, TRAIN, "nice\t1\nno\t0\n", test="other\t1\nbad one\t0\n")
    with pytest.raises(Refused, match="the test of 2-21 is not that of 2-13"):
        opened(tmp_path / "SST-2")


def test_a_text_that_a_draw_holds_twice_is_there_twice(tmp_path: Path) -> None:
    found = opened(sst2(tmp_path, 13, "same\t1\nsame\t1\ndull\t0\nbad\t0\n", "nice\t1\nno\t0\n"))
    assert found.draws[2, 13][0] == [0, 1, 2, 3]


def test_the_pool_stands_behind_the_draws_without_what_they_or_the_test_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sst2(tmp_path, 13, TRAIN, "nice\t1\nno\t0\n")
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / "train.tsv").write_text("sentence\tlabel\nnew\t1\nNice!\t1\ngood one\t1\nnewer\t0\ndull\t0\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    found = opened(folder, "?pool=~/pool")
    assert found.splits["train"] == [0, 1, 2, 3, 4, 5]
    assert [found.read(index).a for index in (4, 5)] == ["new", "newer"]
    assert found.draws[2, 13] == ([0, 1, 2, 3], [6, 7])
    assert "3 of the 5 texts of the pool are in a draw or in the test, and are left out of it" in found.notes


def test_crlf_a_byte_order_mark_and_latin_1_are_read(tmp_path: Path) -> None:
    folder = sst2(tmp_path, 13, TRAIN, "nice\t1\nno\t0\n")
    (folder / "train.tsv").write_bytes(b"\xef\xbb\xbfsentence\tlabel\r\nfine\t1\r\n\r\ndull\t0\r\n")
    (folder / "dev.tsv").write_bytes("sentence\tlabel\ncrème\t1\nno\t0\n".encode("latin-1"))
    found = opened(folder)
    assert [found.read(index).a for index in range(4)] == ["fine", "dull", "crème", "no"]
    assert "dev.tsv is not UTF-8 (byte 17): read as Windows-1252" in found.notes


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("fine\t1\tmore\ndull\t0\n", "line 2: a row of another length than the header; got 3; expected 2 columns"),
        ("fine\tpositive\ndull\t0\n", "line 2: unknown label; got 'positive'; expected 0, 1"),
        ("fine\t1\na\t1\nb\t1\ndull\t0\n", "3 texts of class 'positive'; expected at most 2"),
        ("", "the file is empty"),
        ("fine\t1\n", "train: class 'negative' has no texts"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, train: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        opened(sst2(tmp_path, 13, train, "nice\t1\nno\t0\n"))


def test_folders_that_are_no_draws_are_refused(tmp_path: Path) -> None:
    sst2(tmp_path, 13, TRAIN, "nice\t1\nno\t0\n")
    with pytest.raises(Refused, match=r"no draws in the folder.*name one task: SST-2"):
        opened(tmp_path)
    draw(tmp_path / "SST-3" / "16-13", train="")
    with pytest.raises(Refused, match="unknown task; got 'SST-3'; did you mean 'SST-2'"):
        opened(tmp_path / "SST-3")
    (tmp_path / "SST-2/2-13/train.tsv").unlink()
    with pytest.raises(Refused, match=r"no such file.*in that folder: dev\.tsv, test\.tsv"):
        opened(tmp_path / "SST-2")
    with pytest.raises(Refused, match="not a folder"):
        opened(tmp_path / "SST-2/2-13/dev.tsv")


def test_tasks_without_a_header_have_label_and_text_in_quoted_csv(tmp_path: Path) -> None:
    text = '0,"a, ""b"" c"\n5,how far ?\n'
    labels = "".join(f"{label},what {label}\n" for label in range(6))
    found = opened(draw(tmp_path / "trec" / "2-13", "csv", train=labels, dev=labels, test=text))
    assert found.read(12).a == 'a, "b" c'
    assert found.card.classes[found.labels[13]] == "number"
    assert found.words["number"][0] == "Number"


def test_cola_has_the_label_in_its_second_column_and_is_scored_by_matthews(tmp_path: Path) -> None:
    text = "gj04\t1\t\tThe sailors rode the breeze.\nks08\t0\t*\tHe much.\n"
    found = opened(draw(tmp_path / "CoLA" / "2-13", train=text, dev=text, test=text))
    assert [found.read(index).a for index in (0, 1)] == ["The sailors rode the breeze.", "He much."]
    assert found.metric == "matthews"


@pytest.mark.parametrize(
    ("task", "rows", "first"),
    [
        ("MNLI", ["0\t1\t2\tfiction\t\t\t\t\tone\ttwo\tx\tneutral", "1\t1\t2\tf\t\t\t\t\tone\tthree\tx\tcontradiction",
                  "1\t1\t2\tf\t\t\t\t\tone\tfour\tx\tentailment"], "neutral"),
        ("QNLI", ["0\twho ?\tHe.\tentailment", "1\twhy ?\tShe.\tnot_entailment"], "answered"),
        ("QQP", ["0\t1\t2\tone ?\ttwo ?\t1", "1\t3\t4\tone ?\tthree ?\t0"], "duplicate"),
        ("STS-B", ["0\tg\tf\ty\to\ts\ts\tone\ttwo\t2.500", "0\tg\tf\ty\to\ts\ts\tone\tthree\t0.4"], "similar"),
    ],
)  # fmt: skip
def test_pair_tasks_read_both_sentences(tmp_path: Path, task: str, rows: list[str], first: str) -> None:
    text = "\n".join([HEADERS[task], *rows]) + "\n"
    names = {part: tasks()[task].files.get(part, part) for part in ("train", "dev", "test")}
    found = opened(draw(tmp_path / task / "2-13", **dict.fromkeys(names.values(), text)))
    assert found.read(0).a
    assert found.read(0).b
    assert found.card.classes[found.labels[0]] == first
    assert "{text_b}" in found.mask_templates[0]
    assert found.card.seen_in_pretraining == (task != "QNLI")
    assert ("scores are cut in two at 2.5; the paper scores their correlation" in found.notes) == (task == "STS-B")


def test_rows_that_have_no_label_are_left_out_of_snli(tmp_path: Path) -> None:
    rows = [f"0\t1\t2\t\t\t\t\tone\t{label}\tx\t{label}" for label in ("neutral", "-", "entailment", "contradiction")]
    text = "\n".join([HEADERS["SNLI"], *rows]) + "\n"
    found = opened(draw(tmp_path / "SNLI" / "2-13", train=text, dev=text, test=text))
    assert len(found.splits["test"]) == 3
    assert "2-13/train.tsv: 1 rows have no label" in found.notes


def test_every_task_has_the_words_and_the_template_of_its_paper() -> None:
    words = {name: tuple(some[0] for some in known.words.values()) for name, known in tasks().items()}
    assert words["mr"] == ("terrible", "great")
    assert words["sst-5"] == ("terrible", "bad", "okay", "good", "great")
    assert words["MNLI"] == ("No", "Maybe", "Yes")
    assert tasks()["mr"].mask_templates == ("{text} It was {mask}.",)
    assert tasks()["MNLI"].mask_templates == ("{text} ? {mask}, {text_b}",)
    assert len(tasks()) == 16


@pytest.mark.parametrize("task", ["SST-2", "sst-5", "mr", "cr", "mpqa", "subj", "trec", "CoLA", "MRPC", "RTE"])
def test_the_published_draws_are_read_as_they_are(shared: Callable[[str], Path], task: str) -> None:
    found = opened(shared(f"lm-bff/{task}"))
    classes = len(found.card.classes)
    assert set(found.draws) == {(16, seed) for seed in SEEDS}
    for train, dev in found.draws.values():
        assert len(train) == len(set(train)) == len(dev) == 16 * classes
        assert sorted(found.labels[index] for index in train) == sorted(list(range(classes)) * 16)
        assert set(train) <= set(found.splits["train"])
        assert set(dev) <= set(found.splits["val"])
    assert len(found.splits["test"]) == {"SST-2": 872, "sst-5": 2210, "trec": 500, "CoLA": 1043, "MRPC": 408,
                                         "RTE": 277}.get(task, 2000)  # fmt: skip


def test_the_pool_of_a_published_task_is_large(shared: Callable[[str], Path]) -> None:
    found = opened(shared("lm-bff/cr/16-13"), f"?pool={shared('lm-bff-pools/cr')}")
    assert len(found.splits["train"]) > 1000
    assert any("texts are empty" in note for note in found.notes)
