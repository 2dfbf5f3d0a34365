"""A method's key follows its code: every file of its package that it may run, and nothing else."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptgrid.contract.clip import Method
from promptgrid.engine.planning.own_code import source_digest
from promptgrid.spec import Refused
from promptgrid.tracks.image.methods.coop import CoOp

METHOD = """
from __future__ import annotations
from typing import TYPE_CHECKING
from promptgrid.tracks.image.methods.zero_shot import ZeroShot
from .layers import scale
from . import losses
import theirs.schedules
from theirs import views
if TYPE_CHECKING:
    from theirs.absent import Nothing
    from not_installed.at_all import Something

class Theirs(ZeroShot):
    name = "theirs"
    def later(self):
        from theirs import deep
        return deep.VALUE
"""
FILES = {
    "__init__.py": "",
    "methods/__init__.py": "",
    "methods/theirs.py": METHOD,
    "methods/layers.py": "from ..base import one\nscale = one",
    "methods/losses.py": "",
    "base.py": "one = 1",
    "schedules.py": "",
    "views.py": "",
    "deep/__init__.py": "from .late import VALUE",
    "deep/late.py": "VALUE = 1",
    "unused.py": "",
}
RUN = sorted(set(FILES) - {"unused.py"})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        path = tmp_path / "theirs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "theirs"
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "theirs"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def named() -> str:
    forget()
    found: type[Method] = importlib.import_module("theirs.methods.theirs").Theirs
    return source_digest(found)


@pytest.mark.parametrize("name", RUN)
def test_what_it_may_run_is_part_of_it(package: Path, name: str) -> None:
    before = named()
    (package / name).write_text((package / name).read_text() + "\nCHANGED = 'by somebody'\n")
    assert named() != before


@pytest.mark.parametrize("name", RUN)
def test_comments_are_not(package: Path, name: str) -> None:
    before = named()
    (package / name).write_text((package / name).read_text() + "\n# said differently\n")
    assert named() == before


def test_what_this_process_has_imported_makes_no_difference(package: Path) -> None:
    before = named()
    importlib.import_module("theirs.deep")
    source_digest.cache_clear()
    assert source_digest(sys.modules["theirs.methods.theirs"].Theirs) == before


def test_a_file_that_it_never_imports_is_not(package: Path) -> None:
    before = named()
    (package / "unused.py").write_text("CHANGED = True")
    assert named() == before


def test_compiled_code_counts_by_its_bytes(package: Path) -> None:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    with (package / "methods" / "theirs.py").open("a") as file:
        file.write("    def fast(self):\n        from theirs import kernels\n")
    digests = []
    for raw in (b"\x7fELF\x00one", b"\x7fELF\x00two"):
        (package / f"kernels{suffix}").write_bytes(raw)
        digests.append(named())
    assert digests[0] != digests[1]


def test_a_method_without_a_source_is_refused() -> None:
    made = type("Made", (CoOp,), {"__module__": "nowhere", "name": "made"})
    with pytest.raises(Refused, match="source of method 'made' cannot be read"):
        source_digest(made)
