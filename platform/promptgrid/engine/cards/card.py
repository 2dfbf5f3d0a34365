"""One card: computed where it can be, from the method's own words where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptgrid.contract.method import Method
from promptgrid.engine.cards.admission import Asked, admissions
from promptgrid.engine.cards.prose import said, written
from promptgrid.engine.planning.resolve import Resolver

COMPUTED = ("counts", "losses", "recipe", "cost")
"""The parts of a card that a wing computes."""


def no_views(method: Method) -> Mapping[str, Any] | None:
    """The examples of this wing have no views."""
    return None


@dataclass(frozen=True)
class Cards:
    """What a wing says for the cards of its methods.

    Attributes:
        asked: the pair of tasks on which protocols are asked whether they admit a method.
        computed: by part (``counts``, ``losses``, ``recipe``, ``cost``) what is told of a method at default settings.
        views: which views of its training examples a method sees; None where that makes no difference.
        compared: how methods were compared with their authors' code.
    """

    asked: Asked
    computed: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    views: Callable[[Any], Mapping[str, Any] | None] = no_views
    compared: str = ""


def card_of(resolver: Resolver, name: str, figures: Sequence[Mapping[str, Any]], cards: Cards) -> dict[str, Any]:
    """Everything known about the method called ``name``.

    ``figures`` are published rows (see :mod:`promptgrid.engine.published`); those of other methods are left out.
    ``problems`` says which computed part failed and why, ``missing`` which part of a full card nobody wrote: a third
    party's method has a card without writing one.

    Raises:
        Refused: an unknown method, or a card file that is not one.
    """
    kind = resolver.method(name)
    words, card = said(kind), written(kind, cards.compared)
    method = kind()
    problems: list[str] = []
    found = {part: _computed(part, cards.computed.get(part), method, problems) for part in COMPUTED}
    told = {
        "name": name,
        "kind": kind.kind,
        "about": words["about"],
        "paper": kind.paper,
        "source": words["source"],
        "reading": card["reading"],
        "open_choices": card["open_choices"],
        "axes": kind.axes.as_dict() if kind.axes is not None else {},
        "learns": {"what": card["learns"], "counts": found["counts"]},
        "losses": found["losses"],
        "recipe": found["recipe"],
        "cost": found["cost"],
        "needs": sorted(kind.needs),
        "protocols": admissions(resolver, name, cards.asked),
        "selection": {"original": card["selection"], "ours": card["ours"]},
        "parity": card["parity"],
        "views": cards.views(method),
        "quirks": card["quirks"],
        "found": card["found"],
        "deviations": words["deviations"],
        "figures": [dict(row) for row in figures if row["method"] == name],
    }
    return told | {"problems": problems, "missing": missing(told)}


def missing(card: Mapping[str, Any]) -> list[str]:
    """The parts of a full card that ``card`` leaves empty and that its method would have to say."""
    parts = {
        "about": card["about"],
        "paper": card["paper"],
        "Source: in the docstring": card["source"],
        "axes": card["axes"],
        "learns": card["learns"]["what"],
        "selection": card["selection"]["original"],
        "parity": card["parity"],
        "quirks (an empty list where there are none)": card["quirks"] is not None,
        "open_choices of a reading": card["open_choices"] or not card["reading"],
    }
    return [part for part, there in parts.items() if not there]


def _computed(part: str, compute: Callable[[Any], Any] | None, method: Method, problems: list[str]) -> Any:
    """``compute(method)``, or None with the reason among ``problems``."""
    try:
        return compute(method) if compute is not None else None
    except Exception as error:  # noqa: BLE001 - a stranger's method that fails here must not hide the other cards
        problems.append(f"{part}: {type(error).__name__}: {error}")
        return None
