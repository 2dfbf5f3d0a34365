"""A method's card in lines of text, for the screen and for pages: a title and what is said under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptgrid.spec import Noun


def card_lines(card: Mapping[str, Any], examples: Noun) -> dict[str, list[str]]:
    """Titles with their lines; what there is nothing to say about is left out."""
    rule = card["selection"]
    lines = {
        "learns": [card["learns"]["what"] or "not said", *map(_count, card["learns"]["counts"] or [])],
        "losses": _losses(card["losses"], bool((card["cost"] or {}).get("adapting")), examples),
        "recipe": [f"{card['recipe']['said']} (16 shots)"] if card["recipe"] else [],
        "cost": _cost(card["cost"], examples),
        "needs": [", ".join(card["needs"])] if card["needs"] else [],
        "protocols": _protocols(card["protocols"]),
        examples.many: _views(card["views"]),
        "selection": [f"original: {rule['original'] or 'not said'}", f"here: {rule['ours']}"],
        "parity": _parity(card["parity"]),
        "quirks": [f"{each['quirk']} (here: {each['here']})" for each in card["quirks"] or []],
        "deviations": list(card["deviations"]),
        "our reading": list(card["open_choices"]),
        "found here": [f"{each['found']} ({each['by']})" for each in card["found"]],
        "source": [card["source"]] if card["source"] else [],
        "taxonomy": [", ".join(f"{axis} {value}".replace("_", " ") for axis, value in card["axes"].items())],
        "published": _published(card),
        "not computed": list(card["problems"]),
        "not said": [", ".join(card["missing"])] if card["missing"] else [],
    }
    return {title: found for title, found in lines.items() if any(found)}


def _count(found: Mapping[str, Any]) -> str:
    growth = [f"{found[f'per_{what}']:,} more with a {what}" for what in ("class", "shot") if found[f"per_{what}"]]
    size = f" at {found['classes']} classes, {found['shots']} shots" if growth else ""
    return f"{found['count']:,} numbers on {found['backbone']}{size}" + "".join(f", {part}" for part in growth)


def _views(found: Mapping[str, Any] | None) -> list[str]:
    return [] if found is None else [f"views: {found['default']}, {found['means']}", str(found["papers"])]


def _parity(found: Mapping[str, Any] | None) -> list[str]:
    return [] if found is None else [line for line in (found["said"], found["note"], found["how"]) if line]


def _losses(found: Mapping[str, Any] | None, adapts: bool, examples: Noun) -> list[str]:
    if found is None:
        return []
    if found["names"]:
        return [f"{', '.join(found['names'])}: {found['policy']}"]
    return [f"of each test {examples.one} alone, see cost" if adapts else "nothing is fitted by descent"]


def _cost(found: Mapping[str, Any] | None, examples: Noun) -> list[str]:
    if found is None:
        return []
    size = f"({found['backbone']}, {found['classes']} classes, {found['shots']} shots)"
    step = f"{found['gflop_per_step']:g} GFLOP"
    training = f"{step} a step of {found['batch']} {examples.many}, {found['steps']:,} steps {size}"
    if not found["adapting"]:
        return [training if found["steps"] else f"one pass over {found['batch']} {examples.many}: {step} {size}"]
    here = found["adapting"]
    steps = f"{here['steps']} step{'s' if here['steps'] > 1 else ''}"
    testing = f"{here['gflop_per_image']:g} GFLOP a test {examples.one}: {steps} on {here['views']} views of it"
    return [training, testing] if found["steps"] else [f"{testing} {size}"]


def _protocols(rows: list[dict[str, Any]]) -> list[str]:
    names = [(f"{row['protocol']}, {row['reading']}" if row["reading"] else row["protocol"], row) for row in rows]
    allowed = [name for name, row in names if row["allowed"]]
    lacking = sorted({row["given"] for _, row in names if row["given"]})
    given = [
        f"may, given {asset}: {'; '.join(name for name, row in names if row['given'] == asset)}" for asset in lacking
    ]
    refused = [f"not {name}: {row['why']}" for name, row in names if not row["allowed"] and not row["given"]]
    return [f"may: {'; '.join(allowed)}"] * bool(allowed) + given + refused


def _published(card: Mapping[str, Any]) -> list[str]:
    """How many figures papers print, and their averages; remembered and derived ones are counted alone."""
    shown = [row for row in card["figures"] if row["shown"]]
    hidden = len(card["figures"]) - len(shown)
    if not card["figures"]:
        return []
    told = f"{len(shown)} figures" + (f", and {hidden} nobody published" if hidden else "")
    told += ", claimed by the paper; ours is a reading" if shown and card["reading"] else ""
    means = [row for row in shown if row["dataset"].startswith("average") and not row["metric"].startswith("gain_")]
    return [f"{told}: promptgrid published --method {card['name']}", *map(_figure, means[:8])]


def _figure(row: Mapping[str, Any]) -> str:
    shots = "" if row["shots"] is None else f", {row['shots']}-shot"
    place = f"{row['protocol']}{shots}, {row['backbone']}, {row['dataset']}"
    return f"{row['value']:.2f} {row['metric'].replace('_', ' ')} ({place}) [{row['evidence']}, {row['source']}]"
