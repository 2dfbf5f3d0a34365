"""Readers of graphs, each on small files of its layout, and what they refuse."""

from __future__ import annotations

import gzip
import pickle
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.spec import Refused
from promptgrid.tracks.graph.datasets.bundled import GRAPHS, Bundled
from promptgrid.tracks.graph.datasets.graph import GraphDataset
from promptgrid.tracks.graph.datasets.heterophilous import Heterophilous
from promptgrid.tracks.graph.datasets.molecules import MoleculeNet
from promptgrid.tracks.graph.datasets.planetoid import Planetoid
from promptgrid.tracks.graph.datasets.smiles import parsed
from promptgrid.tracks.graph.datasets.tables import EdgeList, OGBNodes


def opened(family: DatasetFamily, address: str) -> GraphDataset:
    assert family.knows(address)
    found: Dataset = family.open(address)
    assert isinstance(found, GraphDataset)
    return found


def planetoid(folder: Path, name: str = "cora") -> Path:
    """Four labelled nodes, two more with labels, test nodes 6 and 8; node 7 is skipped by the list."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    eye = np.eye(7)
    arrays: dict[str, Any] = {
        "x": csr_matrix(eye[:4, :5].astype(np.float32)), "y": eye[[0, 1, 2, 0]],
        "allx": csr_matrix(eye[:6, :5].astype(np.float32)), "ally": eye[[0, 1, 2, 0, 1, 2]],
        "tx": csr_matrix(np.full((2, 5), 2.0, dtype=np.float32)), "ty": eye[[3, 4]],
        "graph": defaultdict(list, {0: [1, 2, 1], 1: [0], 6: [0, 6], 8: []}),
    }  # fmt: skip
    for part, value in arrays.items():
        (raw / f"ind.{name}.{part}").write_bytes(pickle.dumps(value, protocol=2))
    (raw / f"ind.{name}.test.index").write_text("8\n6\n")
    return folder


def test_planetoid_files(tmp_path: Path) -> None:
    found = opened(Planetoid(), f"planetoid:{planetoid(tmp_path)}")
    assert found.card.splits == {"train": 4, "val": 2, "test": 2}
    assert found.card.classes[:2] == ("Theory", "Reinforcement_Learning")
    assert found.labels == (0, 1, 2, 0, 1, 2, 4, -1, 3), "the list says 8 before 6: the first row of tx is node 8"
    assert found.splits["test"] == [6, 8]
    assert {tuple(link) for link in found.graph.links.tolist()} == {(0, 1), (1, 0), (0, 2), (2, 0), (0, 6), (6, 0)}
    assert found.graph.features[6].tolist() == [2.0] * 5
    assert not found.graph.features[7].any()
    assert found.notes == ("1 nodes have neither features nor a label",)


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = planetoid(tmp_path)
    (folder / "raw" / "ind.cora.graph").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(Refused, match=r"it names builtins\.print"):
        Planetoid().open(f"planetoid:{folder}")
    assert capsys.readouterr().out == ""
    (folder / "raw" / "ind.cora.graph").write_bytes(b"nothing")
    with pytest.raises(Refused, match="not a pickle of plain arrays"):
        Planetoid().open(f"planetoid:{folder}")


def test_heterophilous_files(tmp_path: Path) -> None:
    masks = np.array([[True, False, False, False], [False, True, False, False]])
    arrays = {
        "node_features": np.eye(4), "node_labels": np.array([0, 1, 0, 1]), "edges": np.array([[0, 1], [1, 0], [2, 3]]),
        "train_masks": masks, "val_masks": masks[::-1], "test_masks": np.array([[False, False, True, True]] * 2),
    }  # fmt: skip
    np.savez(tmp_path / "roads.npz", **arrays)  # type: ignore[arg-type]
    one, other = (opened(Heterophilous(), f"heterophilous:{tmp_path}/roads.npz{end}") for end in ("", "?draw=1"))
    assert (one.splits["train"], other.splits["train"]) == ([0], [1])
    assert len(one.graph.links) == 4
    assert one.card.sha256 != other.card.sha256
    with pytest.raises(Refused, match="no such draw"):
        Heterophilous().open(f"heterophilous:{tmp_path}/roads.npz?draw=2")
    np.savez(tmp_path / "less.npz", edges=arrays["edges"])
    with pytest.raises(Refused, match="not such a graph"):
        Heterophilous().open(f"heterophilous:{tmp_path}/less.npz")


def tables(folder: Path, nodes: str, edges: str) -> str:
    (folder / "nodes.csv").write_text(nodes)
    (folder / "edges.csv").write_text(edges)
    return f"edge-list:{folder}/nodes.csv"


def test_an_edge_list_with_a_table_of_nodes(tmp_path: Path) -> None:
    rows = "".join(f"n{at},{'ab'[at % 2]},{at},1\n" for at in range(40))
    address = tables(tmp_path, "id,label,size,one\n" + rows + "n40,,3,1\n", "from,to\nn0,n1\nn1,n0\nn2,n40\n")
    found = opened(EdgeList(), address)
    assert found.card.classes == ("a", "b")
    assert found.card.splits == {"train": 24, "val": 4, "test": 12}
    assert found.labels[40] == -1
    assert found.graph.features[3].tolist() == [3.0, 1.0]
    assert len(found.graph.links) == 4
    assert found.example_name(2) == "n2"
    shown = tables(tmp_path, "id,label,split,x\na,u,train,1\nb,v,test,2\nc,u,valid,3\n", "s,t\na,b\n")
    assert opened(EdgeList(), shown).splits == {"train": [0], "val": [2], "test": [1]}


@pytest.mark.parametrize(
    ("nodes", "edges", "why"),
    [
        ("id,size\na,1\n", "s,t\n", "no columns id and label"),
        ("id,label,x\na,u,1\na,v,2\n", "s,t\n", "two nodes have one id"),
        ("id,label,x\na,u,one\n", "s,t\n", "a feature is no number"),
        ("id,label,x\na,u,nan\n", "s,t\n", "not finite"),
        ("id,label\na,u\n", "s,t\n", "has no features"),
        ("id,label,x\na,u,1\nb,v\n", "s,t\n", "another length"),
        ("id,label,x\na,u,1\nb,v,2\n", "s,t\na,c\n", "not in the table"),
        ("id,label,split,x\na,u,sometimes,1\nb,v,test,2\n", "s,t\na,b\n", "unknown split"),
    ],
)
def test_tables_that_are_none_are_refused(nodes: str, edges: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=why):
        EdgeList().open(tables(tmp_path, nodes, edges))


def test_the_node_layout_of_ogb(tmp_path: Path) -> None:
    files = {"raw/node-feat": "1,0\n0,1\n1,1\n", "raw/node-label": "0\n1\n0\n", "raw/edge": "0,1\n1,2\n",
             "split/time/train": "0\n", "split/time/valid": "1\n", "split/time/test": "2\n"}  # fmt: skip
    for name, text in files.items():
        path = tmp_path / f"{name}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()))
    found = opened(OGBNodes(), f"ogb:{tmp_path}")
    assert found.splits == {"train": [0], "val": [1], "test": [2]}
    assert found.graph.features.tolist() == [[1, 0], [0, 1], [1, 1]]
    assert found.labels == (0, 1, 0)
    (tmp_path / "raw/node-label.csv.gz").write_bytes(gzip.compress(b"0\n1\n"))
    with pytest.raises(Refused, match="do not fit each other"):
        OGBNodes().open(f"ogb:{tmp_path}")


@pytest.mark.parametrize(
    ("text", "atoms", "bonds"),
    [
        ("CCO", [6, 6, 8], [(0, 1, 0), (1, 2, 0)]),
        ("C=C#N", [6, 6, 7], [(0, 1, 1), (1, 2, 2)]),
        ("c1ccccc1", [6] * 6, [(0, 1, 3), (1, 2, 3), (2, 3, 3), (3, 4, 3), (4, 5, 3), (0, 5, 3)]),
        ("CC(C)(Cl)Br", [6, 6, 6, 17, 35], [(0, 1, 0), (1, 2, 0), (1, 3, 0), (1, 4, 0)]),
        ("[Na+].[OH-]", [11, 8], []),
        ("C%10CC%10", [6, 6, 6], [(0, 1, 0), (1, 2, 0), (0, 2, 0)]),
        ("[13CH3:1][se]", [6, 34], [(0, 1, 0)]),
    ],
)
def test_molecules_of_strings(text: str, atoms: list[int], bonds: list[tuple[int, int, int]]) -> None:
    found = parsed(text)
    assert [number for number, _ in found.atoms] == atoms
    assert [bond[:3] for bond in found.bonds] == bonds


def test_two_rings_hang_by_a_single_bond_and_fused_ones_do_not() -> None:
    assert [bond[2] for bond in parsed("c1ccccc1c1ccccc1").bonds].count(0) == 1
    assert {bond[2] for bond in parsed("c1ccc2ccccc2c1").bonds} == {3}


def test_marks_of_chirality_and_direction() -> None:
    assert [turn for _, turn in parsed("N[C@@H](C)C(=O)[C@H](F)Cl").atoms if turn] == [1, 2]
    assert [bond[3] for bond in parsed("F/C=C\\F").bonds] == [1, 0, 2]


@pytest.mark.parametrize("text", ["", "C1CC", "C(", "C)", "x", "[Xx]", "1CC", "[C"])
def test_what_is_no_molecule_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="not a SMILES string"):
        parsed(text)


def test_a_table_of_molecules(tmp_path: Path) -> None:
    rows = "".join(f"{'C' * (at + 1)}O,{at % 2},{'' if at else 1}\n" for at in range(20))
    (tmp_path / "set.csv.gz").write_bytes(gzip.compress(("smiles,toxic,rare\n" + rows + "C(,1,\n").encode()))
    found = opened(MoleculeNet(), f"moleculenet:{tmp_path}/set.csv.gz?task=toxic")
    assert found.card.classes == ("inactive", "active")
    assert sum(found.card.splits.values()) == 20
    assert found.notes == ("1 rows are no SMILES string and are left out",)
    one = found.read(4)
    assert (len(one.nodes), len(one.links)) == (6, 10)
    assert one.kinds is not None
    assert found.graph.features[one.nodes].sum() == 12
    assert found.most == 21
    with pytest.raises(Refused, match=r"no such column \(task\)"):
        MoleculeNet().open(f"moleculenet:{tmp_path}/set.csv.gz?task=toxik")


@pytest.mark.parametrize("name", ["foldoc", "wordnet_verbs", "debian_packages"])
def test_a_bundled_graph_is_what_its_card_says(name: str) -> None:
    found = opened(Bundled(), name)
    assert found.graph.features.shape[1] == 128
    assert set(found.spoken) == set(found.card.classes)
    assert all(source.sha256 and source.licence for source in found.card.sources)
    splits = [set(rows) for rows in found.splits.values()]
    assert not splits[0] & splits[1] | splits[1] & splits[2] | splits[0] & splits[2]
    assert all(found.labels[index] >= 0 for rows in splits for index in rows)
    assert max(found.graph.links.max().item(), len(found.names) - 1) == len(found.graph.features) - 1
    assert len({found.labels[index] for index in found.splits["test"]}) == len(found.card.classes)


def test_bundled_graphs_have_the_counts_that_were_found_in_their_sources() -> None:
    sizes = {}
    for card in Bundled().listing():
        graph = opened(Bundled(), card.name).graph
        sizes[card.name] = (len(graph.features), len(graph.links) // 2, len(card.classes))
    assert sizes == {
        "foldoc": (12141, 38670, 15),
        "wordnet_verbs": (13767, 15653, 15),
        "debian_packages": (7122, 18843, 16),
    }


def test_what_ships_is_small_and_has_its_terms_beside_it() -> None:
    home = GRAPHS.parent
    assert sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) < 15_000_000
    assert sum(path.stat().st_size for path in (home / "backbones").rglob("*")) < 6_000_000
    assert "GNU Free Documentation License" in (GRAPHS / "gfdl/LICENSE").read_text()
    assert "Princeton University" in (GRAPHS / "wordnet/LICENSE").read_text()
    assert "Debian" in (GRAPHS / "debian/COPYING").read_text()
    assert [path.name for path in GRAPHS.glob("*.npz")] == ["directions.npz"]


def test_a_bundled_graph_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "debian"
    folder.mkdir()
    arrays = dict(np.load(GRAPHS / "debian" / "debian_packages.npz"))
    arrays["labels"] = arrays["labels"].copy()
    arrays["labels"][:3] = 0
    np.savez(folder / "debian_packages.npz", **arrays)
    (folder / "debian_packages.yaml").write_bytes((GRAPHS / "debian" / "debian_packages.yaml").read_bytes())
    with pytest.raises(Refused, match="sha256 differs"):
        Bundled(tmp_path).open("debian_packages")


def test_a_bundled_graph_that_changed_in_a_long_process_is_noticed(tmp_path: Path) -> None:
    home = tmp_path / "gfdl"
    shutil.copytree(GRAPHS / "gfdl", home)
    family = Bundled(tmp_path)
    family.open("foldoc")
    with np.load(home / "foldoc.npz") as arrays:
        changed = dict(arrays)
    changed["labels"] = changed["labels"][::-1]
    np.savez(home / "foldoc.npz", **changed)
    with pytest.raises(Refused, match="the data were damaged or changed"):
        family.open("foldoc")
