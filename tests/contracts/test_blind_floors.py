"""The floors around the tracks name no modality: what an example is, only a track says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import promptgrid

HOME = Path(promptgrid.__file__).parent
FLOORS = ("spec", "contract/conformance", "store", "cluster", "leaderboard", "cli", "api")
READ = {".py", ".j2", ".js", ".md"}
WORDS = re.compile(
    r"images?(?![a-z])|imagefolder|coop.split|photo|pixel|vision|\bCLIP|open_clip|\bViT\b|(?:image|text) tower"
    r"|\bsentences? to classify|\baudio|\bvideo|\bmolecul|point.cloud|promptgrid\.tracks\.",
    re.IGNORECASE,
)
ENGINE = ("planning", "training", "outcomes", "protocols", "checkpoints", "bench", "cards")
"""Rooms of the engine that speak of examples; ``datasets`` and ``imports`` also hold what published data is."""
OF_RECORDS = {
    "outcomes/notes.py": ("training images at", "} training images,"),
    "planning/lengths.py": ("steps a test image", "views of a test image"),
}
"""Notes that stand in records, and words of committed reports."""
NO_WORD = re.compile(r"revision|supervision|(?:annotation_|_)?clip(?:_on|-path)", re.IGNORECASE)
ON_DISK = {
    "spec/dataset.py": ("image_size",),
    "cli/commands/suites.py": ("--no-images",),
    "leaderboard/sections/inside.py": ("data:image/",),
    "store/files/encoding.py": ('example=part["image"]', '"image": pa.int64()'),
    "store/RECORDS.md": ("| `image` |", "of images size"),
    "cli/commands/listing.py": ('"image_size"',),
}
"""Names of columns, keys and fields, which never change; RECORDS.md says what they hold."""


def named(path: Path) -> list[str]:
    """``line: word`` for every word of a modality in a file."""
    kept = ON_DISK.get(path.relative_to(HOME).as_posix(), ())
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for name in kept:
            line = line.replace(name, "")
        found += [f"{path.relative_to(HOME)}:{number}: {word}" for word in WORDS.findall(NO_WORD.sub("", line))]
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_no_file_names_a_modality(floor: str) -> None:
    files = [path for path in sorted((HOME / floor).rglob("*")) if path.suffix in READ]
    assert files
    assert [word for path in files for word in named(path)] == []


@pytest.mark.parametrize("room", ENGINE)
def test_the_engine_speaks_of_examples(room: str) -> None:
    found = []
    for path in sorted((HOME / "engine" / room).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for name in OF_RECORDS.get(path.relative_to(HOME / "engine").as_posix(), ()):
            assert name in text
            text = text.replace(name, "")
        found += [
            f"{path.name}: {line}" for line in text.splitlines() if re.search(r"\bimages?\b", line, re.IGNORECASE)
        ]
    assert found == []


@pytest.mark.parametrize("file", sorted(ON_DISK))
def test_what_may_stay_is_there(file: str) -> None:
    text = (HOME / file).read_text(encoding="utf-8")
    assert [name for name in ON_DISK[file] if name not in text] == []


def test_words_of_a_modality_are_found() -> None:
    for line in ("the test images", "a CLIP model", "import open_clip", "IMAGE = 1", "from promptgrid.tracks.image.x"):
        assert WORDS.search(NO_WORD.sub("", line)), line
    for line in ("revision", "supervision: few", "clip_on=False", "clip-path:inset(50%)", "pictures of a report"):
        assert not WORDS.search(NO_WORD.sub("", line)), line
