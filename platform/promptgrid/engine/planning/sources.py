"""Cells that start from what another cell learned: which cell that is, and what may be carried over."""

from __future__ import annotations

from dataclasses import replace

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Protocol
from promptgrid.spec import Refused, Request


def source_request(request: Request, protocol: Protocol) -> Request:
    """The cell that ``request`` starts from: the same method, settings, shots and seed on the source dataset.

    It is a plain cell of the protocol that ``protocol`` names in ``learned_by``, shared by all suites.
    """
    return replace(request, protocol=protocol.learned_by, dataset=request.source, source="", reading="")


def admit_source(method: Method, request: Request, protocol: Protocol, dataset: Dataset, source: Dataset) -> None:
    """Refuse a method that learns nothing which ``dataset`` could use.

    Raises:
        Refused: a method that learns nothing (its plain cells on the targets say the same, unless the protocol
            narrows what is scored), or parameters of its own classes where the target has others (in
            ``evaluate`` always: those classes' rows would be scored as if they were the target's; but where the
            protocol holds both to the same classes).
    """
    name = request.method
    if method.kind == "zero-shot" and not protocol.narrows:
        raise Refused(
            f"method {name!r} learns nothing that could be carried over",
            where="methods",
            hint="give it `readings: []` for its plain cells on the targets",
        )
    same = dataset.card.classes == source.card.classes
    as_it_is = request.reading == "evaluate" and not protocol.same_classes
    if not method.open_vocabulary and (as_it_is or not same):
        raise Refused(
            f"method {name!r} learns about the classes of {request.source!r} only and cannot be carried over to "
            f"{request.dataset!r} (reading {request.reading!r})",
            where="methods",
            hint="choose a method whose parameters are not per class, or give it `readings: []`",
        )


def admit_joined(method: Method, request: Request, dataset: Dataset) -> None:
    """Refuse a method with per-class parameters on tasks joined side by side: each is scored among its own classes."""
    if dataset.tasks and not method.open_vocabulary:
        raise Refused(
            f"method {request.method!r} cannot be scored on one task of {request.dataset!r} at a time",
            where="methods",
            hint="join domains of one label space with |, or choose a method whose parameters are not per class",
        )
