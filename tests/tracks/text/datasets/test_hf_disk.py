from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.hf_disk import HfDisk
from promptgrid.tracks.text.datasets.text import TextDataset

QUERY = "?text=sentence&label=label"
LABEL = {"names": ["negative", "positive"], "_type": "ClassLabel"}


def opened(path: Path, query: str = QUERY) -> TextDataset:
    found = HfDisk().open(f"hf-disk:{path}{query}")
    assert isinstance(found, TextDataset)
    return found


def split(
    folder: Path, texts: list[str], labels: list[Any], feature: dict[str, Any] | None = None, shards: int = 1
) -> Path:
    """A folder as ``save_to_disk`` leaves it: Arrow streams, state, and the features in the info."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{shard:05d}-of-{shards:05d}.arrow" for shard in range(shards)]
    for shard, name in enumerate(names):
        table = pa.table({"sentence": texts[shard::shards], "label": labels[shard::shards]})
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    features = {"sentence": {"dtype": "string", "_type": "Value"}, "label": LABEL if feature is None else feature}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def glue(root: Path) -> Path:
    split(root / "train", ["good", "bad", "fine", "dull"], [1, 0, 1, 0], shards=2)
    split(root / "validation", ["nice", "poor"], [1, 0])
    split(root / "test", ["who", "knows"], [-1, -1])
    (root / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation", "test"]}))
    return root


def test_classes_are_those_of_the_features_and_a_test_kept_back_is_replaced(tmp_path: Path) -> None:
    found = opened(glue(tmp_path / "sst2"))
    assert (found.card.name, found.card.classes) == ("sst2", ("negative", "positive"))
    assert found.splits == {"train": [0, 1, 2, 3], "test": [4, 5]}
    assert [found.read(index).a for index in range(6)] == ["good", "fine", "bad", "dull", "nice", "poor"]
    assert list(found.labels) == [1, 1, 0, 0, 1, 0]
    assert found.notes == (
        "test has no labels: left out",
        "there is no test with labels: the validation texts are the test",
    )


def test_a_test_with_labels_is_the_test(tmp_path: Path) -> None:
    split(glue(tmp_path) / "test", ["who", "knows"], [1, 0])
    assert opened(tmp_path).splits == {"train": [0, 1, 2, 3], "val": [4, 5], "test": [6, 7]}


def test_one_split_alone_is_divided_by_content_and_plain_labels_are_sorted(tmp_path: Path) -> None:
    texts, labels = [f"text {n}" for n in range(20)], ["b", "a"] * 10
    found = opened(split(tmp_path, texts, labels, {"dtype": "string", "_type": "Value"}))
    assert found.card.classes == ("a", "b")
    assert found.card.splits == {"train": 10, "val": 4, "test": 6}


def test_splits_that_are_none_of_ours_are_left_out(tmp_path: Path) -> None:
    split(glue(tmp_path) / "unsupervised", ["a"], [-1])
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation", "unsupervised"]}))
    assert "split 'unsupervised' is left out" in opened(tmp_path).notes


def test_malformed_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no saved dataset"):
        opened(tmp_path)
    glue(tmp_path)
    with pytest.raises(Refused, match="which column is the label"):
        opened(tmp_path, "?text=sentence")
    with pytest.raises(Refused, match=r"no column 'text'.*got .'sentence', 'label'"):
        opened(tmp_path, "?text=text&label=label")
    split(tmp_path / "train", ["good", "bad"], [1, 2])
    with pytest.raises(Refused, match="row 2: a label is none of the classes; got 2; expected 0 to 1"):
        opened(tmp_path)
    split(tmp_path / "train", ["good", "bad"], [1, 0], {"names": ["bad", "good"], "_type": "ClassLabel"})
    with pytest.raises(Refused, match="two splits name the classes differently"):
        opened(tmp_path)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["../elsewhere"]}')
    with pytest.raises(Refused, match=r"not \{splits"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"_data_files": []}, "no data files are listed"),
        ({"_data_files": [{"filename": "../other.arrow"}]}, "a data file leads out of the dataset"),
        ({"_data_files": [{"filename": "none.arrow"}]}, "not an Arrow stream"),
        ({"_data_files": [{"filename": "state.json"}]}, "not an Arrow stream"),
        ({"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_indices_files": [{}]}, "saved with indices"),
    ],
)
def test_a_state_that_lists_no_data_is_refused(tmp_path: Path, state: dict[str, Any], message: str) -> None:
    split(tmp_path, ["a"], [0])
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(Refused, match=message):
        opened(tmp_path)
