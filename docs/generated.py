"""Pages that are made of the code: keys of a suite, cards of methods, the record format. mkdocs runs this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mkdocs_gen_files

from promptgrid import catalog
from promptgrid.engine.cards.prose import said, written
from promptgrid.spec.metrics import metric_of
from promptgrid.spec.search import SearchEntry
from promptgrid.spec.suite import BackboneEntry, ImportedEntry, MethodEntry, Suite

HOME = Path(__file__).parents[1]
TRACKS = {"image": "Images", "text": "Texts", "graph": "Graphs"}


def write(page: str, text: str) -> None:
    """One page."""
    with mkdocs_gen_files.open(page, "w") as file:
        file.write(text)


def keys_of(model: Any) -> str:
    """A table of the fields of a pydantic model."""
    fields = model.model_json_schema()["properties"]
    required = set(model.model_json_schema().get("required", ()))
    lines = ["| key | default | what it says |", "|---|---|---|"]
    for name, field in fields.items():
        default = "required" if name in required else f"`{field.get('default')!r}`".replace("|", "\\|")
        said = str(field.get("description", "")).replace("|", "\\|")
        lines.append(f"| `{name}` | {default} | {said} |")
    return "\n".join(lines)


def suite_page() -> str:
    """Keys of the models that read suites."""
    parts = [
        "# Every key of a suite",
        "A suite is a YAML file. `promptgrid plan SUITE` refuses what it does not know, and says what it would take.",
        (Suite.__doc__ or "").split("\n")[0],
        keys_of(Suite),
        "## An entry of `methods`",
        "A name alone, or a mapping. All further keys are settings of the method (`promptgrid methods NAME` lists "
        "them); a list of values crosses.",
        keys_of(MethodEntry),
        "## An entry of `backbones`",
        "A name alone, or a mapping.",
        keys_of(BackboneEntry),
        "## `imported`",
        keys_of(ImportedEntry),
        "## `search`",
        keys_of(SearchEntry),
    ]
    return "\n\n".join(parts) + "\n"


def card(track: Any, row: dict[str, Any]) -> str:
    """What a method says of itself, as Markdown."""
    kind = track.resolver.method(row["name"])
    words, told = said(kind), written(kind)
    facts = {
        "learns": told["learns"],
        "source": words["source"],
        "against the authors' code": (told["parity"] or {}).get("said", ""),
        "deviations": "; ".join(words["deviations"]),
        "settings": ", ".join(f"`{key}: {value}`" for key, value in row["settings"].items()),
    }
    lines = [f"* **{key}**: {value}" for key, value in facts.items() if value]
    return "\n\n".join([f"### {row['name']}", row["about"].replace("_", "\\_"), f"*{row['paper']}*", "\n".join(lines)])


def methods_page() -> str:
    """Cards of all methods."""
    parts = [
        "# Method cards",
        "`promptgrid methods NAME` prints a card whole, with costs, quirks and published figures.",
    ]
    for name, title in TRACKS.items():
        track = catalog.track(name)
        parts += [f"## {title} (`track: {name}`)"]
        parts += [card(track, row) for row in track.describe("methods")]
    return "\n\n".join(parts) + "\n"


def protocols_page() -> str:
    """A table of all protocols."""
    parts = [
        "",
        "## Protocols and what they rank by",
        "| track | protocol | what it is | headline |",
        "|---|---|---|---|",
    ]
    rows = []
    for name in TRACKS:
        for row in catalog.track(name).describe("protocols"):
            metric = metric_of(row["headline"])
            said = f"`{row['headline']}`, {metric.better} is better"
            rows.append(f"| {name} | `{row['name']}` | {row['about']} | {said} |")
    return "\n".join(parts + rows) + "\n"


write("suite.md", suite_page() + protocols_page())
write("methods.md", methods_page())
write("records.md", (HOME / "platform/promptgrid/store/RECORDS.md").read_text(encoding="utf-8"))
