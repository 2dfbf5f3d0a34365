"""Part 1: the tests marked `gpu`, each with its outcome and what it measured."""

from __future__ import annotations

import importlib.util
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
    code = pytest.main(
        ["-c", str(here / "pytest.ini"), "--rootdir", str(here.parents[1]), "-q", str(here)], [Told(part)]
    )
    if code in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        part.finish()
    raise SystemExit(int(code))


if __name__ == "__main__":
    main()
