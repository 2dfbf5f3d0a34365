"""Which protocols a method may take part in, asked of the resolver itself, with its reason where it refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from promptgrid.contract.assets import ASSETS
from promptgrid.engine.planning.resolve import Resolver
from promptgrid.spec import Refused, Request
from promptgrid.spec.cell import Reading

SHOTS = (1, 0, 16)
"""Asked in this order: there are protocols in which nothing is labelled."""


@dataclass(frozen=True)
class Asked:
    """A pair of tasks and a backbone that are always at hand: what is refused there is refused for the method's sake.

    Attributes:
        track: the wing.
        target: a bundled dataset.
        source: another with the same label space, so that no protocol refuses the two as a pair.
        backbone: one that ships with the wing.
    """

    track: str
    target: str
    source: str
    backbone: str = "bundled"


def admissions(resolver: Resolver, method: str, asked: Asked) -> list[dict[str, Any]]:
    """``protocol``, ``reading`` (where it has several), ``allowed`` and ``why`` not, at default settings.

    ``given`` is what the pair of tasks that is asked about lacks, and others may have: '' where that is not why.
    """
    rows = []
    for name, protocol in sorted(resolver.protocols.items()):
        for reading in protocol.readings or ("",):
            why = refusal(resolver, method, name, reading, asked)
            rows.append({"protocol": name, "reading": reading, "allowed": not why, "why": why, "given": _given(why)})
    return rows


def refusal(resolver: Resolver, method: str, protocol: str, reading: Reading, asked: Asked) -> str:
    """Why ``method`` may not take part; '' where it may."""
    request = Request(
        track=asked.track,
        protocol=protocol,
        method=method,
        settings={},
        backbone=asked.backbone,
        dataset=asked.target,
        shots=1,
        seed=1,
        selection="last",
        precision="fp32",
        source=asked.source if reading else "",
        reading=reading,
    )
    problems = [_problem(resolver, replace(request, shots=shots)) for shots in SHOTS]
    return "" if "" in problems else problems[0]


def _given(why: str) -> str:
    """The asset that ``why`` finds missing in the dataset."""
    missing = (name for name, asset in ASSETS.items() if asset.owner == "dataset" and f"needs {name} (" in why)
    return next(missing, "")


def _problem(resolver: Resolver, request: Request) -> str:
    try:
        resolver.cell(request)
    except Refused as error:
        return error.problem
    return ""
