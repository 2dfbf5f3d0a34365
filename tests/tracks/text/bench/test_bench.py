"""The text benchmark measures what it says: one arithmetic in all variants, padding in the reference alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tracks.text.backbones.folders import folder
from torch.utils.flop_counter import FlopCounterMode

from promptgrid import catalog
from promptgrid.contract.track import Timing
from promptgrid.engine.bench import measure, rate
from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.backbones.hf_folder import HuggingFaceFolder
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.bench.problem import FAMILIES, problem
from promptgrid.tracks.text.bench.reference_loop import PlainTower, ReferenceLoop
from promptgrid.tracks.text.bench.run import TextBench
from promptgrid.tracks.text.datasets.text import Text
from promptgrid.tracks.text.track import TextTrack

QUICK = 0.01


@pytest.fixture(scope="module")
def track() -> TextTrack:
    found = catalog.track("text")
    assert isinstance(found, TextTrack)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"hf-dir:{folder(tmp_path_factory.mktemp('tower') / 'bert', 'bert', max_position_embeddings=160)}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's rate from one small product: what is held here is arithmetic, not speed."""
    monkeypatch.setattr(rate, "ROWS", 64)
    monkeypatch.setattr(rate, "ENOUGH", 0.0)
    monkeypatch.setattr(measure, "ROUNDS", 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_variants_share_one_arithmetic(family: str, track: TextTrack, home: str) -> None:
    """Every variant trains to the losses of the reference, whatever it leaves out."""
    asked = Timing(home, (family,), classes=(3,), packs=(2,), steps=5, seconds=QUICK)
    rows = list(track.bench(asked))
    other = "cached states" if family in ("warp", "sci_prompt") else "cut to the longest"
    assert [row["variant"] for row in rows] == ["reference loop", other, "exact shortcuts", "pack of 2"]
    assert rows[0]["difference"] is None
    assert max(row["difference"] for row in rows[1:]) < 1e-5
    assert all(row["floor_ms"] > 0 and row["ms"] > 0 for row in rows)


def test_losses_agree_to_the_last_bits_in_float64(track: TextTrack, home: str) -> None:
    asked = Timing(home, ("p_tuning_v2",), classes=(3,), packs=(2,), steps=5, precision="fp64", seconds=QUICK)
    assert max(row["difference"] for row in track.bench(asked) if row["difference"] is not None) < 1e-12


def test_the_reference_alone_pads(track: TextTrack, home: str) -> None:
    """A step of the reference computes as many tokens as the tower reads; the engine those that are there."""
    tower = HuggingFaceFolder().load(home, "cpu")
    assert isinstance(tower, Transformer)
    texts = [Text("film"), Text("the film was great")]
    given = problem(FAMILIES["p_tuning_v2"], track.resolver.method("p_tuning_v2"), tower, ("good", "bad"), texts, 1)

    def flops(tower: TextBackbone, padded: bool) -> int:
        loop = ReferenceLoop(given.part(1, 1), tower, padded=padded, cached=True)
        with FlopCounterMode(display=False) as counter:
            loop.step(torch.tensor([0, 1]), 0.0, torch.tensor(0))
        return int(counter.get_total_flops())

    plain = PlainTower.of(tower)
    assert flops(plain, True) > 3 * flops(plain, False) > 3 * flops(tower, False)


def test_the_texts_are_as_long_as_those_of_public_tasks(track: TextTrack) -> None:
    """Half of them have at most 18 words and marks, as SST-2's sentences do; there are names for a thousand classes."""
    bench = TextBench(track.resolver)
    lengths = sorted(len(text.a.replace(",", " ,").split()) for text in bench._texts(10))
    assert 12 <= lengths[len(lengths) // 2] <= 18
    assert len(set(bench.class_names())) >= 1000


def test_every_family_names_a_method(track: TextTrack) -> None:
    for family in FAMILIES.values():
        track.resolver.settle(track.resolver.method(family.method), family.settings)


def test_a_tower_that_lacks_what_a_family_needs_is_refused(track: TextTrack, tmp_path: Path) -> None:
    home = f"hf-dir:{folder(tmp_path / 'gpt2', 'gpt2')}"
    with pytest.raises(Refused, match="needs mask"):
        list(track.bench(Timing(home, ("warp",), classes=(3,), packs=(2,), steps=1, seconds=QUICK)))
