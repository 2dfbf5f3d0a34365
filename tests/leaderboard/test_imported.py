"""Results of other tools in a report: shown beside ours, marked, and ranked only where the suite says so."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.leaderboard.conftest import make_report

from promptgrid.leaderboard import ReportInput
from promptgrid.leaderboard.analysis.published.beside import meant, plain_backbone, ranked_grid
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.report import report_files
from promptgrid.spec import Refused
from promptgrid.spec.imported import Imported
from promptgrid.spec.suite import ImportedEntry

REPORT = make_report(methods=["zero_shot", "coop"], datasets=["digits", "flags"], shots=(1,), seeds=(1, 2))


def others(**changes: object) -> list[Imported]:
    facts = {"tool": "dassl", "file": "log.txt", "sha256": "a" * 64, "method": "CoOp", "backbone": "bundled",
             "protocol": "few_shot", "shots": 1, "metrics": {"accuracy": 0.99}} | changes  # fmt: skip
    return [
        Imported.model_validate(facts | {"dataset": dataset, "seed": seed})
        for dataset in ("Digits", "FLAGS")
        for seed in (1, 2)
    ]


def shown(rank: bool, imported: list[Imported]) -> ReportInput:
    suite = REPORT.suite.model_copy(update={"imported": ImportedEntry(folders=["x"], rank=rank)})
    report = replace(REPORT, suite=suite, imported=imported)
    if not rank:
        return report
    grid, records = ranked_grid(suite, imported, ["digits", "flags"], {}, "accuracy")
    return replace(report, grid=[*report.grid, *grid], records=dict(report.records) | records)


def test_a_report_without_any_says_nothing_of_them() -> None:
    files = report_files(build_board(REPORT))
    assert "imported" not in json.loads(files["report.json"])
    assert b'id="imported"' not in files["report.html"]


def test_they_are_shown_beside_ours_and_not_ranked() -> None:
    plain, files = report_files(build_board(REPORT)), report_files(build_board(shown(False, others())))
    assert files["leaderboard.csv"] == plain["leaderboard.csv"]
    assert files["results.parquet"] == plain["results.parquet"]
    told = json.loads(files["report.json"])["imported"]
    assert told["ranked"] is False
    first = told["imported"][0]
    assert (first["dataset"], first["named"], first["seeds"], first["value"]) == ("digits", "Digits", 2, 0.99)
    assert [(label, shots) for label, shots, _ in first["ours"]] == [("zero_shot", 1), ("coop", 1)]
    assert b"shown, never ranked" in files["report.html"]


def test_a_suite_may_rank_them_marked() -> None:
    files = report_files(build_board(shown(True, others())))
    rows = [line.split(",")[2:4] for line in files["leaderboard.csv"].decode().splitlines()[1:]]
    assert rows[0] == ["1", "CoOp (imported: dassl)"]
    assert json.loads(files["report.json"])["imported"]["imported"][0]["ranked"] is True


@pytest.mark.parametrize(
    "changes",
    [{"protocol": ""}, {"shots": 4}, {"backbone": "RN50"}, {"metrics": {"macro_f1": 0.5}}],
)
def test_another_experiment_is_never_ranked(changes: dict[str, object]) -> None:
    assert ranked_grid(REPORT.suite, others(**changes), ["digits", "flags"], {}, "accuracy") == ([], {})


def test_two_at_one_place_are_refused() -> None:
    two = [*others(), *others(variant="b")]
    with pytest.raises(Refused, match="two imported results would stand at one place"):
        ranked_grid(REPORT.suite, two, ["digits", "flags"], {}, "accuracy")


def test_names_of_other_tools() -> None:
    known = {"coop:/data/oxford_pets": "OxfordPets", "imagefolder:/x/pets": "pets"}
    assert meant("OxfordPets", list(known), known) == "coop:/data/oxford_pets"
    assert meant("oxford_pets", list(known), known) == "coop:/data/oxford_pets"
    assert meant("cars", list(known), known) == ""
    assert plain_backbone("ViT-B/16") == plain_backbone("ViT-B-16-quickgelu@openai") == "vitb16"
