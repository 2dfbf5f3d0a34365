"""The documentation builds strictly, and every code block on its pages is run or read.

``sh`` blocks are commands, run in the order of the page in a folder of the page's own; ``python`` blocks are executed
there; ``yaml`` blocks are suites, written under their titles. ``text`` blocks are what cannot run here (clusters,
hours): each ``promptgrid`` line in them must name a command and options that exist.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from promptgrid.cli.main import app
from promptgrid.spec import Reason, exits
from promptgrid.spec.reading import parse_yaml
from promptgrid.spec.suite import parse_suite

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "pages").glob("*.md"))
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NEEDS = {"texts": "all_minilm_l6_v2"}
"""Packages beside the installation that a page needs."""


@dataclass(frozen=True)
class Block:
    kind: str
    title: str
    code: str


def blocks(page: Path) -> Iterator[Block]:
    for kind, title, code in FENCE.findall(page.read_text(encoding="utf-8")):
        yield Block(kind, title, code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.stem in NEEDS:
        pytest.importorskip(NEEDS[page.stem])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PROMPTGRID_STORE", raising=False)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for block in blocks(page):
        if block.kind == "yaml":
            Path(block.title).write_text(block.code, encoding="utf-8")
            parse_suite(parse_yaml(block.code, block.title), block.title)
        elif block.kind == "python":
            exec(compile(block.code, f"{page.stem}.md", "exec"), vars(module))
        elif block.kind == "sh":
            for line in block.code.splitlines():
                command, *words = shlex.split(line)
                assert command == "promptgrid", line
                ran = CliRunner().invoke(app, words)
                assert ran.exit_code == 0, f"{line}\n{ran.output}"


def commands_of(page: Path) -> list[str]:
    """The ``promptgrid`` lines of blocks that are not run."""
    lines = [line for block in blocks(page) if block.kind == "text" for line in block.code.splitlines()]
    return [line.split("  #")[0] for line in lines if line.startswith("promptgrid ")]


@pytest.mark.parametrize("line", [line for page in PAGES for line in commands_of(page)])
def test_what_is_shown_and_not_run_is_a_command(line: str) -> None:
    _, name, *words = shlex.split(line)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_are_of_kinds_that_are_looked_at(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("\n```") == 2 * len(FENCE.findall(text)), "a fence without a kind, or not closed"
    assert {block.kind for block in blocks(page)} <= {"yaml", "python", "sh", "text"}


def test_every_reason_and_exit_code_is_explained() -> None:
    page = (DOCS / "pages" / "troubleshooting.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE) == [reason.value for reason in Reason]
    codes = re.findall(r"^\| (\d+)(?:, (\d+))? \|", page, re.MULTILINE)
    told = {int(code) for row in codes for code in row if code}
    assert told == {0, exits.FAILED, exits.REFUSED, exits.CRASHED, exits.LOST, 130, 143}


def test_the_pages_build_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(DOCS / "mkdocs.yml"),
         "--site-dir", str(tmp_path / "site")],
        capture_output=True, text=True, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-3000:]
    suite = (tmp_path / "site" / "suite.html").read_text(encoding="utf-8")
    from promptgrid.spec.suite import Suite

    assert all(f"<code>{name}</code>" in suite for name in Suite.model_fields)
