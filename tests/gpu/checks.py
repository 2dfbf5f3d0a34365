"""Part 1: the tests marked `gpu`, each with its outcome and what it measured."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.gpu.part import Part

ROOM = 4000


class Told:
    """A pytest plug-in that keeps a row for every test."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            if report.when == "teardown" and report.outcome == "passed":
                return
            self.part.add(
                test=report.nodeid.split("::")[-1],
                outcome=report.outcome,
                seconds=round(report.duration, 2),
                **dict(report.user_properties),
                **({"said": str(report.longrepr)[-ROOM:]} if report.outcome != "passed" else {}),
            )


def main() -> None:
    part = Part(__doc__ or "")
    here = Path(__file__).parent
    settings = ["-c", str(here / "pytest.ini"), "--rootdir", str(here.parents[1]), "-q"]
    side_by_side = (
        ["-p", "xdist", "-n", os.environ.get("CHECK_WORKERS", "6")]
        if part.device.startswith("cuda") and find_spec("xdist")
        else []
    )
    wanted = os.environ.get("CHECKS", "settles or resumed or equals and (coop or vpt)" if part.tiny else "")
    chosen = ["-k", wanted] if wanted else []
    code = pytest.main([*settings, *side_by_side, *chosen, str(here)], [Told(part)])
    if code in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        part.finish()
    raise SystemExit(int(code))


if __name__ == "__main__":
    main()
