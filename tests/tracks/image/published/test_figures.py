"""The tables of published figures: whole, in range, said once, and kept apart by how well they are known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.leaderboard.conftest import make_record

from promptgrid import catalog
from promptgrid.engine.published import figures, read_table, refuse_twins
from promptgrid.leaderboard import ReportInput
from promptgrid.leaderboard.analysis.published.agreement import agreements
from promptgrid.spec import Refused, read_suite
from promptgrid.tracks.image.methods.parts.published import NAMES
from promptgrid.tracks.image.published.names import PUBLISHED, backbone_known_as, dataset_known_as

FOLDER = PUBLISHED.folder
HEADER = "method,label,dataset,protocol,backbone,shots,metric,value,evidence,source,settings,learned_on,differs"
GOOD = "coop,CoOp,DTD,few_shot,RN50,16,accuracy,63.5,R,a README,,,"
COUNTS = {
    "t1_base_to_new": 216,
    "t2_pre": 15,
    "t3_cross_dataset_and_domains": 192,
    "t4_few_shot_vit_b16": 188,
    "t5_few_shot_rn50": 22,
    "t6_tip_adapter_rn50": 197,
    "t6b_clip_with_clip": 102,
    "t7_black_box": 75,
    "t8_adaptation": 22,
    "t9_vision": 6,
    "method_blocks": 14,
}
"""Figures a table of the catalogue, counted there: none may be lost on the way."""


def test_every_table_is_whole() -> None:
    assert Counter(figure.table for figure in figures(FOLDER)) == COUNTS


def test_each_harmonic_mean_is_that_of_its_base_and_new() -> None:
    """H = 2BN / (B + N) within 0.02 of the printed one; a mean of H lies below it."""
    rows: dict[tuple[object, ...], dict[str, float]] = {}
    for figure in figures(FOLDER):
        if figure.protocol == "base_to_new" and not figure.metric.startswith("gain_"):
            place = (figure.table, figure.label, figure.dataset, figure.backbone)
            rows.setdefault(place, {})[figure.metric] = figure.value
    checked = Counter[str]()
    for place, values in rows.items():
        if "base_accuracy" not in values:
            continue
        base, new = values["base_accuracy"], values["new_accuracy"]
        harmonic = 2 * base * new / (base + new)
        for metric in ("harmonic_mean", "h_of_means"):
            if metric in values:
                checked[metric] += 1
                assert abs(values[metric] - harmonic) <= 0.02, place
        if "mean_of_h" in values:
            checked["mean_of_h"] += 1
            assert values["mean_of_h"] < harmonic - 0.02, place
    assert checked == {"harmonic_mean": 57, "h_of_means": 16, "mean_of_h": 5}


def test_averages_over_the_eleven_are_their_means() -> None:
    """Where a table has all eleven datasets and their average, one follows from the other."""
    found: dict[tuple[object, ...], dict[str, float]] = {}
    for figure in figures(FOLDER):
        if figure.evidence == "M" and figure.table.startswith("t4"):
            continue  # averages that another paper's baselines are remembered to have
        place = (figure.table, figure.label, figure.metric, figure.shots)
        found.setdefault(place, {})[figure.dataset] = figure.value
    whole = {place: row for place, row in found.items() if {*NAMES, "average of 11"} <= row.keys()}
    assert len(whole) == 9 + 5 * 2
    for place, row in whole.items():
        mean = sum(row[name] for name in NAMES) / len(NAMES)
        assert abs(row["average of 11"] - mean) <= 0.1, (place, mean)


def test_a_dataset_has_one_spelling() -> None:
    spelt = {figure.dataset for figure in figures(FOLDER)}
    folded = Counter(name.lower().replace("-", "").replace(" ", "") for name in spelt)
    assert max(folded.values()) == 1
    assert set(NAMES) <= spelt
    assert not spelt & {"Flowers102", "Pets", "Cars", "Caltech", "Aircraft", "Food", "SUN", "UCF"}


def test_what_is_remembered_derived_or_proposed_is_not_shown() -> None:
    rows = catalog.track("image").published()
    assert len(rows) == sum(COUNTS.values())
    assert {row["evidence"] for row in rows if row["shown"]} == {"R", "S", "A"}
    assert {row["evidence"] for row in rows if not row["shown"]} == {"M", "D"}


def test_no_figure_of_ours_has_shots_that_its_protocol_refuses() -> None:
    """A figure of 16 shots at test time would wait for ever for a cell to stand beside."""
    resolver = catalog.track("image").resolver  # type: ignore[attr-defined]
    card = resolver.dataset("weather").card
    named = [figure for figure in figures(FOLDER) if figure.method and figure.shots]
    assert {"few_shot", "domain_generalization", "cross_dataset"} <= {figure.protocol for figure in named}
    for figure in named:
        resolver.protocol(figure.protocol).check(card, figure.shots)


def test_prompts_adapted_at_test_time_stand_beside_the_papers() -> None:
    """Cells of suites/test_time_domains.yaml, as if they were on the papers' data."""
    track = catalog.track("image")
    suite = read_suite(Path(__file__).parents[4] / "suites" / "test_time_domains.yaml")
    labels, asked = zip(*suite.requests([]), strict=True)
    squares = list(zip(labels, track.resolve(list(asked)), strict=True))
    rng = np.random.default_rng(0)
    records = {cell.key: make_record(cell, False, 0.1, 0.1, rng, cell.protocol) for _, cell in squares}
    names = {"emoji_noto": "ImageNet", "emoji_emojione": "ImageNetV2", "emoji_firefox": "ImageNet-Sketch"}
    known_as = {"bundled": "ViT-B/16", **names}
    report = ReportInput(suite, squares, records, {}, "accuracy", published=track.published(), known_as=known_as)
    found = {(pair.label, pair.dataset): pair for pair in agreements(report)}
    tpt = [found["TPT + CoOp, evaluate", dataset] for dataset in ("ImageNetV2", "ImageNet-Sketch")]
    assert [(pair.paper, pair.why) for pair in tpt] == [(pytest.approx(0.6683), ""), (pytest.approx(0.4929), "")]
    aligned = found["PromptAlign, evaluate", "ImageNet-Sketch"]
    assert aligned.paper == pytest.approx(0.5623)
    assert aligned.why.startswith("README entry disagrees"), "the settings are the paper's"


