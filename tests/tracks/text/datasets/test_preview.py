from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid.tracks.text.datasets.bundled import Bundled
from promptgrid.tracks.text.datasets.lm_bff import LmBff
from promptgrid.tracks.text.datasets.preview import address_of, preview
from promptgrid.tracks.text.datasets.text import TextDataset


@pytest.mark.parametrize(
    ("path", "inside", "prefix"),
    [
        ("k-shot/SST-2", "16-13/train.tsv", "lm-bff:"),
        ("k-shot/SST-2/16-13", "train.tsv", "lm-bff:"),
        ("semeval/k-shot", "16-1/train.txt", "semeval:"),
        ("semeval", "train.txt", "semeval:"),
        ("task8", "all_data/training/TRAIN_FILE.TXT", "semeval:"),
        ("sst2", "dataset_dict.json", "hf-disk:"),
        ("sst2/train", "state.json", "hf-disk:"),
        ("banking77", "categories.json", "intents:"),
        ("folder", "train.csv", "table:"),
    ],
)
def test_a_folder_gets_the_prefix_of_its_layout(tmp_path: Path, path: str, inside: str, prefix: str) -> None:
    file = tmp_path / path / inside
    file.parent.mkdir(parents=True)
    file.touch()
    assert address_of(str(tmp_path / path)) == f"{prefix}{tmp_path / path}"


def test_files_go_by_their_suffix_and_options_stay(tmp_path: Path) -> None:
    for name, prefix in (("a.csv", "table:"), ("val_wiki.json", "fewrel:"), ("data_full.json", "intents:")):
        (tmp_path / name).touch()
        assert address_of(f"{tmp_path / name}?x=y") == f"{prefix}{tmp_path / name}?x=y"


def test_names_and_addresses_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert address_of("satire") == "satire"
    assert address_of("lm-bff:/anywhere") == "lm-bff:/anywhere"
    assert address_of("./none.csv?text=a") == "table:./none.csv?text=a"


def test_a_preview_counts_classes_by_split_and_words_of_texts() -> None:
    found = Bundled().open("satire")
    assert isinstance(found, TextDataset)
    facts = preview(found, "satire")
    assert facts["splits"] == {"train": 1000, "val": 140, "test": 554}
    assert [(row["name"], row["train"], row["val"]) for row in facts["classes"]] == [
        ("serious", 500, 70),
        ("satirical", 500, 70),
    ]
    low, middle, high = facts["words"]
    assert 3 < low < middle < high
    assert facts["draws"] == []


def test_a_preview_names_the_draws(tmp_path: Path) -> None:
    folder = tmp_path / "mr" / "2-13"
    folder.mkdir(parents=True)
    for part in ("train", "dev", "test"):
        (folder / f"{part}.csv").write_text(f"0,dull {part}\n1,fine {part}\n")
    found = LmBff().open(f"lm-bff:{folder}")
    assert isinstance(found, TextDataset)
    facts = preview(found, "x")
    assert (facts["draws"], facts["words"]) == (["2-13"], [2, 2, 2])
    assert next(iter(facts["label_words"].values()))[0] == "terrible"
