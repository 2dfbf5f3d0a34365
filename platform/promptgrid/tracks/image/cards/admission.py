"""Which protocols a method may take part in, asked of the resolver itself, with its reason where it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from promptgrid.contract.assets import ASSETS
from promptgrid.engine.resolve import Resolver
from promptgrid.spec import Refused, Request
from promptgrid.spec.cell import Reading

TARGET, SOURCE = "emoji_twemoji", "emoji_noto"
"""Two bundled tasks with one label space: no protocol refuses them as a pair."""
SHOTS = (1, 0)
"""Asked in this order: there are protocols in which nothing is labelled."""


def admissions(resolver: Resolver, method: str) -> list[dict[str, Any]]:
    """``protocol``, ``reading`` (where it has several), ``allowed`` and ``why`` not, at default settings, bundled.

    ``given`` is what the pair of tasks that is asked about lacks, and others may have: '' where that is not why.
    """
    rows = []
    for name, protocol in sorted(resolver.protocols.items()):
        for reading in protocol.readings or ("",):
            why = refusal(resolver, method, name, reading)
            rows.append({"protocol": name, "reading": reading, "allowed": not why, "why": why, "given": _given(why)})
    return rows


def refusal(resolver: Resolver, method: str, protocol: str, reading: Reading) -> str:
    """Why ``method`` may not take part; '' where it may."""
    source = SOURCE if reading else ""
    asked = Request(
        track="image",
        protocol=protocol,
        method=method,
        settings={},
        backbone="bundled",
        dataset=TARGET,
        shots=1,
        seed=1,
        selection="last",
        precision="fp32",
        source=source,
        reading=reading,
    )
    problems = [_problem(resolver, replace(asked, shots=shots)) for shots in SHOTS]
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
