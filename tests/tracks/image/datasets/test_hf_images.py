"""Image datasets of Hugging Face as they lie on disks: saved as Arrow, or a hub's Parquet files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.contracts.small_world import SmallBackbones, track
from tests.tracks.image.datasets.test_elevater import coded
from tests.tracks.image.small_study import cells_of, run_study

from promptgrid.contract.clip import Dataset
from promptgrid.contract.conformance.plugins import check_dataset
from promptgrid.contract.dataset import ChangedExample, DamagedExample
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.hf_images import HfImages
from promptgrid.tracks.image.track import ImageTrack

FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog", "bird"], "_type": "ClassLabel"}}
COUNTS = {"train": 9, "validation": 3, "test": 6}


def table(split: str, count: int, label: str = "label", **columns: Any) -> pa.Table:
    first = 100 * list(COUNTS).index(split) if split in COUNTS else 500
    images = [{"bytes": coded(first + i), "path": f"{i}.png"} for i in range(count)]
    return pa.table({"image": images, label: columns.get("labels", [i % 3 for i in range(count)])})


def saved(root: Path, tables: dict[str, pa.Table], features: dict[str, Any] = FEATURES) -> Path:
    """As ``save_to_disk`` writes a ``DatasetDict``: two Arrow streams a split."""
    root.mkdir(parents=True)
    (root / "dataset_dict.json").write_text(json.dumps({"splits": list(tables)}))
    for split, whole in tables.items():
        folder, half = root / split, len(whole) // 2
        folder.mkdir()
        names = [f"data-0000{i}-of-00002.arrow" for i in range(2)]
        for name, part in zip(names, (whole.slice(0, half), whole.slice(half)), strict=True):
            with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, part.schema) as writer:
                writer.write_table(part, max_chunksize=2)
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
        (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return root


def parquet(root: Path, tables: dict[str, pa.Table], features: dict[str, Any] | None = FEATURES) -> Path:
    """As a hub has it: ``data/train-00000-of-00001.parquet``, row groups of two rows, features in the schema."""
    (root / "data").mkdir(parents=True)
    for split, whole in tables.items():
        told = {b"huggingface": json.dumps({"info": {"features": features}}).encode()} if features else {}
        pq.write_table(
            whole.replace_schema_metadata(told), root / "data" / f"{split}-00000-of-00001.parquet", row_group_size=2
        )
    return root


def opened(place: Path, query: str = "") -> Dataset:
    return HfImages().open(f"hf-images:{place}{query}")


WRITE = pytest.mark.parametrize("write", [saved, parquet])


@WRITE
def test_each_form_opens_with_the_names_of_its_features(write: Any, tmp_path: Path) -> None:
    home = write(tmp_path / "pets", {split: table(split, count) for split, count in COUNTS.items()})
    dataset = opened(home)
    check_dataset(dataset)
    assert dataset.card.classes == ("cat", "dog", "bird")
    assert dataset.card.splits == {"train": 9, "val": 3, "test": 6}
    assert dataset.labels == [i % 3 for count in COUNTS.values() for i in range(count)]
    for index, (split, seed) in {0: ("train", 0), 8: ("train", 8), 9: ("val", 100), 17: ("test", 205)}.items():
        assert dataset.read(index).tobytes() == _decoded(seed)
        assert dataset.example_name(index).startswith(f"{split}/")
    assert opened(home, f"?sha256={dataset.card.sha256}").card == dataset.card
    with pytest.raises(Refused, match="not those pinned"):
        opened(home, f"?sha256={'0' * 64}")


def _decoded(seed: int) -> bytes:
    from promptgrid.tracks.image.datasets.decoding import decode

    return decode(coded(seed), "drawn").tobytes()


@WRITE
def test_a_split_without_labels_is_left_out_and_validation_is_then_the_test(write: Any, tmp_path: Path) -> None:
    kept_back = table("test", 6, labels=[-1] * 6)
    tables = {"train": table("train", 9), "validation": table("validation", 3), "test": kept_back}
    dataset = opened(write(tmp_path / "pets", tables))
    assert dataset.card.splits == {"train": 9, "test": 3}
    assert "test has no labels: left out" in dataset.notes


def test_columns_are_named_or_found(tmp_path: Path) -> None:
    features = {"image": {"_type": "Image"}, "fine": FEATURES["label"], "coarse": FEATURES["label"]}
    tables = {split: table(split, COUNTS[split], "fine") for split in ("train", "test")}
    home = parquet(tmp_path / "two", tables, features)
    assert opened(home, "?label=fine").card.classes == ("cat", "dog", "bird")
    with pytest.raises(Refused, match="no column 'label'"):
        opened(home)
    with pytest.raises(Refused, match="did you mean 'label'"):
        opened(home, "?labl=fine")


def test_labels_without_names_are_words_or_numbers(tmp_path: Path) -> None:
    words = {split: table(split, 6, labels=["wolf", "ape"] * 3) for split in ("train", "test")}
    assert opened(parquet(tmp_path / "words", words, None)).card.classes == ("ape", "wolf")
    home = parquet(tmp_path / "numbers", {split: table(split, 6) for split in ("train", "test")}, None)
    assert opened(home).card.classes == ("class 0", "class 1", "class 2")
    assert any("classes are numbers" in note for note in opened(home).notes)
    (home / "classnames.txt").write_text("one\ntwo\nthree\n")
    assert opened(home).card.classes == ("one", "two", "three")


def test_what_cannot_be_read_is_refused_or_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="neither a saved dataset nor Parquet"):
        opened(tmp_path)
    with pytest.raises(Refused, match="no test images"):
        opened(parquet(tmp_path / "trained", {"train": table("train", 9)}))
    wrong = {"train": table("train", 9), "test": table("test", 6, labels=[0, 1, 2, 3, 4, 5])}
    with pytest.raises(Refused, match="a label is none of the classes"):
        opened(parquet(tmp_path / "wrong", wrong))
    bare = pa.table({"image": [{"bytes": None, "path": "a.png"}] * 6, "label": [0, 1, 2] * 2})
    dataset = opened(parquet(tmp_path / "paths", {"train": table("train", 9), "test": bare}))
    with pytest.raises(DamagedExample, match="saved with paths alone"):
        dataset.read(9)
    home = parquet(tmp_path / "torn", {split: table(split, 6) for split in ("train", "test")})
    (home / "data" / "test-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(Refused, match="not Parquet"):
        opened(home)


def test_a_file_that_changed_is_not_read(tmp_path: Path) -> None:
    home = parquet(tmp_path / "pets", {split: table(split, 6) for split in ("train", "test")})
    dataset = opened(home)
    parquet(tmp_path / "other", {"train": table("train", 9), "test": table("test", 6)})
    (tmp_path / "other" / "data" / "train-00000-of-00001.parquet").rename(
        home / "data" / "train-00000-of-00001.parquet"
    )
    with pytest.raises(ChangedExample):
        dataset.read(0)


@WRITE
def test_each_form_is_planned_and_run(write: Any, tmp_path: Path) -> None:
    home = write(tmp_path / "pets", {split: table(split, count) for split, count in COUNTS.items()})
    found = track().resolver
    wing = ImageTrack(found.methods, [HfImages()], [SmallBackbones()], found.protocols, found.columns)
    cells = cells_of(wing, protocol="few_shot", methods=["zero_shot", "linear_probe"], datasets=[f"hf-images:{home}"])
    outcomes = run_study(wing, cells)
    assert {outcome.record.status for outcome in outcomes.values()} == {"done"}