def test_figures_of_our_readings_are_marked_as_claims() -> None:
    rows = catalog.track("image").published()
    assert {row["method"] for row in rows if row["reading"]} == {"ctp_tft", "dvpt", "gram", "kapt", "pvp"}


def test_settings_that_a_figure_names_exist_and_are_legal() -> None:
    methods = catalog.track("image").resolver.methods  # type: ignore[attr-defined]
    named = [row for row in catalog.track("image").published() if row["full_settings"] is not None]
    assert {"coop", "maple", "tip_adapter_f"} <= {row["method"] for row in named}
    for row in named:
        methods[row["method"]](**row["full_settings"])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (GOOD.replace(",R,", ",X,"), "unknown evidence mark"),
        (GOOD.replace("63.5", "163.5"), "a value out of range"),
        (GOOD.replace("63.5", "-1"), "a value out of range"),
        (GOOD.replace("63.5", "nan"), "a value out of range"),
        (GOOD.replace("63.5", "high"), "not a number"),
        (GOOD.replace(",accuracy,", ",luck,"), "unknown metric"),
        (GOOD.replace("a README", ""), "no source"),
        (GOOD.replace(",16,", ",many,"), "shots"),
        (GOOD.replace(",,,", ",epochs 5,,"), "settings"),
        (f"{GOOD}\n{GOOD}", "a figure stands twice"),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, row: str, problem: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER}\n{row}\n", encoding="utf-8")
    with pytest.raises(Refused, match=problem):
        refuse_twins(read_table(path))


def test_another_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("method,value\ncoop,63.5\n", encoding="utf-8")
    with pytest.raises(Refused, match="other columns"):
        read_table(path)


def test_every_file_of_the_folder_is_read() -> None:
    assert {path.stem for path in FOLDER.glob("*.csv")} == set(COUNTS)


@pytest.mark.parametrize(
    ("ours", "papers"),
    [
        ("coop-split:/data/split_zhou_OxfordPets.json?images=/elsewhere/images", "OxfordPets"),
        ("coop-split:/data/split_zhou_DescribableTextures.json", "DTD"),
        ("imagefolder:/data/imagenet", "ImageNet"),
        ("imagefolder:/data/imagenet-a", "ImageNet-A"),
        ("imagefolder:/data/ImageNetV2", "ImageNetV2"),
        ("weather", ""),
    ],
)
def test_our_datasets_in_the_papers_words(ours: str, papers: str) -> None:
    assert dataset_known_as(ours) == papers


@pytest.mark.parametrize(
    ("ours", "papers"),
    [("ViT-B-16@openai", "ViT-B/16"), ("RN50-quickgelu@openai", "RN50"), ("ViT-B-16@laion2b", ""), ("bundled", "")],
)
def test_our_backbones_in_the_papers_words(ours: str, papers: str) -> None:
    assert backbone_known_as(ours) == papers
