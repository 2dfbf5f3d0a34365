"""How a method stands to its authors' public code: both were run side by side, or not, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from promptgrid.spec import Refused

RESULTS = {
    "equal": "equal to the authors' code",
    "in part": "equal to the authors' code in what was compared",
    "mended": "differed from the authors' code in what stands below, and has their form now; not compared again",
    "not compared": "not compared with the authors' code yet",
    "no public code": "there is no public code to compare with",
}


@dataclass(frozen=True)
class Parity:
    """What a card says of it.

    Attributes:
        result: one of ``RESULTS``.
        code: repository and commit of the authors; '' where none is public.
        start: largest difference of the scores before training; None where it is not known by itself.
        trained: the same after six steps.
        within: what both are at most, where no more is known.
        note: what the numbers hold for, and what differed.
    """

    result: str
    code: str = ""
    start: float | None = None
    trained: float | None = None
    within: float | None = None
    note: str = ""

    @property
    def said(self) -> str:
        """Result, numbers and code in a line."""
        numbers = [
            f"{value:.0e} {when}"
            for value, when in ((self.start, "at the start"), (self.trained, "after training"))
            if value is not None
        ]
        numbers += [f"at most {self.within:.0e}"] if self.within is not None else []
        beside = "beside that " if self.result == "mended" else ""
        apart = f"; {beside}apart by {', '.join(numbers)}" if numbers else ""
        return f"{RESULTS[self.result]}{apart}" + (f" ({self.code})" if self.code else "")

    def as_dict(self, how: str = "") -> dict[str, Any]:
        """Its fields, the line ``said``, and ``how`` it was compared where it was."""
        compared = self.result in ("equal", "in part", "mended")
        return asdict(self) | {"said": self.said, "how": how if compared else ""}


def parsed(given: Mapping[str, Any], where: str) -> Parity:
    """The parity that a card says.

    Raises:
        Refused: no such result, a key that no parity has, a number that is none, code where there is none or none where
            it was compared, or nothing about what was mended.
    """
    expected = f"result: one of {', '.join(RESULTS)}; code: repository and commit; start, trained, within; note"
    unknown = given.keys() - Parity.__dataclass_fields__.keys()
    numbers = [given.get(name) for name in ("start", "trained", "within")]
    wrong = [value for value in numbers if value is not None and not (isinstance(value, float) and value > 0)]
    result = given.get("result")
    fits = result in RESULTS and bool(given.get("code")) == (result != "no public code")
    measured = result in ("equal", "in part", "mended") or not any(number is not None for number in numbers)
    told = result != "mended" or bool(given.get("note"))
    if unknown or wrong or not fits or not measured or not told:
        raise Refused("a parity", where=where, got=dict(given), expected=expected)
    return Parity(**given)
