"""An index over reports: one page that says of each what it is about, who leads, and how old it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from promptgrid.leaderboard.page import FOLDER, content_hash, plain_environment
from promptgrid.spec import Refused

PAGE = "index.html"


@dataclass(frozen=True)
class Listed:
    """One report of an index.

    Attributes:
        link: of its page, from the folder of the index.
        header: what its page says on top.
        leads: a sentence for each of its boards, with backbone and shots.
        last: when its last cell was made (ISO), empty where nobody knows.
        revisions: of the code that made its cells.
    """

    link: str
    header: dict[str, Any]
    leads: tuple[tuple[str, int, str], ...]
    last: str
    revisions: tuple[str, ...]


def write_index(folder: Path) -> Path:
    """Write ``index.html`` over the reports in ``folder`` and the folders in it.

    Raises:
        Refused: there are none, or one cannot be read.
    """
    listed = list(reports_in(folder))
    if not listed:
        raise Refused("no report lies here", where=str(folder), expected="folders that `promptgrid report` wrote")
    script = (FOLDER / "tables.js").read_text(encoding="utf-8")
    page = (
        plain_environment()
        .get_template("index.html.j2")
        .render(
            reports=listed,
            tracks=sorted({one.header["track"] for one in listed}),
            style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=Markup(content_hash(script)),
        )
    )
    path = folder / PAGE
    path.write_text(page, encoding="utf-8")
    return path


def reports_in(folder: Path) -> Iterator[Listed]:
    """The reports in ``folder`` and the folders in it, by their place.

    Raises:
        Refused: a report that cannot be read.
    """
    for path in sorted({*folder.glob("*/report.json"), *folder.glob("*/*/report.json")}):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            yield _listed(told, path.parent.relative_to(folder).as_posix())
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"no report of promptgrid: {error!r}", where=str(path)) from error


def _listed(told: dict[str, Any], place: str) -> Listed:
    groups = told.get("provenance", {}).get("groups", [])
    boards = told.get("leaderboard", {}).get("tables", [])
    return Listed(
        link=f"{place}/report.html",
        header=told["header"],
        leads=tuple((str(board["backbone"]), int(board["shots"]), str(board["summary"])) for board in boards),
        last=max((str(group["last"]) for group in groups), default=""),
        revisions=tuple(sorted({str(group["revision"]) for group in groups if group["revision"]})),
    )
