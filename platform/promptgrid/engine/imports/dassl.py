"""Trees of ``log.txt`` that Dassl and the code built on it (CoOp, CoCoOp, MaPLe, ...) write.

Layouts that are known, below any folder: ``DATASET/shots_K/TRAINER/CFG/seedN/log.txt``, the same below
``base2new/train_base`` and ``base2new/test_new``, and CoOp's ``DATASET/TRAINER/CFG_Kshots/.../seedN/log.txt``. The
score is the last ``=> result`` on the test split: of a log that names the split (``Evaluate on the *test* set``) behind
that line, else behind ``Finished training``. Dataset and backbone are those that the log's own configuration names,
where it does. What a fork writes beside that is not known here; a log that fits nothing of it is refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.engine.imports.reading import files_below, fraction, text_of
from promptgrid.engine.protocols.base_to_new import harmonic_mean
from promptgrid.spec import Refused
from promptgrid.spec.imported import Imported, imported_of

TOOL = "dassl"
_SPLIT = re.compile(r"[Ee]valuate on the \*(\w+)\* set")
_SCORE = re.compile(r"^\* (accuracy|error|macro_f1|total|correct): (\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)%?\s*$")
_BY_SHOTS = re.compile(
    r"(?:.*/)?(?P<dataset>[^/]+)/shots_(?P<shots>\d+)/(?P<trainer>[^/]+)/(?P<cfg>.+)/seed(?P<seed>\d+)"
)
_BY_TRAINER = re.compile(
    r"(?:.*/)?(?P<dataset>[^/]+)/(?P<trainer>[^/]+)/(?P<cfg>[^/]+_(?P<shots>\d+)shots?(?:/.+)?)/seed(?P<seed>\d+)"
)
_HALF = re.compile(r"(?:^|/)(train_base|test_new|test_base)/")
_ARGUMENTS = re.compile(r"^\*\* Arguments \*\*\n\*+\n(.*?)^\*+\n\*\* Config \*\*$", re.MULTILINE | re.DOTALL)
_CONFIG = re.compile(
    r"^\*\* Config \*\*\n\*+\n(.*?)^(?=Collecting env info|\*\* System info)", re.MULTILINE | re.DOTALL
)
_SAID = {
    "seed": re.compile(r"^SEED: (\d+)\s*$", re.MULTILINE),
    "shots": re.compile(r"^ {2}NUM_SHOTS: (\d+)\s*$", re.MULTILINE),
    "dataset": re.compile(r"^DATASET:\n(?: {2,}.*\n)*? {2}NAME: (\S+)\s*$", re.MULTILINE),
    "backbone": re.compile(r"^ {2}BACKBONE:\n(?: {4,}.*\n)*? {4}NAME: (\S+)\s*$", re.MULTILINE),
    "trainer": re.compile(r"^TRAINER:\n(?: {2,}.*\n)*? {2}NAME: (\S+)\s*$", re.MULTILINE),
}
"""Lines of the configuration that a log begins with."""


@dataclass(frozen=True)
class Log:
    """One log: where it lies, what it says, its scores as fractions, and which half of the classes it is about."""

    file: str
    sha256: str
    half: str
    place: dict[str, str]
    scores: dict[str, float]
    backbone: str
    configuration: dict[str, Any]


def read(path: Path) -> list[Imported]:
    """All logs below ``path``.

    Raises:
        Refused: a log in no known layout, one that did not finish or contradicts its folder, or half of a pair.
    """
    logs = [_log(file, name) for file, name in files_below(path, "log.txt")]
    pairs: dict[tuple[str, ...], dict[str, Log]] = defaultdict(dict)
    found = []
    for log in logs:
        if log.half:
            pair, half = pairs[tuple(log.place.values())], "base" if log.half.endswith("base") else "new"
            if half in pair:
                raise Refused(f"{pair[half].file} is about the same half of the same run", where=log.file,
                              hint="import one of them")  # fmt: skip
            pair[half] = log
        else:
            found.append(_record(log, log.scores, "few_shot", {}))
    return found + [_pair(pair) for pair in pairs.values()]


def _pair(pair: dict[str, Log]) -> Imported:
    if len(pair) < 2:
        ((half, log),) = pair.items()
        lacking = "test_new" if half == "base" else "train_base"
        raise Refused(f"there is no log of {lacking} beside it, with the same dataset, shots, trainer and seed",
                      where=log.file, hint="import the folder that holds both halves")  # fmt: skip
    base, new = pair["base"].scores["accuracy"], pair["new"].scores["accuracy"]
    scores = {"base_accuracy": base, "new_accuracy": new, "harmonic_mean": harmonic_mean(base, new)}
    other = {"new_file": pair["new"].file, "new_sha256": pair["new"].sha256}
    return _record(pair["base"], scores, "base_to_new", other)


def _record(log: Log, scores: dict[str, float], protocol: str, more: dict[str, str]) -> Imported:
    place = log.place
    return imported_of(
        log.file,
        tool=TOOL,
        file=log.file,
        sha256=log.sha256,
        method=place["trainer"],
        dataset=place["dataset"],
        backbone=log.backbone,
        protocol=protocol,
        shots=int(place["shots"]),
        seed=int(place["seed"]),
        metrics=scores,
        variant=place["cfg"],
        configuration={**log.configuration, **more},
    )


def _log(file: Path, name: str) -> Log:
    text, sha256 = text_of(file)
    folder = file.absolute().parent.as_posix()  # PATH itself may be any of the folders of the layout
    found = _BY_SHOTS.fullmatch(folder) or _BY_TRAINER.fullmatch(folder)
    if found is None:
        raise Refused("lies in no layout that is known", where=name,
                      expected="DATASET/shots_K/TRAINER/CFG/seedN/log.txt")  # fmt: skip
    place = {part: found[part] for part in ("dataset", "shots", "trainer", "cfg", "seed")}
    said = {part: match[1] for part, pattern in _SAID.items() if (match := pattern.search(text))}
    for part in ("seed", "shots", "trainer"):
        if part in said and said[part].lower() != place[part].lower():
            raise Refused(f"its folder says {part} {place[part]}, its configuration {said[part]}", where=name)
    place["dataset"] = said.get("dataset", place["dataset"])
    half = _HALF.search(f"{folder}/")
    return Log(
        name,
        sha256,
        half[1] if half else "",
        place,
        _scores(text, name),
        said.get("backbone", ""),
        _configuration(text),
    )


def _configuration(text: str) -> dict[str, Any]:
    """The arguments of the command line, by name, and the configuration as it was printed, where a log has them."""
    found: dict[str, Any] = {}
    if told := _ARGUMENTS.search(text):
        pairs = (line.partition(": ") for line in told[1].splitlines())
        found["arguments"] = {name.rstrip(":"): value.strip() for name, _, value in pairs if name}
    if told := _CONFIG.search(text):
        found["config"] = told[1]
    return found


def _scores(text: str, name: str) -> dict[str, float]:
    split, finished, names_split, scores = "", False, "Evaluate on the *" in text, dict[str, float]()
    for line in text.splitlines():
        if found := _SPLIT.search(line):
            split = found[1]
        finished = finished or line.strip() == "Finished training"
        counts = split == "test" if names_split else finished
        if counts and line.strip() == "=> result":
            scores = {}
        elif counts and (told := _SCORE.match(line.strip())):
            scores[told[1]] = float(told[2].replace(",", ""))
    if "accuracy" not in scores:
        raise Refused("holds no accuracy on a test split", where=name,
                      hint="did the run finish? its log ends with `* accuracy: ...%`")  # fmt: skip
    if scores.get("total") and abs(100 * scores.get("correct", 0.0) / scores["total"] - scores["accuracy"]) > 0.06:
        raise Refused(f"says {scores['correct']:g} of {scores['total']:g} right, and accuracy {scores['accuracy']:g}%",
                      where=name)  # fmt: skip
    return {each: fraction(scores[each]) for each in ("accuracy", "macro_f1") if each in scores}
