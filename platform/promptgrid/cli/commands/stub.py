"""`promptgrid new method NAME`: a working one-file method with its conformance test."""

from __future__ import annotations

import builtins
import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from promptgrid.default_track import DEFAULT_TRACK
from promptgrid.spec import Refused
from promptgrid.spec.paths import user_path

TEST = '''"""{title} keeps the contract of a method."""

from __future__ import annotations

import {module}
from {conformance} import check_method


def test_{name}_keeps_the_contract() -> None:
    check_method({module}.{title})
'''

PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "promptgrid-{dashed}"
version = "0.1.0"
dependencies = ["promptgrid"]

[project.entry-points."promptgrid.methods"]
{name} = "{module}:{title}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]
"""


def new_method(
    name: Annotated[str, typer.Argument(metavar="NAME", help="snake_case, as suites will spell it.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder to write.")] = None,
) -> None:
    """Write a one-file method, its conformance test, and the entry point that makes promptgrid find it.

    Then: `pip install -e DIR` and `pytest DIR`; the method appears in `promptgrid methods`.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise Refused("not a method name", got=name, expected="snake_case: a letter, then letters, digits, _")
    title = "".join(part.capitalize() for part in name.split("_"))
    from promptgrid import catalog

    track = catalog.track(DEFAULT_TRACK)
    written = track.method_stub()
    if keyword.iskeyword(name) or title in taken(written):
        raise Refused("that name means something else in the code", got=name, hint="choose another name")
    if name in {row["name"] for row in track.describe("methods")}:
        raise Refused("a method of that name exists", got=name, hint="choose another name")
    folder = user_path(out, "--out") if out is not None else Path(f"promptgrid-{name.replace('_', '-')}")
    module = f"promptgrid_{name}"
    words = {"name": name, "module": module, "dashed": name.replace("_", "-"), "conformance": track.conformance}
    words["title"] = title
    for file, text in {f"{module}.py": written, f"test_{module}.py": TEST, "pyproject.toml": PROJECT}.items():
        path = folder / file
        if path.exists():
            raise Refused("this file exists already and is left as it is", where=str(path))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(**words), encoding="utf-8")
        except OSError as error:
            raise Refused(
                f"cannot be written: {error.strerror}", where=str(path), hint="choose another --out"
            ) from error
        typer.echo(f"wrote {path}")


def taken(stub: str) -> frozenset[str]:
    """What Python, or the stub itself, already calls so."""
    imported = re.findall(r"^(?:from [\w.]+ )?import (.+)$", stub, re.MULTILINE)
    return frozenset({*keyword.kwlist, *dir(builtins)}) | {name for line in imported for name in line.split(", ")}
