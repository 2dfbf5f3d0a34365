"""``domains:/data/PACS`` and ``domains:/data/PACS/sketch``: domains as folders, as DomainBed and Dassl have them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from promptgrid.contract.split_names import folders_by_split, split_of
from promptgrid.engine.datasets.files import Row, existing_folder
from promptgrid.engine.datasets.folder_tree import Kind
from promptgrid.engine.datasets.published.checking import LayoutFamily, Published
from promptgrid.engine.datasets.published.listed import Listed, names_of
from promptgrid.engine.datasets.published.name_lists import class_names, read_numbered
from promptgrid.spec import Refused

CROSSVAL = "crossval"
LISTS = {
    "train": ("{}_train_kfold.txt", "{}_train.txt"),
    "val": ("{}_crossval_kfold.txt",),
    "test": ("{}_test.txt",),
}
"""Names of Dassl's lists by split: those of PACS, those of DomainNet."""
SKIPPED = frozenset({"sketch/dog/n02103406_4068-1.png"})
"""Named by a list of PACS, and passed over by Dassl."""
HELD_OUT = (
    "No split is published: of each class of a domain, a fifth by the digest of its path is held out for testing."
)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its domains, classes, images in all (0: nobody says), and other names of domains and folder."""

    domains: tuple[str, ...]
    classes: int
    images: int = 0
    spelt: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


OFFICE_HOME = ("Art", "Clipart", "Product", "Real World")
BENCHMARKS: dict[str, Benchmark] = {
    "PACS": Benchmark(("art_painting", "cartoon", "photo", "sketch"), 7, 9991, aliases=("pacs",)),
    "VLCS": Benchmark(("Caltech101", "LabelMe", "SUN09", "VOC2007"), 5, 10729,
                      ("CALTECH", "LABELME", "SUN", "PASCAL")),
    "office_home": Benchmark(OFFICE_HOME, 65, 15588),
    "office_home_dg": Benchmark(("art", "clipart", "product", "real_world"), 65),
    "terra_incognita": Benchmark(("location_100", "location_38", "location_43", "location_46"), 10, 24788),
    "domain_net": Benchmark(("clipart", "infograph", "painting", "quickdraw", "real", "sketch"), 345, 586575,
                            aliases=("domainnet",)),
    "digits_dg": Benchmark(("mnist", "mnist_m", "svhn", "syn"), 10),
}  # fmt: skip


class Domains(LayoutFamily):
    """``dataset/domain/class/image``: any tree of that shape, all domains at once or the one that the path ends in.

    Dassl's trees are read as they are: ``train``, ``val`` (or ``crossval``) and ``test`` in each domain, or lists in
    ``splits/`` with the images in ``images/`` or beside them. What a list says of a label is held against the folder
    of the image, so that labels from 0 and from 1 are the same classes. Where a domain has no test part, its validation
    part is its test split; where it has no parts, a fifth is held out.

    ``?as=target``: a domain that is not learned on. Its whole is the test split (of Dassl's VLCS its ``test`` part), as
    in the papers' tables. Domains of one benchmark are joined by ``|``; classes are matched by name. Classes called by
    numbers have their names in ``classnames.txt`` of the benchmark's folder.
    """

    options: ClassVar[tuple[str, ...]] = ("as", "sha256")

    def layouts(self) -> Sequence[str]:
        return list(BENCHMARKS)

    def folders(self, layout: str) -> Sequence[str]:
        return (layout, *BENCHMARKS[layout].aliases)

    def facts(self, layout: str) -> dict[str, Any]:
        return {"name": layout, "template": "a photo of a {}."}

    def sizes(self, layout: str, options: Mapping[str, str]) -> Published:
        return Published(BENCHMARKS[layout].classes, total=BENCHMARKS[layout].images)

    def needed(self, layout: str, folder: Path) -> Sequence[str]:
        known = BENCHMARKS[layout]
        home = _home(folder)
        here = {_plain(entry.name): entry.name for entry in home.iterdir()}
        spelt = known.spelt if known.spelt and _plain(known.spelt[0]) in here else known.domains
        named = [here.get(_plain(name), name) for name in spelt]
        below = home.relative_to(folder).as_posix()
        return named if below == "." else [f"{below}/{name}" for name in named]

    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        role = options.get("as", "source")
        if role not in ("source", "target"):
            raise Refused("as", where=str(path), got=role, expected="source or target")
        root, names = self._found(path)
        home = _home(root)
        splits: dict[str, list[Row]] = {"train": [], "val": [], "test": []}
        given = {name: _given_parts(home, name, root / "splits", self.kind) for name in names}
        parts = {name: some or held_out(_tree(home, name, self.kind)) for name, some in given.items()}
        classes = _classes([where for some in parts.values() for rows in some.values() for where in rows.values()])
        labels = {name: label for label, name in enumerate(classes)}
        for some in parts.values():
            for split, rows in (_as_target(some) if role == "target" else some).items():
                splits[split] += [Row(path, labels[name]) for path, name in rows.items()]
        spoken, notes = class_names(root, len(classes)) if all(map(str.isdecimal, classes)) else (classes, [])
        whole = len(names) > 1
        facts = {
            "name": root.name if whole else f"{root.name}-{names[0]}",
            "template": "a photo of a {}.",
            "domains": names,
            "description": "" if all(given.values()) or role == "target" else HELD_OUT,
            **names_of(spoken),
        }
        domains = {path: name for name, some in parts.items() for rows in some.values() for path in rows}
        return Listed(str(path), home, splits, facts, [*notes, *_uneven(parts, classes)], domains=domains)

    def _found(self, path: Path) -> tuple[Path, list[str]]:
        """The folder of the benchmark, and the domains that ``path`` means."""
        inside = path.parent / "images" / path.name
        if not path.is_dir() and (path.parent / "splits").is_dir() and inside.is_dir():
            return path.parent.resolve(), [path.name]
        folder = existing_folder(str(path), f"{self.prefix}{path}")
        if _is_domain(folder, self.kind):
            above = folder.parent
            return (above.parent if above.name == "images" and (above.parent / "splits").is_dir() else above), [
                folder.name
            ]
        home = _home(folder)
        names = [
            name for name in _subfolders(home) if not name.startswith("splits") and _is_domain(home / name, self.kind)
        ]
        if len(names) < 2:
            raise Refused(f"{len(names)} domains", where=str(folder), got=names,
                          expected="dataset/domain/class/image, at least two domains")  # fmt: skip
        return folder, names


def _home(root: Path) -> Path:
    """The folder of the domains: ``images`` where Dassl's ``splits`` lies beside it."""
    return root / "images" if (root / "splits").is_dir() and (root / "images").is_dir() else root


def _given_parts(home: Path, domain: str, lists: Path, kind: Kind) -> dict[str, dict[str, str]]:
    """By split, {path: class} of one domain, in the order of the list or of the sorted names; empty without parts."""
    found = {split: [lists / name.format(domain) for name in names] for split, names in LISTS.items()}
    there = {split: file for split, files in found.items() for file in files if file.is_file()}
    if "train" in there:
        return _tested({split: _from_list(file, domain) for split, file in there.items()})
    folder = home / domain
    inner = _subfolders(folder)
    if all(_part_of(name) for name in inner):
        named = {("val" if name == CROSSVAL else name): name for name in inner}
        places = {split: named[name] for split, name in folders_by_split(named, str(folder)).items()}
        return _tested({split: _tree(home, f"{domain}/{place}", kind) for split, place in places.items()})
    return {}


def _tested(parts: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """With the validation part for testing where there is no test part."""
    if "test" not in parts and "val" in parts:
        parts["test"] = parts.pop("val")
    return parts


def _as_target(parts: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Everything to test; of three parts only the test part, which its authors score."""
    if len(parts) == 3:
        return {"test": dict(parts["test"])}
    return {"test": {path: name for some in parts.values() for path, name in some.items()}}


def _from_list(file: Path, domain: str) -> dict[str, str]:
    """``domain/class/image number`` a line; the class is the folder's, and a number means one class."""
    found: dict[str, str] = {}
    names: dict[int, str] = {}
    for path, label in read_numbered(file):
        place = path.split("/")
        if len(place) < 3 or place[0] != domain:
            raise Refused("not domain/class/image", where=str(file), got=path, expected=f"{domain}/<class>/<image>")
        if names.setdefault(label, place[1]) != place[1]:
            raise Refused(f"label {label} has two classes", where=str(file), got=place[1], expected=names[label])
        if path not in SKIPPED:
            found[path] = place[1]
    return found


def _tree(home: Path, below: str, kind: Kind) -> dict[str, str]:
    """{path: class} of the class folders in ``home/below``, sorted."""
    return {
        f"{below}/{name}/{file.name}": name
        for name in _subfolders(home / below)
        for file in sorted((home / below / name).iterdir())
        if kind.named_so(file.name) and f"{below}/{name}/{file.name}" not in SKIPPED
    }


def held_out(rows: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Of each class the first four fifths by the digest of the path to train, the others (at least one) to test."""
    by_class: dict[str, list[str]] = {}
    for path, name in rows.items():
        by_class.setdefault(name, []).append(path)
    held: set[str] = set()
    for own in by_class.values():
        held |= set(sorted(own, key=lambda path: hashlib.sha256(path.encode()).hexdigest())[: max(1, len(own) // 5)])
    return {
        "train": {path: name for path, name in rows.items() if path not in held},
        "test": {path: name for path, name in rows.items() if path in held},
    }


def _classes(names: Sequence[str]) -> list[str]:
    """Sorted; numbers as numbers."""
    distinct = set(names)
    return sorted(distinct, key=int) if all(map(str.isdecimal, distinct)) else sorted(distinct)


def _uneven(parts: Mapping[str, Mapping[str, Mapping[str, str]]], classes: Sequence[str]) -> list[str]:
    """A sentence for each domain that lacks a class, in training or at all."""
    notes = []
    for domain, some in parts.items():
        lost = [name for name in classes if name not in some.get("train", {}).values()]
        if lost:
            notes.append(f"domain {domain!r} has no training images of {len(lost)} classes, first {lost[0]!r}")
    return notes


def _is_domain(folder: Path, kind: Kind) -> bool:
    """Whether images lie one folder below ``folder``, or two below parts called as splits are."""
    inner = _subfolders(folder)
    if inner and all(_part_of(name) for name in inner):
        return True
    return any(kind.named_so(file.name) for name in inner for file in (folder / name).iterdir())


def _part_of(name: str) -> bool:
    return name == CROSSVAL or split_of(name) is not None


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _plain(name: str) -> str:
    """Without what copies differ in: ``Real World``, ``RealWorld``, ``real_world``."""
    return name.casefold().replace(" ", "").replace("_", "")
