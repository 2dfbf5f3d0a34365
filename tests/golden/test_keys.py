"""Keys frozen for ever.

A cell key names a result in every store there is. If the key of a fixed identity changed, each finished cell would
be looked for under a new name: whole grids would run again, old records would be orphans, and two versions would
disagree on what is the same experiment. So these values must never change. A change that truly makes other numbers
belongs INTO the identity (raise ``schema``, ``engine`` or the protocol's version there), which gives new keys to
new cells and leaves the old ones valid. Should one of these tests fail, undo the change that made it fail; do not
write the new value in.

The identity below is of schema 2, which moved every key once: a backbone was named by its weights file alone, so that
two models on one file (QuickGELU or not, another mean) shared their keys. It is now named by its whole model, whose
digest is frozen here too, and ``preprocessing`` says all of it. How a key is made of an identity did not change: the
key of the identity of schema 1 is still what it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.contracts import small_world

from promptgrid.contract.clip import Preprocessing
from promptgrid.spec import Cell, Cost, Pack, Provenance, Reason, Record, digest, scores_digest
from promptgrid.spec.cell import canonical_json
from promptgrid.spec.suite import parse_suite
from promptgrid.towers.clip.models.architecture import identity, resolved
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder
from promptgrid.tracks.image.track import ImageTrack

OF_SCHEMA_1: dict[str, Any] = {
    "schema": 1,
    "engine": 1,
    "track": "image",
    "protocol": ["few_shot", 1],
    "method": "coop",
    "method_source": "5f" * 32,
    "settings": {"context_length": 16, "learning_rate": 0.002, "words": "", "class_specific": False, "tiny": 1e-06},
    "dataset": "a1" * 32,
    "prompting": "b2" * 32,
    "split": "c3" * 32,
    "shots": 16,
    "seed": 1,
    "backbone": "d4" * 32,
    "preprocessing": ["rgb, short side to size (bicubic), centre crop", 48],
    "views": 0,
    "selection": "last",
    "precision": "fp32",
}
KEY_OF_SCHEMA_1 = "dcec1ca3652a5db80d5402d7ec18bca445000db4409695b90d3e037c7a685608"
IDENTITY: dict[str, Any] = OF_SCHEMA_1 | {
    "schema": 2,
    "preprocessing": [
        "rgb, then the evaluation transform of open_clip, version 1",
        {"size": [48, 48], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "shortest",
         "interpolation": "bicubic", "fill": 0},
    ],
}  # fmt: skip
CANONICAL = (
    '{"backbone":"' + "d4" * 32 + '","dataset":"' + "a1" * 32 + '","engine":1,"method":"coop","method_source":"'
    + "5f" * 32 + '","precision":"fp32","preprocessing":["rgb, then the evaluation transform of open_clip, version 1",'
    '{"fill":0,"interpolation":"bicubic","mean":[0.5,0.5,0.5],"resize_mode":"shortest","size":[48,48],'
    '"std":[0.5,0.5,0.5]}],"prompting":"' + "b2" * 32 + '","protocol":["few_shot",1],"schema":2,"seed":1,'
    '"selection":"last","settings":{"class_specific":false,"context_length":16,"learning_rate":0.002,"tiny":1e-06,'
    '"words":""},"shots":16,"split":"' + "c3" * 32 + '","track":"image","views":0}'
)  # fmt: skip
KEY = "013755998a8ff4bae08e42cade651f3f3e8eb0818dcd9e9e506308b670dce02f"
TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}
MODEL = "5ef539f43b135b48d71738396c6133f7872b9af11cd4d3743d847835b85f3f77"
DIGEST = "2f8931b30f8fac1dd41d3cde24a60d974201e713a6372ea81f396ead4de096f9"


def test_the_canonical_form_of_an_identity() -> None:
    assert canonical_json(IDENTITY) == CANONICAL


def test_the_key_of_a_cell() -> None:
    assert _cell().key == KEY


def test_a_key_is_made_as_ever() -> None:
    assert digest(OF_SCHEMA_1) == KEY_OF_SCHEMA_1


def test_the_digest_of_a_model() -> None:
    """What stands under ``backbone``: configuration, tokenizer, preprocessing, and weights by content."""
    model = identity(resolved(TINY, "tiny"), {"kind": "clip"}, Preprocessing.square(16), "ab" * 32)
    assert digest(model) == MODEL


def test_the_order_of_an_identity_is_nothing() -> None:
    assert _cell(of=dict(reversed(IDENTITY.items()))).key == KEY


@pytest.mark.parametrize("name", IDENTITY)
def test_everything_in_an_identity_counts(name: str) -> None:
    assert _cell(of=IDENTITY | {name: "other"}).key != KEY


def test_odd_text_has_one_form() -> None:
    assert canonical_json({"ü": "日本", "a": [True, None, 0.1, -0.0, 10**20]}) == (
        '{"a":[true,null,0.1,-0.0,100000000000000000000],"\\u00fc":"\\u65e5\\u672c"}'
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"rate": float("nan")})


def test_the_key_of_a_pack() -> None:
    assert Pack(cells=(_cell(), _cell(of=IDENTITY | {"seed": 2}))).key == "dc2bf10e4e1549e4"


def test_the_digest_of_scores() -> None:
    assert scores_digest(_records()) == DIGEST


def test_the_digest_is_of_results_alone() -> None:
    """Order, timings, hosts and messages are outside it; a metric's last bit is inside."""
    done, failed = _records()
    moved = done.model_copy(
        update={"provenance": Provenance(host="elsewhere", threads=64), "cost": Cost(packed_with=9)}
    )
    told = failed.model_copy(update={"message": "another", "log_tail": "..."})
    assert scores_digest([told, moved]) == DIGEST
    nudged = done.model_copy(update={"metrics": done.metrics | {"accuracy": float(np.nextafter(0.8125, 1))}})
    assert scores_digest([nudged, failed]) != DIGEST


