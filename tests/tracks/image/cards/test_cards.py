"""Every built-in method has a full card, and what a card computes is what the engine would do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from promptgrid import catalog
from promptgrid.contract.clip import Axes, Params, Task, Trained
from promptgrid.engine.cards.card import card_of
from promptgrid.engine.cards.counting import learned_numbers
from promptgrid.engine.cards.parity import RESULTS
from promptgrid.engine.cards.prose import said, written
from promptgrid.spec import Refused
from promptgrid.tracks.image import methods
from promptgrid.tracks.image.cards.shapes import bundled, task_on, vit_b16
from promptgrid.tracks.image.cards.told import CARDS as CARDS_OF_IMAGES

torch.set_num_threads(1)
TRACK = catalog.track("image")
RESOLVER = TRACK.resolver  # type: ignore[attr-defined]
NAMES = sorted(RESOLVER.methods)
CARDS = {name: TRACK.card(name) for name in NAMES}


@dataclass(frozen=True)
class Stranger(Trained):
    """A stranger's method: one number.

    Source: nobody; see there. Deviations: it adds (without asking; ever); fp32.
    """

    name: ClassVar[str] = "stranger"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "unpublished"

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"one": torch.zeros(1)}

    def text(self, params: Params, task: Task) -> torch.Tensor:
        return task.text + params["one"]


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_method_has_a_full_card(name: str) -> None:
    """Write methods/cards/<name>.yaml, `Source:` in the docstring, and `axes`."""
    card = CARDS[name]
    assert card["missing"] == [], f"{name}: its card leaves out {', '.join(card['missing'])}"
    assert card["problems"] == []
    assert len(card["learns"]["counts"]) == 2
    assert "(" not in str(card["losses"]["policy"]), "policies are told in words"
    assert bool(card["losses"]["names"]) == (card["recipe"] is not None) == (card["cost"]["steps"] > 0)
    brought = {"variations", "domain_labels"} & set(card["needs"])  # no bundled task has them by itself
    assert any(row["allowed"] for row in card["protocols"]) or brought
    assert all(row["why"] for row in card["protocols"] if not row["allowed"])


def test_no_card_is_left_of_a_method_that_is_gone() -> None:
    folder = Path(methods.__path__[0]) / "cards"
    own = {name for name, kind in RESOLVER.methods.items() if kind.__module__.startswith(methods.__name__)}
    assert {path.stem for path in folder.glob("*.yaml")} == own


@pytest.mark.parametrize(
    ("name", "count", "per_class", "per_shot"),
    [
        ("zero_shot", 0, 0, 0),
        ("coop", 8_192, 0, 0),
        ("kgcoop", 2_048, 0, 0),
        ("cocoop", 35_360, 0, 0),
        ("maple", 3_555_072, 0, 0),
        ("vpt", 147_456, 0, 0),
        ("clip_lora", 184_320, 0, 0),
        ("taskres", 5_120, 512, 0),
        ("tip_adapter_f", 81_920, 8_192, 5_120),
    ],
)
def test_counts_on_vit_b16(name: str, count: int, per_class: int, per_shot: int) -> None:
    found = CARDS[name]["learns"]["counts"][0]
    assert (found["backbone"], found["count"]) == ("ViT-B/16", count)
    assert (found["per_class"], found["per_shot"]) == (per_class, per_shot)


def test_the_bundled_shapes_are_those_of_its_weights() -> None:
    real = RESOLVER.backbone_family("bundled").load("bundled", "cpu")
    for name in ("width", "text", "vision", "patch_size", "image_size"):
        assert getattr(bundled(), name) == getattr(real, name), name


def test_losses_and_policy_come_from_a_dry_run() -> None:
    assert CARDS["kgcoop"]["losses"]["names"] == ["cross_entropy", "distance"]
    assert CARDS["prograd"]["losses"]["policy"].startswith("descends cross_entropy; 1.0 of what opposes knowledge")
    assert CARDS["linear_probe"]["losses"] == {"names": [], "policy": None}


def test_cost_and_recipe_follow_the_method() -> None:
    recipe = CARDS["coop"]["recipe"]
    assert recipe["said"].startswith(
        "SGD 0.002, weight decay 0.0005, momentum 0.9, batch 32, 200 epochs, 1 epoch of warm"
    )
    assert (recipe["epochs"], recipe["batches"]["size"], recipe["schedule"]["then"]["kind"]) == (200, 32, "Cosine")
    assert CARDS["lp_plus_plus"]["recipe"]["rules"]["alpha"]["every"] == 10
    assert (CARDS["coop"]["cost"]["batch"], CARDS["coop"]["cost"]["steps"]) == (32, 200 * 5)
    assert CARDS["maple"]["cost"]["gflop_per_step"] > CARDS["coop"]["cost"]["gflop_per_step"] > 0
    assert CARDS["coop"]["cost"]["gflop_per_step"] < 1.0  # of the bundled towers; ViT-B/16 takes twenty times as much


def test_what_a_test_image_takes_is_told_of_methods_that_fit_to_it() -> None:
    assert CARDS["coop"]["cost"]["adapting"] is None
    one, four = (CARDS[name]["cost"]["adapting"] for name in ("tpt", "diff_tpt"))
    assert (one["steps"], one["views"], four["steps"]) == (1, 64, 4)
    assert four["gflop_per_image"] > one["gflop_per_image"] > 1.0


def test_what_a_dataset_may_bring_is_no_refusal_for_good() -> None:
    rows = [row for row in CARDS["spg"]["protocols"] if row["given"]]
    assert {row["given"] for row in rows} == {"domain_labels"}
    assert not any(row["allowed"] for row in rows)
    assert not any(row["given"] for row in CARDS["coop"]["protocols"])


def test_protocols_are_asked_of_the_resolver() -> None:
    def allowed(name: str) -> set[tuple[str, str]]:
        return {(row["protocol"], row["reading"]) for row in CARDS[name]["protocols"] if row["allowed"]}

    assert {("few_shot", ""), ("base_to_new", ""), ("transfer", "evaluate")} <= allowed("coop")
    assert ("base_to_new", "") not in allowed("taskres")
    assert ("transfer", "adapt") in allowed("taskres")
    assert ("transfer", "evaluate") not in allowed("zero_shot")
    refused = next(row for row in CARDS["taskres"]["protocols"] if row["protocol"] == "base_to_new")
    assert "cannot be scored on classes it was not trained on" in refused["why"]


def test_figures_are_the_methods_own_and_marked() -> None:
    assert {row["method"] for row in CARDS["taskres"]["figures"]} == {"taskres"}
    assert {row["evidence"] for row in CARDS["taskres"]["figures"]} == {"M"}
    assert not any(row["shown"] for row in CARDS["taskres"]["figures"])


def test_words_come_from_the_docstring() -> None:
    words = said(Stranger)
    assert words["about"] == "A stranger's method: one number."
    assert words["source"] == "nobody; see there"
    assert words["deviations"] == ["it adds (without asking; ever)", "fp32"]
    assert said(RESOLVER.methods["zero_shot"])["deviations"] == []


def test_a_third_party_has_a_card_without_writing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RESOLVER.methods, "stranger", Stranger)
    card = card_of(RESOLVER, "stranger", [], CARDS_OF_IMAGES)
    assert card["problems"] == []
    assert card["missing"] == ["axes", "learns", "selection", "parity", "quirks (an empty list where there are none)"]
    assert [found["count"] for found in card["learns"]["counts"]] == [1, 1]
    assert card["losses"]["names"] == ["cross_entropy"]


def test_a_third_partys_failure_is_told_and_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Broken(Stranger):
        """Broken."""

        axes: ClassVar = Axes("adapter", "head")

        def init(self, task: Task, rng: torch.Generator) -> Params:
            raise RuntimeError("no such weights")

    monkeypatch.setitem(RESOLVER.methods, "stranger", Broken)
    card = card_of(RESOLVER, "stranger", [], CARDS_OF_IMAGES)
    assert "counts: RuntimeError: no such weights" in card["problems"]
    assert card["learns"]["counts"] is None
    assert card["recipe"]["optimizer"]["kind"] == "SGD"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("colour: red\n", "unknown keys"),
        ("quirks:\n  - quirk: odd\n", "a quirk"),
        ("learns: a shift\n", "a card says `parity`"),
        ("parity: {result: equal}\n", "a parity"),
        ("parity: {result: no public code, code: a/b 1234567}\n", "a parity"),
        ("parity: {result: fine, code: a/b 1234567}\n", "a parity"),
        ("parity: {result: equal, code: a/b 1234567, start: small}\n", "a parity"),
        ("parity: {result: not compared, code: a/b 1234567, start: 1.0e-5}\n", "a parity"),
        ("parity: {result: equal, code: a/b 1234567, by: me}\n", "a parity"),
        ("parity: {result: mended, code: a/b 1234567}\n", "a parity"),
    ],
)
def test_a_bad_card_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str) -> None:
    from promptgrid.engine.cards import prose

    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "stranger.yaml").write_text(text)
    monkeypatch.setattr(prose.inspect, "getfile", lambda method: str(tmp_path / "mine.py"))
    with pytest.raises(Refused, match=problem):
        written(Stranger)


def test_parity_is_told_in_a_line_with_its_numbers() -> None:
    coop, taskres, kapt, kgcoop = (CARDS[name]["parity"] for name in ("coop", "taskres", "kapt", "kgcoop"))
    numbers = "equal to the authors' code; apart by 6e-07 at the start, 3e-05 after training (KaiyangZhou/CoOp ff61507)"
    assert coop["said"] == numbers
    assert kgcoop["said"].startswith("equal to the authors' code; apart by at most 1e-05 (")
    assert (taskres["result"], taskres["code"]) == ("mended", "geekyutao/TaskRes 5195359")
    assert ".119" in taskres["note"]
    assert (kapt["result"], kapt["said"], kapt["how"]) == ("no public code", RESULTS["no public code"], "")


@pytest.mark.parametrize("name", NAMES)
def test_the_code_of_a_parity_is_a_commit(name: str) -> None:
    parity = CARDS[name]["parity"]
    assert TRACK.parities()[name] == parity
    if parity["code"].endswith(", no commit read"):
        assert parity["result"] == "not compared"
        return
    assert not parity["code"] or re.search(r" [0-9a-f]{7}$", parity["code"])
    mentioned = CARDS[name]["source"] + (RESOLVER.methods[name].__doc__ or "")
    told = parity["code"].split(" ")[-1] in mentioned or mentioned.startswith("as ")
    assert told, "the docstring names the same commit"


def test_counting_needs_no_weights() -> None:
    assert learned_numbers(RESOLVER.methods["coop"](context_length=4), task_on(vit_b16(), 10, 16)) == 2_048
