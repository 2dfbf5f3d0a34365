"""Builds the input of a row of ``reports.yaml``, tries it, and holds what happens to what is promised."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from tests.corpus.broken_checkpoints import CHECKPOINTS, RAN, state
from tests.corpus.broken_datasets import BROKEN, classes_in, coded, open_dataset, picture
from tests.corpus.pictures import PICTURES
from tests.tracks.image.backbones.small_clip import SMALL
from typer.testing import CliRunner

from promptgrid.api import plan
from promptgrid.cli.main import app
from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.spec import Refused, read_suite
from promptgrid.spec.headings import headings
from promptgrid.towers.clip.models import checkpoints
from promptgrid.tracks.image.backbones.open_clip_models import OpenClipModels
from promptgrid.tracks.image.datasets.decoding import DamagedImage
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder

ROWS: list[dict[str, Any]] = YAML(typ="safe").load(Path(__file__).parent / "reports.yaml")
OUTCOMES = {"refused", "fails", "safe", "read"}
SOUND: dict[str, Any] = {
    "name": "quick",
    "protocol": "few_shot",
    "methods": ["zero_shot"],
    "backbones": ["bundled"],
    "datasets": ["imagefolder:HOME/beasts"],
    "shots": [2],
    "seeds": [1],
}


def home_in(root: Path) -> Path:
    """Datasets that suites name: sound ones with four and three classes, and three that are not."""
    names = ("ant", "bee", "cat", "dog")
    for place, split in enumerate(("train", "val", "test")):
        classes_in(root / "beasts" / split, *names, start=1000 * place)
        classes_in(root / "three" / split, *names[:3], start=1000 * place)
        if split != "val":
            classes_in(root / "noval" / split, *names, start=1000 * place)
            classes_in(root / "bare", split, start=1000 * place)
    classes_in(root / "long", "a " * 90 + "b", "cat")
    CHECKPOINTS["payload"](root / "payload.pt")
    return root


def told(value: Any, words: dict[str, Any]) -> Any:
    """``value`` with the words of the table that stand for something put in: paths, long names, long numbers."""
    if isinstance(value, dict):
        return {key: told(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [told(item, words) for item in value]
    if value == "DIGITS":
        return 10**400
    if isinstance(value, str):
        for word, meaning in words.items():
            value = value.replace(word, meaning)
    return value


BIG = {"DEEP": "[" * 20_000, "HUGE": "x" * 1_000_001}


def words_for(tmp: Path, home: Path) -> dict[str, Any]:
    return {"HOME": str(home), "TMP": str(tmp), "SUITE": str(tmp / "suite.yaml"), "LONG": "n" * 5000} | BIG


def try_row(row: dict[str, Any], tmp: Path, home: Path, patch: pytest.MonkeyPatch) -> None:
    given = told(row["input"], words_for(tmp, home))
    kind = next(kind for kind in KINDS if kind in given)
    KINDS[kind](row, given, tmp, patch)
    assert not RAN.exists(), "nothing was unpickled"
    assert not list(tmp.glob("**/records/*")), "nothing is recorded"


def refused(row: dict[str, Any], attempt: Callable[[], Any]) -> None:
    """``attempt`` is refused in one sentence with all words that the row promises."""
    with pytest.raises(Refused) as refusal:
        attempt()
    hold(row["says"], str(refusal.value))


def hold(says: list[str], message: str) -> None:
    assert [word for word in says if word not in message] == [], message
    assert "\n" not in message.strip()
    assert len(message) < 1200, "a refusal is a sentence"


def try_folder(row: dict[str, Any], given: dict[str, Any], tmp: Path, patch: pytest.MonkeyPatch) -> None:
    root = tmp / "data"
    build_folder(root, given)
    name = given.get("name", f"imagefolder:{root / given.get('open', '')}")
    if row["outcome"] == "refused":
        refused(row, lambda: ImageFolder().open(name))
        return
    dataset = ImageFolder().open(name)
    assert isinstance(dataset, FilesDataset)
    left_out = [path for path, _ in dataset.left_out]
    becomes = {"classes": list(dataset.card.classes), "splits": dataset.card.splits, "images": len(dataset.labels)}
    becomes["left_out"] = sorted(left_out)
    says = dict(row["says"])
    assert [note for note in says.pop("notes", []) if note not in " ".join(dataset.notes)] == [], dataset.notes
    assert {key: becomes[key] for key in says} == says


def build_folder(root: Path, given: dict[str, Any]) -> None:
    for place, (name, count) in enumerate(given["folders"].items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / name / f"{i}.png").write_bytes(coded(picture(100 * place + i)))
    for path, text in given.get("files", {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for old, new in given.get("rename", {}).items():
        (root / old).rename(root / new)
    for old, new in given.get("copy", {}).items():
        (root / new).write_bytes((root / old).read_bytes())
    if "card" in given:
        (root / "dataset.yaml").write_text(given["card"])


def try_image(row: dict[str, Any], given: dict[str, Any], tmp: Path, patch: pytest.MonkeyPatch) -> None:
    classes_in(tmp / "data", "train/cat", "train/dog")
    classes_in(tmp / "data", "test/cat", "test/dog", start=1000)
    victim = tmp / "data" / "test" / "dog" / "2.png"
    victim.write_bytes(PICTURES[given["image"]]())
    dataset = ImageFolder().open(f"imagefolder:{tmp}/data")
    assert isinstance(dataset, FilesDataset)
    odd = dataset.paths.index("test/dog/2.png")
    assert all(dataset.read(index).mode == "RGB" for index in range(len(dataset.labels)) if index != odd)
    if row["outcome"] == "safe":
        image = dataset.read(odd)
        assert [list(image.getpixel((0, 0))), list(image.getpixel((7, 7)))] == row["says"]
        return
    with pytest.raises(DamagedImage) as damage:
        dataset.read(odd)
    hold([str(victim), *row["says"]], str(damage.value))


def try_headings(row: dict[str, Any], given: dict[str, Any], tmp: Path, patch: pytest.MonkeyPatch) -> None:
    assert list(headings(given["headings"]).values()) == row["says"]["headings"]


def try_checkpoint(row: dict[str, Any], given: dict[str, Any], tmp: Path, patch: pytest.MonkeyPatch) -> None:
    file = tmp / given.get("file", "open_clip_pytorch_model.bin")
    spelling = f"ViT-B-32@{file}" if "file" in given else f"local-dir:{tmp}"
    CHECKPOINTS[given["checkpoint"]](file)
    config = {"model_cfg": SMALL | {"quick_gelu": given.get("quick_gelu", False)}}
    (tmp / "open_clip_config.json").write_text(json.dumps(config))
    if row["outcome"] == "refused":
        row = row | {"says": [str(file), *row["says"]]}
        refused(row, lambda: OpenClipModels().facts(spelling))
        return
    assert OpenClipModels().facts(spelling)["digest"]
    assert checkpoints.read(file).keys() >= {name for name in state() if not name.endswith("attn_mask")}


def try_suite(row: dict[str, Any], given: dict[str, Any], tmp: Path, patch: pytest.MonkeyPatch) -> None:
    sound = told(SOUND, {"HOME": str(tmp.parent / "home")})
    refused(row, lambda: plan({**sound, **given["suite"]}, tmp / "store"))


def try_dataset(row: dict[str, Any], given: dict[str, Any], tmp: Path, patch: pytest.MonkeyPatch) -> None:
    root = tmp / "data"
    root.mkdir()
    name = BROKEN[given["dataset"]](root)
    refused(row, lambda: open_dataset(name, root))


def try_text(row: dict[str, Any], given: dict[str, Any], tmp: Path, patch: pytest.MonkeyPatch) -> None:
    file = tmp / "suite.yaml"
    file.write_bytes(given["text"].encode() if "text" in given else bytes.fromhex(given["bytes"]))
    row = row | {"says": [str(file), *row["says"]]}
    refused(row, lambda: read_suite(file))


def try_command(row: dict[str, Any], given: dict[str, Any], tmp: Path, patch: pytest.MonkeyPatch) -> None:
    (tmp / "suite.yaml").write_text(json.dumps({**SOUND, "datasets": ["weather"]}))
    for path, text in given.get("files", {}).items():
        (tmp / path).parent.mkdir(exist_ok=True)
        (tmp / path).write_text(text)
    for path, target in given.get("links", {}).items():
        (tmp / path).symlink_to(target)
    for name in ("RAY_ADDRESS", *given.get("environment", {})):
        patch.delenv(name, raising=False)
    for name, value in given.get("environment", {}).items():
        patch.setenv(name, value)
    patch.setattr(torch.cuda, "is_available", lambda: False)
    patch.chdir(tmp)
    DISKS[given.get("disk", "sound")](patch)
    done = CliRunner().invoke(app, [str(word) for word in given["command"]])
    assert done.exit_code == 2, done.output
    assert done.output.startswith("refused: "), done.output
    hold(row["says"], done.output)


def _fsync_fails(number: int) -> Callable[[pytest.MonkeyPatch], None]:
    def fails(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    return lambda patch: patch.setattr(os, "fsync", fails)


DISKS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "sound": lambda patch: None,
    "full": _fsync_fails(errno.ENOSPC),
    "read-only": _fsync_fails(errno.EROFS),
    "closed": lambda patch: patch.setattr(os, "access", lambda path, mode: not mode & os.W_OK),
}
KINDS: dict[str, Callable[[dict[str, Any], dict[str, Any], Path, pytest.MonkeyPatch], None]] = {
    "folders": try_folder,
    "image": try_image,
    "headings": try_headings,
    "checkpoint": try_checkpoint,
    "suite": try_suite,
    "dataset": try_dataset,
    "text": try_text,
    "bytes": try_text,
    "command": try_command,
}
