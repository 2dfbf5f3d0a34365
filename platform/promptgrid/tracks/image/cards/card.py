"""One card: computed where it can be, from the method's own words where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptgrid.contract.clip import Classifier
from promptgrid.spec import Suite
from promptgrid.tracks.image.cards.admission import admissions
from promptgrid.tracks.image.cards.counting import cost, counts, losses, recipe
from promptgrid.tracks.image.cards.prose import said, written
from promptgrid.tracks.image.resolve import ImageResolver

VIEWS = {
    "default": Suite.model_fields["views"].default,
    "means": "the centre crop of each training image, in every epoch, where a suite says nothing",
    "papers": "nearly all papers draw a fresh random crop and flip in every epoch: `views: online` in a suite",
}
"""Which views of the training images a method sees: a matter of the suite, the same for all methods."""


def card_of(resolver: ImageResolver, name: str, figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything known about the method called ``name``.

    ``figures`` are published rows (see :mod:`promptgrid.tracks.image.published.rows`); those of other methods are left
    out. ``problems`` says which computed part failed and why, ``missing`` which part of a full card nobody wrote: a
    third party's method has a card without writing one.

    Raises:
        Refused: an unknown method, or a card file that is not one.
    """
    kind = resolver.method(name)
    words, card = said(kind), written(kind)
    method = kind()
    problems: list[str] = []
    told = {
        "name": name,
        "kind": kind.kind,
        "about": words["about"],
        "paper": kind.paper,
        "source": words["source"],
        "reading": card["reading"],
        "open_choices": card["open_choices"],
        "axes": kind.axes.as_dict() if kind.axes is not None else {},
        "learns": {"what": card["learns"], "counts": _computed("counts", counts, method, problems)},
        "losses": _computed("losses", losses, method, problems),
        "recipe": _computed("recipe", recipe, method, problems),
        "cost": _computed("cost", cost, method, problems),
        "needs": sorted(kind.needs),
        "protocols": admissions(resolver, name),
        "selection": {"original": card["selection"], "ours": card["ours"]},
        "parity": card["parity"],
        "views": VIEWS if _trains_on_images(method) else None,
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


def _trains_on_images(method: Classifier) -> bool:
    """Whether views make a difference: nothing is augmented for what looks at texts and test images alone."""
    return method.kind != "zero-shot" and method.adaptation is None


def _computed(part: str, compute: Callable[[Classifier], Any], method: Classifier, problems: list[str]) -> Any:
    """``compute(method)``, or None with the reason among ``problems``."""
    try:
        return compute(method)
    except Exception as error:  # noqa: BLE001 - a stranger's method that fails here must not hide the other cards
        problems.append(f"{part}: {type(error).__name__}: {error}")
        return None