def test_what_is_not_science_does_not_enter() -> None:
    """The plan's group, needs, display fields and the pack are beside the key."""
    cell = _cell()
    changed = {"group": "another", "needs": ("ab" * 32,), "backbone": "an alias", "dataset": "a link to it"}
    assert cell.model_copy(update=changed).key == KEY
    assert _cell(settings={}).key == KEY, "settings count as the identity has them, resolved"


def test_a_resolved_identity_has_these_parts_and_no_others() -> None:
    """Host, device, workers, threads, time, paths, label, suite and pack are none of them."""
    (cell,) = small_world.track().resolve([small_world.request("coop")])
    assert set(cell.identity) == set(IDENTITY)


def test_labels_titles_and_suites_do_not_enter() -> None:
    plain = {
        "name": "one",
        "protocol": "few_shot",
        "methods": ["coop"],
        "backbones": ["small"],
        "datasets": ["pictures"],
    }
    dressed = plain | {"name": "two", "title": "A title", "methods": [{"name": "coop", "label": "Ours"}]}
    written = plain | {"methods": [{"name": "coop", "context_length": 16, "learning_rate": 0.002}]}
    keys = [
        [
            cell.key
            for cell in small_world.track().resolve([square for _, square in parse_suite(suite, "").requests([])])
        ]
        for suite in (plain, dressed, written)
    ]
    assert len(keys[0]) == 3
    assert keys[0] == keys[1], "a label or a title is in the key"
    assert keys[0] == keys[2], "a default that is written out is in the key"


def test_where_a_dataset_lies_does_not_enter(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("left", "right"):
        (tmp_path / "here" / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(
                tmp_path / "here" / name / f"{i}.png"
            )
    (tmp_path / "far").mkdir()
    shutil.copytree(tmp_path / "here", tmp_path / "far" / "here")
    found = small_world.track().resolver
    track = ImageTrack(found.methods, [ImageFolder()], found.backbones, found.protocols, found.columns)
    asked = small_world.request("coop")
    places = [f"imagefolder:{tmp_path / where}" for where in ("here", "far/here")]
    one, other = track.resolve([_moved(asked, place) for place in places])
    assert one.key == other.key


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_another_process_gives_the_same_key(seed: str) -> None:
    """Hash randomisation, locale and time zone of the machine do not enter."""
    code = "import json,sys; from promptgrid.spec import digest; print(digest(json.load(sys.stdin)))"
    environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": "C", "TZ": "Pacific/Auckland"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    ran = subprocess.run(
        [sys.executable, "-c", code],
        input=canonical_json(IDENTITY),
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert ran.stdout.strip() == KEY


def _moved(asked: Any, dataset: str) -> Any:
    return type(asked)(**{**vars(asked), "dataset": dataset})


def _cell(of: dict[str, Any] | None = None, settings: dict[str, Any] | None = None) -> Cell:
    return Cell(
        track="image",
        protocol="few_shot",
        method="coop",
        settings={"context_length": 16} if settings is None else settings,
        backbone="bundled",
        dataset="animals",
        shots=16,
        seed=1,
        selection="last",
        precision="fp32",
        identity=of or IDENTITY,
    )


def _records() -> list[Record]:
    done = Record(cell=_cell(), metrics={"accuracy": 0.8125, "macro_f1": 0.1 + 0.2}, cost=Cost(train_seconds=3.0))
    lost = _cell(of=IDENTITY | {"seed": 2})
    return [done, Record(cell=lost, status="failed", reason=Reason.NAN_LOSS, message="the loss is not finite")]
